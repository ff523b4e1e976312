"""Which actions are allowed: what infos and callers say of it, as rows of truth values.

An action space of one choice among n has masks of n entries. One of several choices has the masks
of all, one after the other; Gymnasium's own form, a tuple with an array for each choice, is read
as well. Gymnasium's environments put a mask into ``info["action_mask"]``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from gymnasium import spaces
from jaxtyping import Bool
from numpy.typing import NDArray

__all__ = [
    "ACTION_MASK",
    "ActionMask",
    "allows_all",
    "choice_sizes",
    "flat_mask",
    "mask_rows",
    "masks_of_batch",
]

ACTION_MASK = "action_mask"
"""The key of an info."""

ActionMask: TypeAlias = (
    NDArray[np.bool_] | NDArray[np.int8] | tuple[NDArray[np.bool_] | NDArray[np.int8], ...]
)
"""(A,) or (B, A), as infos hold it: 1 where an action is allowed; a tuple for several choices."""


def choice_sizes(space: spaces.Space[Any]) -> tuple[int, ...]:
    """Among how many each choice of an action is; none for a space that masks do not restrict.

    Example:
        >>> choice_sizes(spaces.MultiDiscrete([3, 2])), choice_sizes(spaces.Box(0, 1))
        ((3, 2), ())
    """
    if isinstance(space, spaces.Discrete):
        return (int(space.n),)
    if isinstance(space, spaces.MultiDiscrete):
        return tuple(int(size) for size in space.nvec.flat)
    if isinstance(space, spaces.MultiBinary):
        return (2,) * int(np.prod(space.shape))
    return ()


def flat_mask(mask: Any) -> Bool[NDArray[np.bool_], " choices"]:
    """(A,) a mask, or a tuple of those of several choices.

    Example:
        >>> flat_mask((np.array([1, 0, 1]), np.array([0, 1]))).tolist()
        [True, False, True, False, True]
    """
    if isinstance(mask, tuple) and any(np.ndim(part) for part in mask):
        return np.concatenate([flat_mask(part) for part in mask])
    return np.asarray(mask).astype(np.bool_).reshape(-1)


def mask_rows(
    infos: Sequence[Mapping[str, Any]], num_entries: int | None = None
) -> Bool[NDArray[np.bool_], "rows choices"] | None:
    """(B, A) which actions each info allows, all where it says nothing; None where none does.

    Args:
        infos: B of them.
        num_entries: A; None reads it from the first mask.

    Raises:
        ValueError: A mask has another number of entries.

    Example:
        >>> mask_rows([{"action_mask": np.array([0, 1], dtype=np.int8)}, {}]).tolist()
        [[False, True], [True, True]]
        >>> mask_rows([{}, {}]) is None
        True
    """
    given = [flat_mask(info[ACTION_MASK]) if ACTION_MASK in info else None for info in infos]
    sizes = [len(mask) for mask in given if mask is not None]
    if not sizes:
        return None
    expected = sizes[0] if num_entries is None else num_entries
    for size in sizes:
        if size != expected:
            raise ValueError(f"expected info['action_mask'] of {expected} entries, got {size}")
    every = np.ones(expected, dtype=np.bool_)
    return np.stack([every if mask is None else mask for mask in given])


def allows_all(
    masks: Bool[NDArray[np.bool_], "rows choices"], sizes: Sequence[int]
) -> Bool[NDArray[np.bool_], " rows"]:
    """(B,) whether something is allowed in each of the choices.

    Example:
        >>> allows_all(np.array([[True, False, True], [True, True, False]]), (2, 1)).tolist()
        [True, False]
    """
    starts = np.cumsum([0, *sizes[:-1]])
    possible: NDArray[np.bool_] = np.logical_or.reduceat(masks, starts, axis=1)
    return np.asarray(possible.all(axis=1))


def masks_of_batch(
    action_mask: Any, num_rows: int, sizes: Sequence[int]
) -> Bool[NDArray[np.bool_], "rows choices"]:
    """(B, A) what a caller allows, who gives one mask for all observations or one for each.

    Args:
        action_mask: (A,), (B, A), or a tuple with an array for each choice.
        num_rows: B.
        sizes: Of the choices.

    Raises:
        ValueError: It is of another shape, or a row allows nothing.

    Example:
        >>> masks_of_batch([1, 0], 2, (2,)).tolist()
        [[True, False], [True, False]]
    """
    is_tuple = isinstance(action_mask, tuple)
    mask = flat_mask(action_mask) if is_tuple else np.asarray(action_mask, dtype=np.bool_)
    shape = (num_rows, sum(sizes))
    if mask.shape not in (shape, shape[1:]):
        raise ValueError(
            f"expected an action mask of shape {shape[1:]} or {shape}, got {mask.shape}"
        )
    masks = np.broadcast_to(mask, shape)
    possible = allows_all(masks, sizes)
    if not possible.all():
        row = int(np.flatnonzero(~possible)[0])
        raise ValueError(
            f"expected an action mask that allows an action, got none in row {row} of {num_rows}"
        )
    return masks
