r"""Passes of one policy over its own rows, compiled; and copying these rows out of the model.

A policy's rows hold no terminated outcomes. They lie one after another with offsets ``starts``, or
each in a place of ``width`` outcomes, padded with outcomes of probability 0 (``starts`` is None; a
``width`` that is a tuple gives loops of constant length, see `bellman_sweeps`).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .bellman_sweeps import Bools, Extent, Floats, Indices, Ints, extent

__all__ = [
    "count_chosen_outcomes",
    "count_mixed_outcomes",
    "gather_chosen_rows",
    "gather_mixed_rows",
    "sweep_in_place",
    "sweep_together",
]


@njit(cache=True, nogil=True)
def _policy_value(
    state: int,
    values: Floats,
    rewards: Floats,
    starts: Ints | None,
    next_states: Indices,
    probabilities: Floats,
    width: Extent,
    discount: float,
) -> float:
    total = 0.0
    if starts is None:
        start = state * extent(width)
        for k in range(extent(width)):
            place = np.uint64(start + k)
            total += probabilities[place] * values[np.uint32(next_states[place])]
    else:
        for entry in range(np.uint64(starts[state]), np.uint64(starts[state + 1])):
            total += probabilities[entry] * values[np.uint32(next_states[entry])]
    value: float = rewards[state] + discount * total
    return value


@njit(cache=True, nogil=True)
def sweep_together(
    values: Floats,
    scratch: Floats,
    rewards: Floats,
    starts: Ints | None,
    next_states: Indices,
    probabilities: Floats,
    width: Extent,
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
            value = _policy_value(
                state, old, rewards, starts, next_states, probabilities, width, discount
            )
            change = value - old[state]
            new[state] = value
            lowest = change if change < lowest else lowest
            highest = change if change > highest else highest
        old, new = new, old
        if highest - lowest <= small_enough:
            break
    if sweep % 2 == 1:
        values[:] = scratch
    return sweep, lowest, highest


@njit(cache=True, nogil=True)
def sweep_in_place(
    values: Floats,
    rewards: Floats,
    starts: Ints | None,
    next_states: Indices,
    probabilities: Floats,
    width: Extent,
    discount: float,
    num_sweeps: int,
    backwards: bool,
    small_enough: float,
) -> tuple[int, float]:
    """Gauss–Seidel sweeps of one policy, to and fro, until no change exceeds ``small_enough``.

    Args:
        values: (S,) changed.
        rewards: (S,) the policy's.
        starts: Offsets, or None.
        next_states: Next states.
        probabilities: Probabilities.
        width: Outcomes of a row where ``starts`` is None.
        discount: In [0, 1].
        num_sweeps: How many at most.
        backwards: Whether the first goes from the last state to the first.
        small_enough: Change at which to stop.

    Returns:
        The number of sweeps and the greatest absolute change in the last.
    """
    sweep, largest = 0, 0.0
    while sweep < num_sweeps:
        sweep += 1
        largest = 0.0
        for position in range(len(values)):
            state = len(values) - 1 - position if backwards else position
            value = _policy_value(
                state, values, rewards, starts, next_states, probabilities, width, discount
            )
            change = abs(value - values[state])
            values[state] = value
            largest = change if change > largest else largest
        backwards = not backwards
        if largest <= small_enough:
            break
    return sweep, largest


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
