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

from . import bellman_sweeps
from .bellman_operator import BellmanOperator

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["PolicyRows", "chosen_rows", "mixed_rows"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PolicyRows:
    """The rows of one policy, from `chosen_rows` or `mixed_rows`.

    Attributes:
        starts: (S + 1,) offsets.
        next_states: At least ``starts[-1]`` next states.
        probabilities: As many probabilities of going there.
        rewards: (S,) expected rewards.
    """

    starts: Int64[NDArray[np.int64], " states_and_one"]
    next_states: Int32[NDArray[np.int32], " entries"]
    probabilities: Float64[Floats, " entries"]
    rewards: Float64[Floats, " states"]

    @property
    def num_states(self) -> int:
        """S."""
        return len(self.rewards)

    def matrix(self) -> csr_array[np.float64]:
        """The (S, S) sparse matrix of the probabilities; it shares these arrays."""
        from scipy.sparse import csr_array

        count = int(self.starts[-1])
        return csr_array(
            (self.probabilities[:count], self.next_states[:count], self.starts),
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
        count, lowest, highest = bellman_sweeps.policy_sweeps(
            values,
            scratch,
            self.rewards if rewards is None else rewards,
            self.starts,
            self.next_states,
            self.probabilities,
            discount,
            num_sweeps,
            small_enough,
        )
        return count, lowest, highest


def chosen_rows(
    operator: BellmanOperator,
    chosen: Int64[NDArray[np.int64], " states"],
    reuse: PolicyRows | None = None,
) -> PolicyRows:
    """The rows of a deterministic policy.

    Args:
        operator: Whose model and rewards.
        chosen: (S,) the row s * A + a of each state; -1 for a state that earns nothing and stays.
        reuse: Rows that are needed no more, whose arrays may be written over.
    """
    mdp = operator.mdp
    terminated = mdp.terminated if operator.terminates else None
    starts = np.empty(len(chosen) + 1, dtype=np.int64) if reuse is None else reuse.starts
    bellman_sweeps.count_chosen_outcomes(chosen, mdp.row_starts, terminated, starts)
    count = int(starts[-1])
    if reuse is None or len(reuse.next_states) < count:
        next_states, probabilities = np.empty(count, dtype=np.int32), np.empty(count)
    else:
        next_states, probabilities = reuse.next_states, reuse.probabilities
    rewards = np.empty(len(chosen)) if reuse is None else reuse.rewards
    bellman_sweeps.gather_chosen_rows(
        chosen,
        mdp.row_starts,
        mdp.next_states,
        mdp.probabilities,
        operator.rewards,
        terminated,
        next_states,
        probabilities,
        rewards,
    )
    return PolicyRows(starts, next_states, probabilities, rewards)


def mixed_rows(
    operator: BellmanOperator, weights: Float64[Floats, "states actions"]
) -> PolicyRows:
    """The rows of a policy with these action probabilities."""
    mdp = operator.mdp
    flat = np.ascontiguousarray(weights).ravel()
    starts = np.empty(mdp.num_states + 1, dtype=np.int64)
    bellman_sweeps.count_mixed_outcomes(
        flat, mdp.num_actions, mdp.row_starts, mdp.terminated, starts
    )
    count = int(starts[-1])
    rows = PolicyRows(
        starts, np.empty(count, dtype=np.int32), np.empty(count), np.empty(mdp.num_states)
    )
    bellman_sweeps.gather_mixed_rows(
        flat,
        mdp.num_actions,
        mdp.row_starts,
        mdp.next_states,
        mdp.probabilities,
        operator.rewards,
        mdp.terminated,
        rows.next_states,
        rows.probabilities,
        rows.rewards,
    )
    return rows
