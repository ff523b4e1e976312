"""The steps of one episode, kept until it ends: what every Monte Carlo method learns from.

Episodes have no largest length (CliffWalking has no step cap), so the buffer doubles when an
episode has filled it. Kernels do not allocate: Python enlarges it between two calls.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .compilation import njit

__all__ = [
    "EPISODE",
    "LENGTH",
    "EpisodeBuffer",
    "empty_buffer",
    "forget_episode",
    "larger_buffer",
    "record_step",
    "room_in",
]

# places in EpisodeBuffer.place
LENGTH = 0  #: steps kept
EPISODE = 1  #: number of the episode, from 1

_FIRST_SIZE = 1 << 12


class EpisodeBuffer(NamedTuple):
    """One episode.

    Attributes:
        states: (L,) state of each step.
        actions: (L,) action of each step.
        rewards: (L,) reward of each step.
        ratios: (L,) importance ratio of each step; 1 for on-policy methods.
        is_first: (L,) whether the entry that the step updates occurs here for the first time.
        last_visits: (entries,) the last episode in which each entry was visited.
        place: The places named above.
    """

    states: NDArray[np.int64]
    actions: NDArray[np.int64]
    rewards: NDArray[np.float64]
    ratios: NDArray[np.float64]
    is_first: NDArray[np.bool_]
    last_visits: NDArray[np.int64]
    place: NDArray[np.int64]


def empty_buffer(num_entries: int, size: int = _FIRST_SIZE) -> EpisodeBuffer:
    """A buffer for ``size`` steps that update one of ``num_entries`` entries each."""
    return EpisodeBuffer(
        states=np.zeros(size, dtype=np.int64),
        actions=np.zeros(size, dtype=np.int64),
        rewards=np.zeros(size),
        ratios=np.zeros(size),
        is_first=np.zeros(size, dtype=np.bool_),
        last_visits=np.zeros(num_entries, dtype=np.int64),
        place=np.zeros(2, dtype=np.int64),
    )


def larger_buffer(buffer: EpisodeBuffer) -> EpisodeBuffer:
    """The same episode in a buffer of twice the size."""
    size = len(buffer.states)
    return buffer._replace(
        states=np.pad(buffer.states, (0, size)),
        actions=np.pad(buffer.actions, (0, size)),
        rewards=np.pad(buffer.rewards, (0, size)),
        ratios=np.pad(buffer.ratios, (0, size)),
        is_first=np.pad(buffer.is_first, (0, size)),
    )


def room_in(buffer: EpisodeBuffer) -> int:
    """How many more steps fit."""
    return len(buffer.states) - int(buffer.place[LENGTH])


@njit
def forget_episode(buffer: EpisodeBuffer) -> None:
    """Begin a new episode."""
    buffer.place[LENGTH] = 0
    buffer.place[EPISODE] += 1


@njit
def record_step(
    buffer: EpisodeBuffer, state: int, action: int, reward: float, ratio: float, entry: int
) -> None:
    """Append one step that will update ``entry``."""
    t = buffer.place[LENGTH]
    buffer.states[t] = state
    buffer.actions[t] = action
    buffer.rewards[t] = reward
    buffer.ratios[t] = ratio
    buffer.is_first[t] = buffer.last_visits[entry] != buffer.place[EPISODE]
    buffer.last_visits[entry] = buffer.place[EPISODE]
    buffer.place[LENGTH] = t + 1
