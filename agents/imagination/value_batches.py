"""Values of a space in batches, whatever the space: a single one made a batch, leaves.

Vector environments give a batch as arrays with a leading axis, in the Dicts and Tuples of the
space. The *leaves* of a space are the arrays in it, in the order of its keys and places.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

__all__ = ["as_batch", "leaf_spaces", "leaves", "nested"]


def leaf_spaces(space: spaces.Space[Any]) -> list[spaces.Space[Any]]:
    """The spaces of a space's leaves.

    Example:
        >>> pair = spaces.Tuple([spaces.Discrete(2), spaces.Box(0, 1, (3,))])
        >>> [str(leaf) for leaf in leaf_spaces(pair)]
        ['Discrete(2)', 'Box(0.0, 1.0, (3,), float32)']
    """
    if isinstance(space, spaces.Dict):
        return [leaf for part in space.spaces.values() for leaf in leaf_spaces(part)]
    if isinstance(space, spaces.Tuple):
        return [leaf for part in space.spaces for leaf in leaf_spaces(part)]
    return [space]


def leaves(space: spaces.Space[Any], value: Any) -> list[NDArray[Any]]:
    """The leaves of a value or of a batch.

    Example:
        >>> space = spaces.Dict(floor=spaces.Discrete(3), place=spaces.Box(0, 1, (2,)))
        >>> leaves(space, {"floor": 2, "place": np.zeros(2)})
        [array(2), array([0., 0.])]
    """
    if isinstance(space, spaces.Dict):
        parts = [leaves(part, value[key]) for key, part in space.spaces.items()]
    elif isinstance(space, spaces.Tuple):
        parts = [leaves(part, own) for part, own in zip(space.spaces, value, strict=True)]
    else:
        return [np.asarray(value)]
    return [leaf for part in parts for leaf in part]


def nested(space: spaces.Space[Any], found: Iterator[NDArray[Any]]) -> Any:
    """The value or the batch of these leaves, as the space has it.

    Example:
        >>> space = spaces.Dict(floor=spaces.Discrete(3), place=spaces.Box(0, 1, (2,)))
        >>> nested(space, iter([np.array(2), np.zeros(2)]))
        {'floor': array(2), 'place': array([0., 0.])}
    """
    if isinstance(space, spaces.Dict):
        return {key: nested(part, found) for key, part in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        return tuple([nested(part, found) for part in space.spaces])
    return next(found)


def as_batch(space: spaces.Space[Any], value: Any, title: str) -> tuple[Any, bool]:
    """A batch, of one where a single value is given, and whether several were given.

    Args:
        space: Of single values.
        value: A value, or a batch as a vector environment gives it.
        title: What the value is called in the error.

    Raises:
        ValueError: It has the shape of neither.

    Example:
        >>> box = spaces.Box(-1, 1, (2,))
        >>> as_batch(box, np.zeros(2), "observation")
        (array([[0., 0.]]), False)
        >>> as_batch(box, np.zeros((3, 2)), "observation")[1]
        True
    """
    wanted = [tuple(leaf.shape or ()) for leaf in leaf_spaces(space)]
    try:
        found = leaves(space, value)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ValueError(f"expected {title}s of {space}, got {value!r}") from error
    shapes = [leaf.shape for leaf in found]
    if shapes == wanted:
        return nested(space, iter([leaf[None] for leaf in found])), False
    if [shape[1:] for shape in shapes] != wanted or len({len(leaf) for leaf in found}) != 1:
        raise ValueError(f"expected {title}s of {space}, got shapes {shapes}")
    return nested(space, iter(found)), True
