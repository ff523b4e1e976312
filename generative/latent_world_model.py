r"""A model of an environment whose observations are pictures, or whatever else an encoder encodes.

.. math:: z_t = e(o_t), \qquad (z_{t+1}, r_{t+1}) \sim p(\cdot \mid z_{t-H+1:t}, a_{t-H+1:t}),
    \qquad o_{t+1} = d(z_{t+1}),

with an autoencoder's encoder e and decoder d, trained first, and any conditional generator of the
next latents. With a variational autoencoder and a mixture of Gaussians these are the V and M of Ha
and Schmidhuber, with the last H latents in the place of a recurrent network; with the codes of a
VQ-VAE what is drawn are categories, as in IRIS.

References:
    D. Ha, J. Schmidhuber (2018), World models, arXiv:1803.10122.
    V. Micheli, E. Alonso, F. Fleuret (2023), Transformers are sample-efficient world models,
        arXiv:2209.00588 (codes).
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, Self

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from ..storage import array_of_file, object_of_array, read_arrays, write_arrays
from .abstract_world_model import AbstractWorldModel
from .data.environments import Transitions
from .family import AbstractFamily
from .observation_encoder import ObservationEncoder
from .space_batches import rows_of
from .world_model import Judgement, Termination, WorldModel
from .world_model_data import episode_starts, histories
from .world_model_state import ImaginedStep, WorldModelState

__all__ = ["LatentWorldModel"]

_FORMAT = "gymagine-latent-world-model-1"
_CHUNK = 256  # observations that are encoded at once


class LatentWorldModel(AbstractWorldModel):
    """Imagines latents, and shows what they stand for. `fit_world_model` trains it.

    Args:
        encoder: Of the observations; its autoencoder may be untrained (`fit_world_model` trains it
            then, where it is told how).
        action_space: Of the environment.
        family: Of the generator of latents.
        termination: As for `WorldModel`; a function is given observations, not latents.
        reward_function: Likewise.
        options: Further ones of `WorldModel`.

    Attributes:
        encoder: Of the observations.
        inner: The model of latents.

    Raises:
        ValueError: Latents are no vectors or codes, or as `WorldModel`.

    Example:
        >>> from gymagine.generative import VAE, ConditionalGaussian
        >>> grey = spaces.Box(0, 255, (8, 8, 1), np.uint8)
        >>> encoder = ObservationEncoder(grey, VAE((1, 8, 8), latent_size=3).eval())
        >>> model = LatentWorldModel(encoder, spaces.Discrete(2), ConditionalGaussian).eval()
        >>> state = model.begin(np.zeros((5, 8, 8, 1), np.uint8))
        >>> state, step = model.step(state, np.zeros(5, int))
        >>> step.observation.shape, model.latents(state).shape
        ((5, 8, 8, 1), torch.Size([5, 3]))
    """

    State = WorldModelState

    def __init__(
        self,
        encoder: ObservationEncoder,
        action_space: spaces.Space[Any],
        family: type[AbstractFamily],
        *,
        termination: Termination | Judgement = "learnt",
        reward_function: Judgement | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        assert isinstance(encoder.autoencoder, nn.Module)
        self.autoencoder = encoder.autoencoder  # so that it goes where the model goes
        self.inner = WorldModel(
            encoder.latent_space,
            action_space,
            family,
            termination=self._shown(termination) if callable(termination) else termination,
            reward_function=None if reward_function is None else self._shown(reward_function),
            **options,
        )
        self.observation_codec, self.action_codec = encoder.codec, self.inner.action_codec

    def _shown(self, judge: Judgement) -> Judgement:
        def judged(before: Any, actions: Any, after: Any) -> NDArray[Any]:
            return judge(self.encoder.decode(before), actions, self.encoder.decode(after))

        return judged

    @property
    def is_fitted(self) -> Tensor:  # type: ignore[override]  # the inner one's
        """() whether scales were taken from data."""
        return self.inner.is_fitted

    # ---- imagining ------------------------------------------------------------------------------

    def begin(self, observations: Any) -> WorldModelState:
        """Begin B episodes with (B, ...) observations; see `AbstractWorldModel`."""
        return self.inner.begin(self.encoder.encode(observations))

    def recall(self, data: Transitions, steps: NDArray[np.int64]) -> WorldModelState:
        """What episodes remember at steps of data; see `AbstractWorldModel`."""
        rows, _ = histories(episode_starts(data), self.inner.history)
        needed = np.unique(rows[steps])
        shape = (len(data), *(self.encoder.latent_space.shape or ()))
        latents = np.zeros(shape, dtype=self.encoder.latent_space.dtype)
        latents[needed] = self._encoded(rows_of(data.observation, needed), len(needed))
        known = replace(data, observation=latents, next_observation=latents)
        return self.inner.recall(known, steps)

    def observe(self, state: WorldModelState, actions: Any, observations: Any) -> WorldModelState:
        """Go on with what was really done and seen; see `AbstractWorldModel`."""
        return self.inner.observe(state, actions, self.encoder.encode(observations))

    def step(
        self,
        state: WorldModelState,
        actions: Any,
        *,
        temperature: float = 1.0,
        rng: torch.Generator | None = None,
    ) -> tuple[WorldModelState, ImaginedStep]:
        """Imagine a step of B episodes; see `AbstractWorldModel`."""
        after, found = self.inner.step(state, actions, temperature=temperature, rng=rng)
        return after, replace(found, observation=self.encoder.decode(found.observation))

    def observations(self, state: WorldModelState) -> Any:
        """(B, ...) what is seen now, as the space has it."""
        return self.encoder.decode(self.inner.observations(state))

    def encoded(self, state: WorldModelState) -> Float[Tensor, "batch ..."]:
        """(B, ...) what is seen now, as ``observation_codec`` has it."""
        return self.observation_codec.encode(self.observations(state))

    @property
    def num_latents(self) -> int:
        """L, numbers that episodes remember."""
        return self.inner.num_latents

    def latents(self, state: WorldModelState) -> Float[Tensor, "batch latents"]:
        """(B, L) all that episodes remember, as numbers."""
        return self.inner.latents(state)

    # ---- learning -------------------------------------------------------------------------------

    def latent_transitions(self, data: Transitions) -> Transitions:
        """The steps with latents in the place of observations."""
        before = self._encoded(data.observation, len(data))
        after = self._encoded(data.next_observation, len(data))
        return replace(data, observation=before, next_observation=after)

    def _encoded(self, observations: Any, num: int) -> NDArray[Any]:
        chunks = np.array_split(np.arange(num), max(1, -(-num // _CHUNK)))
        return np.concatenate(
            [self.encoder.encode(rows_of(observations, part)) for part in chunks]
        )

    # ---- files ----------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything but the user's functions to one file, whole or not at all."""
        parts = {
            "encoder": array_of_file(self.encoder.save),
            "inner": array_of_file(self.inner.save),
        }
        write_arrays(path, parts, {"format": _FORMAT})

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        encoder_family: type[AbstractFamily] | None = None,
        family: type[AbstractFamily] | None = None,
        termination: Judgement | None = None,
        reward_function: Judgement | None = None,
    ) -> Self:
        """Make the world model that `save` wrote, in evaluation mode.

        Args:
            path: The file.
            encoder_family: Of the autoencoder, where it is not one of this package.
            family: Of the generator, likewise.
            termination: The function that it was made with, if it was.
            reward_function: Likewise.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is damaged or foreign, or a function is missing or too much.
        """
        arrays, _ = read_arrays(path, expected_format=_FORMAT)
        encoder = object_of_array(
            arrays["encoder"], lambda file: ObservationEncoder.load(file, encoder_family)
        )
        judges = {"termination": termination, "reward_function": reward_function}
        inner = object_of_array(
            arrays["inner"], lambda file: WorldModel.load(file, family=family, **judges)
        )
        found = cls(
            encoder,
            inner.action_space,
            inner.family,
            hyperparameters=inner.hyperparameters,
            history=inner.history,
            num_members=len(inner.members),
            noise=inner.noise,
            termination=inner.termination,
            reward_function=reward_function,
        )
        found.inner.load_state_dict(inner.state_dict())
        return found.eval()
