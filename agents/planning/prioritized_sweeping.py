r"""Prioritised sweeping: back up the state whose value is the most out of date.

Every state has a priority, a bound of its Bellman error. Backing a state up changes its value by
:math:`\Delta` and sets its priority to 0; each predecessor's rises by

.. math:: \gamma \max_a c(s \mid s', a) \cdot |\Delta|.

Moore and Atkeson take the largest of such terms; the sum used here makes the top of the queue a
bound of the residual :math:`\max_s |TV - V|`, so that the queue itself says when to stop. The
model is
known: all predecessors are, and the first priorities are the errors of the starting values.

References:
    A. W. Moore and C. G. Atkeson (1993), Prioritized sweeping: reinforcement learning with less
        data and less time.
    J. Peng and R. J. Williams (1993), Efficient learning and planning within the Dyna framework.
    D. P. Bertsekas and J. N. Tsitsiklis (1989), Parallel and Distributed Computation, section 6.2
        (asynchronous iterations).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...envs.mdp import TabularMDP
from .bellman_operator import BellmanOperator, check_planner_arguments
from .certificate import certify, warn_if_short
from .priority_queue import drain, heapify
from .solution import Solution, SweepWatcher, watch

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["prioritized_sweeping"]

Floats = NDArray[np.float64]


def prioritized_sweeping(
    mdp: TabularMDP,
    *,
    discount: float,
    tolerance: float = 1e-8,
    max_sweeps: int = 1_000_000,
    initial_values: ArrayLike | None = None,
    on_sweep: SweepWatcher | None = None,
) -> Solution:
    """Optimal values by prioritised sweeping: for models where few values depend on many.

    Args:
        mdp: The model.
        discount: In [0, 1]; at 1 every state's optimal total reward must be finite.
        tolerance: Largest error of a value that is accepted.
        max_sweeps: Give up after so many times S backups.
        initial_values: (S,) values to start from, zeros by default.
        on_sweep: Called after every S backups, with the top priority as the residual.

    Returns:
        The solution; ``sweeps`` counts the backups in units of S, rounded up.

    Raises:
        TypeError: ``mdp`` is no `TabularMDP`.
        ValueError: An argument is out of range, or the discount is 1 and some state's optimal
            value is not finite.

    Example:
        >>> loop = TabularMDP.from_outcomes([[[(1.0, 0, 1.0, False)]]])
        >>> prioritized_sweeping(loop, discount=0.5).state_values.round(6)
        array([2.])
    """
    check_planner_arguments(mdp, discount=discount, tolerance=tolerance, max_sweeps=max_sweeps)
    operator = BellmanOperator.of(mdp, discount)
    values = operator.starting_values(initial_values)
    queue = _Queue(operator, values)
    shrink = 1 - operator.errors.discount * operator.errors.greatest_sum
    target = tolerance * (shrink if discount < 1 else 1.0) / 2
    sweeps = 0
    while True:
        sweeps += 1
        top = queue.back_up(values, mdp.num_states, target)
        largest = float(np.abs(values).max())
        watch(on_sweep, sweeps, values, top, operator.errors.offsets(-top, top, largest)[1])
        if top > target and sweeps < max_sweeps:
            continue
        solution = certify(
            operator,
            values.copy(),
            method="prioritized-sweeping",
            sweeps=sweeps,
            tolerance=tolerance,
        )
        exhausted = target <= operator.errors.rounding(largest) / 4
        if solution.converged or exhausted or sweeps >= max_sweeps:
            warn_if_short(solution, tolerance)
            return solution
        target /= 10


class _Queue:
    """The nodes of a model, their predecessors and their priorities."""

    def __init__(self, operator: BellmanOperator, values: Floats) -> None:
        self._operator = operator
        node, floor = _nodes(operator)
        count = len(floor)
        self._states = np.argsort(node, kind="stable")
        self._starts = np.searchsorted(node[self._states], np.arange(count + 1))
        self._floors = floor
        self._predecessors = _predecessor_weights(operator, node, count)
        self._heap = np.arange(count, dtype=np.int32)
        self._place = np.empty(count, dtype=np.int32)
        self._priority = np.zeros(count)
        backup = np.empty_like(values)
        operator.improve(values, backup)
        np.maximum.at(self._priority, node, np.abs(backup - values))
        heapify(self._heap, self._place, self._priority)

    def back_up(self, values: Floats, count: int, small_enough: float) -> float:
        """Make up to ``count`` backups; returns the top priority after them."""
        operator = self._operator
        mdp, predecessors = operator.mdp, self._predecessors
        drain(
            self._heap,
            self._place,
            self._priority,
            self._starts,
            self._states,
            self._floors,
            predecessors.indptr.astype(np.int64),
            predecessors.indices,
            predecessors.data,
            values,
            operator.rewards,
            mdp.row_starts,
            mdp.next_states,
            mdp.probabilities,
            operator.flags,
            operator.skip,
            mdp.num_actions,
            operator.discount,
            count,
            small_enough,
        )
        return float(self._priority[self._heap[0]])


def _nodes(operator: BellmanOperator) -> tuple[NDArray[np.int64], Floats]:
    """(S,) the node of each state, and the least value of each node."""
    if operator.resting is None or not operator.resting.any:
        return np.arange(operator.num_states), np.full(operator.num_states, -np.inf)
    node = operator.resting.joined()
    floor = np.full(int(node.max()) + 1, -np.inf)
    floor[node[operator.resting.members]] = 0.0
    return node, floor


def _predecessor_weights(
    operator: BellmanOperator, node: NDArray[np.int64], count: int
) -> csr_array[np.float64]:
    """(N, N) row n: the discounted greatest probability of a step to n from each other node."""
    from scipy.sparse import csr_array

    mdp = operator.mdp
    pairs = operator.counted_pairs()
    ahead = mdp.continuation_matrix()[pairs].tocoo()
    # in a resting place several states may be one node: their probabilities add up within a pair
    summed = csr_array(
        (ahead.data, (ahead.coords[0], node[ahead.coords[1]])), shape=(len(pairs), count)
    ).tocoo()
    here = node[pairs[summed.coords[0]] // mdp.num_actions]
    key = summed.coords[1].astype(np.int64) * count + here
    order = np.argsort(key, kind="stable")
    key, weight = key[order], summed.data[order]
    first = np.flatnonzero(np.concatenate(([True], np.diff(key) > 0)))[: len(key)]
    weight = operator.discount * np.maximum.reduceat(weight, first) if len(key) else weight
    key = key[first]
    starts = np.searchsorted(key, np.arange(count + 1) * count)
    return csr_array((weight, (key % count).astype(np.int32), starts), shape=(count, count))
