r"""Finite spaces numbered from 0, so that any of them can index a table.

A product of finite spaces with :math:`n_1, \dots, n_d` elements is numbered in mixed radix,

.. math:: i(x_1, \dots, x_d) = (\dots (x_1 n_2 + x_2) n_3 + \dots) n_d + x_d,

with every coordinate counted from 0 whatever the space's ``start``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

__all__ = ["StateIndex"]


class StateIndex:
    """The numbering of a finite Gymnasium space.

    Attributes:
        space: Discrete (any start), MultiDiscrete (any shape and start), MultiBinary, or Tuple of
            these.
        num_states: How many elements the space has.

    Raises:
        ValueError: The space is not finite (the message names `discretize`), empty, or has more
            than 2^31 - 1 elements.

    Example:
        >>> index = StateIndex(spaces.Tuple((spaces.Discrete(3), spaces.Discrete(2, start=5))))
        >>> index.num_states, index.encode((2, 6)), index.decode(4)
        (6, 5, (2, 5))
    """

    def __init__(self, space: spaces.Space[Any]) -> None:
        self.space = space
        self._sizes, self._starts = _radices(space)
        if not self._sizes:
            raise ValueError(f"expected a space of at least one coordinate, got {space}")
        total = math.prod(self._sizes)
        if total > np.iinfo(np.int32).max:
            raise ValueError(
                f"expected a space of at most 2^31 - 1 elements, got {total} in {space}"
            )
        self.num_states = total
        weights = [1] * len(self._sizes)
        for axis in reversed(range(len(self._sizes) - 1)):
            weights[axis] = weights[axis + 1] * self._sizes[axis + 1]
        self._weights = weights
        self._offset = sum(
            start * weight for start, weight in zip(self._starts, weights, strict=True)
        )
        self._is_discrete = isinstance(space, spaces.Discrete)

    def encode(self, observation: Any) -> int:
        """The number, in [0, num_states), of an element that is taken to be in the space."""
        if self._is_discrete:
            return int(observation) - self._offset
        coordinates = _coordinates(self.space, observation)
        return (
            sum(
                int(value) * weight
                for value, weight in zip(coordinates, self._weights, strict=True)
            )
            - self._offset
        )

    def encode_batch(self, observations: Any) -> NDArray[np.int64]:
        """(B,) numbers of a batch as Gymnasium's vector environments give it.

        A Tuple space's batch is a tuple of batches; the others' is one array with a leading axis.
        """
        columns = _columns(self.space, observations)
        total = np.zeros(len(columns[0]), dtype=np.int64)
        # the start goes first: a small unsigned or a far start would overflow in the product
        for column, start, weight in zip(columns, self._starts, self._weights, strict=True):
            total += (column.astype(np.int64) - start) * weight
        return total

    def decode(self, index: int) -> Any:
        """The element with this number: the inverse of `encode`.

        Discrete gives a plain int, MultiDiscrete and MultiBinary an array of the space's dtype and
        shape, Tuple a tuple.

        Raises:
            IndexError: ``index`` is outside [0, num_states).
        """
        if not 0 <= index < self.num_states:
            raise IndexError(f"expected an index in [0, {self.num_states}), got {index}")
        values = []
        for size, start in zip(reversed(self._sizes), reversed(self._starts), strict=True):
            index, digit = divmod(index, size)
            values.append(digit + start)
        return _assemble(self.space, iter(reversed(values)))


def _radices(space: spaces.Space[Any]) -> tuple[list[int], list[int]]:
    if isinstance(space, spaces.Discrete):
        return [int(space.n)], [int(space.start)]
    if isinstance(space, spaces.MultiDiscrete):
        return space.nvec.ravel().tolist(), space.start.ravel().tolist()
    if isinstance(space, spaces.MultiBinary):
        return [2] * int(np.prod(space.shape)), [0] * int(np.prod(space.shape))
    if isinstance(space, spaces.Tuple):
        parts = [_radices(part) for part in space.spaces]
        sizes = [size for part_sizes, _ in parts for size in part_sizes]
        return sizes, [start for _, part_starts in parts for start in part_starts]
    hint = (
        "gymagine.envs.discretize(env, bins=10) makes the observations countable (on the command "
        "line: ENV@bins=10)"
        if isinstance(space, spaces.Box)
        else "tables need Discrete, MultiDiscrete, MultiBinary, or a Tuple of these"
    )
    raise ValueError(f"expected a finite space, got {space}: {hint}")


def _coordinates(space: spaces.Space[Any], observation: Any) -> list[Any]:
    if isinstance(space, spaces.Tuple):
        parts = zip(space.spaces, observation, strict=True)
        return [value for part, element in parts for value in _coordinates(part, element)]
    if isinstance(space, spaces.Discrete):
        return [observation]
    flat: list[Any] = np.asarray(observation).ravel().tolist()
    return flat


def _columns(space: spaces.Space[Any], observations: Any) -> list[NDArray[Any]]:
    if isinstance(space, spaces.Tuple):
        parts = zip(space.spaces, observations, strict=True)
        return [column for part, batch in parts for column in _columns(part, batch)]
    batch = np.asarray(observations)
    return list(batch.reshape(len(batch), math.prod(space.shape or ())).T)


def _assemble(space: spaces.Space[Any], values: Any) -> Any:
    if isinstance(space, spaces.Tuple):
        return tuple(_assemble(part, values) for part in space.spaces)
    if isinstance(space, spaces.Discrete):
        return int(next(values))
    shape = space.shape or ()
    flat = np.array([next(values) for _ in range(math.prod(shape))], dtype=space.dtype)
    return flat.reshape(shape)
