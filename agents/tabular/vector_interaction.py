"""Learning from all copies of a vector environment.

The copies are stepped together and then learnt from one after another, in their order, so that one
step of N copies is N steps of the learner: budgets are exact, and a budget that ends between two
copies goes on there with the next call. Each copy has an episode of its own (`memory`).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import concatenate, create_empty_array
from numpy.typing import NDArray

from ...envs.state_index import StateIndex
from ...envs.vector_environment_state import capture_vector, moment_of_copies, restore_vector
from ..episodes import FinishedEpisodes
from ..learning_session import Step
from ..vector_steps import VectorSteps, VectorTransitions, info_of_copy
from .bins import BinIndex
from .interaction import AbstractInteraction, Kernels
from .observations import ObservationIndex, batch_of_states
from .readings import Readings

__all__ = ["VectorInteraction"]

_LOG = logging.getLogger(__name__)
_ARRAYS = {  # what a checkpoint holds of the copies: integers, flags, numbers
    "states": np.int64,
    "actions": np.int64,  # -1 where an episode must begin first
    "lengths": np.int64,
    "next_states": np.int64,
    "first_states": np.int64,
    "taken": np.bool_,
    "begun": np.bool_,
    "terminated": np.bool_,
    "truncated": np.bool_,
    "waiting": np.bool_,
    "rewards": np.float64,
    "returns": np.float64,
}


class VectorInteraction(AbstractInteraction):
    """Steps of a vector environment.

    An exception of the environment passes through; what was learnt stays, and the next call begins
    new episodes.

    Args:
        env: The environment, in any autoreset mode.
        kernels: The algorithm's.
        observations: Numbers the observation space of one copy.
        actions: Numbers the action space of one copy.
        seed: Seeds the environment at its first reset.
        allowed: (S, A) the learner's table of allowed actions.
        clock: (1,) the learner's count of steps.
        read_masks: Whether ``infos["action_mask"]`` forbids actions.

    Raises:
        ValueError: The environment does not declare its autoreset mode.
    """

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
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
        self._steps = VectorSteps(env)
        self._kernels = kernels
        self._observations = observations
        self._actions = [actions.decode(i) for i in range(actions.num_states)]
        self._seed: int | None = seed
        self._clock = clock
        self._readings = Readings(
            env.single_observation_space,
            observations,
            allowed=allowed,
            clock=clock,
            read_masks=read_masks,
        )
        self._entry_points: tuple[Callable[..., Any], Callable[..., Any]] | None = None
        self._copies: dict[str, NDArray[Any]] = {
            name: np.zeros(env.num_envs, dtype) for name, dtype in _ARRAYS.items()
        }
        self._next = env.num_envs  # the copy to be learnt from next; N: they must be stepped
        self._is_sound = False  # whether all of them are in an episode that is known here
        self._transitions: VectorTransitions | None = None
        self._last, self._taken_action = -1, -1
        self._log: list[tuple[int, float, int]] = []
        self._log_limit = 1 << 14
        self._left_at: Any = None

    def take(self, memories: Sequence[Any], num_steps: int) -> None:
        """Learn from up to ``num_steps`` steps, fewer when the episode log is full."""
        if self._entry_points is None:
            self._entry_points = self._kernels.stepwise(memories[0])
        begin, observe = self._entry_points
        if not self._is_sound:
            self._begin_all(begin, memories)
        for _ in range(num_steps):
            self._is_sound = False
            copy = self._copy_with_a_step(begin, memories)
            ended = self._learn(observe, memories[copy], copy)
            if self._copies["begun"][copy]:
                self._begin(begin, memories[copy], copy)
            self._next = copy + 1
            self._is_sound = True
            if ended and len(self._log) >= self._log_limit:
                return

    def last_step(self) -> Step:
        """The last step taken."""
        assert self._last >= 0, "there was no step yet"
        copy, copies = self._last, self._copies
        return Step(
            observation=self._observation(copy),
            action=self._actions[self._taken_action],
            reward=float(copies["rewards"][copy]),
            terminated=bool(copies["terminated"][copy]),
            truncated=bool(copies["truncated"][copy]),
            info={} if self._transitions is None else self._transitions.info(copy),
        )

    def collect(self) -> FinishedEpisodes:
        """The episodes that ended since the last call."""
        log, self._log = self._log, []
        return FinishedEpisodes.of_log(log)

    def resume(self) -> None:
        """Begin episodes if somebody else stepped or reset the environment in the meantime."""
        if self._is_sound and self._left_at is not None:
            if moment_of_copies(self._env) == self._left_at:
                return
            self._is_sound = False
            _LOG.warning("the environment was used by others: learning goes on with new episodes")

    def pause(self) -> None:
        """Note where the environment is left."""
        self._left_at = moment_of_copies(self._env) if self._is_sound else None

    def __getstate__(self) -> dict[str, Any]:
        """Without the compiled functions, which cannot be pickled and are looked up again."""
        return {**self.__dict__, "_entry_points": None}

    def limit_log(self, num_episodes: int | None) -> None:
        """Make `take` return when so many episodes are waiting to be collected."""
        self._log_limit = num_episodes or 1 << 14

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Where it stands, for a checkpoint."""
        self._copies["waiting"][:] = self._steps.waiting
        return {**self._copies, "next": np.array([self._next])}

    def header(self) -> dict[str, Any]:
        """What of a checkpoint is not an array: the environment's own state, where it tells it."""
        started = self._seed is None
        environment = capture_vector(self._env) if self._is_sound else None
        return {"started": started, "num_envs": self._env.num_envs, "environment": environment}

    def restore(
        self, arrays: dict[str, NDArray[Any]], header: dict[str, Any], fresh_seed: int
    ) -> bool:
        """Stand where a checkpoint stood; begin episodes if the environment's state is unknown."""
        if not header.get("started", True):
            self._seed = fresh_seed if self._clock[0] > 0 else self._seed
            return True
        restored = False
        if header.get("num_envs") == self._env.num_envs and header["environment"] is not None:
            try:
                restore_vector(self._env, header["environment"])
                restored = True
            except ValueError:  # of another kind
                restored = False
        if not restored:
            self._seed = fresh_seed
            return False
        self._check(arrays)
        self._seed = None
        for name, own in self._copies.items():
            own[:] = arrays[name]
        self._steps.waiting[:] = arrays["waiting"]
        self._next = int(arrays["next"][0])
        self._is_sound = True
        return True

    def _check(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Refuse what is not where copies of this environment may stand."""
        own = {**self._copies, "next": np.zeros(1, dtype=np.int64)}
        fits = own.keys() == arrays.keys() and all(
            arrays[name].shape == array.shape and arrays[name].dtype == array.dtype
            for name, array in own.items()
        )
        limits = {name: (0, self._observations.num_states) for name in own if "states" in name}
        limits |= {"actions": (-1, len(self._actions)), "next": (0, self._env.num_envs + 1)}
        if (
            not fits
            or any(
                (arrays[name] < low).any() or (arrays[name] >= high).any()
                for name, (low, high) in limits.items()
            )
            or not self._can_go_on(arrays)
        ):
            raise ValueError("expected where copies of the environment stood: the file is damaged")

    def _can_go_on(self, arrays: dict[str, NDArray[Any]]) -> bool:
        """Whether every copy has an action wherever the kernels will be asked to learn of one."""
        is_ahead = np.arange(self._env.num_envs) >= arrays["next"][0]  # stepped, not learnt from
        begins = np.where(is_ahead, arrays["begun"] & ~arrays["taken"], arrays["waiting"])
        waits = self._steps.autoreset_mode is AutoresetMode.NEXT_STEP
        return bool(((arrays["actions"] >= 0) | begins).all()) and (
            waits or not arrays["waiting"].any()
        )

    # ---- inside ---------------------------------------------------------------------------------

    def _observation(self, copy: int) -> Any:
        """Where a copy's step led to; of a continuous one from before a checkpoint, its bin."""
        if isinstance(self._observations, BinIndex) and self._transitions is not None:
            return np.array(self._transitions.next_observations[copy])
        return self._observations.decode(int(self._copies["next_states"][copy]))

    def _begin_all(self, begin: Callable[..., Any], memories: Sequence[Any]) -> None:
        observations, infos = self._steps.reset(self._seed)
        self._seed = None
        copies = self._copies
        copies["first_states"][:], _ = batch_of_states(self._observations, observations)
        for copy, memory in enumerate(memories):
            self._keep_mask(copies["first_states"][copy], info_of_copy(infos, copy))
            self._begin(begin, memory, copy)
        self._next = len(memories)

    def _copy_with_a_step(self, begin: Callable[..., Any], memories: Sequence[Any]) -> int:
        """The next copy that has taken its action; others begin their episode on the way."""
        copies = self._copies
        while True:
            if self._next == len(memories):
                self._step_all()
            if copies["taken"][self._next]:
                return self._next
            if copies["begun"][self._next]:
                self._begin(begin, memories[self._next], self._next)
            self._next += 1

    def _step_all(self) -> None:
        copies = self._copies
        found = self._steps.step(self._batch_of_actions())
        for name in ("taken", "begun", "terminated", "truncated", "rewards"):
            copies[name][:] = getattr(found, name)
        copies["next_states"][:], _ = batch_of_states(self._observations, found.next_observations)
        copies["first_states"][:] = copies["next_states"]
        if found.begun.any() and found.first_observations is not found.next_observations:
            first, _ = batch_of_states(self._observations, found.first_observations)
            copies["first_states"][:] = first
        if self._readings.read_masks:
            for copy in range(self._env.num_envs):
                if found.taken[copy]:
                    ended = bool(found.terminated[copy])
                    self._keep_mask(copies["next_states"][copy], found.info(copy), ended)
                if found.begun[copy]:
                    info = info_of_copy(found.first_infos, copy)
                    self._keep_mask(copies["first_states"][copy], info)
        self._transitions = found
        self._next = 0

    def _batch_of_actions(self) -> Any:
        numbers = np.maximum(self._copies["actions"], 0)  # one that waits ignores its action
        space = self._env.single_action_space
        if isinstance(space, spaces.Discrete):
            return numbers + int(space.start)
        chosen = [self._actions[number] for number in numbers]
        out: Any = create_empty_array(space, n=len(chosen))
        return concatenate(space, chosen, out)

    def _learn(self, observe: Callable[..., Any], memory: Any, copy: int) -> bool:
        """Learn from one copy's step; whether it ended the episode."""
        copies = self._copies
        reward, next_state = float(copies["rewards"][copy]), int(copies["next_states"][copy])
        terminated, truncated = bool(copies["terminated"][copy]), bool(copies["truncated"][copy])
        if not math.isfinite(reward):
            self._readings.refuse(None, reward, next_state)
        state, action = int(copies["states"][copy]), int(copies["actions"][copy])
        next_action = observe(memory, state, action, reward, terminated, truncated, next_state)
        copies["states"][copy], copies["actions"][copy] = next_state, next_action
        copies["returns"][copy] += reward
        copies["lengths"][copy] += 1
        self._last, self._taken_action = copy, action
        if next_action >= 0:
            return False
        end = int(self._clock[0])
        self._log.append((end, float(copies["returns"][copy]), int(copies["lengths"][copy])))
        return True

    def _begin(self, begin: Callable[..., Any], memory: Any, copy: int) -> None:
        copies = self._copies
        state = int(copies["first_states"][copy])
        copies["states"][copy], copies["returns"][copy], copies["lengths"][copy] = state, 0.0, 0
        copies["actions"][copy] = begin(memory, state)

    def _keep_mask(self, state: np.int64, info: dict[str, Any], terminated: bool = False) -> None:
        if self._readings.read_masks and "action_mask" in info:
            self._readings.keep_mask(int(state), info["action_mask"], terminated)
