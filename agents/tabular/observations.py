"""Observations as rows of a table: one or many, of any finite space or cut into bins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ...envs.state_index import StateIndex
from .bins import BinIndex, check_table

__all__ = [
    "ObservationIndex",
    "action_index",
    "batch_of_states",
    "observation_index",
]

ObservationIndex: TypeAlias = StateIndex | BinIndex


def observation_index(
    space: spaces.Space[Any],
    *,
    bins: int | Sequence[int],
    num_actions: int,
    bounds: Mapping[str, Any] | None = None,
) -> ObservationIndex:
    """The numbering of an observation space: of its elements, or of its bins if it is a Box.

    Args:
        space: Of one observation.
        bins: Of each dimension of a Box.
        num_actions: A.
        bounds: Between which a Box was cut, as `BinIndex.to_json` gives them; None chooses them.

    Raises:
        ValueError: The space is neither finite nor a Box, a Box has an infinite bound, or its
            bins are too many for a table.
    """
    if not isinstance(space, spaces.Box):
        return StateIndex(space)
    if bounds is None:
        index = BinIndex(space, bins)
    else:
        index = BinIndex.from_json(space, bins, bounds)
    check_table(index, num_actions)
    return index


def batch_of_states(
    observations: ObservationIndex, observation: Any
) -> tuple[NDArray[np.int64], bool]:
    """The (B,) numbers of one observation or of a batch, and whether it was a batch.

    Raises:
        ValueError: An observation is outside the space.
    """
    if isinstance(observations, BinIndex):
        return _bins_of(observations, observation)
    if not _is_batch(observations.space, observation):
        if not _contains(observations.space, observation):
            raise ValueError(f"expected an observation of {observations.space}, got {observation}")
        return np.array([observations.encode(observation)], dtype=np.int64), False
    _refuse_any(~_inside(observations.space, observation), observations.space)
    return observations.encode_batch(observation), True


def action_index(space: spaces.Space[Any]) -> StateIndex:
    """The numbering of a finite action space.

    Raises:
        ValueError: It is not finite.
    """
    try:
        return StateIndex(space)
    except ValueError as error:
        raise ValueError(
            f"expected a finite action space, got {space}: tables hold one value for each action"
        ) from error


def _bins_of(observations: BinIndex, observation: Any) -> tuple[NDArray[np.int64], bool]:
    if not _is_batch(observations.space, observation):
        state = observations.encode(observation)
        if state < 0:
            raise ValueError(f"expected an observation of {observations.space}, got {observation}")
        return np.array([state], dtype=np.int64), False
    states = observations.encode_batch(observation)
    _refuse_any(states < 0, observations.space)
    return states, True


def _refuse_any(is_outside: NDArray[np.bool_], space: spaces.Space[Any]) -> None:
    outside = np.flatnonzero(is_outside)
    if len(outside):
        raise ValueError(
            f"expected observations of {space}, got one outside it at place {outside[0]} of the "
            "batch"
        )


def _is_batch(space: spaces.Space[Any], observation: Any) -> bool:
    if isinstance(space, spaces.Tuple):
        parts = len(space.spaces)
        if not isinstance(observation, tuple | list | np.ndarray) or len(observation) != parts:
            raise ValueError(
                f"expected an observation of {space} or {parts} arrays of a batch, got "
                f"{observation!r}"
            )
        return parts > 0 and _is_batch(space.spaces[0], observation[0])
    axes = np.ndim(observation) - len(space.shape or ())
    if axes not in (0, 1):
        raise ValueError(
            f"expected an observation of {space} or a batch of them, got an array of shape "
            f"{np.shape(observation)}"
        )
    return axes == 1


def _inside(space: spaces.Space[Any], batch: Any) -> NDArray[np.bool_]:
    """(B,) which elements of a batch are in the space."""
    if isinstance(space, spaces.Tuple):
        parts = [_inside(part, column) for part, column in zip(space.spaces, batch, strict=True)]
        lengths = [len(part) for part in parts]
        if len(set(lengths)) > 1:
            raise ValueError(f"expected a batch of {space}, got parts of {lengths} elements")
        return np.asarray(np.logical_and.reduce(parts))
    values = np.asarray(batch)
    if values.dtype.kind not in "biu" or values.ndim != 1 + len(space.shape or ()):
        return np.zeros(len(values), dtype=np.bool_)
    low: Any = 0
    size: Any = 2
    if isinstance(space, spaces.Discrete):
        low, size = space.start, space.n
    elif isinstance(space, spaces.MultiDiscrete):
        low, size = space.start, space.nvec
    inside = (values >= low) & (values < low + size)
    return np.asarray(inside.reshape(len(values), -1).all(axis=1))


def _contains(space: spaces.Space[Any], observation: Any) -> bool:
    # Vector environments widen integers and turn scalars into arrays without axes, which the
    # spaces' own contains() refuses.
    if isinstance(space, spaces.Tuple):
        return len(observation) == len(space.spaces) and all(
            _contains(part, value) for part, value in zip(space.spaces, observation, strict=True)
        )
    value = np.asarray(observation)
    if value.shape != (space.shape or ()) or value.dtype.kind not in "biu":
        return False
    if isinstance(space, spaces.Discrete):
        return bool(0 <= value - space.start < space.n)
    if isinstance(space, spaces.MultiDiscrete):
        return bool(((value >= space.start) & (value < space.start + space.nvec)).all())
    return bool(((value >= 0) & (value <= 1)).all())
