"""The memory of a learner: the tuple of arrays and numbers that its kernels share.

Some of its parts belong to the episode that is going on: the last n steps, the traces, the buffer
of a Monte Carlo method. A learner in a vector environment lives through several episodes at once:
its memories share the tables, counters and random streams, and each has its own of these parts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .episode_buffer import larger_buffer, room_in

__all__ = [
    "episode_arrays",
    "for_another_episode",
    "named_arrays",
    "room_for_steps",
    "with_room",
    "with_room_for",
]

_PARTS = ("episode", "recent", "traces")
_UNLIMITED = 1 << 62


def named_arrays(memory: Any, prefix: str = "") -> Iterator[tuple[str, NDArray[Any]]]:
    """The arrays in a tuple of arrays, numbers and such tuples, with dotted names."""
    for name, value in zip(memory._fields, memory, strict=True):
        if isinstance(value, np.ndarray):
            yield prefix + name, value
        elif isinstance(value, tuple):
            yield from named_arrays(value, f"{prefix}{name}.")


def episode_arrays(memory: Any) -> Iterator[tuple[str, NDArray[Any]]]:
    """The arrays, by dotted names, that belong to the episode that is going on."""
    for name, array in named_arrays(memory):
        if name.partition(".")[0] in _PARTS:
            yield name, array


def for_another_episode(memory: Any) -> Any:
    """A memory with episode parts of its own, empty; everything else is shared."""
    parts = {name: _emptied(getattr(memory, name)) for name in _PARTS if hasattr(memory, name)}
    return memory._replace(**parts)


def room_for_steps(memory: Any) -> int:
    """How many steps fit; learners that keep whole episodes count them."""
    return room_in(memory.episode) if hasattr(memory, "episode") else _UNLIMITED


def with_room(memory: Any) -> Any:
    """The memory with a larger buffer of the episode, if it is full."""
    if room_for_steps(memory) > 0:
        return memory
    return memory._replace(episode=larger_buffer(memory.episode))


def with_room_for(memory: Any, states: NDArray[np.int64] | None) -> Any:
    """The memory with a buffer as large as that of these states, where it has one."""
    while states is not None and hasattr(memory, "episode"):
        if len(memory.episode.states) >= states.size:
            break
        memory = memory._replace(episode=larger_buffer(memory.episode))
    return memory


def _emptied(part: Any) -> Any:
    return part._replace(
        **{
            name: np.zeros_like(value)
            for name, value in part._asdict().items()
            if isinstance(value, np.ndarray)
        }
    )
