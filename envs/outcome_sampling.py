r"""Drawing outcomes by inverting cumulative probabilities, one uniform number for each draw.

A row with probabilities :math:`p_1, \dots, p_n` and a uniform :math:`u \in [0, 1)` give the
outcome :math:`\min \{k : u < p_1 + \dots + p_k\}`, or the last one where rounding leaves the
sum below u. `TabularEnv` and `TabularVectorEnv` both draw by this rule and add in this order,
so the same uniform numbers give the same episodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from .mdp import TabularMDP

__all__ = ["ModelChanges", "check_model_changes", "cumulative_rows", "start_states"]

ModelChanges: TypeAlias = Sequence[tuple[int, TabularMDP]]


def cumulative_rows(mdp: TabularMDP) -> Float64[NDArray[np.float64], " outcomes"]:
    """(K,) running sums of the probabilities inside each row."""
    sums = mdp.probabilities.copy()
    starts = mdp.row_starts[:-1]
    lengths = np.diff(mdp.row_starts)
    # one position at a time, left to right: the very additions that a running sum does
    for position in range(1, int(lengths.max())):
        here = starts[lengths > position] + position
        sums[here] += sums[here - 1]
    return sums


def start_states(
    mdp: TabularMDP,
) -> tuple[Int64[NDArray[np.int64], " starts"], Float64[NDArray[np.float64], " starts_less_one"]]:
    """The states that an episode can start in, and the bounds between them on [0, 1)."""
    states = np.flatnonzero(mdp.initial_distribution > 0)
    bounds = np.cumsum(mdp.initial_distribution[states])[:-1]
    return states, bounds


def check_model_changes(mdp: TabularMDP, model_changes: ModelChanges) -> None:
    """Raise a ValueError unless the changes come in order and keep the spaces."""
    previous = 0
    for step, model in model_changes:
        if step <= previous:
            raise ValueError(
                f"expected model changes at rising steps from 1, got step {step} after {previous}"
            )
        sizes = (model.num_states, model.num_actions, model.num_observations)
        expected = (mdp.num_states, mdp.num_actions, mdp.num_observations)
        if sizes != expected:
            raise ValueError(
                f"expected every model to have (states, actions, observations) {expected}, "
                f"got {sizes} from step {step}"
            )
        if (model.action_mask is None) != (mdp.action_mask is None):
            raise ValueError(
                f"expected an action mask in every model or in none, got a change at step {step}"
            )
        previous = step
