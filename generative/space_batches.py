"""Rows of batches of a space's values: arrays, or dicts and tuples of arrays."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

__all__ = ["rows_of", "with_rows"]


def rows_of(values: Any, rows: NDArray[Any]) -> Any:
    """Some rows of (N, ...) values.

    Example:
        >>> import numpy as np
        >>> rows_of({"place": np.array([5, 6, 7])}, np.array([2, 0]))
        {'place': array([7, 5])}
    """
    if isinstance(values, dict):
        return {key: rows_of(part, rows) for key, part in values.items()}
    if isinstance(values, tuple):
        return tuple(rows_of(part, rows) for part in values)
    return values[rows]


def with_rows(values: Any, rows: NDArray[Any], others: Any) -> Any:
    """(N, ...) values, with others in some rows; the reverse of `rows_of`.

    Example:
        >>> import numpy as np
        >>> with_rows((np.array([5, 6, 7]),), np.array([2, 0]), (np.array([1, 2]),))
        (array([2, 6, 1]),)
    """
    if isinstance(values, dict):
        return {key: with_rows(part, rows, others[key]) for key, part in values.items()}
    if isinstance(values, tuple):
        pairs = zip(values, others, strict=True)
        return tuple(with_rows(part, rows, other) for part, other in pairs)
    found = values.copy()
    found[rows] = others
    return found
