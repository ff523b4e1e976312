r"""Passes over the states, compiled: the only loops of the planners that touch every outcome.

All kernels read the model's own compressed rows, so that no second copy of the model is made. They
differ in what they do with a pair's value

.. math:: q(s, a) = r(s, a) + \gamma \sum_{k \in (s, a)} [\text{not terminated}_k]\, p_k\, v(s'_k).

Shared arguments:
    row_starts: (S * A + 1,) offsets, or None where every row has ``length`` outcomes.
    flags: (K,) the terminated flags, or None where they need not be read: nothing terminates, or
        the states that terminated outcomes enter are entered by no others and are ``pinned``.
    pinned: (S,) states whose value the others must see as 0, or None. They keep value 0 here.
    skip: (S * A,) pairs that are left out, or None. A pair without outcomes is masked.
    rewards: (S * A,) expected rewards.

None is a type of its own to numba: each combination is compiled without the unused branches.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = [
    "action_values_of",
    "best_pair",
    "best_values_of",
    "count_chosen_outcomes",
    "count_mixed_outcomes",
    "gather_chosen_rows",
    "gather_mixed_rows",
    "improve",
    "improve_in_place",
    "policy_sweeps",
    "summarise_rows",
]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Indices: TypeAlias = NDArray[np.int32]
Bools: TypeAlias = NDArray[np.bool_]


@njit(cache=True, nogil=True)
def summarise_rows(
    row_starts: Ints,
    next_states: Indices,
    probabilities: Floats,
    rewards: Floats,
    terminated: Bools,
    expected: Floats,
    entered: NDArray[np.uint8],
) -> tuple[float, float, float, int, int]:
    """Fill the expected rewards and note how states are entered, in one pass.

    Args:
        row_starts: The model's.
        next_states: The model's.
        probabilities: The model's.
        rewards: The model's, of each outcome.
        terminated: The model's.
        expected: (S * A,) written.
        entered: (S,) written: bit 1 by a terminated outcome, bit 2 by another.

    Returns:
        The least and the greatest sum of a row's not terminated probabilities (over the rows that
        have outcomes), the largest absolute reward, the least and the greatest row length.
    """
    least, greatest, largest = np.inf, -np.inf, 0.0
    shortest, longest = len(next_states), 0
    for row in range(len(expected)):
        start, stop = row_starts[row], row_starts[row + 1]
        shortest, longest = min(shortest, stop - start), max(longest, stop - start)
        if start == stop:
            expected[row] = 0.0
            continue
        reward, goes_on = 0.0, 0.0
        for k in range(start, stop):
            reward += probabilities[k] * rewards[k]
            largest = max(largest, abs(rewards[k]))
            if terminated[k]:
                entered[next_states[k]] |= 1
            else:
                goes_on += probabilities[k]
                entered[next_states[k]] |= 2
        expected[row] = reward
        least, greatest = min(least, goes_on), max(greatest, goes_on)
    return least, greatest, largest, shortest, longest


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
    for k in range(start, stop):
        if flags is None:
            total += probabilities[k] * values[np.uint32(next_states[k])]
        elif not flags[k]:
            total += probabilities[k] * values[np.uint32(next_states[k])]
    return total


@njit(cache=True, nogil=True)
def best_pair(
    state: int,
    values: Floats,
    rewards: Floats,
    row_starts: Ints | None,
    next_states: Indices,
    probabilities: Floats,
    flags: Bools | None,
    skip: Bools | None,
    num_actions: int,
    length: int,
    discount: float,
) -> tuple[float, int]:
    """The greatest value of a state's pairs and the first row that has it, or -inf and -1."""
    best, best_row = -np.inf, -1
    for action in range(num_actions):
        row = state * num_actions + action
        if skip is not None:
            if skip[row]:
                continue
        if row_starts is None:
            start, stop = row * length, row * length + length
        else:
            start, stop = row_starts[row], row_starts[row + 1]
            if start == stop:
                continue
        total = _row_total(start, stop, next_states, probabilities, flags, values)
        value = rewards[row] + discount * total
        if value > best:
            best, best_row = value, row
    return best, best_row


@njit(cache=True, nogil=True)
def improve(
    values: Floats,
    out: Floats,
    chosen: Ints,
    rewards: Floats,
    row_starts: Ints | None,
    next_states: Indices,
    probabilities: Floats,
    flags: Bools | None,
    skip: Bools | None,
    pinned: Bools | None,
    num_actions: int,
    length: int,
    discount: float,
) -> tuple[float, float, float]:
    """One synchronous sweep: ``out`` is the best pair's value, ``chosen`` the first such row.

    Pinned states and those all of whose pairs are left out choose -1.

    Returns:
        The least and the greatest change, ``out - values``, over the states not pinned, and the
        largest absolute value in ``out``.
    """
    lowest, highest, largest = np.inf, -np.inf, 0.0
    for state in range(len(values)):
        if pinned is not None:
            if pinned[state]:
                out[state] = 0.0
                chosen[state] = -1
                continue
        best, row = best_pair(
            state,
            values,
            rewards,
            row_starts,
            next_states,
            probabilities,
            flags,
            skip,
            num_actions,
            length,
            discount,
        )
        out[state] = best
        chosen[state] = row
        change = best - values[state]
        lowest, highest = min(lowest, change), max(highest, change)
        largest = max(largest, abs(best))
    return lowest, highest, largest


@njit(cache=True, nogil=True)
def improve_in_place(
    values: Floats,
    order: Indices | None,
    rewards: Floats,
    row_starts: Ints | None,
    next_states: Indices,
    probabilities: Floats,
    flags: Bools | None,
    skip: Bools | None,
    pinned: Bools | None,
    num_actions: int,
    length: int,
    discount: float,
) -> float:
    """One Gauss–Seidel sweep in the given order (None: as numbered).

    Returns:
        The greatest absolute change.
    """
    largest = 0.0
    for position in range(len(values) if order is None else len(order)):
        state = position if order is None else order[position]
        if pinned is not None:
            if pinned[state]:
                continue
        best, _ = best_pair(
            state,
            values,
            rewards,
            row_starts,
            next_states,
            probabilities,
            flags,
            skip,
            num_actions,
            length,
            discount,
        )
        largest = max(largest, abs(best - values[state]))
        values[state] = best
    return largest


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
            rewards,
            row_starts,
            next_states,
            probabilities,
            flags,
            skip,
            num_actions,
            0,
            discount,
        )


@njit(cache=True, nogil=True)
def action_values_of(
    values: Floats,
    out: Floats,
    rewards: Floats,
    row_starts: Ints,
    next_states: Indices,
    probabilities: Floats,
    flags: Bools | None,
    discount: float,
) -> None:
    """Fill ``out`` (S * A,) with the value of every pair; -inf where masked."""
    for row in range(len(out)):
        start, stop = row_starts[row], row_starts[row + 1]
        if start == stop:
            out[row] = -np.inf
        else:
            total = _row_total(start, stop, next_states, probabilities, flags, values)
            out[row] = rewards[row] + discount * total


@njit(cache=True, nogil=True)
def count_chosen_outcomes(
    chosen: Ints, row_starts: Ints, terminated: Bools | None, starts: Ints
) -> None:
    """Fill ``starts`` (S + 1,), the offsets of the chosen rows without terminated outcomes.

    A chosen row of -1 counts as empty.
    """
    starts[0] = 0
    for state in range(len(chosen)):
        row, count = chosen[state], 0
        if row >= 0:
            count = row_starts[row + 1] - row_starts[row]
            if terminated is not None:
                for k in range(row_starts[row], row_starts[row + 1]):
                    count -= terminated[k]
        starts[state + 1] = starts[state] + count


@njit(cache=True, nogil=True)
def gather_chosen_rows(
    chosen: Ints,
    row_starts: Ints,
    next_states: Indices,
    probabilities: Floats,
    rewards: Floats,
    terminated: Bools | None,
    policy_states: Indices,
    policy_probabilities: Floats,
    policy_rewards: Floats,
) -> None:
    """Copy the chosen rows one after another; -1 gives an empty row without reward."""
    position = 0
    for state in range(len(chosen)):
        row = chosen[state]
        policy_rewards[state] = 0.0
        if row < 0:
            continue
        policy_rewards[state] = rewards[row]
        for k in range(row_starts[row], row_starts[row + 1]):
            if terminated is not None:
                if terminated[k]:
                    continue
            policy_states[position] = next_states[k]
            policy_probabilities[position] = probabilities[k]
            position += 1


@njit(cache=True, nogil=True)
def count_mixed_outcomes(
    weights: Floats, num_actions: int, row_starts: Ints, terminated: Bools, starts: Ints
) -> None:
    """Like `count_chosen_outcomes` for a policy that gives the pairs these weights."""
    starts[0] = 0
    for row in range(len(weights)):
        if row % num_actions == 0:
            starts[row // num_actions + 1] = starts[row // num_actions]
        if weights[row] > 0:
            for k in range(row_starts[row], row_starts[row + 1]):
                starts[row // num_actions + 1] += not terminated[k]


@njit(cache=True, nogil=True)
def gather_mixed_rows(
    weights: Floats,
    num_actions: int,
    row_starts: Ints,
    next_states: Indices,
    probabilities: Floats,
    rewards: Floats,
    terminated: Bools,
    policy_states: Indices,
    policy_probabilities: Floats,
    policy_rewards: Floats,
) -> None:
    """Like `gather_chosen_rows` for a policy that mixes; equal next states are not summed."""
    position = 0
    policy_rewards[:] = 0.0
    for row in range(len(weights)):
        if weights[row] > 0:
            policy_rewards[row // num_actions] += weights[row] * rewards[row]
            for k in range(row_starts[row], row_starts[row + 1]):
                if not terminated[k]:
                    policy_states[position] = next_states[k]
                    policy_probabilities[position] = weights[row] * probabilities[k]
                    position += 1


@njit(cache=True, nogil=True)
def policy_sweeps(
    values: Floats,
    scratch: Floats,
    rewards: Floats,
    starts: Ints,
    next_states: Indices,
    probabilities: Floats,
    discount: float,
    num_sweeps: int,
    small_enough: float,
) -> tuple[int, float, float]:
    """Synchronous sweeps of one policy, until the changes span at most ``small_enough``.

    The values end in ``values``, whatever the number of sweeps.

    Returns:
        The number of sweeps, the least and the greatest change in the last.
    """
    old, new = values, scratch
    lowest, highest = 0.0, 0.0
    sweep = 0
    while sweep < num_sweeps:
        sweep += 1
        lowest, highest = np.inf, -np.inf
        for state in range(len(old)):
            total = 0.0
            for k in range(starts[state], starts[state + 1]):
                total += probabilities[k] * old[np.uint32(next_states[k])]
            value = rewards[state] + discount * total
            change = value - old[state]
            new[state] = value
            lowest, highest = min(lowest, change), max(highest, change)
        old, new = new, old
        if highest - lowest <= small_enough:
            break
    if sweep % 2 == 1:
        values[:] = scratch
    return sweep, lowest, highest
