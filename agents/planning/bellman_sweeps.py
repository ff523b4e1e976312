r"""Passes over the states, compiled: the loops of the planners that touch every outcome.

All kernels read the model's own compressed rows, so that no second copy of the model is made. A
pair's value is

.. math:: q(s, a) = r(s, a) + \gamma \sum_{k \in (s, a)} [\text{not terminated}_k]\, p_k\, v(s'_k).

What a pass does with a state depends on the state's *kind*:

* `REGULAR`: all its pairs have the same number of outcomes, ``width``, and no flag needs to be
  read; the loops over its outcomes have a fixed length.
* `IRREGULAR`: anything else; flags, skipped and masked pairs are looked at.
* `PINNED`: only terminated outcomes enter it, so that the others must see it as 0: it gets 0. This
  spares reading the flags.
* `LEFT_ALONE`: it is not touched.

Shared arguments:
    kinds: (S,) the kinds, or None where all states are regular.
    flags: (K,) the terminated flags, or None where they need not be read.
    skip: (S * A,) pairs that are left out, or None. A pair without outcomes is masked.
    rewards: (S * A,) expected rewards.
    num_actions: A.
    width: Outcomes of a pair of a regular state.

``num_actions`` and ``width`` are numbers, or tuples of that length: a tuple's length is part of
its type, so that numba compiles loops of constant length, twice as fast, once for each shape.
None is a type of its own as well: each combination is compiled without the branches it does not
need.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numba import njit, types
from numba.extending import overload
from numpy.typing import NDArray

__all__ = [
    "IRREGULAR",
    "LEFT_ALONE",
    "PINNED",
    "REGULAR",
    "best_pair",
    "best_values_of",
    "extent",
    "improve",
    "lowest_near_best",
    "row_lengths",
    "state_kinds",
    "summarise_rows",
]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Indices: TypeAlias = NDArray[np.int32]
Bools: TypeAlias = NDArray[np.bool_]
Kinds: TypeAlias = NDArray[np.uint8]
Extent: TypeAlias = "int | tuple[int, ...]"

REGULAR, IRREGULAR, PINNED, LEFT_ALONE = 0, 1, 2, 3


def extent(size: Extent) -> int:
    """A number, or the length of a tuple."""
    return size if isinstance(size, int) else len(size)


@overload(extent, strict=False)
def _extent(size: Any) -> Any:
    if isinstance(size, types.BaseTuple):
        return lambda size: len(size)
    return lambda size: size


@njit(cache=True, nogil=True)
def row_lengths(row_starts: Ints) -> tuple[int, int]:
    """The least and the greatest number of outcomes of a row."""
    shortest, longest = row_starts[-1], 0
    for row in range(len(row_starts) - 1):
        length = row_starts[row + 1] - row_starts[row]
        shortest, longest = min(shortest, length), max(longest, length)
    return shortest, longest


@njit(cache=True, nogil=True)
def summarise_rows(
    row_starts: Ints,
    next_states: Indices,
    probabilities: Floats,
    rewards: Floats,
    terminated: Bools,
    expected: Floats,
    entered: Kinds,
) -> tuple[float, float, float]:
    """Fill the expected rewards and note how states are entered, in one pass.

    Args:
        row_starts: The model's.
        next_states: The model's.
        probabilities: The model's.
        rewards: The model's, of each outcome.
        terminated: The model's.
        expected: (S * A,) written.
        entered: (S,) zeros; bit 1 is set by a terminated outcome, and bit 2 by others of models in
            which some outcome terminates.

    Returns:
        The least and the greatest sum of a row's not terminated probabilities (over the rows that
        have outcomes), and the largest absolute reward.
    """
    least, greatest, largest = np.inf, -np.inf, 0.0
    ends = terminated.any()
    for row in range(len(expected)):
        reward, goes_on = 0.0, 0.0
        start, stop = row_starts[row], row_starts[row + 1]
        for k in range(np.uint64(start), np.uint64(stop)):
            reward += probabilities[k] * rewards[k]
            size = abs(rewards[k])
            largest = size if size > largest else largest
            if ends and terminated[k]:
                entered[next_states[k]] |= 1
            else:
                goes_on += probabilities[k]
                if ends:
                    entered[next_states[k]] |= 2
        expected[row] = reward
        if start < stop:
            least = goes_on if goes_on < least else least
            greatest = goes_on if goes_on > greatest else greatest
    return least, greatest, largest


@njit(cache=True, nogil=True)
def state_kinds(
    row_starts: Ints, pinned: Bools | None, skip: Bools | None, width: int, kinds: Kinds
) -> None:
    """Fill ``kinds`` (S,): regular where all pairs have ``width`` outcomes and none is skipped."""
    num_actions = (len(row_starts) - 1) // len(kinds)
    for state in range(len(kinds)):
        kinds[state] = REGULAR
        for row in range(state * num_actions, (state + 1) * num_actions):
            if row_starts[row + 1] - row_starts[row] != width:
                kinds[state] = IRREGULAR
            if skip is not None:
                if skip[row]:
                    kinds[state] = IRREGULAR
        if pinned is not None:
            if pinned[state]:
                kinds[state] = PINNED


@njit(cache=True, nogil=True)
def _row_total(
    start: int,
    stop: int,
    next_states: Indices,
    probabilities: Floats,
    flags: Bools | None,
    values: Floats,
) -> float:
    total = 0.0
    for k in range(np.uint64(start), np.uint64(stop)):
        if flags is None:
            total += probabilities[k] * values[np.uint32(next_states[k])]
        elif not flags[k]:
            total += probabilities[k] * values[np.uint32(next_states[k])]
    return total


@njit(cache=True, nogil=True)
def best_pair(
    state: int,
    values: Floats,
    action_values: Floats | None,
    rewards: Floats,
    row_starts: Ints,
    next_states: Indices,
    probabilities: Floats,
    flags: Bools | None,
    skip: Bools | None,
    num_actions: int,
    discount: float,
) -> tuple[float, int]:
    """The greatest value of a state's pairs and the first row that has it, or -inf and -1."""
    best, best_row = -np.inf, -1
    for row in range(state * num_actions, (state + 1) * num_actions):
        start, stop = row_starts[row], row_starts[row + 1]
        value = -np.inf
        if start < stop:
            total = _row_total(start, stop, next_states, probabilities, flags, values)
            value = rewards[row] + discount * total
        if action_values is not None:
            action_values[row] = value
        if skip is not None:
            if skip[row]:
                continue
        if value > best:
            best, best_row = value, row
    return best, best_row


@njit(cache=True, nogil=True)
def _copy_row(
    state: int,
    row: int,
    policy_states: Indices,
    policy_probabilities: Any,
    policy_rewards: Any,
    rewards: Floats,
    row_starts: Ints,
    next_states: Indices,
    probabilities: Floats,
    flags: Bools | None,
    width: int,
) -> None:
    """Copy one row to the state's place, padded with outcomes of probability 0; -1 is empty."""
    place = state * width
    last = place + width
    policy_rewards[state] = 0.0
    if row >= 0:
        policy_rewards[state] = rewards[row]
        for k in range(row_starts[row], row_starts[row + 1]):
            if flags is not None:
                if flags[k]:
                    continue
            policy_states[place] = next_states[k]
            policy_probabilities[place] = probabilities[k]
            place += 1
    for padding in range(place, last):
        policy_states[padding] = state
        policy_probabilities[padding] = 0.0


@njit(cache=True, nogil=True)
def _improve_specially(
    state: int,
    kind: int,
    values: Floats,
    action_values: Floats | None,
    policy_states: Indices | None,
    policy_probabilities: Floats | None,
    policy_rewards: Floats | None,
    rewards: Floats,
    row_starts: Ints,
    next_states: Indices,
    probabilities: Floats,
    flags: Bools | None,
    skip: Bools | None,
    num_actions: int,
    width: int,
    discount: float,
) -> tuple[float, int]:
    """What `improve` does with a state that is not regular."""
    best, row = 0.0, -1
    if kind != PINNED:
        best, row = best_pair(
            state,
            values,
            action_values,
            rewards,
            row_starts,
            next_states,
            probabilities,
            flags,
            skip,
            num_actions,
            discount,
        )
    if policy_states is not None:
        _copy_row(
            state,
            row,
            policy_states,
            policy_probabilities,
            policy_rewards,
            rewards,
            row_starts,
            next_states,
            probabilities,
            flags,
            width,
        )
    return best, row


@njit(cache=True, nogil=True)
def improve(  # noqa: C901  # a call with these arrays costs more than a state's arithmetic
    values: Floats,
    out: Floats,
    chosen: Ints | None,
    action_values: Floats | None,
    policy_states: Indices | None,
    policy_probabilities: Any,
    policy_rewards: Any,
    kinds: Kinds | None,
    rewards: Floats,
    row_starts: Ints,
    next_states: Indices,
    probabilities: Floats,
    flags: Bools | None,
    skip: Bools | None,
    num_actions: Extent,
    width: Extent,
    discount: float,
    backwards: bool,
) -> tuple[float, float, float]:
    """One sweep: ``out`` becomes the best pair's value. With ``out`` as ``values`` it is in place.

    Args:
        values: (S,) read.
        out: (S,) written; the same array makes a Gauss–Seidel sweep.
        chosen: (S,) written: the first best row, or -1 where pinned or all pairs are left out;
            None if not wanted.
        action_values: (S * A,) written: every pair's value, -inf where masked; None if not wanted.
        policy_states: (S * width,) written with the best row's next states, like the next two; for
            models whose rows all have at most ``width`` outcomes. None if not wanted.
        policy_probabilities: (S * width,) written; padding has 0.
        policy_rewards: (S,) written.
        kinds: See the module, like the next nine.
        rewards: Expected rewards.
        row_starts: Offsets.
        next_states: Next states.
        probabilities: Probabilities.
        flags: Terminated flags.
        skip: Pairs left out.
        num_actions: A.
        width: Outcomes of regular pairs.
        discount: In [0, 1].
        backwards: Whether to go from the last state to the first.

    Returns:
        The least and the greatest change over the states that are backed up, and the largest
        absolute value that they got.
    """
    lowest, highest, largest = np.inf, -np.inf, 0.0
    for position in range(len(values)):
        state = len(values) - 1 - position if backwards else position
        first_row = state * extent(num_actions)
        start = first_row * extent(width)
        if kinds is not None:
            if kinds[state] == LEFT_ALONE:
                continue
            start = row_starts[first_row]
        best, row = -np.inf, first_row
        if kinds is None or kinds[state] == REGULAR:
            for action in range(extent(num_actions)):
                total = 0.0
                for k in range(extent(width)):
                    place = np.uint64(start + action * extent(width) + k)
                    total += probabilities[place] * values[np.uint32(next_states[place])]
                value = rewards[np.uint64(first_row + action)] + discount * total
                if action_values is not None:
                    action_values[np.uint64(first_row + action)] = value
                # two selections, not a branch: which action is best cannot be predicted
                is_better = value > best
                best = value if is_better else best
                row = first_row + action if is_better else row
            if policy_states is not None:
                for k in range(extent(width)):
                    source = np.uint64(start + (row - first_row) * extent(width) + k)
                    place = np.uint64(state * extent(width) + k)
                    policy_states[place] = next_states[source]
                    policy_probabilities[place] = probabilities[source]
                policy_rewards[state] = rewards[row]
        else:
            best, row = _improve_specially(
                state,
                kinds[state],
                values,
                action_values,
                policy_states,
                policy_probabilities,
                policy_rewards,
                rewards,
                row_starts,
                next_states,
                probabilities,
                flags,
                skip,
                extent(num_actions),
                extent(width),
                discount,
            )
        if chosen is not None:
            chosen[state] = row
        if kinds is None or kinds[state] != PINNED:
            change = best - values[state]
            lowest, highest = min(lowest, change), max(highest, change)
            largest = max(largest, abs(best))
        out[state] = best
    return lowest, highest, largest


@njit(cache=True, nogil=True)
def best_values_of(
    states: Ints,
    values: Floats,
    out: Floats,
    rewards: Floats,
    row_starts: Ints,
    next_states: Indices,
    probabilities: Floats,
    flags: Bools | None,
    skip: Bools | None,
    num_actions: int,
    discount: float,
) -> None:
    """Fill ``out`` with the best pair's value of each of ``states``."""
    for position in range(len(states)):
        out[position], _ = best_pair(
            states[position],
            values,
            None,
            rewards,
            row_starts,
            next_states,
            probabilities,
            flags,
            skip,
            num_actions,
            discount,
        )


@njit(cache=True, nogil=True)
def lowest_near_best(action_values: Floats, tie: float, policy: Ints) -> None:
    """Fill ``policy`` (S,) with the lowest action within ``tie`` of the best in ``action_values``.

    Args:
        action_values: (S, A).
        tie: At least 0.
        policy: (S,) written.
    """
    for state in range(len(policy)):
        best = -np.inf
        for action in range(action_values.shape[1]):
            best = max(best, action_values[state, action])
        for action in range(action_values.shape[1]):
            if action_values[state, action] >= best - tie:
                policy[state] = action
                break
