"""The environments of a population, stepped together: leaves in, transitions out.

M members with N copies each are M * N rows, member by member. One environment and a vector
environment in any autoreset mode tell the same: what each step really led to, and where an episode
begins. A row that waits for its next episode (``taken`` is False) ignores its action.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import VectorEnv
from jaxtyping import Bool, Float64
from numpy.typing import NDArray

from ...envs.environment_state import capture, restore
from ...envs.vector_environment_state import capture_vector, restore_vector
from ..vector_steps import VectorSteps, info_of_copy
from .observation_leaves import ObservationLeaves

__all__ = ["AbstractMemberSteps", "MemberTransitions", "SingleSteps", "VectorMemberSteps"]

Leaves = tuple[NDArray[Any], ...]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class MemberTransitions:
    """One step of all rows.

    Attributes:
        taken: (R,) which rows took their action; the others only began an episode.
        rewards: (R,) rewards, 0 where no action was taken.
        terminated: (R,) whether the step ended the episode.
        truncated: (R,) whether a cap cut the episode.
        next_leaves: (R, ...) what each step led to, also where it was the last.
        next_masks: (R, A) the actions allowed there, or None where masks are not read.
        begun: (R,) which rows are at the beginning of an episode now.
        infos: (R,) what the environment said of each step.
    """

    taken: Bool[Bools, " rows"]
    rewards: Float64[NDArray[np.float64], " rows"]
    terminated: Bool[Bools, " rows"]
    truncated: Bool[Bools, " rows"]
    next_leaves: Leaves
    next_masks: Bool[Bools, "rows actions"] | None
    begun: Bool[Bools, " rows"]
    infos: Sequence[dict[str, Any]]


class AbstractMemberSteps(ABC):
    """Environments of all rows.

    Attributes:
        num_rows: R.
        leaves: (R, ...) the observations to act on.
        masks: (R, A) the actions allowed there, or None where the first infos had none.
    """

    num_rows: int
    leaves: Leaves
    masks: Bools | None

    @abstractmethod
    def reset(self, seeds: Sequence[int]) -> None:
        """Begin an episode in every row; row i is seeded with ``seeds[i]``."""

    @abstractmethod
    def step(self, actions: NDArray[Any]) -> MemberTransitions:
        """Take an action in every row; `leaves` and `masks` move on.

        Args:
            actions: (R, ...) actions, in the environment's own terms.

        Raises:
            ValueError: An observation has a wrong shape or is not finite.
        """

    @abstractmethod
    def state(self) -> Any:
        """The environments' own state as JSON holds it, or None where they do not tell."""

    @abstractmethod
    def restore(self, state: Any) -> None:
        """Put `state` back; the observations to act on are the caller's to restore.

        Raises:
            ValueError: It is of other environments.
        """


class SingleSteps(AbstractMemberSteps):
    """One row.

    Args:
        env: The environment.
        leaves: Of its observations.
        num_actions: A, to read masks from ``info["action_mask"]`` if the first info has one; None
            does not read them.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        leaves: ObservationLeaves,
        num_actions: int | None = None,
    ) -> None:
        self._env, self._leaves, self._num_actions = env, leaves, num_actions
        self.num_rows = 1
        self.masks = None

    def reset(self, seeds: Sequence[int]) -> None:
        """Begin an episode."""
        (seed,) = seeds
        observation, info = self._env.reset(seed=seed)
        self.leaves = self._read(observation)
        reads = self._num_actions is not None and "action_mask" in info
        self.masks = _mask(info, self._num_actions) if reads else None

    def step(self, actions: NDArray[Any]) -> MemberTransitions:
        """Take an action, and begin the next episode where it was the last."""
        observation, reward, terminated, truncated, info = self._env.step(actions[0])
        found = MemberTransitions(
            taken=np.ones(1, dtype=np.bool_),
            rewards=np.array([reward], dtype=np.float64),
            terminated=np.array([terminated], dtype=np.bool_),
            truncated=np.array([truncated], dtype=np.bool_),
            next_leaves=self._read(observation),
            next_masks=None if self.masks is None else _mask(info, self._num_actions),
            begun=np.array([terminated or truncated], dtype=np.bool_),
            infos=(info,),
        )
        self.leaves, self.masks = found.next_leaves, found.next_masks
        if found.begun[0]:
            observation, info = self._env.reset()
            self.leaves = self._read(observation)
            self.masks = None if self.masks is None else _mask(info, self._num_actions)
        return found

    def state(self) -> Any:
        """The environment's state, see `capture`."""
        return capture(self._env)

    def restore(self, state: Any) -> None:
        """Put it back."""
        restore(self._env, state)

    def _read(self, observation: Any) -> Leaves:
        leaves = self._leaves.of_one(observation)
        self._leaves.check(leaves)
        return leaves


class VectorMemberSteps(AbstractMemberSteps):
    """A row for each copy of a vector environment.

    Args:
        env: The environment, in any autoreset mode.
        leaves: Of one copy's observations.
        num_actions: A, to read masks from ``infos["action_mask"]`` if the first infos have one;
            None does not read them.
    """

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        leaves: ObservationLeaves,
        num_actions: int | None = None,
    ) -> None:
        self._env, self._leaves, self._num_actions = env, leaves, num_actions
        self._steps = VectorSteps(env)
        self.num_rows = env.num_envs
        self.masks = None

    def reset(self, seeds: Sequence[int]) -> None:
        """Begin an episode in every row."""
        observations, infos = self._steps.reset(list(seeds))
        self.leaves = self._read(observations)
        rows = [info_of_copy(infos, row) for row in range(self.num_rows)]
        reads = self._num_actions is not None and any("action_mask" in info for info in rows)
        self.masks = self._masks(rows) if reads else None

    def step(self, actions: NDArray[Any]) -> MemberTransitions:
        """Take an action in every row; episodes begin as the environment's mode has it."""
        found = self._steps.step(actions)
        infos = [found.info(row) for row in range(self.num_rows)]
        next_leaves = self._read(found.next_observations)
        next_masks = None if self.masks is None else self._masks(infos)
        self.leaves, self.masks = next_leaves, next_masks
        if found.begun.any():
            self._begin(found.begun, found.first_observations, found.first_infos)
        return MemberTransitions(
            taken=found.taken,
            rewards=np.where(found.taken, found.rewards, 0.0),
            terminated=found.terminated & found.taken,
            truncated=found.truncated & found.taken,
            next_leaves=next_leaves,
            next_masks=next_masks,
            begun=found.begun,
            infos=infos,
        )

    def state(self) -> Any:
        """The environment's state, see `capture_vector`, and which rows wait."""
        captured = capture_vector(self._env)
        if captured is None:
            return None
        return {"environment": captured, "waiting": self._steps.waiting.tolist()}

    def restore(self, state: Any) -> None:
        """Put it back."""
        restore_vector(self._env, state["environment"])
        self._steps.waiting[:] = state["waiting"]

    def _begin(self, begun: Bools, observations: Any, infos: dict[str, Any]) -> None:
        first = self._read(observations)
        self.leaves = tuple(
            np.where(begun.reshape(-1, *[1] * (new.ndim - 1)), new, old)
            for new, old in zip(first, self.leaves, strict=True)
        )
        if self.masks is not None:
            rows = [info_of_copy(infos, row) for row in range(self.num_rows)]
            self.masks = np.where(begun[:, np.newaxis], self._masks(rows), self.masks)

    def _read(self, observations: Any) -> Leaves:
        # a copy: the environment may write the next step into the same arrays
        leaves = tuple(leaf.copy() for leaf in self._leaves.of_batch(observations))
        self._leaves.check(leaves)
        return leaves

    def _masks(self, infos: Sequence[dict[str, Any]]) -> Bools:
        rows = [_mask(info, self._num_actions) for info in infos]
        return np.concatenate([row for row in rows if row is not None])


def _mask(info: dict[str, Any], num_actions: int | None) -> Bools | None:
    """(1, A) the actions that an info allows: all of them where it says nothing."""
    if num_actions is None:
        return None
    if "action_mask" not in info:
        return np.ones((1, num_actions), dtype=np.bool_)
    mask = np.asarray(info["action_mask"]).astype(np.bool_).reshape(1, -1)
    if mask.shape[1] != num_actions:
        raise ValueError(
            f"expected info['action_mask'] of {num_actions} entries, got {mask.shape[1]}"
        )
    return mask
