"""Gymnasium's spaces as JSON holds them, for files that are loaded without an environment.

Known are Box, Discrete, MultiDiscrete, MultiBinary, and Dict and Tuple of these.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

__all__ = ["space_from_json", "space_to_json"]


def space_to_json(space: spaces.Space[Any]) -> dict[str, Any]:
    """A space as JSON holds it.

    Raises:
        ValueError: It is of another kind; the message names it.

    Example:
        >>> space_to_json(spaces.Discrete(3))
        {'kind': 'Discrete', 'n': 3, 'start': 0, 'dtype': 'int64'}
    """
    if isinstance(space, spaces.Discrete):
        kind = {"kind": "Discrete", "n": int(space.n), "start": int(space.start)}
        return {**kind, "dtype": str(space.dtype)}
    if isinstance(space, spaces.MultiDiscrete):
        return {
            "kind": "MultiDiscrete",
            "nvec": space.nvec.tolist(),
            "start": space.start.tolist(),
            "dtype": str(space.dtype),
        }
    if isinstance(space, spaces.MultiBinary):
        n = space.n if isinstance(space.n, int) else [int(size) for size in space.shape]
        return {"kind": "MultiBinary", "n": n}
    if isinstance(space, spaces.Box):
        bounds = {"low": _bound(space.low), "high": _bound(space.high)}
        return {"kind": "Box", **bounds, "shape": list(space.shape), "dtype": str(space.dtype)}
    if isinstance(space, spaces.Tuple):
        return {"kind": "Tuple", "spaces": [space_to_json(part) for part in space.spaces]}
    if isinstance(space, spaces.Dict):
        parts = [[key, space_to_json(part)] for key, part in space.spaces.items()]
        return {"kind": "Dict", "spaces": parts}
    raise ValueError(f"expected a space of arrays, got {space}")


def space_from_json(description: dict[str, Any]) -> spaces.Space[Any]:
    """The space that `space_to_json` described.

    Raises:
        ValueError: The description is of none.
    """
    kind = description["kind"]
    if kind == "Tuple":
        return spaces.Tuple(tuple(space_from_json(part) for part in description["spaces"]))
    if kind == "Dict":
        return spaces.Dict({key: space_from_json(part) for key, part in description["spaces"]})
    if kind == "MultiBinary":
        return spaces.MultiBinary(description["n"])
    dtype: Any = np.dtype(description.get("dtype", "int64")).type
    if kind == "MultiDiscrete":
        start = np.array(description["start"])
        return spaces.MultiDiscrete(np.array(description["nvec"]), dtype=dtype, start=start)
    if kind == "Discrete":
        return spaces.Discrete(description["n"], start=description["start"], dtype=dtype)
    if kind == "Box":
        shape = tuple(description["shape"])
        low, high = (
            np.broadcast_to(np.array(description[end], dtype=dtype), shape)
            for end in ("low", "high")
        )
        return spaces.Box(low, high, shape, dtype)
    raise ValueError(f"expected a space of arrays, got one of kind {kind!r}")


def _bound(values: NDArray[Any]) -> Any:
    """One number where all are equal, so that the space of a picture stays short."""
    first = values.flat[0] if values.size else 0
    return np.asarray(first).item() if (values == first).all() else values.tolist()
