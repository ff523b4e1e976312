"""Events whose entries have finitely many values, as rows of whole numbers and back."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor
from torch.distributions import constraints

__all__ = ["events_of", "is_boolean", "levels_of", "num_levels_of", "smoothed_frequencies"]


def is_boolean(support: constraints.Constraint) -> bool:
    """Whether events are zeros and ones."""
    return isinstance(support, type(constraints.boolean))  # generators may be copied, with it


def num_levels_of(support: constraints.Constraint) -> int | None:
    """K where each entry is one of 0 to K - 1, and None where it is not.

    Example:
        >>> num_levels_of(constraints.boolean), num_levels_of(constraints.real)
        (2, None)
    """
    if is_boolean(support):
        return 2
    if support.is_discrete and getattr(support, "lower_bound", None) == 0:
        upper = getattr(support, "upper_bound", None)
        return None if upper is None else int(upper) + 1
    return None


def levels_of(x: Shaped[Tensor, "batch ..."], num_levels: int) -> Int64[Tensor, "batch entries"]:
    """(N, D) whole numbers of (N, *event) events.

    Raises:
        ValueError: A number is not among 0 to K - 1.
    """
    levels = x.flatten(1).to(torch.int64)
    outside = (levels != x.flatten(1)) | (levels < 0) | (levels >= num_levels)
    if outside.any():
        raise ValueError(
            f"expected whole numbers from 0 to {num_levels - 1}, got "
            f"{x.flatten(1)[outside][0].item()}"
        )
    return levels


def events_of(
    levels: Int64[Tensor, "batch entries"],
    event_shape: Sequence[int],
    support: constraints.Constraint,
    dtype: torch.dtype,
) -> Shaped[Tensor, "batch ..."]:
    """(N, *event) events of (N, D) whole numbers: zeros and ones are floats of a dtype."""
    shaped = levels.view(len(levels), *event_shape)
    return shaped.to(dtype) if is_boolean(support) else shaped


def smoothed_frequencies(
    counts: Float[Tensor, "cells ..."], total: int, num_cells: int, smoothing: float
) -> Float[Tensor, "cells ..."]:
    """Shares of counts, as if every cell had some events more.

    Args:
        counts: (...) events in each cell.
        total: N, events in all.
        num_cells: Over which they fall.
        smoothing: How many more; 1/2 is Krichevsky's and Trofimov's, 1 Laplace's.

    Example:
        >>> smoothed_frequencies(torch.tensor([3.0, 0.0]), 3, 2, 0.5)
        tensor([0.8750, 0.1250])
    """
    return (counts + smoothing) / (total + num_cells * smoothing)
