"""What a tabular learner's file holds besides its tables."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

__all__ = ["FORMAT", "named_arrays", "package_versions", "space_from_json", "space_to_json"]

FORMAT = "gymagine-agent-1"
_PACKAGES = ("gymagine", "gymnasium", "numpy", "numba")


def named_arrays(memory: Any, prefix: str = "") -> Iterator[tuple[str, NDArray[Any]]]:
    """The arrays in a tuple of arrays, numbers and such tuples, with dotted names."""
    for name, value in zip(memory._fields, memory, strict=True):
        if isinstance(value, np.ndarray):
            yield prefix + name, value
        elif isinstance(value, tuple):
            yield from named_arrays(value, f"{prefix}{name}.")


def package_versions() -> dict[str, str]:
    """Versions of the packages that decide what a checkpoint means."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "unknown"
    return versions


def space_to_json(space: spaces.Space[Any]) -> dict[str, Any]:
    """A finite space as JSON holds it."""
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
    if isinstance(space, spaces.Tuple):
        return {"kind": "Tuple", "spaces": [space_to_json(part) for part in space.spaces]}
    raise ValueError(f"expected a finite space, got {space}")


def space_from_json(description: dict[str, Any]) -> spaces.Space[Any]:
    """The space that `space_to_json` described."""
    kind = description["kind"]
    if kind == "Tuple":
        return spaces.Tuple(tuple(space_from_json(part) for part in description["spaces"]))
    if kind == "MultiBinary":
        return spaces.MultiBinary(description["n"])
    dtype = np.dtype(description.get("dtype", "int64")).type
    if kind == "MultiDiscrete":
        start = np.array(description["start"])
        return spaces.MultiDiscrete(np.array(description["nvec"]), dtype=dtype, start=start)
    if kind == "Discrete":
        return spaces.Discrete(description["n"], start=description["start"], dtype=dtype)
    raise ValueError(f"expected a finite space, got one of kind {kind!r}")
