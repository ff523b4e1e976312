"""The episodes of a population: what each row has gathered so far, and those that ended."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from ..episodes import FinishedEpisodes
from .member_steps import MemberTransitions

__all__ = ["MemberEpisodes"]


class MemberEpisodes:
    """Episodes of M members with N rows each.

    Args:
        num_members: M.
        num_rows: M * N.

    Attributes:
        returns: (M * N,) undiscounted returns of the running episodes.
        lengths: (M * N,) their steps.
        ended: (return, length) of the episode that ended in each row's last step, by row.
    """

    returns: Float64[NDArray[np.float64], " rows"]
    lengths: Int64[NDArray[np.int64], " rows"]

    def __init__(self, num_members: int, num_rows: int) -> None:
        self.returns = np.zeros(num_rows)
        self.lengths = np.zeros(num_rows, dtype=np.int64)
        self.ended: dict[int, tuple[float, int]] = {}
        self._logs: list[list[tuple[int, float, int]]] = [[] for _ in range(num_members)]
        self._num_copies = num_rows // num_members

    def begin(self) -> None:
        """Episodes begin in all rows."""
        self.returns[:], self.lengths[:] = 0.0, 0

    def count(self, found: MemberTransitions, num_timesteps: int) -> None:
        """Add a step of all rows.

        Args:
            found: The step.
            num_timesteps: Of a member, this step included.
        """
        self.returns += found.rewards
        self.lengths += found.taken
        if self.ended:
            self.ended = {}
        if not found.any_ended:
            return
        over = found.terminated | found.truncated
        for row in np.flatnonzero(over).tolist():
            episode = float(self.returns[row]), int(self.lengths[row])
            self.ended[row] = episode
            self._logs[row // self._num_copies].append((num_timesteps, *episode))
        self.returns[over], self.lengths[over] = 0.0, 0

    @property
    def most(self) -> int:
        """Episodes of the member of which most have ended since `take`."""
        return max(map(len, self._logs))

    def take(self, member: int) -> FinishedEpisodes:
        """A member's episodes that have ended since the last call."""
        log, self._logs[member] = self._logs[member], []
        return FinishedEpisodes.of_log(log)
