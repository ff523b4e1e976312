"""A generator of trajectories with what belongs to it: scales, a predictor, and its training.

`TrajectoryPlanner` plays what is planned here, and says how.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from ...generative.baselines.conditional_gaussian import ConditionalGaussian
from ...generative.chunks import chunk_windows
from ...generative.codec import Codec, vector_codec
from ...generative.data.dataset import Dataset, Events
from ...generative.data.environments import Transitions
from ...generative.diffusion.abstract_diffusion import AbstractDiffusion
from ...generative.family import AbstractFamily
from ...generative.normalisers import Normaliser
from ...generative.space_batches import rows_of
from ...generative.training import FitResult, fit
from ...generative.world_model_data import episode_starts
from ...generative.world_model_fitting import TargetNoise
from .policy_fitting import split_windows
from .trajectory_planner_configuration import TrajectoryPlannerConfig
from .trajectory_windows import WindowCoding, returns_to_go, window_rows

__all__ = ["TrajectoryModel", "TrajectoryPlannerFit"]

_SECOND_SETTINGS = {"num_updates": 3_000, "evaluation_interval": 250, "patience": 4}
_FARTHEST = 1.2  # that windows are from 0 where returns are predicted; they were learnt within 1


@dataclass(frozen=True)
class TrajectoryPlannerFit:
    """What came of training.

    Attributes:
        training: How the generator's went.
        second: How that of the return predictor did, or of the inverse dynamics.
        num_windows: That were learnt from.
        num_held_out: Windows in episodes that were held out.
        error: Root mean square of the second model's there, in deviations.
        constant_error: Of the mean.
    """

    training: FitResult
    second: FitResult
    num_windows: int
    num_held_out: int
    error: float
    constant_error: float


class TrajectoryModel(nn.Module):
    """Draws plans, and learns to.

    Args:
        observation_space: Of the environment.
        action_space: Likewise.
        family: Of the generator.
        hyperparameters: Of the family.
        seed: Of first parameters.
        config: Of the planner.

    Attributes:
        observations: Codec of observations.
        actions: Codec of actions.
        generator: Of windows.
        second: Predicts returns of windows, or actions between two observations.
        returns: Scale of returns.
        target: (1,) the return that is asked for, in that scale.
        method: How plans become good ones.

    Raises:
        TypeError: The family is none, or a hyper-parameter is unknown.
        ValueError: A space is not a vector's, or the family cannot do what the method needs.
    """

    target: Tensor

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        family: type[AbstractFamily],
        hyperparameters: Mapping[str, Any],
        seed: int,
        config: TrajectoryPlannerConfig,
    ) -> None:
        super().__init__()
        self._config = config
        self._inpaints, self.method = _checked_method(family, config.method)
        self.observations = vector_codec(observation_space, "observation")
        self.actions = vector_codec(action_space, "action")
        observed, acted = self.observations.event_shape[0], self.actions.event_shape[0]
        by_return = self.method == "return-conditioned"
        self._coding = WindowCoding(
            config.horizon, observed + (0 if by_return else acted), observed, config.layout
        )
        self._tells_start = config.start_as_context or not self._inpaints
        num_context = (observed if self._tells_start else 0) + int(by_return)
        num_second = 2 * observed if by_return else config.horizon * self._coding.num_entries
        make: Any = family
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.generator: AbstractFamily = make(
                self._coding.event_shape,
                context_shape=(num_context,) if num_context else None,
                **hyperparameters,
            )
            self.second = ConditionalGaussian(
                (acted if by_return else 1,),
                context_shape=(num_second,),
                hidden_sizes=config.hidden_sizes,
                lowest_deviation=0.05,
            )
        if self.generator.support.is_discrete:
            raise ValueError(
                f"expected a family of real events to plan with, got {family.name} of "
                f"{self.generator.support}"
            )
        self.returns = Normaliser(1)
        self.register_buffer("target", torch.zeros(1))

    # ---- planning -------------------------------------------------------------------------------

    def planned(
        self, seen: Float[Tensor, "batch observation"], rng: torch.Generator
    ) -> tuple[Float[Tensor, "batch time entries"], Float[Tensor, " batch"]]:
        """Plans, one for each of B environments.

        Args:
            seen: (B, D) encoded observations that they begin with.
            rng: Of the draws.

        Returns:
            (B, H, E) rows, and (B,) their predicted returns, NaN where they are drawn for one.
        """
        num, config = len(seen), self._config
        if self.method == "return-conditioned":
            rows = self._coding.rows(self._drawn(seen, self.target.expand(num, 1), rng))
            return rows, torch.full((num,), torch.nan, dtype=torch.float64)
        several = seen.repeat_interleave(config.num_plans, dim=0)
        rows = self._coding.rows(self._drawn(several, None, rng))
        values = self._predicted(rows.flatten(1)).view(num, config.num_plans)
        best = values.argmax(dim=1)
        chosen = rows.view(num, config.num_plans, *rows.shape[1:])[torch.arange(num), best]
        highest = values[torch.arange(num), best].unsqueeze(1)
        return chosen, self.returns.inverse(highest)[:, 0]

    def _drawn(
        self, seen: Float[Tensor, "batch observation"], target: Tensor | None, rng: torch.Generator
    ) -> Float[Tensor, "batch ..."]:
        """(B, *event) windows that begin with what is seen."""
        generator, config = self.generator, self._config
        given = ([seen] if self._tells_start else []) + ([] if target is None else [target])
        context = torch.cat(given, dim=1) if given else None
        if not isinstance(generator, AbstractDiffusion) or not self._inpaints:
            return generator.sample(1, context, temperature=config.temperature, rng=rng)[0]
        guides = self.method == "guidance" and config.guidance_scale > 0
        return generator.complete(
            self._coding.starting(seen),
            self._coding.known_start,
            context,
            log_weight=self._log_weight if guides else None,
            rounds=config.rounds,
            temperature=config.temperature,
            rng=rng,
        )

    def _log_weight(self, events: Tensor) -> Tensor:
        """(B,) of windows, as far as they are from -1 to 1: beyond nothing was learnt."""
        rows = self._coding.rows(events.clamp(-_FARTHEST, _FARTHEST))
        return self._config.guidance_scale * self._predicted(rows.flatten(1))

    def _predicted(self, windows: Float[Tensor, "batch entries"]) -> Float[Tensor, " batch"]:
        """(B,) normalised returns, differentiably."""
        return self.second.moments(windows, len(windows))[0][:, 0]

    def actions_of(
        self, rows: Float[Tensor, "batch time entries"]
    ) -> Float[Tensor, "batch acted action"]:
        """(B, T, A) the actions of plans that will be executed."""
        num_acted, observed = self._config.action_horizon, self._coding.num_observed
        if self.method != "return-conditioned":
            return rows[:, :num_acted, observed:]
        pairs = torch.cat([rows[:, :num_acted], rows[:, 1 : num_acted + 1]], dim=2)
        flat = pairs.flatten(0, 1)
        return self.second.moments(flat, len(flat))[0].view(len(rows), num_acted, -1)

    # ---- learning -------------------------------------------------------------------------------

    def learn(
        self,
        data: Transitions,
        *,
        seed: int,
        held_out: float,
        second_settings: Mapping[str, Any],
        progress_bar: bool,
        settings: Mapping[str, Any],
    ) -> TrajectoryPlannerFit:
        """Learn windows of recorded steps; the arguments are those of `TrajectoryPlanner.fit`."""
        config = self._config
        windows = chunk_windows(data, observation_horizon=1, prediction_horizon=config.horizon)
        train, rest = split_windows(windows, episode_starts(data), held_out, seed)
        self._fit_scales(data, np.unique(windows.acted[train]))
        before, after = (
            self.observations.encode(part) for part in (data.observation, data.next_observation)
        )
        actions = self.actions.encode(data.action)
        every = torch.from_numpy(returns_to_go(data, config.discount)[windows.steps]).unsqueeze(1)
        self.returns.load_state_dict(Normaliser.fitted(every[train], "z-score").state_dict())
        returns = self.returns(every).to(before.dtype)
        asked = config.target_return
        if asked is None:
            asked = float(torch.quantile(every[train], config.target_quantile))
        self.ask_for(asked)
        by_return = self.method == "return-conditioned"
        rows = window_rows(windows, before, after, None if by_return else actions)
        at = before[windows.steps]
        context = ([at] if self._tells_start else []) + ([returns] if by_return else [])
        events = Events(self._coding.events(rows), torch.cat(context, 1) if context else None)
        pairs = (
            Events(actions[windows.steps], torch.cat([at, after[windows.steps]], dim=1))
            if by_return
            else Events(returns, rows.flatten(1))
        )
        options: dict[str, Any] = {"seed": seed, "progress_bar": progress_bar}
        noise = TargetNoise((config.noise,))
        training = fit(self.generator, _parts(events, train, rest, noise), **options, **settings)
        second = fit(
            self.second,
            _parts(pairs, train, rest, None),
            **options,
            **(_SECOND_SETTINGS | dict(second_settings)),
        )
        for model in (self.generator, self.second):
            model.cpu()  # where it acts
        return self._measured(pairs, train, rest, training, second)

    def ask_for(self, target_return: float) -> None:
        """Let the target be a return, in the environment's own units."""
        asked = torch.tensor([[target_return]], dtype=torch.float64)
        self.target.copy_(self.returns(asked)[0])

    def _fit_scales(self, data: Transitions, steps: NDArray[np.int64]) -> None:
        for codec, values in (
            (self.observations, data.observation),
            (self.actions, data.action),
        ):
            scaled = Codec.fitted(codec.space, rows_of(values, steps), "min-max")
            codec.normaliser.load_state_dict(scaled.normaliser.state_dict())

    def _measured(
        self,
        pairs: Events,
        train: NDArray[np.int64],
        rest: NDArray[np.int64],
        training: FitResult,
        second: FitResult,
    ) -> TrajectoryPlannerFit:
        given, truth = pairs.context, pairs.x
        assert given is not None, "both second models have contexts"
        with torch.no_grad():
            guessed = self.second.moments(given[rest], len(rest))[0]
        scale = truth[train].std(dim=0, correction=0).clamp(min=1e-6)
        off, constant = (
            float(((one - truth[rest]) / scale).double().square().mean().sqrt())
            for one in (guessed, truth[train].mean(dim=0))
        )
        return TrajectoryPlannerFit(training, second, len(train), len(rest), off, constant)


def _checked_method(family: Any, method: str) -> tuple[bool, Any]:
    """Whether the start is given as known entries, and the method."""
    if not (isinstance(family, type) and issubclass(family, AbstractFamily)):
        raise TypeError(f"expected a family of generators, got {family!r}")
    is_diffusion = issubclass(family, AbstractDiffusion)
    if method == "auto":
        method = "guidance" if is_diffusion else "ranking"
    if method == "guidance" and not is_diffusion:
        raise ValueError(
            f"expected a diffusion family for guidance, as {family.name} can neither be given "
            "known entries nor be pulled by a function while it draws; ranking serves it"
        )
    return is_diffusion and method != "ranking", method


def _parts(
    events: Events,
    train: NDArray[np.int64],
    rest: NDArray[np.int64],
    prepare: TargetNoise | None,
) -> Dataset:
    first, second = (events.take(torch.from_numpy(rows)) for rows in (train, rest))
    return Dataset(first, second, prepare=prepare)
