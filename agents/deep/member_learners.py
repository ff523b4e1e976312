"""Learners that step together: what all algorithms for populations have in common.

M members with N copies of their environment each are R = M * N rows, member by member. A round
steps every row once. Members share the arithmetic and nothing else: each has its own streams of
random numbers, its own environments and its own slice of every array, so that what becomes of one
does not depend on who learns beside it. An agent that learns alone is a population of one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from numpy.typing import NDArray
from torch import Tensor

from ...envs.arguments import whole_number
from ...generative.devices import array_of
from .member_episodes import MemberEpisodes
from .member_steps import AbstractMemberSteps, MemberTransitions
from .member_streams import Streams

__all__ = [
    "AbstractMemberLearners",
    "check_finite",
    "fill_tensors",
    "fitting",
    "flag",
    "part_of",
    "with_prefix",
    "without_prefix",
]

Array = NDArray[Any]
Leaves = tuple[Array, ...]
Masks = NDArray[np.bool_]


class AbstractMemberLearners(ABC):
    """M learners with N copies of their environment each.

    Args:
        steps: The environments of all rows; None for learners that only act.
        streams: The members' random numbers.
        num_rows: R.

    Attributes:
        num_members: M.
        num_rows: R.
        num_timesteps: Environment steps of one member so far, of all its copies together.
        num_updates: Updates so far; of one member.
        begun: Whether all rows are in an episode that the learners know.
        episodes: What the rows have gathered.
        last: The latest round, or None.
        last_actions: (R, ...) its actions, in the environment's own terms.
    """

    def __init__(self, steps: AbstractMemberSteps | None, streams: Streams, num_rows: int) -> None:
        self.streams = streams
        self.num_members = len(streams.acting.generators)
        self.num_rows = num_rows
        self.num_timesteps = 0
        self.num_updates = 0
        self.begun = False
        self.episodes = MemberEpisodes(self.num_members, num_rows)
        self.last: MemberTransitions | None = None
        self.last_actions: Array = np.zeros(num_rows)
        self._steps = steps
        self._saved_place: tuple[dict[str, Array], list[Any] | None] = ({}, None)

    # ---- what an algorithm implements -----------------------------------------------------------

    @abstractmethod
    def _begin(self, leaves: Leaves, masks: Masks | None) -> None:
        """All rows are at the first observation of an episode; what was running is cut."""

    @abstractmethod
    def _act(self, leaves: Leaves, masks: Masks | None) -> Array:
        """(R, ...) actions in the environment's own terms."""

    @abstractmethod
    def _learn(self, found: MemberTransitions, leaves: Leaves, masks: Masks | None) -> None:
        """Remember a step, and update where it is due; `num_timesteps` counts it already.

        Args:
            found: The step.
            leaves: (R, ...) the observations to act on next.
            masks: (R, A) the actions allowed there.
        """

    @abstractmethod
    def choose(
        self,
        member: int,
        leaves: Leaves,
        masks: Bool[Masks, "batch actions"] | None,
        deterministic: bool,
    ) -> Array:
        """(B, ...) a member's actions for (B, ...) observations that are nobody's steps.

        Whatever is drawn comes from ``streams.prediction``.
        """

    @abstractmethod
    def scalars(self, member: int) -> dict[str, float]:
        """What to log of a member, by TensorBoard name."""

    @abstractmethod
    def _arrays(self, member: int | None) -> dict[str, Array]:
        """Everything that is an array, with a leading member axis; of one member or of all."""

    @abstractmethod
    def _facts(self, member: int | None) -> dict[str, Any]:
        """The rest, as JSON holds it."""

    @abstractmethod
    def _restore(self, arrays: Mapping[str, Array], facts: Mapping[str, Any]) -> None:
        """Take over what `_arrays` and `_facts` gave.

        Raises:
            ValueError: Something is missing or does not fit: the file is damaged.
        """

    # ---- rounds ---------------------------------------------------------------------------------

    def advance(self, num_steps: int, episode_limit: int) -> None:
        """Step until every member has taken so many more steps, or more by less than a round.

        Args:
            num_steps: Of each member.
            episode_limit: Return earlier when so many episodes of a member have ended.
        """
        end = self.num_timesteps + num_steps
        while self.num_timesteps < end:
            found = self.round()
            if found.any_ended and self.episodes.most >= episode_limit:
                break

    def round(self) -> MemberTransitions:
        """Step all rows once, and learn where it is due."""
        steps = self._environments()
        if not self.begun:
            self._begin_episodes(steps)
        actions = self._act(steps.leaves, steps.masks)
        self.begun = False  # should anything raise, Ctrl-C too, episodes begin anew
        found = steps.step(actions)
        self.last, self.last_actions = found, actions
        # rows that wait for an episode take no step; with several members none waits
        self.num_timesteps += found.num_taken // self.num_members
        self.episodes.count(found, self.num_timesteps)
        self._learn(found, steps.leaves, steps.masks)
        self.begun = True
        return found

    def _environments(self) -> AbstractMemberSteps:
        if self._steps is None:
            raise ValueError(
                "expected an environment to learn in, got none: load the agent with env=..."
            )
        return self._steps

    def _begin_episodes(self, steps: AbstractMemberSteps) -> None:
        seeds = self.streams.environments.integers(2**31, self.num_rows // self.num_members)
        steps.reset([int(seed) for seed in seeds.ravel()])
        self.episodes.begin()
        self._begin(steps.leaves, steps.masks)
        self.begun = True

    # ---- for checkpoints ------------------------------------------------------------------------

    @property
    def tells_its_state(self) -> bool:
        """Whether `header` holds the environments' own state."""
        return self._steps is None or self._steps.states() is not None

    def arrays(self, member: int | None = None) -> dict[str, Array]:
        """Everything that is an array, with a leading member axis; of one member or of all."""
        rows = {
            "returns": self.episodes.returns,
            "lengths": self.episodes.lengths,
            **self._place()[0],
        }
        shaped = {
            name: row.reshape(self.num_members, -1, *row.shape[1:]) for name, row in rows.items()
        }
        found = {name: part_of(row, member) for name, row in shaped.items()}
        return with_prefix("rows.", found) | self._arrays(member)

    def header(self, member: int | None = None) -> dict[str, Any]:
        """The rest, as JSON holds it; of one member or of all."""
        states = self._place()[1]
        if states is not None and member is not None and len(states) == self.num_rows:
            copies = self.num_rows // self.num_members
            states = states[member * copies : (member + 1) * copies]
        return {
            "num_timesteps": self.num_timesteps,
            "streams": self.streams.state(member),
            "environments": states,
            "begun": self.begun,
            **self._facts(member),
        }

    def restore(self, arrays: Mapping[str, Array], header: Mapping[str, Any]) -> bool:
        """Go on where learners of the same settings stood.

        Returns:
            Whether the environments do too; if not, they begin new episodes.

        Raises:
            TypeError: A number is none: the file is damaged.
            ValueError: An array is missing or of another shape: the file is damaged.
        """
        self._restore(arrays, header)
        self.streams.restore(header["streams"])
        self.num_timesteps = whole_number(header["num_timesteps"], "num_timesteps", least=0)
        rows = {
            name: array.reshape(-1, *array.shape[2:])
            for name, array in without_prefix("rows.", arrays).items()
        }
        gathered = {"returns": self.episodes.returns, "lengths": self.episodes.lengths}
        saved = {name: fitting(rows.pop(name, None), name, own) for name, own in gathered.items()}
        if not flag(header["begun"]):
            return True
        if self._steps is not None and not self._restore_place(rows, header["environments"]):
            return False
        if self._steps is None:
            self._saved_place = rows, header["environments"]
        for name, own in gathered.items():
            own[:] = saved[name]
        self.begun = True
        return True

    def _place(self) -> tuple[dict[str, Array], list[Any] | None]:
        """Where the rows stand: the observations to act on, and the environments' states."""
        if not self.begun or self._steps is None:
            return self._saved_place
        steps = self._steps
        leaves = {f"leaf{i}": leaf for i, leaf in enumerate(steps.leaves)}
        masks = {} if steps.masks is None else {"masks": steps.masks}
        return leaves | masks, steps.states()

    def _restore_place(self, rows: Mapping[str, Array], states: list[Any] | None) -> bool:
        steps = self._environments()
        if states is None:
            return False
        try:
            steps.restore(states)
        except ValueError:  # of other environments
            return False
        num_leaves = sum(name.startswith("leaf") for name in rows)
        leaves = tuple(rows[f"leaf{i}"] for i in range(num_leaves))
        steps.stand_at(leaves, rows.get("masks"))
        return True


def part_of(array: Array, member: int | None) -> Array:
    """One member's part of an array, its axis kept; all of it for None."""
    return array if member is None else array[member : member + 1]


def with_prefix(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays under longer names."""
    return {prefix + name: array for name, array in arrays.items()}


def without_prefix(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays whose names begin so, without that."""
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def fill_tensors(tensors: Mapping[str, Tensor], arrays: Mapping[str, Array]) -> None:
    """Write a file's arrays over tensors of the same names.

    Raises:
        ValueError: One is missing or of another shape or dtype: the file is damaged.
    """
    for name, tensor in tensors.items():
        array = fitting(arrays.get(name), name, array_of(tensor))
        with torch.no_grad():
            tensor.copy_(torch.from_numpy(np.ascontiguousarray(array)))


def fitting(array: Array | None, name: str, own: Array) -> Array:
    """A file's array, if it is like one's own.

    Raises:
        ValueError: It is missing or of another shape or dtype: the file is damaged.
    """
    if array is None or array.shape != own.shape or array.dtype != own.dtype:
        got = "none" if array is None else f"{array.shape} of {array.dtype}"
        raise ValueError(
            f"expected {name} of shape {own.shape} and {own.dtype}, got {got}: the file is damaged"
        )
    return array


def flag(value: Any) -> bool:
    """A file's answer to yes or no.

    Raises:
        TypeError: It is none: the file is damaged.
    """
    if not isinstance(value, bool):
        raise TypeError(f"expected true or false, got {value!r}")
    return value


def check_finite(arrays: Mapping[str, Array]) -> None:
    """Make sure that a file's arrays hold numbers.

    Raises:
        ValueError: One holds NaN or infinity: the file is damaged.
    """
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"expected finite numbers in {name}, got others: the file is damaged")
