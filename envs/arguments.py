"""Numbers that users give as arguments, checked where they are given.

Comparisons let NaN and fractions through (``nan < 1`` is false), and what Python says of a word in
place of a number names neither the argument nor what was expected; these functions do.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["real_array", "real_number", "whole_number"]


def whole_number(
    value: Any, name: str, *, least: int | None = None, most: int | None = None
) -> int:
    """``value`` as an int.

    Args:
        value: An integer of Python or numpy.
        name: Of the argument, for the message.
        least: The least allowed, or None.
        most: The largest allowed, or None.

    Raises:
        TypeError: It is no whole number (2.0 is none either).
        ValueError: It is out of range.

    Example:
        >>> whole_number(np.int8(4), "num_states", least=1)
        4
    """
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"expected {name} as a whole number, got {value!r}") from None
    _check_range(number, value, name, least, most)
    return number


def real_number(
    value: Any, name: str, *, least: float | None = None, most: float | None = None
) -> float:
    """``value`` as a finite float.

    Args:
        value: A number of Python or numpy.
        name: Of the argument, for the message.
        least: The least allowed, or None.
        most: The largest allowed, or None.

    Raises:
        TypeError: It is no number.
        ValueError: It is NaN, infinite or out of range.
    """
    try:
        number = float(value) if not isinstance(value, str | bytes) else None
    except (TypeError, ValueError):
        number = None
    if number is None:
        raise TypeError(f"expected {name} as a number, got {value!r}")
    _check_range(number, value, name, least, most)
    if not math.isfinite(number):
        raise ValueError(f"expected {name} as a finite number, got {value!r}")
    return number


def real_array(values: Any, name: str) -> NDArray[np.float64]:
    """``values`` as an array of float64, not copied if it is one.

    Raises:
        TypeError: They are no real numbers (but words, complex numbers, None).
        ValueError: They are lists of different lengths.
    """
    try:
        array = np.asarray(values)
        if array.dtype.kind in "biuf" or array.dtype == object:
            return np.asarray(array, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise type(error)(f"expected {name} as an array of numbers, got {error}") from error
    raise TypeError(f"expected {name} as an array of real numbers, got {array.dtype}")


def _check_range(
    number: float, value: Any, name: str, least: float | None, most: float | None
) -> None:
    if (least is None or number >= least) and (most is None or number <= most):
        return
    if most is None:
        wanted = f"{name} of at least {least}"
    elif least is None:
        wanted = f"{name} of at most {most}"
    else:
        wanted = f"{name} in [{least}, {most}]"
    raise ValueError(f"expected {wanted}, got {value!r}")
