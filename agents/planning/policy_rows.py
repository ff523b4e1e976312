r"""One policy's share of a model: its transition rows and rewards, one row per state.

.. math:: r_\pi(s) = \sum_a \pi(a \mid s)\, r(s, a), \qquad
   c_\pi(s' \mid s) = \sum_a \pi(a \mid s)\, c(s' \mid s, a),

with terminated outcomes left out, so that :math:`T_\pi V = r_\pi + \gamma c_\pi V`. Planners that
evaluate a policy by many sweeps or by a linear system copy these rows (about 1/A of the model)
once.

References:
    M. L. Puterman (1994), Markov Decision Processes, section 5.6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64, Int32, Int64
from numpy.typing import NDArray

from . import policy_sweeps
from .bellman_sweeps import Extent, extent

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["PolicyRows"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PolicyRows:
    """The rows of one policy (see `row_selection`), one after another or padded to one width.

    Attributes:
        starts: (S + 1,) offsets; None where all rows are ``width`` long.
        next_states: At least ``starts[-1]`` next states, or S * width.
        probabilities: As many probabilities of going there; 0 in padding.
        rewards: (S,) expected rewards.
        width: The length of padded rows, as kernels take it (see `bellman_sweeps`).
    """

    starts: Int64[NDArray[np.int64], " states_and_one"] | None
    next_states: Int32[NDArray[np.int32], " entries"]
    probabilities: Float64[Floats, " entries"]
    rewards: Float64[Floats, " states"]
    width: Extent = 0

    @classmethod
    def padded(cls, num_states: int, width: Extent) -> PolicyRows:
        """Rows of one width, to be written by a sweep that improves."""
        size = num_states * extent(width)
        return cls(
            None, np.empty(size, dtype=np.int32), np.empty(size), np.empty(num_states), width
        )

    @property
    def num_states(self) -> int:
        """S."""
        return len(self.rewards)

    @property
    def num_entries(self) -> int:
        """The number of outcomes of all rows, padding included."""
        if self.starts is None:
            return self.num_states * extent(self.width)
        return int(self.starts[-1])

    def lengths(self) -> Int64[NDArray[np.int64], " states"]:
        """(S,) the number of outcomes of each row, padding included."""
        if self.starts is None:
            return np.full(self.num_states, extent(self.width))
        return np.diff(self.starts)

    def matrix(self) -> csr_array[np.float64]:
        """The (S, S) sparse matrix of the probabilities; it shares these arrays."""
        from scipy.sparse import csr_array

        starts = self.starts
        if starts is None:
            starts = np.arange(self.num_states + 1) * extent(self.width)
        count = int(starts[-1])
        return csr_array(
            (self.probabilities[:count], self.next_states[:count], starts),
            shape=(self.num_states, self.num_states),
        )

    def backup(
        self,
        values: Float64[Floats, " states"],
        discount: float,
        rewards: Float64[Floats, " states"] | None = None,
    ) -> Float64[Floats, " states"]:
        """(S,) values after one step of the policy; other rewards may stand in for its own."""
        ahead: Floats = np.asarray(self.matrix() @ values)
        ahead *= discount
        ahead += self.rewards if rewards is None else rewards
        return ahead

    def sweep(
        self,
        values: Float64[Floats, " states"],
        scratch: Float64[Floats, " states"],
        *,
        discount: float,
        num_sweeps: int = 1,
        small_enough: float = -1.0,
        rewards: Float64[Floats, " states"] | None = None,
    ) -> tuple[int, float, float]:
        """Up to ``num_sweeps`` synchronous sweeps of the policy, in place.

        Args:
            values: (S,) read and written.
            scratch: (S,) overwritten.
            discount: In [0, 1].
            num_sweeps: How many at most.
            small_enough: Stop when the changes of a sweep span no more than this.
            rewards: (S,) in place of the policy's own.

        Returns:
            The number of sweeps, the least and the greatest change of the last.
        """
        count, lowest, highest = policy_sweeps.sweep_together(
            values,
            scratch,
            self.rewards if rewards is None else rewards,
            self.starts,
            self.next_states,
            self.probabilities,
            self.width,
            discount,
            num_sweeps,
            small_enough,
        )
        return count, lowest, highest

    def sweep_in_place(
        self,
        values: Float64[Floats, " states"],
        *,
        discount: float,
        num_sweeps: int,
        backwards: bool = False,
        small_enough: float = 0.0,
    ) -> tuple[int, float]:
        """Up to ``num_sweeps`` Gauss–Seidel sweeps of the policy, to and fro.

        Args:
            values: (S,) read and written.
            discount: In [0, 1].
            num_sweeps: How many at most.
            backwards: Whether the first goes from the last state to the first.
            small_enough: Stop when no change of a sweep is greater.

        Returns:
            The number of sweeps, and the greatest absolute change of the last.
        """
        count, change = policy_sweeps.sweep_in_place(
            values,
            self.rewards,
            self.starts,
            self.next_states,
            self.probabilities,
            self.width,
            discount,
            num_sweeps,
            backwards,
            small_enough,
        )
        return count, change
