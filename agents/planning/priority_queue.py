"""The compiled loop of prioritised sweeping: a binary heap of states by priority.

The heap holds all nodes, always; ``heap[0]`` is the one with the greatest priority and
``place[node]`` says where in the heap a node stands, so that a priority can be changed in place. A
node is a state, or a resting place with all its states (`resting_places`).
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .bellman_sweeps import best_pair

__all__ = ["drain", "heapify"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Indices: TypeAlias = NDArray[np.int32]
Bools: TypeAlias = NDArray[np.bool_]


@njit(cache=True, nogil=True)
def _sift_up(heap: Indices, place: Indices, priority: Floats, position: int) -> None:
    node = heap[position]
    while position > 0:
        parent = (position - 1) >> 1
        other = heap[parent]
        if priority[other] >= priority[node]:
            break
        heap[position] = other
        place[other] = position
        position = parent
    heap[position] = node
    place[node] = position


@njit(cache=True, nogil=True)
def _sift_down(heap: Indices, place: Indices, priority: Floats, position: int) -> None:
    node, size = heap[position], len(heap)
    while True:
        child = 2 * position + 1
        if child >= size:
            break
        if child + 1 < size and priority[heap[child + 1]] > priority[heap[child]]:
            child += 1
        other = heap[child]
        if priority[other] <= priority[node]:
            break
        heap[position] = other
        place[other] = position
        position = child
    heap[position] = node
    place[node] = position


@njit(cache=True, nogil=True)
def heapify(heap: Indices, place: Indices, priority: Floats) -> None:
    """Order the heap by the priorities, whatever its order was."""
    for position in range(len(heap)):
        place[heap[position]] = position
    for position in range(len(heap) // 2, -1, -1):
        _sift_down(heap, place, priority, position)


@njit(cache=True, nogil=True)
def drain(
    heap: Indices,
    place: Indices,
    priority: Floats,
    node_starts: Ints,
    node_states: Ints,
    floors: Floats,
    predecessor_starts: Ints,
    predecessors: Indices,
    weights: Floats,
    values: Floats,
    rewards: Floats,
    row_starts: Ints,
    next_states: Indices,
    probabilities: Floats,
    flags: Bools | None,
    skip: Bools | None,
    num_actions: int,
    discount: float,
    num_backups: int,
    small_enough: float,
) -> None:
    """Back up the top node, again and again, until its priority is small enough.

    Args:
        heap: (N,) nodes as a binary heap.
        place: (N,) where each node stands in the heap.
        priority: (N,) bounds of the nodes' Bellman errors.
        node_starts: (N + 1,) offsets of the nodes' states in ``node_states``.
        node_states: (S,) states, node by node.
        floors: (N,) least value of a node: 0 for a resting place, otherwise -inf.
        predecessor_starts: (N + 1,) offsets of the nodes' predecessors.
        predecessors: Nodes from which one step may lead here.
        weights: The greatest discounted probability of that step over the pairs.
        values: (S,) changed.
        rewards: As in `bellman_sweeps`, like the next six.
        row_starts: Offsets.
        next_states: Next states.
        probabilities: Probabilities.
        flags: Terminated flags or None.
        skip: Pairs left out or None.
        num_actions: A.
        discount: In [0, 1].
        num_backups: How many at most.
        small_enough: Priority at which to stop.
    """
    for _ in range(num_backups):
        node = heap[0]
        if priority[node] <= small_enough:
            return
        first, last = node_starts[node], node_starts[node + 1]
        best = floors[node]
        for position in range(first, last):
            value, _ = best_pair(
                node_states[position],
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
            best = max(best, value)
        change = abs(best - values[node_states[first]])
        for position in range(first, last):
            values[node_states[position]] = best
        priority[node] = 0.0
        _sift_down(heap, place, priority, 0)
        for position in range(predecessor_starts[node], predecessor_starts[node + 1]):
            other = predecessors[position]
            priority[other] += weights[position] * change
            _sift_up(heap, place, priority, place[other])
