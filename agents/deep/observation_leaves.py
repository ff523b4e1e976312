"""Observations as a tuple of plain arrays, whatever their space.

A space is a tree of which the leaves are arrays (Box, Discrete, MultiDiscrete, MultiBinary) and
the branches Dict and Tuple. What stores or encodes observations wants the leaves alone, in a fixed
order and in a dtype that wastes nothing: images stay bytes, whole numbers count from 0 whatever
their space's start, and float64 becomes float32, in which networks compute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

__all__ = ["ObservationLeaves"]

Array = NDArray[Any]
Path = tuple[str | int, ...]


class ObservationLeaves:
    """The leaves of a space, and how to read them from its observations.

    Args:
        space: Of one observation: Box, Discrete, MultiDiscrete, MultiBinary, or Dict and Tuple of
            these, nested as may be.

    Attributes:
        space: The space.
        spaces: The leaves' spaces, a Dict's in the order of its keys, a Tuple's in its own.
        names: The leaves' paths, with dots between keys and positions; "" for a plain space.
        shapes: The leaves' shapes; () for Discrete.
        dtypes: What they are stored as: int64, counted from 0, for Discrete and MultiDiscrete,
            int8 for MultiBinary, a Box's own, but float32 for float64 and wider.
        starts: What is subtracted from the leaves' whole numbers before they are stored.

    Raises:
        ValueError: The space has no leaves, or one that is no array of a fixed shape (Text, Graph,
            Sequence, OneOf); the message names it.

    Example:
        >>> camera = spaces.Box(0, 255, (4, 4), np.uint8)
        >>> space = spaces.Dict(camera=camera, floor=spaces.Discrete(3, start=1))
        >>> leaves = ObservationLeaves(space)
        >>> leaves.names, leaves.shapes
        (('camera', 'floor'), ((4, 4), ()))
        >>> leaves.of_one({"camera": np.zeros((4, 4), np.uint8), "floor": 3})[1]
        array([2])
    """

    def __init__(self, space: spaces.Space[Any]) -> None:
        found = list(_leaves(space, ()))
        if not found:
            raise ValueError(f"expected a space with at least one leaf, got {space}")
        self.space = space
        self._paths: tuple[Path, ...] = tuple(path for path, _ in found)
        self.spaces: tuple[spaces.Space[Any], ...] = tuple(leaf for _, leaf in found)
        self.names: tuple[str, ...] = tuple(".".join(map(str, path)) for path in self._paths)
        self.shapes: tuple[tuple[int, ...], ...] = tuple(_shape(leaf) for leaf in self.spaces)
        self.dtypes: tuple[np.dtype[Any], ...] = tuple(_dtype(leaf) for leaf in self.spaces)
        self.starts = tuple(_start(leaf) for leaf in self.spaces)
        self._sizes = tuple(_sizes(leaf) for leaf in self.spaces)
        self._is_one_box = self.names == ("",) and self._sizes[0] is None

    def of_batch(self, batch: Any) -> tuple[Array, ...]:
        """The leaves of a batch as a vector environment gives it.

        Args:
            batch: Arrays with a leading axis of B copies, in the space's Dicts and Tuples.

        Returns:
            Arrays (B, ...) of the storage dtypes. One that needs no change shares its memory
            with the batch.

        Raises:
            ValueError: The batch lacks a leaf, or one is no array of numbers.
        """
        return tuple(
            self._converted(leaf, lambda path: _at(batch, path))
            for leaf in range(len(self.spaces))
        )

    def of_one(self, observation: Any) -> tuple[Array, ...]:
        """The leaves of a single observation, as those of a batch of one.

        Raises:
            ValueError: As `of_batch`.
        """
        return self.of_each((observation,))

    def of_each(self, observations: Sequence[Any]) -> tuple[Array, ...]:
        """The leaves of single observations, as those of a batch.

        Returns:
            New arrays (B, ...) of the storage dtypes.

        Raises:
            ValueError: As `of_batch`.
        """
        if self._is_one_box:
            return (self._converted(0, lambda _: observations),)
        return tuple(
            self._converted(leaf, lambda path: [_at(one, path) for one in observations])
            for leaf in range(len(self.spaces))
        )

    def observation(self, arrays: Sequence[Array], row: int) -> Any:
        """One observation of a batch, in the space's own terms again.

        Args:
            arrays: The leaves of a batch, as `of_batch` gives them.
            row: Which.

        Example:
            >>> leaves = ObservationLeaves(spaces.Dict(floor=spaces.Discrete(3, start=1)))
            >>> int(leaves.observation(leaves.of_one({"floor": 3}), 0)["floor"])
            3
        """
        values = (
            np.asarray(array[row] + start).astype(space.dtype)
            for array, start, space in zip(arrays, self.starts, self.spaces, strict=True)
        )
        return _nested(self.space, values)

    def check(self, arrays: Sequence[Array]) -> None:
        """Make sure that leaves can be stored and learnt from.

        Args:
            arrays: The leaves of a batch, as `of_batch` gives them.

        Raises:
            ValueError: A leaf has a wrong shape, a value that is NaN or infinite (also by leaving
                the range of float32), or a whole number outside its space; the message names it.
        """
        if len(arrays) != len(self.spaces):
            raise ValueError(f"expected {len(self.spaces)} leaves, got {len(arrays)}")
        batch = arrays[0].shape[:1]
        for leaf, array in enumerate(arrays):
            if array.shape != batch + self.shapes[leaf] or not batch:
                raise ValueError(
                    f"expected {self._title(leaf)} of shape (B, *{self.shapes[leaf]}) with B the "
                    f"same in all leaves, got {array.shape}"
                )
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                copies = np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1))
                raise ValueError(
                    f"expected finite numbers in {self._title(leaf)}, got "
                    f"{array[copies[0]]} from copy {copies[0]}"
                )
            sizes = self._sizes[leaf]
            if sizes is not None and ((array < 0) | (array >= sizes)).any():
                outside = array[(array < 0) | (array >= sizes)] + self.starts[leaf].flat[0]
                raise ValueError(
                    f"expected {self._title(leaf)} in {self.spaces[leaf]}, got {outside[0]}"
                )

    def _converted(self, leaf: int, read: Callable[[Path], Any]) -> Array:
        """An array of the storage dtype, of what is read at a leaf's path."""
        try:
            value = read(self._paths[leaf])
            if self._sizes[leaf] is None:
                return np.asarray(value, dtype=self.dtypes[leaf])
            numbers = np.asarray(value)
            # the start goes first: a far one would not fit into a small storage dtype
            # numpy turns an array without axes into a scalar
            return np.asarray(numbers - self.starts[leaf]).astype(self.dtypes[leaf], copy=False)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ValueError(
                f"expected {self._title(leaf)} as numbers of {self.spaces[leaf]}, got something "
                f"else ({error})"
            ) from error

    def _title(self, leaf: int) -> str:
        return (
            f"the observation's leaf {self.names[leaf]!r}" if self.names[leaf] else "observations"
        )


def _at(observation: Any, path: Path) -> Any:
    for key in path:
        observation = observation[key]
    return observation


def _leaves(space: spaces.Space[Any], path: Path) -> Iterator[tuple[Path, spaces.Space[Any]]]:
    if isinstance(space, spaces.Dict):
        for key, part in space.spaces.items():
            yield from _leaves(part, (*path, key))
    elif isinstance(space, spaces.Tuple):
        for position, part in enumerate(space.spaces):
            yield from _leaves(part, (*path, position))
    elif isinstance(
        space, spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary
    ):
        yield path, space
    else:
        where = f" at {'.'.join(map(str, path))!r}" if path else ""
        raise ValueError(
            "expected Box, Discrete, MultiDiscrete, MultiBinary, or Dict and Tuple of these, got "
            f"{space}{where}"
        )


def _nested(space: spaces.Space[Any], values: Iterator[Array]) -> Any:
    """An observation of the values at the space's leaves, in order."""
    if isinstance(space, spaces.Dict):
        return {key: _nested(part, values) for key, part in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        return tuple([_nested(part, values) for part in space.spaces])
    value = next(values)
    return value[()] if isinstance(space, spaces.Discrete) else value


def _shape(space: spaces.Space[Any]) -> tuple[int, ...]:
    return tuple(int(length) for length in space.shape or ())


def _dtype(space: spaces.Space[Any]) -> np.dtype[Any]:
    if isinstance(space, spaces.Discrete | spaces.MultiDiscrete):
        return np.dtype(np.int64)
    if isinstance(space, spaces.MultiBinary):
        return np.dtype(np.int8)
    own = np.dtype(space.dtype)
    return np.dtype(np.float32) if own.kind == "f" and own.itemsize > 4 else own


def _start(space: spaces.Space[Any]) -> NDArray[np.int64]:
    if isinstance(space, spaces.Discrete | spaces.MultiDiscrete):
        return np.asarray(space.start, dtype=np.int64)
    return np.zeros((), dtype=np.int64)


def _sizes(space: spaces.Space[Any]) -> NDArray[np.int64] | None:
    """How many values each number of a countable leaf has; None for a Box."""
    if isinstance(space, spaces.Discrete):
        return np.asarray(space.n, dtype=np.int64)
    if isinstance(space, spaces.MultiDiscrete):
        return np.asarray(space.nvec, dtype=np.int64)
    return np.asarray(2) if isinstance(space, spaces.MultiBinary) else None
