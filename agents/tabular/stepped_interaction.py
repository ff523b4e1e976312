"""Learning by stepping a Gymnasium environment, one compiled call for each step."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from operator import index
from typing import Any, SupportsFloat

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ...envs.environment_state import capture, restore
from ...envs.state_index import StateIndex
from .compilation import entry_point
from .episodes import FinishedEpisodes
from .interaction import AbstractInteraction, Kernels, Step

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
        observations: StateIndex,
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
        self._allowed = allowed
        self._clock = clock
        self._read_masks = read_masks
        self._entry_points: tuple[Callable[..., Any], Callable[..., Any]] | None = None
        self._state = 0
        self._action = -1  # -1: an episode must begin first
        self._return = 0.0
        self._length = 0
        self._last: tuple[Any, int, SupportsFloat, bool, bool, dict[str, Any]] | None = None
        self._log: list[tuple[int, float, int]] = []
        self._log_limit = 1 << 14
        self._observations = observations
        self._encode = _encoder(env.observation_space, observations)
        self._left_at: Any = None

    def take(self, memory: Any, num_steps: int) -> None:
        """Learn from up to ``num_steps`` steps, fewer when the episode log is full."""
        begin, observe = self._compiled(memory)
        env_step, encode, actions = self._env.step, self._encode, self._actions
        between_steps = True
        try:
            for _ in range(num_steps):
                if self._action < 0:
                    self._begin_episode(begin, memory)
                action = self._action
                between_steps = False
                observation, reward, terminated, truncated, info = env_step(actions[action])
                next_state = encode(observation)
                number = _number(reward)
                if next_state < 0 or not -math.inf < number < math.inf:
                    self._refuse(observation, reward, next_state)
                if self._read_masks and "action_mask" in info:
                    self._keep_mask(next_state, info["action_mask"], bool(terminated))
                self._action = observe(
                    memory, self._state, action, number, terminated, truncated, next_state
                )
                self._state = next_state
                self._return += number
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
        return FinishedEpisodes(
            timesteps=np.array([end for end, _, _ in log], dtype=np.int64),
            returns=np.array([total for _, total, _ in log], dtype=np.float64),
            lengths=np.array([length for _, _, length in log], dtype=np.int64),
        )

    def resume(self) -> None:
        """Begin an episode if somebody else stepped or reset the environment in the meantime.

        An evaluation in the same environment, or another agent, would otherwise make this one
        learn a step that never happened. It is noticed where `capture` knows the environment.
        """
        if self._action >= 0 and self._left_at is not None and _moment(self._env) != self._left_at:
            self._action = -1
            _LOG.warning("the environment was used by others: learning goes on with a new episode")

    def pause(self) -> None:
        """Note where the environment is left."""
        self._left_at = _moment(self._env) if self._action >= 0 else None

    def __getstate__(self) -> dict[str, Any]:
        """Without functions, which cannot be pickled and are made again."""
        return {**self.__dict__, "_entry_points": None, "_encode": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._encode = _encoder(self._env.observation_space, self._observations)

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
        if not (0 <= state < len(self._allowed) and -1 <= action < len(self._actions)):
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
            self._entry_points = (
                entry_point(self._kernels.begin, memory, 0),
                entry_point(self._kernels.observe, memory, 0, 0, 0.0, False, False, 0),
            )
        return self._entry_points

    def _begin_episode(self, begin: Callable[..., Any], memory: Any) -> None:
        observation, info = self._env.reset(seed=self._seed)
        self._seed = None
        state = self._encode(observation)
        if state < 0:
            self._refuse(observation, 0.0, state)
        if self._read_masks and "action_mask" in info:
            self._keep_mask(state, info["action_mask"], terminated=False)
        self._state, self._return, self._length = state, 0.0, 0
        self._action = begin(memory, state)

    def _finish_episode(self) -> bool:
        self._log.append((int(self._clock[0]), self._return, self._length))
        return len(self._log) >= self._log_limit

    def _keep_mask(self, state: int, mask: Any, terminated: bool) -> None:
        allowed = np.asarray(mask, dtype=np.bool_).reshape(-1)
        if allowed.shape != (len(self._actions),):
            raise ValueError(
                f"expected info['action_mask'] of {len(self._actions)} entries at step "
                f"{self._clock[0]}, got {allowed.shape}"
            )
        if allowed.any():
            self._allowed[state] = allowed
        elif not terminated:
            raise ValueError(
                f"expected info['action_mask'] to allow an action at step {self._clock[0]}, got "
                f"none in state {state}"
            )

    def _refuse(self, observation: Any, reward: Any, state: int) -> None:
        step = int(self._clock[0])
        if state < 0:
            raise ValueError(
                f"expected an observation of {self._env.observation_space} at step {step}, got "
                f"{observation!r}"
            )
        raise ValueError(f"expected a finite reward at step {step}, got {reward!r}")


def _number(reward: Any) -> float:
    """A reward as a number; NaN for what is none."""
    try:
        return float(reward)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _moment(env: gymnasium.Env[Any, Any]) -> Any:
    """What changes when an environment is stepped or reset; None where it does not tell."""
    state = capture(env)
    if state is None:
        return None
    # the checker also notes being rendered, and clocks run
    layers = [
        layer["values"] for layer in state["layers"] if "PassiveEnvChecker" not in layer["type"]
    ]
    return layers, state["np_random"]


def _encoder(space: gymnasium.Space[Any], observations: StateIndex) -> Callable[[Any], int]:
    """A function that numbers an observation, -1 where it is not in the space."""
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
