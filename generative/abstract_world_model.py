"""What every model of an environment is: something to imagine episodes with.

Imagined environments, planners and training in dreams ask for this and no more. `WorldModel` makes
one of any conditional generator, `TabularWorldModel` of counts; a recurrent model of one's own
joins by the same methods.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from .codec import Codec
from .data.environments import Transitions
from .world_model_state import AbstractWorldState, ImaginedStep

__all__ = ["AbstractWorldModel"]


class AbstractWorldModel(nn.Module, ABC):
    """A model of an environment. `fit_world_model` trains it, `ImaginedVectorEnv` steps it.

    Attributes:
        State: The dataclass of what its episodes remember.
        observation_codec: Of the environment's observations.
        action_codec: Of its actions.
        is_fitted: () whether scales were taken from data.
    """

    State: ClassVar[type[AbstractWorldState]]

    observation_codec: Codec
    action_codec: Codec
    is_fitted: Tensor

    @property
    def observation_space(self) -> spaces.Space[Any]:
        """Of the environment."""
        return self.observation_codec.space

    @property
    def action_space(self) -> spaces.Space[Any]:
        """Of the environment."""
        return self.action_codec.space

    @property
    @abstractmethod
    def num_latents(self) -> int:
        """L, numbers that episodes remember."""

    @abstractmethod
    def begin(self, observations: Any) -> Any:
        """The state of B episodes that begin with (B, ...) observations.

        Raises:
            ValueError: They do not fit the space.
        """

    @abstractmethod
    def recall(self, data: Transitions, steps: NDArray[np.int64]) -> Any:
        """The state of episodes at steps of data, before the step: imagined ones can begin there.

        Args:
            data: Steps of the environment, in the order in which they were taken.
            steps: (B,) numbers of steps.

        Raises:
            ValueError: The data do not fit the spaces.
        """

    @abstractmethod
    def observe(self, state: Any, actions: Any, observations: Any) -> Any:
        """The state after (B, ...) actions that were really taken, and what was seen then."""

    @abstractmethod
    def step(
        self,
        state: Any,
        actions: Any,
        *,
        temperature: float = 1.0,
        rng: torch.Generator | None = None,
    ) -> tuple[Any, ImaginedStep]:
        """Imagine a step of B episodes.

        Args:
            state: Of the episodes, which stays as it is.
            actions: (B, ...) as the space has it.
            temperature: Of what is drawn.
            rng: Of all that is drawn; PyTorch's own where it is None.

        Returns:
            What the episodes then remember, and what they came to; `observations` of the former
            are those of the latter, to the last bit.

        Raises:
            ValueError: Actions do not fit the space or are not as many as the episodes.
        """

    @abstractmethod
    def encoded(self, state: Any) -> Float[Tensor, "batch entries"]:
        """(B, D) what is seen now, as ``observation_codec`` has it."""

    @abstractmethod
    def latents(self, state: Any) -> Float[Tensor, "batch latents"]:
        """(B, L) all that episodes remember, as numbers."""

    def observations(self, state: Any) -> Any:
        """(B, ...) what is seen now, as the space has it."""
        return self.observation_codec.decode(self.encoded(state))

    @abstractmethod
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything but the user's functions to one file, whole or not at all."""
