"""Where the observations and transitions of a replay memory are, and how steps become transitions.

Member m steps N copies. Each copy has a ring of R slots for observations, and each member one ring
of C slots for transitions, which point into its copies' rings. What is in a ring is counted on and
on, and the t-th entry lies in slot t modulo the ring's length, so the counts say what is alive:

* the last R observations of a copy;
* the last C transitions of a member, less those whose observations are gone, and less what was
  inserted before one that is gone. (With one copy they go in the order of insertion anyway; with
  several, copies with shorter episodes use up their rings faster.) So the transitions alive are
  always those from ``oldest`` to ``written``, without holes.

The first observation that a transition needs is the last to be missed, and the oldest frame of its
stack is the first to go; ``last_needs`` keeps, for every observation, the last transition of which
it is that frame.

A window holds the steps of a copy's episode that have not yet been followed by n - 1 others, each
with the discounted sum of rewards since and the discount of what follows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..tabular.compilation import njit

__all__ = [
    "ACTION",
    "BAD_ACTION",
    "BAD_REWARD",
    "BOOTSTRAP",
    "COPY",
    "NOT_BEGUN",
    "OBSERVATION",
    "Rings",
    "append_steps",
    "begin_episodes",
    "draw_evenly",
    "locate",
]

# columns of Rings.places
COPY = 0  #: of the member
OBSERVATION = 1  #: slot
BOOTSTRAP = 2  #: slot of the observation after the last reward that is counted
ACTION = 3

# what `append_steps` returns, less 4 times the copy, where it refuses
NOT_BEGUN, BAD_REWARD, BAD_ACTION = -1, -2, -3

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


class Rings(NamedTuple):
    """Everything about a replay memory but the observations and priorities themselves.

    Attributes:
        counts: (M, N) observations written.
        running: (M, N) whether the copy is in an episode.
        frames_before: (M, N, R) how many frames of its episode precede each, at most K - 1, K
            being the frames of a stack.
        last_needs: (M, N, R) the last transition that needs it as its oldest frame, or -1.
        places: (M, C, 4) copy, slots and action of the transitions.
        values: (M, C, 2) their n-step rewards, and discounts of what follows.
        written: (M,) transitions written.
        oldest: (M,) the first that is alive.
        pending: (M, N) steps in the windows.
        pending_places: (M, N, n, 2) their slots and actions.
        pending_values: (M, N, n, 2) their rewards so far, and discounts of what follows.
    """

    counts: Integers
    running: NDArray[np.bool_]
    frames_before: NDArray[np.uint8]
    last_needs: Integers
    places: NDArray[np.int32]
    values: NDArray[np.float32]
    written: Integers
    oldest: Integers
    pending: Integers
    pending_places: NDArray[np.int32]
    pending_values: Floats


@njit
def _put(rings: Rings, m: int, c: int, frames_before: int) -> int:
    """The slot for a copy's next observation; whoever needs what lies there goes."""
    slot = rings.counts[m, c] % rings.frames_before.shape[2]
    last_need = rings.last_needs[m, c, slot]
    if last_need >= rings.oldest[m]:
        rings.oldest[m] = last_need + 1
    rings.last_needs[m, c, slot] = -1
    rings.frames_before[m, c, slot] = frames_before
    rings.counts[m, c] += 1
    return int(slot)


@njit
def _insert(rings: Rings, m: int, c: int, j: int, bootstrap: int, discount: float) -> None:
    """Make a transition of the j-th step in a window."""
    t = rings.written[m]
    capacity, num_slots = rings.places.shape[1], rings.frames_before.shape[2]
    i = t % capacity
    slot = rings.pending_places[m, c, j, 0]
    rings.places[m, i, COPY] = c
    rings.places[m, i, OBSERVATION] = slot
    rings.places[m, i, BOOTSTRAP] = bootstrap
    rings.places[m, i, ACTION] = rings.pending_places[m, c, j, 1]
    rings.values[m, i, 0] = rings.pending_values[m, c, j, 0]
    rings.values[m, i, 1] = discount
    oldest_frame = (slot - rings.frames_before[m, c, slot] + num_slots) % num_slots
    rings.last_needs[m, c, oldest_frame] = t
    rings.written[m] = t + 1
    rings.oldest[m] = max(rings.oldest[m], t + 1 - capacity)


@njit
def _step(rings: Rings, m: int, c: int, action: int, reward: float, discount: float) -> None:
    """Add a step to its copy's window, before its next observation is put into the ring."""
    j = rings.pending[m, c]
    rings.pending_places[m, c, j, 0] = (rings.counts[m, c] - 1) % rings.frames_before.shape[2]
    rings.pending_places[m, c, j, 1] = action
    rings.pending_values[m, c, j, 0] = 0.0
    rings.pending_values[m, c, j, 1] = 1.0
    rings.pending[m, c] = j + 1
    for k in range(j + 1):
        rings.pending_values[m, c, k, 0] += rings.pending_values[m, c, k, 1] * reward
        rings.pending_values[m, c, k, 1] *= discount


@njit
def _flush(rings: Rings, m: int, c: int, bootstrap: int, terminated: bool) -> None:
    """Empty a window at the end of its episode."""
    for j in range(rings.pending[m, c]):
        follows = 0.0 if terminated else rings.pending_values[m, c, j, 1]
        _insert(rings, m, c, j, bootstrap, follows)
    rings.pending[m, c] = 0


@njit
def _shift(rings: Rings, m: int, c: int, bootstrap: int) -> None:
    """Make a transition of the first step of a full window."""
    _insert(rings, m, c, 0, bootstrap, rings.pending_values[m, c, 0, 1])
    rings.pending[m, c] -= 1
    for j in range(rings.pending[m, c]):
        for k in range(2):
            rings.pending_places[m, c, j, k] = rings.pending_places[m, c, j + 1, k]
            rings.pending_values[m, c, j, k] = rings.pending_values[m, c, j + 1, k]


@njit
def begin_episodes(
    rings: Rings, begun: NDArray[np.bool_], copies_out: Integers, rows_out: Integers
) -> int:
    """Make room for first observations; an episode still running is taken as cut.

    Args:
        rings: Changed in place.
        begun: (M * N,) which copies begin an episode.
        copies_out: (M * N,) receives which copies those are.
        rows_out: (M * N,) receives the rows for them, in (M, N, R) as one axis.

    Returns:
        How many.
    """
    num_copies, num_slots = rings.counts.shape[1], rings.frames_before.shape[2]
    num_rows = 0
    for i in range(len(begun)):
        if begun[i]:
            m, c = i // num_copies, i % num_copies
            if rings.running[m, c]:
                _flush(rings, m, c, (rings.counts[m, c] - 1) % num_slots, False)
            rings.running[m, c] = True
            copies_out[num_rows] = i
            rows_out[num_rows] = i * num_slots + _put(rings, m, c, 0)
            num_rows += 1
    return num_rows


@njit
def append_steps(
    rings: Rings,
    taken: NDArray[np.bool_],
    actions: Integers,
    rewards: Floats,
    terminated: NDArray[np.bool_],
    truncated: NDArray[np.bool_],
    num_actions: int,
    discounts: Floats,
    frame_stack: int,
    copies_out: Integers,
    rows_out: Integers,
) -> int:
    """Make room for next observations, and transitions of the steps that led to them.

    Args:
        rings: Changed in place.
        taken: (M * N,) which copies took a step.
        actions: (M * N,) actions.
        rewards: (M * N,) rewards.
        terminated: (M * N,) whether the step ended the episode.
        truncated: (M * N,) whether a cap cut the episode.
        num_actions: Actions are below it.
        discounts: (M,) of one step.
        frame_stack: K.
        copies_out: (M * N,) receives which copies took a step.
        rows_out: (M * N,) receives the rows for what they led to, in (M, N, R) as one axis.

    Returns:
        How many; or what is wrong, less 4 times the copy, and then nothing has changed.
    """
    num_copies, num_slots = rings.counts.shape[1], rings.frames_before.shape[2]
    for i in range(len(taken)):
        if taken[i]:
            if not rings.running[i // num_copies, i % num_copies]:
                return NOT_BEGUN - 4 * i
            if not np.isfinite(rewards[i]):
                return BAD_REWARD - 4 * i
            if not 0 <= actions[i] < num_actions:
                return BAD_ACTION - 4 * i
    num_rows = 0
    for i in range(len(taken)):
        if taken[i]:
            m, c = i // num_copies, i % num_copies
            _step(rings, m, c, actions[i], rewards[i], discounts[m])
            before = rings.frames_before[m, c, (rings.counts[m, c] - 1) % num_slots]
            slot = _put(rings, m, c, min(before + 1, frame_stack - 1))
            if terminated[i] or truncated[i]:
                _flush(rings, m, c, slot, terminated[i])
                rings.running[m, c] = False
            elif rings.pending[m, c] == rings.pending_places.shape[2]:
                _shift(rings, m, c, slot)
            copies_out[num_rows] = i
            rows_out[num_rows] = i * num_slots + slot
            num_rows += 1
    return num_rows


@njit
def draw_evenly(
    rings: Rings,
    uniforms: Floats,
    indices_out: Integers,
    probabilities_out: NDArray[np.float32],
) -> None:
    """Choose among the transitions that are alive.

    Args:
        rings: Read only.
        uniforms: (M, B) in [0, 1), of 53 random bits, so that the chances of N transitions are 1/N
            up to N / 2^53 of it.
        indices_out: (M, B) receives the transitions.
        probabilities_out: (M, B) receives their chances.
    """
    members, batch = uniforms.shape
    for m in range(members):
        oldest = rings.oldest[m]
        size = rings.written[m] - oldest
        for b in range(batch):
            indices_out[m, b] = oldest + min(np.int64(uniforms[m, b] * size), size - 1)
            probabilities_out[m, b] = 1.0 / size


@njit
def locate(
    rings: Rings,
    indices: Integers,
    rows_out: Integers,
    actions_out: Integers,
    rewards_out: NDArray[np.float32],
    discounts_out: NDArray[np.float32],
) -> None:
    """Read transitions, and where their observations are.

    Args:
        rings: Read only.
        indices: (M, B) transitions that are alive.
        rows_out: (2, M, B, K) receives the rows, in (M, N, R) as one axis, of the frames of the
            observations and of those to bootstrap from, oldest first; where a stack reaches back
            before the episode its first frame stands in.
        actions_out: (M, B) receives the actions.
        rewards_out: (M, B) receives the n-step rewards.
        discounts_out: (M, B) receives the discounts of what follows.
    """
    members, batch = indices.shape
    num_copies, num_slots = rings.counts.shape[1], rings.frames_before.shape[2]
    capacity, num_frames = rings.places.shape[1], rows_out.shape[3]
    for m in range(members):
        for b in range(batch):
            i = indices[m, b] % capacity
            c = rings.places[m, i, COPY]
            first = (m * num_copies + c) * num_slots
            actions_out[m, b] = rings.places[m, i, ACTION]
            rewards_out[m, b] = rings.values[m, i, 0]
            discounts_out[m, b] = rings.values[m, i, 1]
            for side in range(2):
                slot = rings.places[m, i, OBSERVATION + side]
                if num_frames == 1:
                    rows_out[side, m, b, 0] = first + slot
                    continue
                before = rings.frames_before[m, c, slot]
                for k in range(num_frames):
                    back = min(num_frames - 1 - k, before)
                    rows_out[side, m, b, k] = first + (slot - back + num_slots) % num_slots
