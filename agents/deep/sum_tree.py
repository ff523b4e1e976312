r"""Drawing in proportion to priorities that keep changing, in logarithmic time.

A complete binary tree over C leaves (padded with zeros to P, a power of two) keeps in every inner
node the sum of its two children. Node 1 is the root, nodes 2 i and 2 i + 1 are the children of
node i, and leaf j is node P + j. The leaf drawn by a mass :math:`m \in [0, \sum_j p_j)` is

.. math:: \min \{j : m < p_0 + \dots + p_j\}

found by going down: left where m is below the left child's sum, else right with what remains of m.
Where rounding would lead into a subtree of sum zero, the other one is taken, so that nothing of
priority zero is ever drawn. Inner nodes are always added up afresh, never corrected by a
difference: the tree is a function of its leaves, however often they changed.

All of a batch go down (or, after a change, up) together, level by level, so that the memory
accesses of one level overlap. Measured at a million leaves and a batch of 128, one core (see
benchmarks/replay.py): numba's kernels take a fifth of what numpy takes level by level.

References:
    T. Schaul et al. (2016), Prioritized experience replay, arXiv:1511.05952, appendix B.2.1.
    C. K. Wong and M. C. Easton (1980), An efficient method for weighted sampling without
        replacement, SIAM Journal on Computing 9: the tree.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...envs.arguments import whole_number
from ..tabular.compilation import entry_point, njit

__all__ = ["LARGEST", "SumTree"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LARGEST = 1e290  #: the largest priority, so that no sum of 2^60 of them overflows
_BAD_INDEX, _BAD_PRIORITY = 1, 2


class SumTree:
    """One tree for each of M members.

    Args:
        members: M.
        capacity: C, leaves of each tree; all priorities are 0 at first.

    Attributes:
        members: M.
        capacity: C.
        nodes: (M, 2 P) the trees.

    Example:
        >>> tree = SumTree(1, 3)
        >>> tree.set(np.array([[0, 2]]), np.array([[1.0, 3.0]]))
        >>> tree.totals, tree.find(np.array([[0.5, 1.0, 3.9]]))
        (array([4.]), array([[0, 2, 2]]))
    """

    def __init__(self, members: int, capacity: int) -> None:
        self.members = whole_number(members, "members", least=1)
        self.capacity = whole_number(capacity, "capacity", least=1)
        self.nodes: Floats = np.zeros(self.shape(members, capacity))
        self._leaves = self.nodes.shape[1] // 2
        indices, priorities = np.zeros((1, 1), dtype=np.int64), np.zeros((1, 1))
        line = np.zeros(1, dtype=np.int64)
        self._set = entry_point(_set, self.nodes, self.capacity, indices, priorities, indices)
        self._fill = entry_point(_fill, self.nodes, self.capacity, line, line, np.zeros(1))
        self._draw = entry_point(_draw, self.nodes, priorities, indices, priorities)
        self._find = entry_point(_find, self.nodes, priorities, indices, priorities)

    @staticmethod
    def shape(members: int, capacity: int) -> tuple[int, int]:
        """Of the nodes, (M, 2 P)."""
        return members, 2 << max(capacity - 1, 0).bit_length()

    @property
    def totals(self) -> Floats:
        """(M,) sums of all priorities."""
        return self.nodes[:, 1].copy()

    @property
    def priorities(self) -> Floats:
        """(M, C) a view of the leaves: to be read only."""
        return self.nodes[:, self._leaves : self._leaves + self.capacity]

    def set(self, indices: Integers, priorities: Floats) -> None:
        """Change priorities.

        Args:
            indices: (M, B) leaves, in [0, C); a negative one is passed over. Of equal ones the
                last counts.
            priorities: (M, B) not negative.

        Raises:
            ValueError: A shape, an index or a priority is wrong; nothing has changed.
        """
        indices = np.ascontiguousarray(indices, dtype=np.int64)
        priorities = np.ascontiguousarray(priorities, dtype=np.float64)
        if indices.ndim != 2 or len(indices) != self.members or indices.shape != priorities.shape:
            raise ValueError(
                f"expected indices and priorities (M, B) with M = {self.members}, got shapes "
                f"{indices.shape} and {priorities.shape}"
            )
        fault = self._set(self.nodes, self.capacity, indices, priorities, np.empty_like(indices))
        self._raise(fault, indices, priorities)

    def set_ranges(self, starts: Integers, stops: Integers, priorities: Floats) -> None:
        """Give whole ranges of leaves one priority each.

        Args:
            starts: (M,) first leaves, not negative, counted on and on: t stands for t modulo C.
            stops: (M,) first leaves after the ranges; at most the last C of a range are changed,
                and none where the stop is not after the start.
            priorities: (M,) not negative.

        Raises:
            ValueError: A shape, a start or a priority is wrong; nothing has changed.
        """
        starts = np.ascontiguousarray(starts, dtype=np.int64)
        stops = np.ascontiguousarray(stops, dtype=np.int64)
        priorities = np.ascontiguousarray(priorities, dtype=np.float64)
        if not starts.shape == stops.shape == priorities.shape == (self.members,):
            raise ValueError(
                f"expected starts, stops and priorities (M,) with M = {self.members}, got shapes "
                f"{starts.shape}, {stops.shape} and {priorities.shape}"
            )
        fault = self._fill(self.nodes, self.capacity, starts, stops, priorities)
        self._raise(fault, starts, priorities)

    def find(self, masses: Floats) -> Integers:
        """The leaves that masses fall into.

        Args:
            masses: (M, B) in [0, total); one outside finds the first or last leaf that is not 0.

        Returns:
            (M, B) leaves, in [0, C), none of priority 0.

        Raises:
            ValueError: The shape is wrong, or a member's priorities are all 0.
        """
        masses = self._checked_masses(masses)
        found = np.empty(masses.shape, dtype=np.int64)
        self._find(self.nodes, masses, found, np.empty_like(masses))
        return found

    def _checked_masses(self, masses: Floats) -> Floats:
        masses = np.ascontiguousarray(masses, dtype=np.float64)
        if masses.ndim != 2 or len(masses) != self.members:
            raise ValueError(
                f"expected masses (M, B) with M = {self.members}, got shape {masses.shape}"
            )
        if not self.nodes[:, 1].all():
            empty = int(np.flatnonzero(self.nodes[:, 1] == 0)[0])
            raise ValueError(f"expected a priority above 0 in every member, got none in {empty}")
        return masses

    def draw(self, uniforms: Floats) -> tuple[Integers, Floats]:
        """Leaves drawn in proportion to their priorities, one from each of B equal shares.

        Args:
            uniforms: (M, B) in [0, 1): where in the b-th share of the total the mass lies.

        Returns:
            (M, B) leaves, and their probabilities.

        Raises:
            ValueError: The shape is wrong, or a member's priorities are all 0.
        """
        masses = self._checked_masses(uniforms)
        found = np.empty(masses.shape, dtype=np.int64)
        probabilities = np.empty_like(masses)
        self._draw(self.nodes, masses, found, probabilities)
        return found, probabilities

    def restore(self, priorities: Floats) -> None:
        """Set all leaves.

        Args:
            priorities: (M, C) not negative.

        Raises:
            ValueError: The shape or a priority is wrong; nothing has changed.
        """
        if priorities.shape != (self.members, self.capacity):
            raise ValueError(
                f"expected priorities of shape {(self.members, self.capacity)}, got "
                f"{priorities.shape}"
            )
        if not ((priorities >= 0) & (priorities <= LARGEST)).all():
            raise ValueError(f"expected priorities in [0, {LARGEST}], got {priorities.min()}")
        self.nodes[:, self._leaves : self._leaves + self.capacity] = priorities
        half = self._leaves
        while half > 1:
            level = self.nodes[:, half : 2 * half]
            half //= 2
            self.nodes[:, half : 2 * half] = level[:, ::2] + level[:, 1::2]

    def _raise(self, fault: int, indices: Integers, priorities: Floats) -> None:
        if fault == _BAD_INDEX:
            raise ValueError(
                f"expected indices below {self.capacity}, got {indices.min()} to {indices.max()}"
            )
        if fault == _BAD_PRIORITY:
            raise ValueError(
                f"expected priorities in [0, {LARGEST}], got {priorities.min()} to "
                f"{priorities.max()}"
            )


@njit
def _set(
    nodes: Floats, capacity: int, indices: Integers, priorities: Floats, places: Integers
) -> int:
    members, batch = indices.shape
    half = nodes.shape[1] // 2
    for m in range(members):
        for b in range(batch):
            if indices[m, b] >= capacity:
                return _BAD_INDEX
            if not 0.0 <= priorities[m, b] <= LARGEST:
                return _BAD_PRIORITY
    for m in range(members):
        tree, up = nodes[m], places[m]
        kept = 0
        for b in range(batch):
            if indices[m, b] >= 0:
                up[kept] = half + indices[m, b]
                tree[up[kept]] = priorities[m, b]
                kept += 1
        width = half
        while width > 1:
            width //= 2
            for b in range(kept):
                node = up[b] // 2
                up[b] = node
                tree[node] = tree[2 * node] + tree[2 * node + 1]
    return 0


@njit
def _fill(
    nodes: Floats, capacity: int, starts: Integers, stops: Integers, priorities: Floats
) -> int:
    half = nodes.shape[1] // 2
    for m in range(len(starts)):
        if starts[m] < 0:
            return _BAD_INDEX
        if not 0.0 <= priorities[m] <= LARGEST:
            return _BAD_PRIORITY
    for m in range(len(starts)):
        start, stop = max(starts[m], stops[m] - capacity), stops[m]
        while start < stop:  # twice where the range goes round
            first = start % capacity
            last = min(first + stop - start, capacity) - 1
            start += last - first + 1
            first, last = first + half, last + half
            for node in range(first, last + 1):
                nodes[m, node] = priorities[m]
            while first > 1:
                first, last = first // 2, last // 2
                for node in range(first, last + 1):
                    nodes[m, node] = nodes[m, 2 * node] + nodes[m, 2 * node + 1]
    return 0


@njit
def _find(nodes: Floats, masses: Floats, found: Integers, rest: Floats) -> None:
    members, batch = masses.shape
    half = nodes.shape[1] // 2
    for m in range(members):
        tree, down, mass = nodes[m], found[m], rest[m]
        for b in range(batch):
            down[b] = 1
            mass[b] = masses[m, b]
        width = 1
        while width < half:
            width *= 2
            for b in range(batch):
                left = 2 * down[b]
                below, beside = tree[left], tree[left + 1]
                # the left one's emptiness decides where rounding, or a mass outside, does not
                right = ((mass[b] >= below) | (below == 0.0)) & (beside > 0.0)
                mass[b] -= below * right  # no branch, which could not be predicted
                down[b] = left + right
        for b in range(batch):
            down[b] -= half


@njit
def _draw(nodes: Floats, uniforms: Floats, found: Integers, probabilities: Floats) -> None:
    members, batch = uniforms.shape
    masses = probabilities
    for m in range(members):
        share = nodes[m, 1] / batch
        for b in range(batch):
            masses[m, b] = (b + uniforms[m, b]) * share
    _find(nodes, masses, found, masses)
    half = nodes.shape[1] // 2
    for m in range(members):
        for b in range(batch):
            probabilities[m, b] = nodes[m, half + found[m, b]] / nodes[m, 1]
