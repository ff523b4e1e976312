"""Compressed rows from Python lists of outcomes, the form of toy text's ``P``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["compress_outcomes"]


def compress_outcomes(outcomes: Sequence[Sequence[Sequence[Any]]]) -> dict[str, Any]:
    """The row arrays of `TabularMDP` from ``outcomes[s][a] = [(probability, s', r, terminated)]``.

    Next states may be any integer type. An empty list masks its action.

    Raises:
        ValueError: States list different numbers of actions, or an outcome has no four entries.
    """
    counts = {len(actions) for actions in outcomes}
    if len(counts) != 1 or 0 in counts:
        raise ValueError(
            f"expected the same number of actions, at least 1, in every state, "
            f"got {sorted(counts)}"
        )
    rows = [row for actions in outcomes for row in actions]
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    for row, entries in enumerate(rows):
        for entry in entries:
            if len(entry) != 4:
                state, action = divmod(row, counts.copy().pop())
                raise ValueError(
                    f"state {state}, action {action}: expected (probability, next state, reward, "
                    f"terminated), got {entry!r}"
                )
    flat = [entry for row in rows for entry in row]
    num_actions = counts.pop()
    mask = (lengths > 0).reshape(-1, num_actions)
    return {
        "row_starts": np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
        "next_states": _next_states([entry[1] for entry in flat]),
        "probabilities": np.array([entry[0] for entry in flat], dtype=np.float64),
        "rewards": np.array([entry[2] for entry in flat], dtype=np.float64),
        "terminated": np.array([entry[3] for entry in flat], dtype=np.bool_),
        "num_actions": num_actions,
        "action_mask": None if mask.all() else mask,
    }


def _next_states(values: list[Any]) -> np.ndarray[Any, np.dtype[np.int32]]:
    states = np.array(values)
    if len(values) and not np.issubdtype(states.dtype, np.integer):
        raise ValueError(f"expected whole numbers as next states, got {states.dtype}")
    return states.astype(np.int32)
