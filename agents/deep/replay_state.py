"""What a replay memory needs to go on, as arrays for a file, and the checks when it comes back.

A file may be damaged, cut, or made by somebody else. Every slot, count and action in it is checked
before it is used to index anything, and whatever is alive must point to observations that are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Int64
from numpy.typing import NDArray

from .replay_kernels import ACTION, BOOTSTRAP, COPY, OBSERVATION, Rings
from .replay_layout import ReplayLayout, allocated
from .sum_tree import LARGEST

__all__ = [
    "check_rings",
    "checked_priorities",
    "filled",
    "needed_by",
    "restored_array",
    "ring_arrays",
]

Arrays = Mapping[str, NDArray[Any]]
Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

_DERIVED = "last_needs"


def filled(counts: Int64[Integers, " *any"], length: int) -> int:
    """How much of rings with these counts has ever been written."""
    return min(int(counts.max()), length)


def ring_arrays(rings: Rings) -> dict[str, NDArray[Any]]:
    """The parts of `Rings` that are kept, cut to what is filled: views of the memory itself."""
    slots = filled(rings.counts, rings.frames_before.shape[2])
    transitions = filled(rings.written, rings.places.shape[1])
    cut = {
        "frames_before": rings.frames_before[:, :, :slots],
        "places": rings.places[:, :transitions],
        "values": rings.values[:, :transitions],
    }
    kept = {name: array for name, array in rings._asdict().items() if name != _DERIVED}
    return {**kept, **cut}


def restored_array(
    arrays: Arrays, name: str, shape: tuple[int, ...], dtype: np.dtype[np.generic]
) -> NDArray[Any]:
    """One of the arrays.

    Raises:
        ValueError: It is missing, or of another shape or dtype.
    """
    if name not in arrays:
        raise ValueError(f"expected {name!r} in a replay memory's file, found {sorted(arrays)}")
    array = arrays[name]
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(
            f"expected {name!r} of shape {shape} and {dtype} in a replay memory's file, got "
            f"{array.shape} and {array.dtype}"
        )
    return array


def check_rings(layout: ReplayLayout, arrays: Arrays, *, num_actions: int) -> Rings:
    """New rings that hold what a file's arrays hold.

    Args:
        layout: Of the memory that they must fit.
        arrays: From `ring_arrays`.
        num_actions: Actions must be below it.

    Raises:
        ValueError: An array is missing or of another shape, or the numbers in it cannot be those
            of a memory; the message says which.
    """
    shapes = {name: shape for name, (shape, _) in layout.rings.items()}
    for name in ("counts", "written", "oldest"):
        array = restored_array(arrays, name, *layout.rings[name])
        _check(bool((array >= 0).all()), f"{name} that are not negative")
    slots = filled(arrays["counts"], layout.slots)
    transitions = filled(arrays["written"], layout.capacity)
    shapes["frames_before"] = (*shapes["counts"], slots)
    shapes["places"] = (layout.members, transitions, 4)
    shapes["values"] = (layout.members, transitions, 2)
    new = allocated(layout.rings)
    for name, shape in shapes.items():
        if name != _DERIVED:
            array = restored_array(arrays, name, shape, layout.rings[name][1])
            part = tuple(slice(0, length) for length in shape)
            new[name][part] = array
    rings = Rings(**new)
    _check_counts(rings, layout.frame_stack)
    _check_windows(rings, num_actions)
    _check_transitions(rings, num_actions)
    return rings


def checked_priorities(
    layout: ReplayLayout, arrays: Arrays, rings: Rings
) -> tuple[Floats, Floats]:
    """The priorities of the transitions and the largest so far, as `arrays` holds them.

    Raises:
        ValueError: One is missing or of another shape, or cannot be a priority.
    """
    one, floats = (layout.members,), np.dtype(np.float64)
    shape = (layout.members, filled(rings.written, layout.capacity))
    priorities = restored_array(arrays, "priorities", shape, floats)
    largest = restored_array(arrays, "largest_priority", one, floats)
    for array in (priorities, largest):
        _check(bool((array >= 0).all() and (array < LARGEST).all()), "priorities")
    for member in range(layout.members):
        alive = np.arange(rings.oldest[member], rings.written[member]) % layout.capacity
        _check(bool((priorities[member, alive] > 0).all()), "priorities above 0")
    return priorities, largest


def needed_by(rings: Rings) -> Integers:
    """(M, N, R) `Rings.last_needs`, from the transitions that are alive."""
    needs: Integers = np.full_like(rings.last_needs, -1)
    num_slots = needs.shape[2]
    for member in range(len(rings.written)):
        numbers = np.arange(rings.oldest[member], rings.written[member])
        places = rings.places[member, numbers % rings.places.shape[1]]
        copies, slots = places[:, COPY], places[:, OBSERVATION]
        before = rings.frames_before[member, copies, slots].astype(np.int64)
        np.maximum.at(needs[member], (copies, (slots - before) % num_slots), numbers)
    return needs


def _check(is_right: bool, what: str) -> None:
    if not is_right:
        raise ValueError(f"expected {what} in a replay memory's file, which is damaged")


def _check_counts(rings: Rings, frame_stack: int) -> None:
    _check(_in_range(rings.frames_before, frame_stack), f"stacks of {frame_stack} frames")
    alive = rings.written - rings.oldest
    _check(bool(((alive >= 0) & (alive <= rings.places.shape[1])).all()), "oldest near written")
    _check(bool((rings.counts[rings.running] > 0).all()), "an observation of each episode")


def _check_windows(rings: Rings, num_actions: int) -> None:
    n_step = rings.pending_places.shape[2]
    pending = rings.pending
    # a full window has become a transition at once
    _check(bool(((pending >= 0) & (pending < n_step)).all()), "windows shorter than n steps")
    _check(bool((pending[~rings.running] == 0).all()), "empty windows between episodes")
    used = np.arange(n_step) < pending[..., None]
    members, copies, steps = np.nonzero(used)
    slots, actions = rings.pending_places[members, copies, steps].T
    _check(_in_range(actions, num_actions), f"actions below {num_actions}")
    _check(bool(np.isfinite(rings.pending_values[used]).all()), "finite rewards")
    counts = rings.counts[members, copies]
    ages = pending[members, copies] - steps
    expected = (counts - 1 - ages) % rings.frames_before.shape[2]
    _check(bool((counts > ages).all()), "windows within episodes")
    _check(bool((slots == expected).all()), "windows that end with the newest observation")
    _check_stacks(rings, members, copies, slots)


def _check_transitions(rings: Rings, num_actions: int) -> None:
    num_copies, num_slots = rings.frames_before.shape[1:]
    n_step = rings.pending_places.shape[2]
    for member in range(len(rings.written)):
        numbers = np.arange(rings.oldest[member], rings.written[member])
        here = numbers % rings.places.shape[1]
        places, values = rings.places[member, here], rings.values[member, here]
        copies, slots = places[:, COPY], places[:, OBSERVATION]
        ends = places[:, BOOTSTRAP]
        _check(_in_range(copies, num_copies), f"copies below {num_copies}")
        _check(_in_range(slots, num_slots) and _in_range(ends, num_slots), "slots in the rings")
        _check(_in_range(places[:, ACTION], num_actions), f"actions below {num_actions}")
        _check(bool(np.isfinite(values).all()), "finite rewards and discounts")
        members = np.full_like(copies, member)
        _check_stacks(rings, members, copies, slots)
        _check_stacks(rings, members, copies, ends)
        # an episode that was begun anew in the middle bootstraps from where it was left
        steps = (ends.astype(np.int64) - slots) % num_slots
        later = _age(rings, members, copies, slots) > _age(rings, members, copies, ends)
        _check(bool(((steps >= 1) & (steps <= n_step) & later).all()), "at most n steps")


def _in_range(values: NDArray[Any], stop: int) -> bool:
    return bool(((values >= 0) & (values < stop)).all())


def _age(
    rings: Rings, members: NDArray[Any], copies: NDArray[Any], slots: NDArray[Any]
) -> Integers:
    """How many observations the copy has written after each."""
    counts = rings.counts[members, copies]
    ages: Integers = (counts - 1 - slots) % rings.frames_before.shape[2]
    return ages


def _check_stacks(
    rings: Rings, members: NDArray[Any], copies: NDArray[Any], slots: NDArray[Any]
) -> None:
    """All frames of these observations must be there still."""
    written = np.minimum(rings.counts[members, copies], rings.frames_before.shape[2])
    oldest_frame = _age(rings, members, copies, slots)
    oldest_frame = oldest_frame + rings.frames_before[members, copies, slots]
    _check(bool((oldest_frame < written).all()), "observations that are still there")
