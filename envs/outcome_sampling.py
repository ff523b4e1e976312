r"""Drawing outcomes by inverting cumulative probabilities, one uniform number for each draw.

A row with probabilities :math:`p_1, \dots, p_n` and a uniform :math:`u \in [0, 1)` give the
outcome :math:`\min \{k : u < p_1 + \dots + p_k\}`, or the last one where rounding leaves the
sum below u. `TabularEnv` and `TabularVectorEnv` both draw by this rule and add in this order,
so the same uniform numbers give the same episodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from .arguments import whole_number
from .mdp import TabularMDP

__all__ = ["ModelChanges", "checked_changes", "checked_start", "cumulative_rows", "start_states"]

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


def checked_changes(
    mdp: TabularMDP, model_changes: ModelChanges
) -> tuple[tuple[int, TabularMDP], ...]:
    """The changes as given, if they come in order and keep the spaces.

    Raises:
        TypeError: ``mdp`` or a later model is none, or a step is no whole number.
        ValueError: The steps do not rise, or the spaces change.
    """
    _check_is_model(mdp)
    changes: list[tuple[int, TabularMDP]] = []
    for change in model_changes:
        if not isinstance(change, tuple | list) or len(change) != 2:
            raise TypeError(f"expected model changes as pairs (step, model), got {change!r}")
        step, model = whole_number(change[0], "the step of a model change"), change[1]
        _check_is_model(model)
        previous = changes[-1][0] if changes else 0
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
        changes.append((step, model))
    return tuple(changes)


def checked_start(mdp: TabularMDP, state: Any) -> int:
    """The state that ``options["state"]`` of a reset names.

    Raises:
        ValueError: There is no such state.
        TypeError: It is no whole number.
    """
    chosen = whole_number(state, "options['state']")
    if not 0 <= chosen < mdp.num_states:
        raise ValueError(f"expected options['state'] in [0, {mdp.num_states}), got {chosen}")
    return chosen


def _check_is_model(mdp: object) -> None:
    if not isinstance(mdp, TabularMDP):
        raise TypeError(f"expected a TabularMDP, got {type(mdp).__name__}")
