"""What a tabular learner's file holds besides its tables."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

__all__ = [
    "FORMAT",
    "check_indices",
    "fill_arrays",
    "package_versions",
    "space_from_json",
    "space_to_json",
]

FORMAT = "gymagine-agent-1"
_PACKAGES = ("gymagine", "gymnasium", "numpy", "numba")


def fill_arrays(
    own: Mapping[str, NDArray[Any]],
    arrays: Mapping[str, NDArray[Any]],
    *,
    num_states: int,
    num_actions: int,
) -> None:
    """Write saved arrays over a learner's own, once they are known to fit.

    The parts of further copies of a vector environment may be missing on either side.

    Raises:
        ValueError: The names, shapes or kinds differ, or an index is out of range.
    """
    lacking = {name for name in own.keys() ^ arrays.keys() if not name.startswith("copy")}
    both = own.keys() & arrays.keys()
    if lacking or any(
        (own[name].shape, own[name].dtype) != (arrays[name].shape, arrays[name].dtype)
        for name in both
    ):
        raise ValueError(
            f"expected the arrays {sorted(own)}, got {sorted(arrays)}: the file is of another "
            "version"
        )
    check_indices(arrays, num_states, num_actions)
    for name in both:
        own[name][...] = arrays[name]


def check_indices(arrays: Mapping[str, NDArray[Any]], num_states: int, num_actions: int) -> None:
    """Refuse indices that lie outside the tables, at which compiled code would read and write.

    Args:
        arrays: The memory of a learner, by the names of `memory.named_arrays`.
        num_states: S.
        num_actions: A.

    Raises:
        ValueError: An index is out of range, so that the file is damaged or forged.
    """
    entries = num_states * num_actions
    sizes = {
        "states": num_states,
        "next_states": num_states,
        "actions": num_actions,
        "pairs": entries,
        "num_active": entries + 1,
        "num_pairs": entries + 1,
    }
    for name, array in arrays.items():
        owner, _, field = name.rpartition(".")
        size = sizes.get(field)
        if field == "place":  # steps kept, in a buffer or, without bound, in a ring
            in_buffer = owner.rpartition(".")[2] == "episode"
            size = len(arrays[f"{owner}.states"]) + 1 if in_buffer else 1 << 62
            array = array[:1]
        if array.dtype == np.int64 and (array < 0).any():
            size = size or 1 << 62  # no counter or index is negative
        if size is not None and ((array < 0) | (array >= size)).any():
            raise ValueError(
                f"expected {name} in [0, {size}), got {array.min()} to {array.max()}: the file is "
                "damaged"
            )
        if field == "random" and not array.any():
            raise ValueError(f"expected {name} of a stream, got zeros: the file is damaged")
        if name.endswith("recent.place"):
            _check_ring(arrays[name], len(arrays[f"{owner}.states"]))


def _check_ring(place: NDArray[Any], size: int) -> None:
    if not 0 <= place[0] - place[1] <= size:
        raise ValueError(
            f"expected recent.place of a ring of {size} steps, got {place.tolist()}: the file is "
            "damaged"
        )


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
