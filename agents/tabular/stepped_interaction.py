"""Learning by stepping a Gymnasium environment, one compiled call for each step."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from typing import Any, SupportsFloat

import gymnasium
import numpy as np
from numpy.typing import NDArray

from ...envs.environment_state import capture, moment, restore
from ...envs.state_index import StateIndex
from ..episodes import FinishedEpisodes
from ..learning_session import Step
from .interaction import AbstractInteraction, Kernels
from .observations import ObservationIndex
from .readings import Readings, number

__all__ = ["SteppedInteraction"]

_LOG = logging.getLogger(__name__)


class SteppedInteraction(AbstractInteraction):
    """Steps of a real environment.

    An exception of the environment passes through; what was learnt stays, and the next call begins
    a new episode.

    Args:
        env: The environment.
        kernels: The algorithm's.
        observations: Numbers the observation space.
        actions: Numbers the action space.
        seed: Seeds the environment at its first reset.
        allowed: (S, A) the learner's table of allowed actions.
        clock: (1,) the learner's count of steps.
        read_masks: Whether ``info["action_mask"]`` forbids actions; what it says of a state is
            kept in ``allowed``.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        kernels: Kernels,
        *,
        observations: ObservationIndex,
        actions: StateIndex,
        seed: int,
        allowed: NDArray[np.bool_],
        clock: NDArray[np.int64],
        read_masks: bool,
    ) -> None:
        self._env = env
        self._kernels = kernels
        self._actions = [actions.decode(i) for i in range(actions.num_states)]
        self._seed: int | None = seed
        self._clock = clock
        self._num_states = observations.num_states
        self._readings = Readings(
            env.observation_space,
            observations,
            allowed=allowed,
            clock=clock,
            read_masks=read_masks,
        )
        self._entry_points: tuple[Callable[..., Any], Callable[..., Any]] | None = None
        self._state = 0
        self._action = -1  # -1: an episode must begin first
        self._return = 0.0
        self._length = 0
        self._last: tuple[Any, int, SupportsFloat, bool, bool, dict[str, Any]] | None = None
        self._log: list[tuple[int, float, int]] = []
        self._log_limit = 1 << 14
        self._left_at: Any = None

    def take(self, memories: Sequence[Any], num_steps: int) -> None:
        """Learn from up to ``num_steps`` steps, fewer when the episode log is full."""
        (memory,) = memories
        begin, observe = self._compiled(memory)
        env_step, readings, actions = self._env.step, self._readings, self._actions
        encode, read_masks = readings.encode, readings.read_masks
        between_steps = True
        try:
            for _ in range(num_steps):
                if self._action < 0:
                    self._begin_episode(begin, memory)
                action = self._action
                between_steps = False
                observation, reward, terminated, truncated, info = env_step(actions[action])
                next_state = encode(observation)
                gain = number(reward)
                if next_state < 0 or not -math.inf < gain < math.inf:
                    readings.refuse(observation, reward, next_state)
                if read_masks and "action_mask" in info:
                    readings.keep_mask(next_state, info["action_mask"], bool(terminated))
                self._action = observe(
                    memory, self._state, action, gain, terminated, truncated, next_state
                )
                self._state = next_state
                self._return += gain
                self._length += 1
                self._last = (observation, action, reward, terminated, truncated, info)
                between_steps = True
                if self._action < 0 and self._finish_episode():
                    return
        finally:
            if not between_steps:
                self._action = -1

    def last_step(self) -> Step:
        """The last step taken."""
        assert self._last is not None, "there was no step yet"
        observation, action, reward, terminated, truncated, info = self._last
        return Step(
            observation=observation,
            action=self._actions[action],
            reward=float(reward),
            terminated=bool(terminated),
            truncated=bool(truncated),
            info=info,
        )

    def collect(self) -> FinishedEpisodes:
        """The episodes that ended since the last call."""
        log, self._log = self._log, []
        return FinishedEpisodes.of_log(log)

    def resume(self) -> None:
        """Begin an episode if somebody else stepped or reset the environment in the meantime.

        An evaluation in the same environment, or another agent, would otherwise make this one
        learn a step that never happened. It is noticed where `capture` knows the environment.
        """
        if self._action >= 0 and self._left_at is not None and moment(self._env) != self._left_at:
            self._action = -1
            _LOG.warning("the environment was used by others: learning goes on with a new episode")

    def pause(self) -> None:
        """Note where the environment is left."""
        self._left_at = moment(self._env) if self._action >= 0 else None

    def __getstate__(self) -> dict[str, Any]:
        """Without the compiled functions, which cannot be pickled and are looked up again."""
        return {**self.__dict__, "_entry_points": None}

    def limit_log(self, num_episodes: int | None) -> None:
        """Make `take` return when so many episodes are waiting to be collected."""
        self._log_limit = num_episodes or 1 << 14

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Where it stands, for a checkpoint."""
        return {
            "position": np.array([self._state, self._action, self._length], dtype=np.int64),
            "return": np.array([self._return]),
        }

    def header(self) -> dict[str, Any]:
        """What of a checkpoint is not an array: the environment's own state, where it tells it."""
        started = self._seed is None
        return {"started": started, "environment": capture(self._env) if started else None}

    def restore(
        self, arrays: dict[str, NDArray[Any]], header: dict[str, Any], fresh_seed: int
    ) -> bool:
        """Stand where a checkpoint stood; begin an episode if the environment's is unknown."""
        if not header["started"]:
            self._seed = fresh_seed if self._clock[0] > 0 else self._seed
            return True
        restored = False
        if header["environment"] is not None:
            try:
                restore(self._env, header["environment"])
                restored = True
            except ValueError:  # of another stack of wrappers
                restored = False
        if not restored:
            self._seed = fresh_seed
            return False
        state, action, length = (int(value) for value in arrays["position"])
        if not (0 <= state < self._num_states and -1 <= action < len(self._actions)):
            raise ValueError(
                f"expected a state and an action of the spaces, got {state} and {action}: the "
                "file is damaged"
            )
        self._seed = None
        self._state, self._action, self._length = state, action, length
        self._return = float(arrays["return"][0])
        return True

    # ---- inside ---------------------------------------------------------------------------------

    def _compiled(self, memory: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
        if self._entry_points is None:
            self._entry_points = self._kernels.stepwise(memory)
        return self._entry_points

    def _begin_episode(self, begin: Callable[..., Any], memory: Any) -> None:
        observation, info = self._env.reset(seed=self._seed)
        self._seed = None
        state = self._readings.state(observation, info)
        self._state, self._return, self._length = state, 0.0, 0
        self._action = begin(memory, state)

    def _finish_episode(self) -> bool:
        self._log.append((int(self._clock[0]), self._return, self._length))
        return len(self._log) >= self._log_limit
