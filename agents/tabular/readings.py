"""What a stepped environment says, as the numbers that kernels take, refused where it makes none.

Shared by the interactions with single and with vector environments.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from operator import index
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ..action_masks import flat_mask
from .bins import BinIndex
from .observations import ObservationIndex

__all__ = ["Readings", "number"]


class Readings:
    """Numbers observations and keeps masks.

    Args:
        space: Of one observation.
        observations: Numbers that space.
        allowed: (S, A) the learner's table of allowed actions; masks are written into it.
        clock: (1,) the learner's count of steps, for messages.
        read_masks: Whether ``info["action_mask"]`` forbids actions.

    Attributes:
        encode: A function that numbers an observation, -1 where it is not in the space.
    """

    def __init__(
        self,
        space: gymnasium.Space[Any],
        observations: ObservationIndex,
        *,
        allowed: NDArray[np.bool_],
        clock: NDArray[np.int64],
        read_masks: bool,
    ) -> None:
        self._space = space
        self._observations = observations
        self._allowed = allowed
        self._clock = clock
        self.read_masks = read_masks
        self.encode = _encoder(space, observations)

    def state(self, observation: Any, info: dict[str, Any]) -> int:
        """The number of an episode's first observation, whose mask is kept.

        Raises:
            ValueError: It is not in the space, or the mask is none.
        """
        state = self.encode(observation)
        if state < 0:
            self.refuse(observation, 0.0, state)
        if self.read_masks and "action_mask" in info:
            self.keep_mask(state, info["action_mask"], terminated=False)
        return state

    def refuse(self, observation: Any, reward: Any, state: int) -> None:
        """Raise the error for an observation outside the space or a reward that is no number.

        Raises:
            ValueError: Always.
        """
        step = int(self._clock[0])
        if state < 0:
            raise ValueError(
                f"expected an observation of {self._space} at step {step}, got {observation!r}"
            )
        raise ValueError(f"expected a finite reward at step {step}, got {reward!r}")

    def keep_mask(self, state: int, mask: Any, terminated: bool) -> None:
        """Write what an environment allows in a state.

        Raises:
            ValueError: The mask is of another length, or allows nothing where the episode goes on.
        """
        allowed = flat_mask(mask)
        num_actions = self._allowed.shape[1]
        if allowed.shape != (num_actions,):
            raise ValueError(
                f"expected info['action_mask'] of {num_actions} entries at step "
                f"{self._clock[0]}, got {allowed.shape}"
            )
        if allowed.any():
            self._allowed[state] = allowed
        elif not terminated:
            raise ValueError(
                f"expected info['action_mask'] to allow an action at step {self._clock[0]}, got "
                f"none in state {state}"
            )

    def __getstate__(self) -> dict[str, Any]:
        """Without the function, which cannot be pickled and is made again."""
        return {**self.__dict__, "encode": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.encode = _encoder(self._space, self._observations)


def number(reward: Any) -> float:
    """A reward as a number; NaN for what is none."""
    try:
        return float(reward)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _encoder(space: gymnasium.Space[Any], observations: ObservationIndex) -> Callable[[Any], int]:
    if isinstance(observations, BinIndex):
        return observations.encode
    if isinstance(space, spaces.Discrete):
        start, size = int(space.start), int(space.n)

        def encode_integer(observation: Any) -> int:
            try:
                number = index(observation) - start
            except TypeError:
                return -1
            return number if 0 <= number < size else -1

        return encode_integer

    def encode(observation: Any) -> int:
        return observations.encode(observation) if space.contains(observation) else -1

    return encode
