r"""Continuous observations cut into bins, whose numbers index a table.

Dimension j of an observation x falls into bin

.. math:: k_j = \lfloor n_j (x_j - l_j) / (h_j - l_j) \rfloor

of :math:`n_j` equal ones between the bounds :math:`l_j` and :math:`h_j`, and what lies beyond a
bound into the outermost. The bins of all dimensions are numbered in mixed radix, as `StateIndex`
numbers a MultiDiscrete space. `discretize` cuts in the same way, but in the environment, where
every agent sees it; here the environment stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from jaxtyping import Int64
from numpy.typing import NDArray

from ...envs.discretize import bins_of_each, default_bounds

__all__ = ["BinIndex", "check_table"]

_MOST_ENTRIES = 1 << 26  # of one table: half a gigabyte, and learners have two or more


class BinIndex:
    """The numbering of the bins of a continuous space.

    A dimension that has one value only has one bin, and one of whole numbers no more bins than
    numbers.

    Args:
        space: Of the observations.
        bins: Of every dimension, or of each, at least 1.
        low: Lower bounds, of the space's shape; None for those of `default_bounds`.
        high: Upper bounds; given where ``low`` is.

    Attributes:
        space: Of the observations.
        num_states: How many bins there are in all.

    Raises:
        ValueError: A bound is infinite, or there are too many bins or not one number of them for
            each dimension.

    Example:
        >>> index = BinIndex(spaces.Box(-1.0, 1.0, (2,)), (2, 5))
        >>> index.num_states, index.encode(np.array([-0.5, 0.1])), index.encode(np.array([9, 9]))
        (10, 2, 9)
    """

    def __init__(
        self,
        space: spaces.Box,
        bins: int | Sequence[int],
        *,
        low: Sequence[Any] | None = None,
        high: Sequence[Any] | None = None,
    ) -> None:
        lower, upper = default_bounds(space) if low is None else (low, high)
        self.space = space
        self._low, self._high = _flat_bounds(lower, space), _flat_bounds(upper, space)
        extent = self._high - self._low
        if not (np.isfinite(extent) & (extent >= 0)).all():
            raise ValueError(f"expected finite bounds with low <= high, got {low} and {high}")
        counts = np.array(bins_of_each(bins, extent.size), dtype=np.int64)
        if space.dtype.kind != "f":
            counts = np.minimum(counts, np.floor(extent) + 1).astype(np.int64)
        self._counts = np.where(extent > 0, counts, 1)
        self._extent = np.where(extent > 0, extent, 1.0)
        self._weights = np.append(np.cumprod(self._counts[:0:-1])[::-1], 1)
        self.num_states = math.prod(self._counts.tolist())
        self._dimensions = list(
            zip(
                self._low.tolist(),
                self._extent.tolist(),
                self._counts.tolist(),
                self._weights.tolist(),
                strict=True,
            )
        )

    def encode(self, observation: Any) -> int:
        """The number, in [0, num_states), of an observation's bin; -1 for what is none.

        That is an array of another shape, or one with a NaN, which would fall into some bin
        unseen.
        """
        values = _numbers(observation)
        if values.shape != self.space.shape:
            return -1
        total = 0
        # a loop, because numpy takes longer to begin than a few numbers take
        for value, (low, extent, count, weight) in zip(
            values.ravel().tolist(), self._dimensions, strict=True
        ):
            share = (value - low) / extent
            if 0.0 < share < 1.0:
                total += int(share * count) * weight
            elif share >= 1.0:
                total += (count - 1) * weight
            elif share != share:
                return -1
        return total

    def encode_batch(self, observations: Any) -> Int64[NDArray[np.int64], " batch"]:
        """(B,) numbers of the bins of a batch of observations; -1 for those that are none.

        Raises:
            ValueError: The batch is of another shape.
        """
        values = _numbers(observations)
        if values.ndim == 0 or values.shape[1:] != self.space.shape:
            raise ValueError(
                f"expected a batch of observations of {self.space}, got an array of shape "
                f"{values.shape}"
            )
        rows = values.reshape(len(values), len(self._counts)).astype(np.float64)
        shares = (rows - self._low) / self._extent
        is_none = np.isnan(shares).any(axis=1)
        shares[is_none] = 0.0
        digits = np.clip(np.floor(shares * self._counts), 0, self._counts - 1).astype(np.int64)
        return np.where(is_none, -1, digits @ self._weights)

    def decode(self, index: int) -> NDArray[Any]:
        """The observation in the middle of a bin.

        Raises:
            IndexError: ``index`` is outside [0, num_states).
        """
        if not 0 <= index < self.num_states:
            raise IndexError(f"expected an index in [0, {self.num_states}), got {index}")
        digits = index // self._weights % self._counts
        middle = self._low + (digits + 0.5) / self._counts * (self._high - self._low)
        if self.space.dtype.kind != "f":
            middle = np.rint(middle)
        return middle.astype(self.space.dtype).reshape(self.space.shape)

    def to_json(self) -> dict[str, Any]:
        """The bounds as JSON holds them; how many bins there are is a hyper-parameter."""
        return {"low": self._low.tolist(), "high": self._high.tolist()}

    @classmethod
    def from_json(
        cls, space: spaces.Box, bins: int | Sequence[int], bounds: Mapping[str, Any]
    ) -> BinIndex:
        """What `to_json` described.

        Raises:
            ValueError: The bounds do not fit the space.
        """
        return cls(space, bins, low=bounds["low"], high=bounds["high"])


def check_table(observations: BinIndex, num_actions: int) -> None:
    """Refuse bins whose table would not fit into memory.

    Raises:
        ValueError: There are too many; the message says what helps.
    """
    entries = observations.num_states * num_actions
    if entries > _MOST_ENTRIES:
        raise ValueError(
            f"expected a table of at most {_MOST_ENTRIES:,} entries, got {entries:,} for "
            f"{observations.num_states:,} bins of {observations.space} and {num_actions} actions: "
            "give fewer bins, or one number of them for each dimension"
        )


def _flat_bounds(bounds: Any, space: spaces.Box) -> NDArray[np.float64]:
    flat = np.asarray(bounds, dtype=np.float64).ravel()
    if flat.size != math.prod(space.shape):
        raise ValueError(f"expected a bound for each dimension of {space}, got {flat.size}")
    return flat


def _numbers(observation: Any) -> NDArray[Any]:
    """An array of real numbers; of NaN where they are none."""
    try:
        values = np.asarray(observation)
    except ValueError:  # lists of different lengths
        return np.array(math.nan)
    return values if values.dtype.kind in "biuf" else np.full(values.shape, math.nan)
