"""A policy's rows, copied out of the model."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from . import policy_sweeps
from .bellman_operator import BellmanOperator
from .policy_rows import PolicyRows

__all__ = ["chosen_rows", "mixed_rows"]

Floats = NDArray[np.float64]


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
    starts = None if reuse is None else reuse.starts
    starts = np.empty(len(chosen) + 1, dtype=np.int64) if starts is None else starts
    policy_sweeps.count_chosen_outcomes(chosen, mdp.row_starts, terminated, starts)
    count = int(starts[-1])
    if reuse is None or len(reuse.next_states) < count:
        next_states, probabilities = np.empty(count, dtype=np.int32), np.empty(count)
    else:
        next_states, probabilities = reuse.next_states, reuse.probabilities
    rewards = np.empty(len(chosen)) if reuse is None else reuse.rewards
    policy_sweeps.gather_chosen_rows(
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
    policy_sweeps.count_mixed_outcomes(
        flat, mdp.num_actions, mdp.row_starts, mdp.terminated, starts
    )
    count = int(starts[-1])
    rows = PolicyRows(
        starts, np.empty(count, dtype=np.int32), np.empty(count), np.empty(mdp.num_states)
    )
    policy_sweeps.gather_mixed_rows(
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
