"""The environments of a population, stepped together: leaves in, transitions out.

M members with N copies each are M * N rows, member by member. Environments in a list and a vector
environment in any autoreset mode tell the same: what each step really led to, and where an episode
begins. A row that waits for its next episode (``taken`` is False) ignores its action.

A list is stepped here, one environment after the other, in less time than Gymnasium's
``SyncVectorEnv`` takes, and the random numbers of a row are its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.vector import VectorEnv
from jaxtyping import Bool, Float64
from numpy.typing import NDArray

from ...envs.environment_state import capture, restore
from ...envs.vector_environment_state import capture_vector, restore_vector
from ..action_masks import ACTION_MASK, allows_all, mask_rows
from ..vector_steps import VectorSteps, info_of_copy
from .observation_leaves import ObservationLeaves

__all__ = ["AbstractMemberSteps", "EnvironmentSteps", "MemberTransitions", "VectorMemberSteps"]

Leaves = tuple[NDArray[Any], ...]
Bools = NDArray[np.bool_]


class MemberTransitions(NamedTuple):
    """One step of all rows.

    Attributes:
        taken: (R,) which rows took their action; the others only began an episode.
        rewards: (R,) rewards, 0 where no action was taken.
        terminated: (R,) whether the step ended the episode.
        truncated: (R,) whether a cap cut the episode.
        next_leaves: (R, ...) what each step led to, also where it was the last.
        next_masks: (R, A) the actions allowed there, or None where masks are not read.
        begun: (R,) which rows are at the beginning of an episode now.
        num_taken: How many rows took their action.
        any_ended: Whether an episode ended.
        any_begun: Whether one began.
        infos: (R,) what the environment said of each step.
    """

    taken: Bool[Bools, " rows"]
    rewards: Float64[NDArray[np.float64], " rows"]
    terminated: Bool[Bools, " rows"]
    truncated: Bool[Bools, " rows"]
    next_leaves: Leaves
    next_masks: Bool[Bools, "rows actions"] | None
    begun: Bool[Bools, " rows"]
    num_taken: int
    any_ended: bool
    any_begun: bool
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
    _leaves: ObservationLeaves
    _choices: tuple[int, ...]

    @abstractmethod
    def reset(self, seeds: Sequence[int]) -> None:
        """Begin an episode in every row; row i is seeded with ``seeds[i]``."""

    @abstractmethod
    def step(self, actions: NDArray[Any]) -> MemberTransitions:
        """Take an action in every row; `leaves` and `masks` move on.

        Args:
            actions: (R, ...) actions, in the environment's own terms.

        Raises:
            ValueError: An observation has a wrong shape or is not finite, or a reward is not.
        """

    @abstractmethod
    def states(self) -> list[Any] | None:
        """The environments' own states as JSON holds them, or None where they do not tell.

        One for each row, or a single one where the rows are stepped together.
        """

    @abstractmethod
    def restore(self, states: list[Any]) -> None:
        """Put `states` back; `stand_at` tells the observations to act on.

        Raises:
            ValueError: It is of other environments.
        """

    def stand_at(self, leaves: Leaves, masks: Bools | None) -> None:
        """Take over a file's observations to act on, and the actions allowed there.

        Args:
            leaves: (R, ...).
            masks: (R, A), or None where masks are not read.

        Raises:
            ValueError: They are none of these environments: the file is damaged.
        """
        self._leaves.check(leaves)
        dtypes = tuple(leaf.dtype for leaf in leaves)
        if dtypes != self._leaves.dtypes or len(leaves[0]) != self.num_rows:
            raise ValueError(
                f"expected {self.num_rows} observations of {self._leaves.dtypes}, got "
                f"{len(leaves[0])} of {dtypes}: the file is damaged"
            )
        if masks is not None:
            shape = self.num_rows, sum(self._choices)
            if masks.shape != shape or masks.dtype != np.bool_:
                raise ValueError(
                    f"expected masks of shape {shape} and bool, got {masks.shape} of "
                    f"{masks.dtype}: the file is damaged"
                )
        self.leaves, self.masks = leaves, masks

    def _begin_masks(self, infos: Sequence[dict[str, Any]]) -> None:
        """Read masks from now on, if the first infos have any."""
        self.masks = None
        if self._choices and any(ACTION_MASK in info for info in infos):
            self.masks = self._masks_of(infos)
            self._check_masks(np.ones(self.num_rows, dtype=np.bool_))

    def _masks_of(self, infos: Sequence[dict[str, Any]]) -> Bools:
        """(R, A) the actions that infos allow: all of them where one says nothing."""
        num_entries = sum(self._choices)
        masks = mask_rows(infos, num_entries)
        return np.ones((len(infos), num_entries), dtype=np.bool_) if masks is None else masks

    def _check_masks(self, acting: Bools) -> None:
        """Make sure that something is allowed in each of the rows that act next.

        Raises:
            ValueError: Nothing is.
        """
        if self.masks is None:
            return
        stuck = acting & ~allows_all(self.masks, self._choices)
        if stuck.any():
            raise ValueError(
                "expected info['action_mask'] to allow an action while the episode goes on, got "
                f"none from environment {int(np.flatnonzero(stuck)[0])} of {self.num_rows}"
            )


class EnvironmentSteps(AbstractMemberSteps):
    """A row for each environment of a list.

    Args:
        envs: The environments, each with the same spaces.
        leaves: Of one observation.
        choices: Among how many each choice of an action is, to read masks from
            ``info["action_mask"]`` if a first info has one; without any they are not read.
    """

    def __init__(
        self,
        envs: Sequence[gymnasium.Env[Any, Any]],
        leaves: ObservationLeaves,
        choices: Sequence[int] = (),
    ) -> None:
        self._envs, self._leaves, self._choices = list(envs), leaves, tuple(choices)
        self.num_rows = len(self._envs)
        self._all, self._none = np.ones(self.num_rows, np.bool_), np.zeros(self.num_rows, np.bool_)
        self.masks = None

    def reset(self, seeds: Sequence[int]) -> None:
        """Begin an episode in every row."""
        found = [env.reset(seed=seed) for env, seed in zip(self._envs, seeds, strict=True)]
        self.leaves = self._read([observation for observation, _ in found])
        self._begin_masks([info for _, info in found])

    def step(self, actions: NDArray[Any]) -> MemberTransitions:
        """Take an action in every row, and begin the next episode where it was the last."""
        found = [env.step(action) for env, action in zip(self._envs, actions, strict=True)]
        observations, rewards, terminated, truncated, infos = zip(*found, strict=True)
        next_leaves = self._read(observations)
        next_masks = None if self.masks is None else self._masks_of(infos)
        self.leaves, self.masks = next_leaves, next_masks
        ends = self._none, self._none, self._none
        any_ended = any(terminated) or any(truncated)
        if any_ended:
            flags = np.array((terminated, truncated), dtype=np.bool_)
            ends = flags[0], flags[1], flags[0] | flags[1]
            self._begin(np.flatnonzero(ends[2]).tolist())
        self._check_masks(self._all)
        return MemberTransitions(
            taken=self._all,
            rewards=_checked(np.array(rewards, dtype=np.float64), self.num_rows),
            terminated=ends[0],
            truncated=ends[1],
            next_leaves=next_leaves,
            next_masks=next_masks,
            begun=ends[2],
            num_taken=self.num_rows,
            any_ended=any_ended,
            any_begun=any_ended,
            infos=infos,
        )

    def states(self) -> list[Any] | None:
        """Of each environment, see `capture`."""
        states = [capture(env) for env in self._envs]
        return None if any(state is None for state in states) else states

    def restore(self, states: list[Any]) -> None:
        """Put them back."""
        if len(states) != self.num_rows:
            raise ValueError(f"expected {self.num_rows} states, got {len(states)}")
        for env, state in zip(self._envs, states, strict=True):
            restore(env, state)

    def _begin(self, rows: list[int]) -> None:
        """Begin an episode in some rows."""
        found = [self._envs[row].reset() for row in rows]
        first = self._read([observation for observation, _ in found])
        self.leaves = tuple(leaf.copy() for leaf in self.leaves)
        for leaf, new in zip(self.leaves, first, strict=True):
            leaf[rows] = new
        if self.masks is not None:
            self.masks = self.masks.copy()
            self.masks[rows] = self._masks_of([info for _, info in found])

    def _read(self, observations: Sequence[Any]) -> Leaves:
        leaves = self._leaves.of_each(observations)
        self._leaves.check(leaves)
        return leaves


class VectorMemberSteps(AbstractMemberSteps):
    """A row for each copy of a vector environment.

    Args:
        env: The environment, in any autoreset mode.
        leaves: Of one copy's observations.
        choices: Among how many each choice of an action is, to read masks from
            ``infos["action_mask"]`` if the first infos have one; without any they are not read.
    """

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        leaves: ObservationLeaves,
        choices: Sequence[int] = (),
    ) -> None:
        self._env, self._leaves, self._choices = env, leaves, tuple(choices)
        self._steps = VectorSteps(env)
        self.num_rows = env.num_envs
        self.masks = None

    def reset(self, seeds: Sequence[int]) -> None:
        """Begin an episode in every row."""
        observations, infos = self._steps.reset(list(seeds))
        self.leaves = self._read(observations)
        self._begin_masks([info_of_copy(infos, row) for row in range(self.num_rows)])

    def step(self, actions: NDArray[Any]) -> MemberTransitions:
        """Take an action in every row; episodes begin as the environment's mode has it."""
        found = self._steps.step(actions)
        infos = [found.info(row) for row in range(self.num_rows)]
        next_leaves = self._read(found.next_observations)
        next_masks = None if self.masks is None else self._masks_of(infos)
        self.leaves, self.masks = next_leaves, next_masks
        if found.begun.any():
            self._begin(found.begun, found.first_observations, found.first_infos)
        self._check_masks(~self._steps.waiting)  # nobody acts in a row that waits
        return MemberTransitions(
            taken=found.taken,
            rewards=_checked(np.where(found.taken, found.rewards, 0.0), self.num_rows),
            terminated=found.terminated & found.taken,
            truncated=found.truncated & found.taken,
            next_leaves=next_leaves,
            next_masks=next_masks,
            begun=found.begun,
            num_taken=int(np.count_nonzero(found.taken)),
            any_ended=bool(((found.terminated | found.truncated) & found.taken).any()),
            any_begun=bool(found.begun.any()),
            infos=infos,
        )

    def states(self) -> list[Any] | None:
        """The environment's, see `capture_vector`, and which rows wait."""
        captured = capture_vector(self._env)
        if captured is None:
            return None
        return [{"environment": captured, "waiting": self._steps.waiting.tolist()}]

    def restore(self, states: list[Any]) -> None:
        """Put it back."""
        if len(states) != 1 or "waiting" not in states[0]:
            raise ValueError("expected the state of a vector environment, got another")
        restore_vector(self._env, states[0]["environment"])
        self._steps.waiting[:] = states[0]["waiting"]

    def _begin(self, begun: Bools, observations: Any, infos: dict[str, Any]) -> None:
        first = self._read(observations)
        self.leaves = tuple(
            np.where(begun.reshape(-1, *[1] * (new.ndim - 1)), new, old)
            for new, old in zip(first, self.leaves, strict=True)
        )
        if self.masks is not None:
            rows = [info_of_copy(infos, row) for row in range(self.num_rows)]
            masks = self._masks_of(rows)
            self.masks = np.where(begun[:, np.newaxis], masks, self.masks)

    def _read(self, observations: Any) -> Leaves:
        # a copy: the environment may write the next step into the same arrays
        leaves = tuple(leaf.copy() for leaf in self._leaves.of_batch(observations))
        self._leaves.check(leaves)
        return leaves


def _checked(rewards: NDArray[np.float64], num_rows: int) -> NDArray[np.float64]:
    """(R,) the rewards, which are one finite number each."""
    if rewards.shape != (num_rows,):
        raise ValueError(
            f"expected a number as the reward of each of {num_rows} environments, got an array of "
            f"shape {rewards.shape}"
        )
    if not np.isfinite(rewards).all():
        row = int(np.flatnonzero(~np.isfinite(rewards))[0])
        raise ValueError(
            f"expected finite rewards, got {rewards[row]} from environment {row} of {len(rewards)}"
        )
    return rewards
