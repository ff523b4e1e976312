"""A conditional generator of action chunks, with codecs between it and the spaces.

It is what of a `GenerativePolicy` is learnt: observations become a context, chunks of actions
events (see `generative.chunk_coding`), each in scales taken from demonstrations. Real actions are
learnt with a little noise, or densities of scripted demonstrators would grow without end.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from ...generative.chunk_coding import ChunkNoise, generator_of_chunks
from ...generative.chunks import ChunkWindows, chunk_windows
from ...generative.codec import Codec, vector_codec
from ...generative.data.dataset import Dataset, Events
from ...generative.data.environments import Transitions
from ...generative.family import AbstractFamily
from ...generative.generator import AbstractMeanSampler
from ...generative.space_batches import rows_of
from ...generative.trainable import AbstractTwoStage
from ...generative.training import FitResult, fit
from ...generative.world_model_data import episode_starts
from .generative_policy_configuration import GenerativePolicyConfig
from .policy_fitting import GenerativePolicyFit, action_errors, split_windows

__all__ = ["ChunkModel"]


class ChunkModel(nn.Module):
    """Draws chunks of actions, given what was seen.

    Args:
        observation_space: One that a `Codec` makes vectors of.
        action_space: Likewise.
        family: Of the generator.
        hyperparameters: Of the family. Where it has a ``clip``, actions within -1 and 1 set it to
            1 unless it is given: samples stay where actions are.
        config: Horizons, layout, scales, noise.
        seed: Of first parameters.

    Attributes:
        observations: Codec of observations.
        actions: Codec of actions.
        generator: Of chunks.
        is_fitted: () whether scales were taken from data.

    Raises:
        TypeError: The family is none, or a hyper-parameter is unknown.
        ValueError: A space is not a vector's, or the family cannot draw such chunks.

    Example:
        >>> from gymagine.generative.baselines.regression import Regression
        >>> box = spaces.Box(-1, 1, (2,))
        >>> model = ChunkModel(box, box, Regression, {}, GenerativePolicyConfig(), seed=0).eval()
        >>> model.draw(torch.zeros(5, 4)).shape
        torch.Size([5, 16, 2])
    """

    is_fitted: Tensor

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        family: type[AbstractFamily],
        hyperparameters: Mapping[str, Any],
        config: GenerativePolicyConfig,
        *,
        seed: int,
    ) -> None:
        super().__init__()
        if not (isinstance(family, type) and issubclass(family, AbstractFamily)):
            raise TypeError(f"expected a family of generators, got {family!r}")
        self.observations = vector_codec(observation_space, "observation")
        self.actions = vector_codec(action_space, "action")
        self.family, self.config = family, config
        self.hyperparameters = dict(hyperparameters)
        fields = {field.name for field in dataclasses.fields(family.Config)}
        if "clip" in fields and config.action_normaliser == "min-max":
            self.hyperparameters.setdefault("clip", 1.0)
        context_shape = (config.observation_horizon * self.observations.event_shape[0],)
        make: Any = family

        def made(event_shape: tuple[int, ...]) -> AbstractFamily:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                found: AbstractFamily = make(
                    event_shape, context_shape=context_shape, **self.hyperparameters
                )
            return found

        self.generator, self._coding = generator_of_chunks(
            made, self.actions, config.prediction_horizon, config.layout
        )
        self._check_scales()
        if config.sampler_steps is not None:
            self.use_sampler_steps(config.sampler_steps)
        self.register_buffer("is_fitted", torch.zeros((), dtype=torch.bool))

    def _check_scales(self) -> None:
        has_numbers = any(part.kind == "numbers" for part in self.actions.parts)
        scales = self.config.action_normaliser
        if self.generator.support.is_discrete and has_numbers and scales != "min-max":
            raise ValueError(
                f"expected min-max as the action_normaliser of levels, got {scales!r}"
            )

    @property
    def num_entries(self) -> int:
        """A, of one encoded action."""
        return self.actions.event_shape[0]

    def use_sampler_steps(self, num: int) -> None:
        """Draw in so many steps from now on; nothing is learnt anew.

        Args:
            num: Times at which the sampler asks the network.

        Raises:
            ValueError: The family does not draw in steps, or the number does not fit it.
        """
        fields = {field.name for field in dataclasses.fields(self.family.Config)}
        # flow matching has one number of steps; ddpm's num_steps are those of its noise
        known = [name for name in ("sampling_steps", "num_steps") if name in fields]
        if not known:
            raise ValueError(
                f"expected a family that draws in steps for {num} sampler_steps, got "
                f"{self.family.name}"
            )
        own = self.generator.config
        self.generator.config = dataclasses.replace(own, **{known[0]: num})
        self.config = dataclasses.replace(self.config, sampler_steps=num)

    def draw(
        self,
        context: Float[Tensor, "batch context"],
        *,
        deterministic: bool = False,
        rng: torch.Generator | None = None,
    ) -> Float[Tensor, "batch time entries"]:
        """(B, Tp, A) encoded actions.

        Args:
            context: (B, To D) encoded observations, oldest first.
            deterministic: Leave out the noise that a family can leave out.
            rng: Of the draws.
        """
        context = self._limited(context)
        own, temperature = self.generator, self.config.temperature
        is_real = not own.support.is_discrete
        with torch.no_grad():
            if deterministic and is_real and isinstance(own, AbstractMeanSampler):
                drawn = own.sample_means(1, context, temperature=temperature, rng=rng)
            else:
                drawn = own.sample(1, context, temperature=temperature, rng=rng)
            return self._coding.rows(drawn[0])

    def _limited(self, seen: Float[Tensor, "batch entries"]) -> Float[Tensor, "batch entries"]:
        limit = self.config.observation_limit
        return seen if limit is None else seen.clamp(-limit, limit)

    # ---- learning -------------------------------------------------------------------------------

    def windows(self, data: Transitions) -> ChunkWindows:
        """Those of the horizons."""
        config = self.config
        return chunk_windows(
            data,
            observation_horizon=config.observation_horizon,
            prediction_horizon=config.prediction_horizon,
            cut_episodes=config.cut_episodes,
        )

    def examples(
        self, data: Transitions, windows: ChunkWindows
    ) -> tuple[Float[Tensor, "windows context"], Float[Tensor, "windows time entries"]]:
        """(N, To D) contexts and (N, Tp, A) encoded actions of windows."""
        seen = self._limited(self.observations.encode(data.observation))
        taken = self.actions.encode(data.action)
        return seen[windows.observed].flatten(1), taken[windows.acted]

    def fit(
        self,
        data: Transitions,
        *,
        seed: int = 0,
        held_out: float = 0.1,
        progress_bar: bool = False,
        **settings: Any,
    ) -> GenerativePolicyFit:
        """As `GenerativePolicy.fit`, which says what the arguments are."""
        if not isinstance(data, Transitions):
            raise TypeError(f"expected Transitions to fit to, got {type(data).__name__}")
        windows = self.windows(data)
        train, rest = split_windows(windows, episode_starts(data), held_out, seed)
        begins = not bool(self.is_fitted)
        if begins:
            self._fit_scales(data, np.unique(windows.acted[train]))
        contexts, rows = self.examples(data, windows)
        events = Events(self._coding.events(rows), contexts)
        learnt, others = (events.take(torch.from_numpy(part)) for part in (train, rest))
        training, second = self._learn(
            Dataset(learnt, others, prepare=self._target_noise),
            {"seed": seed, "progress_bar": progress_bar, "initialise": begins, **settings},
        )
        rng = torch.Generator().manual_seed(seed)
        errors = action_errors(
            lambda context: self.draw(context, rng=rng),
            (contexts[train], rows[train]),
            (contexts[rest], rows[rest]),
            torch.from_numpy(windows.acted_known[rest]),
        )
        return GenerativePolicyFit(training, second, len(train), len(rest), errors)

    def refit(
        self, data: Transitions, windows: ChunkWindows, *, seed: int, **settings: Any
    ) -> FitResult:
        """Go on learning, from windows that are given."""
        contexts, rows = self.examples(data, windows)
        dataset = Dataset(Events(self._coding.events(rows), contexts), prepare=self._target_noise)
        return self._learn(dataset, {"seed": seed, "initialise": False, **settings})[0]

    def _learn(
        self, data: Dataset, arguments: Mapping[str, Any]
    ) -> tuple[FitResult, FitResult | None]:
        given: dict[str, Any] = dict(arguments)
        first, second = fit(self.generator, data, **given), None
        if isinstance(self.generator, AbstractTwoStage):
            second = self.generator.fit_second(data, **given)
        self.generator.cpu()  # where it acts
        self.is_fitted.fill_(True)
        return first, second

    def _fit_scales(self, data: Transitions, steps: NDArray[np.int64]) -> None:
        for codec, values, name in (
            (self.observations, data.observation, self.config.observation_normaliser),
            (self.actions, data.action, self.config.action_normaliser),
        ):
            scaled = Codec.fitted(codec.space, rows_of(values, steps), name)
            codec.normaliser.load_state_dict(scaled.normaliser.state_dict())

    @property
    def _target_noise(self) -> ChunkNoise | None:
        """Numbers have the config's noise, categories ten times as much, levels none."""
        if self.generator.support.is_discrete or not self.config.noise:
            return None
        of_one = torch.full((self.num_entries,), self.config.noise)
        for part in self.actions.parts:
            if part.kind != "numbers":
                of_one[part.entries] *= 10
        rows = of_one.expand(1, self.config.prediction_horizon, -1)
        return ChunkNoise(tuple(self._coding.events(rows).flatten().tolist()))
