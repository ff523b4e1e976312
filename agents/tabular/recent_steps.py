"""The last n steps of an episode, and their returns once these are known.

The return of a step is known n steps later, or when the episode ends; `n_step_returns` says of
which steps it has become known.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .compilation import njit

__all__ = ["RecentSteps", "forget_steps", "keep_step", "n_step_returns", "no_steps"]


class RecentSteps(NamedTuple):
    """A ring of n steps.

    Attributes:
        states: (n,) states, step t of the episode at place t mod n.
        actions: (n,) actions.
        rewards: (n,) rewards.
        place: (2,) steps of the episode kept so far, and how many of them are updated already.
        due_states: (n,) states of the steps whose returns have just become known, oldest first.
        due_actions: (n,) their actions.
        due_returns: (n,) their returns.
    """

    states: NDArray[np.int64]
    actions: NDArray[np.int64]
    rewards: NDArray[np.float64]
    place: NDArray[np.int64]
    due_states: NDArray[np.int64]
    due_actions: NDArray[np.int64]
    due_returns: NDArray[np.float64]


def no_steps(num_steps: int) -> RecentSteps:
    """An empty ring for n steps."""
    integers = [np.zeros(num_steps, dtype=np.int64) for _ in range(4)]
    return RecentSteps(
        states=integers[0],
        actions=integers[1],
        rewards=np.zeros(num_steps),
        place=np.zeros(2, dtype=np.int64),
        due_states=integers[2],
        due_actions=integers[3],
        due_returns=np.zeros(num_steps),
    )


@njit
def forget_steps(recent: RecentSteps) -> None:
    """Begin a new episode."""
    recent.place[0] = 0
    recent.place[1] = 0


@njit
def keep_step(recent: RecentSteps, state: int, action: int, reward: float) -> None:
    """Append a step."""
    place = recent.place[0] % len(recent.states)
    recent.states[place] = state
    recent.actions[place] = action
    recent.rewards[place] = reward
    recent.place[0] += 1


@njit
def n_step_returns(recent: RecentSteps, tail: float, discount: float, ended: bool) -> int:
    """Write the steps whose returns are known now to the ``due`` arrays.

    Args:
        recent: The steps.
        tail: Value of what follows the last step.
        discount: Discount.
        ended: Whether the episode is over, so that all returns are known.

    Returns:
        How many there are: 0 or 1, or up to n at the end of an episode.
    """
    size = len(recent.states)
    first, last = recent.place[1], recent.place[0]
    if not ended and last - first < size:
        return 0
    num_due = last - first if ended else 1
    total = tail
    for t in range(last - 1, first - 1, -1):
        place = t % size
        total = recent.rewards[place] + discount * total
        if t - first < num_due:
            recent.due_states[t - first] = recent.states[place]
            recent.due_actions[t - first] = recent.actions[place]
            recent.due_returns[t - first] = total
    recent.place[1] = first + num_due
    return num_due
