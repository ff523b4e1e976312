"""The leaves of Gymnasium's spaces, as rows of numbers and back."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Int64, Shaped
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

__all__ = ["CodecLeaf", "CodecPart", "PartKind", "leaves_of"]

PartKind = Literal["numbers", "bytes", "category", "bits"]

Array: TypeAlias = NDArray[Any]
Path: TypeAlias = "tuple[str | int, ...]"


@dataclass(frozen=True)
class CodecPart:
    """Where a leaf of a space, or one category of it, lies in the vector.

    Attributes:
        name: The leaf's path with dots between keys and positions; "" for a plain space. A
            MultiDiscrete has one part for each of its numbers, with ``[i]`` after the path.
        kind: ``numbers`` and ``bytes`` of a Box, a one-hot ``category``, ``bits``.
        start: First entry.
        stop: One past the last.
    """

    name: str
    kind: PartKind
    start: int
    stop: int

    @property
    def entries(self) -> slice:
        """Of the vector."""
        return slice(self.start, self.stop)


class CodecLeaf:
    """An array of a space, as rows of numbers.

    Args:
        path: Keys and positions at which it is found.
        space: Its own.

    Attributes:
        kind: What its numbers are.
        shape: Of one value.
        size: Numbers in one value.
        width: Entries that it has in a vector.
    """

    def __init__(self, path: Path, space: spaces.Space[Any]) -> None:
        self._path, self._space = path, space
        self._name = ".".join(map(str, path))
        self.kind = _kind(space)
        self.shape = tuple(int(length) for length in space.shape or ())
        self.size = math.prod(self.shape)
        self._categories, self._starts = _categories(space)
        self.width = int(self._categories.sum()) if self.kind == "category" else self.size

    def parts(self, start: int) -> Iterator[CodecPart]:
        """What the entries of a vector are, from a place on."""
        if self.kind != "category":
            if self.size:
                yield CodecPart(self._name, self.kind, start, start + self.size)
            return
        many = isinstance(self._space, spaces.MultiDiscrete)
        for i, num in enumerate(self._categories.tolist()):
            name = f"{self._name}[{i}]" if many else self._name
            yield CodecPart(name, self.kind, start, start + num)
            start += num

    def rows(self, batch: Any) -> Shaped[Tensor, "batch size"]:
        """(N, size) numbers of a batch of the whole space; categories count from 0.

        Raises:
            ValueError: The leaf is missing, or not what its space says.
        """
        array = self._found(batch)
        rows = array.reshape(len(array), self.size)
        if self.kind == "category":
            # the start goes first: a far one would not fit into a small dtype
            rows = rows - self._starts
            self._check((rows >= 0) & (rows < self._categories) & (rows == np.floor(rows)), array)
            return torch.from_numpy(rows.astype(np.int64))
        if self.kind == "numbers":
            self._check(np.isfinite(rows), array)
            return torch.from_numpy(rows.astype(np.float64))
        most = 1 if self.kind == "bits" else 255
        self._check((rows >= 0) & (rows <= most) & (rows == np.floor(rows)), array)
        return torch.from_numpy(rows.astype(np.uint8))

    def one_hot(self, rows: Int64[Tensor, "batch size"]) -> Int64[Tensor, "batch width"]:
        """(N, width) of (N, size) categories."""
        columns = zip(rows.unbind(1), self._categories.tolist(), strict=True)
        found = [functional.one_hot(column, num) for column, num in columns]
        return torch.cat([rows[:, :0], *found], dim=1)

    def values(self, rows: Shaped[Tensor, "batch width"]) -> Array:
        """(N, *shape) values of the space, of (N, width) numbers on its own scale."""
        if self.kind == "category":
            ends = np.cumsum(self._categories).tolist()
            found: Array = np.empty((len(rows), self.size), dtype=np.int64)
            for i, (start, end) in enumerate(pairwise([0, *ends])):
                found[:, i] = rows[:, start:end].argmax(dim=1).cpu().numpy()
            found += self._starts
        elif self.kind == "bits":
            found = (rows > 0.5).cpu().numpy()
        else:
            found = self._clipped(rows.double().cpu().numpy())
        return found.astype(self._space.dtype).reshape(len(rows), *self.shape)

    def _found(self, batch: Any) -> Array:
        """(N, *shape) what the batch has at the leaf's path."""
        try:
            for key in self._path:
                batch = batch[key]
            array = np.asarray(batch)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ValueError(
                f"expected {self._title} in the batch, which lacks it ({error!r})"
            ) from error
        if array.dtype.kind not in "biuf" or not array.ndim or array.shape[1:] != self.shape:
            raise ValueError(
                f"expected {self._title} as numbers of shape (N, *{self.shape}), got "
                f"{array.dtype} of shape {array.shape}"
            )
        return array

    def _clipped(self, rows: NDArray[np.float64]) -> Array:
        """(N, size) in the box's dtype, within its bounds."""
        assert isinstance(self._space, spaces.Box)
        low, high = (bound.reshape(-1) for bound in (self._space.low, self._space.high))
        if low.dtype.kind == "f":
            largest = float(np.finfo(low.dtype).max)
            ends = (bound.astype(np.float64).clip(-largest, largest) for bound in (low, high))
            # once more after the cast, whose rounding may leave the bounds
            return rows.clip(*ends).astype(low.dtype).clip(low, high)
        rounded = rows.round()
        # the largest whole numbers are no float64: bounds are taken as they are, not cast
        above, below = rounded >= high.astype(np.float64), rounded <= low.astype(np.float64)
        inner = np.where(above | below, 0, rounded).astype(low.dtype)
        return np.where(above, high, np.where(below, low, inner))

    def _check(self, fits: NDArray[np.bool_], array: Array) -> None:
        if not fits.all():
            wrong = array.reshape(fits.shape)[~fits][0]
            raise ValueError(f"expected {self._title} in {self._space}, got {wrong}")

    @property
    def _title(self) -> str:
        return f"the leaf {self._name!r}" if self._name else "values"


def leaves_of(space: spaces.Space[Any], path: Path = ()) -> Iterator[CodecLeaf]:
    """A space's leaves, a Dict's in the order of its keys, a Tuple's in its own.

    Args:
        space: The space.
        path: Keys and positions at which it is found itself.

    Raises:
        ValueError: A leaf is no array of a fixed shape; the message names it.

    Example:
        >>> space = spaces.Dict(a=spaces.Discrete(3), b=spaces.Tuple([spaces.MultiBinary(2)]))
        >>> [leaf.width for leaf in leaves_of(space)]
        [3, 2]
    """
    if isinstance(space, spaces.Dict):
        for key, part in space.spaces.items():
            yield from leaves_of(part, (*path, key))
    elif isinstance(space, spaces.Tuple):
        for position, part in enumerate(space.spaces):
            yield from leaves_of(part, (*path, position))
    elif isinstance(
        space, spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary
    ):
        yield CodecLeaf(path, space)
    else:
        where = f" at {'.'.join(map(str, path))!r}" if path else ""
        raise ValueError(
            "expected Box, Discrete, MultiDiscrete, MultiBinary, or Dict and Tuple of these, got "
            f"{space}{where}"
        )


def _kind(space: spaces.Space[Any]) -> PartKind:
    if isinstance(space, spaces.Discrete | spaces.MultiDiscrete):
        return "category"
    if isinstance(space, spaces.MultiBinary):
        return "bits"
    return "bytes" if space.dtype == np.uint8 else "numbers"


def _categories(space: spaces.Space[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(size,) categories of each number, and (size,) the first of them; none for other kinds."""
    if isinstance(space, spaces.Discrete):
        return np.array([space.n], dtype=np.int64), np.array([space.start], dtype=np.int64)
    if isinstance(space, spaces.MultiDiscrete):
        return space.nvec.reshape(-1).astype(np.int64), space.start.reshape(-1).astype(np.int64)
    return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
