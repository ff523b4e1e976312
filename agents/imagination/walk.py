"""An agent's own walk through an environment: episode after episode, stopped and gone on with."""

from __future__ import annotations

import copy
import logging
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from ...envs.environment_state import capture, moment, restore
from ..learning_session import Step
from .value_batches import leaves, nested

__all__ = ["Walk"]

_LOG = logging.getLogger(__name__)


class Walk:
    """Steps of one environment.

    Args:
        env: The environment.
        seed: Of its first reset.

    Attributes:
        memory: What the agent remembers of its episode, which ends with it.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], *, seed: int) -> None:
        self._env = env
        self._seed: int | None = seed % 2**31
        self._observation: Any = None
        self.memory: Any = None
        self._return, self._length = 0.0, 0
        self._is_walking = False
        self._left_at: Any = None

    @property
    def tells_its_state(self) -> bool:
        """Whether the environment's state can be put into a file."""
        return capture(self._env) is not None

    def now(self) -> tuple[Any, Any]:
        """What is seen, in a new episode if the last one is over, and what is remembered."""
        if not self._is_walking:
            observation, _ = self._env.reset(seed=self._seed)
            self._seed = None
            self._observation, self.memory = copy.deepcopy(observation), None
            self._return, self._length = 0.0, 0
            self._is_walking = True
        return self._observation, self.memory

    def step(self, action: Any, memory: Any) -> Step:
        """Act, and remember something until the next step.

        Raises:
            ValueError: The reward is not finite.
        """
        self._is_walking = False  # if the environment raises, an episode begins
        observation, reward, terminated, truncated, info = self._env.step(action)
        gain = float(reward)
        if not np.isfinite(gain):
            raise ValueError(f"expected a finite reward, got {reward!r} from {self._env}")
        self._observation, self.memory = copy.deepcopy(observation), memory
        self._return, self._length = self._return + gain, self._length + 1
        ended = bool(terminated or truncated)
        self._is_walking = not ended
        if ended:
            self.memory = None
        return Step(
            observation=self._observation,
            action=action,
            reward=gain,
            terminated=bool(terminated),
            truncated=bool(truncated),
            info=info,
            episode=(self._return, self._length) if ended else None,
        )

    def resume(self) -> bool:
        """Begin an episode if others used the environment; whether the last one goes on."""
        if self._is_walking and self._left_at is not None and moment(self._env) != self._left_at:
            self._is_walking = False
            _LOG.warning("the environment was used by others: learning goes on with a new episode")
        return self._is_walking

    def pause(self) -> None:
        """Note where the environment is left."""
        self._left_at = moment(self._env) if self._is_walking else None

    def saved(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Arrays and JSON of where it is."""
        header = {
            "has_begun": self._seed is None,
            "is_walking": self._is_walking,
            "return": self._return,
            "length": self._length,
            "environment": capture(self._env) if self._seed is None else None,
        }
        if not self._is_walking:
            return {}, header
        found = leaves(self._env.observation_space, self._observation)
        return {str(i): leaf for i, leaf in enumerate(found)}, header

    def restore(self, arrays: dict[str, NDArray[Any]], header: dict[str, Any] | None) -> bool:
        """Be where the walk of a file was.

        Returns:
            Whether nothing of it is lost; else an episode begins.
        """
        if header is None or not header["has_begun"]:
            return header is not None
        if header["environment"] is None:
            return False
        try:
            restore(self._env, header["environment"])
        except ValueError:  # of another stack of wrappers
            return False
        self._seed, self._is_walking = None, header["is_walking"]
        self._return, self._length = header["return"], header["length"]
        if self._is_walking:
            found = iter([arrays[str(i)] for i in range(len(arrays))])
            self._observation = nested(self._env.observation_space, found)
        return True
