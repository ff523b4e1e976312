"""Compressed rows from Python lists of outcomes, the form of toy text's ``P``."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["compress_outcomes"]


def compress_outcomes(outcomes: Any, *, num_actions: int | None = None) -> dict[str, Any]:
    """The row arrays of `TabularMDP` from ``outcomes[s][a] = [(probability, s', r, terminated)]``.

    Args:
        outcomes: For each state and action the list of its outcomes; sequences, or dictionaries
            with the keys 0, 1, ... Next states may be of any integer type. An empty list masks its
            action, and so does a missing key.
        num_actions: How many actions there are; None takes the largest number in any state.

    Raises:
        ValueError: States list different numbers of actions, a key is out of range, an outcome has
            no four entries, or an entry is of the wrong type.
        TypeError: The outcomes are no nested lists, tuples or dictionaries.
    """
    states = _entries(outcomes, None, "state")
    if num_actions is None:
        num_actions = max((_span(actions) for actions in states), default=0)
    if num_actions < 1:
        raise ValueError("expected at least one state and one action, got none")
    rows: list[Sequence[Any]] = []
    for state, actions in enumerate(states):
        for action, row in enumerate(_entries(actions, num_actions, f"state {state}: action")):
            rows.append(_listed(row, f"outcomes of state {state}, action {action}"))
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    columns = _columns(rows, num_actions)
    mask = (lengths > 0).reshape(-1, num_actions)
    return {
        "row_starts": np.concatenate(([0], np.cumsum(lengths))),
        **columns,
        "num_actions": num_actions,
        "action_mask": None if mask.all() else mask,
    }


def _span(actions: Any) -> int:
    if isinstance(actions, Mapping):
        whole = [int(key) for key in actions if isinstance(key, int | np.integer)]
        return 1 + max(whole, default=-1)
    return len(_listed(actions, "actions"))


def _listed(values: Any, what: str) -> Any:
    if isinstance(values, str | bytes) or not (
        isinstance(values, Sequence) or (isinstance(values, np.ndarray) and values.ndim)
    ):
        raise TypeError(f"expected the {what} as a list or a dictionary, got {values!r}")
    return values


def _entries(values: Any, count: int | None, what: str) -> list[Any]:
    """The entries in order, whether ``values`` is a sequence or a dictionary."""
    if not isinstance(values, Mapping):
        values = _listed(values, f"{what}s")
        if count is not None and len(values) != count:
            raise ValueError(f"{what}s: expected {count} of them, got {len(values)}")
        return list(values)
    num_keys = len(values) if count is None else count
    for key in values:
        if not isinstance(key, int | np.integer) or not 0 <= key < num_keys:
            raise ValueError(f"{what}: expected keys 0 to {num_keys - 1}, got {key!r}")
    return [values.get(key, ()) for key in range(num_keys)]


def _columns(rows: list[Sequence[Any]], num_actions: int) -> dict[str, NDArray[Any]]:
    flat: list[tuple[float, int, float, bool]] = []
    for row, entries in enumerate(rows):
        for entry in entries:
            try:
                probability, next_state, reward, terminated = entry
                flat.append(
                    (
                        float(probability),
                        operator.index(next_state),
                        float(reward),
                        _flag(terminated),
                    )
                )
            except (TypeError, ValueError) as error:
                state, action = divmod(row, num_actions)
                raise ValueError(
                    f"state {state}, action {action}: expected (probability, next state, reward, "
                    f"terminated), got {entry!r} ({error})"
                ) from error
    probabilities, next_states, rewards, terminated = zip(*flat, strict=True) if flat else [()] * 4
    return {
        "next_states": _indices(next_states),
        "probabilities": np.array(probabilities, dtype=np.float64),
        "rewards": np.array(rewards, dtype=np.float64),
        "terminated": np.array(terminated, dtype=np.bool_),
    }


def _flag(value: Any) -> bool:
    if value not in (0, 1):  # bool() takes "no" and NaN for True
        raise ValueError(f"{value!r} is neither True nor False")
    return bool(value)


def _indices(states: Sequence[int]) -> NDArray[np.int32]:
    limits = np.iinfo(np.int32)
    # what does not fit is no state either: -1 makes the model's own check name the place
    fitting = [state if limits.min <= state <= limits.max else -1 for state in states]
    return np.array(fitting, dtype=np.int32)
