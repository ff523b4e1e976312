r"""Modified policy iteration: improve once, then sweep the greedy policy a number of times.

.. math:: \pi_{k+1} \in \arg\max_\pi T_\pi V_k, \qquad V_{k+1} = T_{\pi_{k+1}}^{m + 1} V_k

A sweep of one policy costs a fraction 1/A of an improving sweep or less. How the sweeps are made
depends on how fast the model mixes, which the first of them show:

* *Together*: synchronous sweeps, with MacQueen's bounds on the span of the changes
  (`error_bounds`). The policy is swept until the span has shrunk to a thirtieth, and to the end
  once an improvement leaves the span as it was, which means that the policy is found. On models
  that mix fast a few dozen sweeps are all.
* *In place*: Gauss–Seidel sweeps to and fro, started below the optimum. On models that mix slowly
  (grids, mazes, chains) the span shrinks no faster than the values converge and is of no
  use; there new values are used at once, and news from a goal crosses the model in
  one sweep of the right direction. An improving Gauss–Seidel sweep is a contraction by
  :math:`\gamma` of its own, so that
  :math:`\gamma / (1 - \gamma)` times its greatest change bounds the error.

References:
    M. L. Puterman and M. C. Shin (1978), Modified policy iteration algorithms for discounted
        Markov decision problems.
    M. L. Puterman (1994), Markov Decision Processes, sections 6.3.3, 6.5 and 6.6.3.
"""

from __future__ import annotations

import math
import sys

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...envs.mdp import TabularMDP
from .bellman_operator import BellmanOperator, check_planner_arguments
from .certificate import certify, finish, warn_if_short
from .linear_solve import PolicySystem
from .policy_iteration import first_policy
from .policy_rows import PolicyRows
from .row_selection import chosen_rows
from .solution import Solution, SweepWatcher, watch

__all__ = ["PolicySearch", "modified_policy_iteration"]

Floats = NDArray[np.float64]

_METHOD = "modified-policy-iteration"
_SHRINK = 0.03  # to this share of the span a policy is swept while policies still change
_AT_A_TIME = 8  # synchronous sweeps of a policy while policies still change
_TO_THE_END = 200  # and when it seems to be the last
_SLOW = 150  # sweeps: what is farther than this is better done in place
_PROGRESS = 0.7  # of the span from one improvement to the next; more is slow as well
_SLOW_ROUNDS = 2
_IN_PLACE_AT_A_TIME = 8  # even, so that improving sweeps change their direction
_UNDISCOUNTED_AT_A_TIME = 20
_ROUNDS_SEEN = 20  # before the sweeps left are guessed
_ALL_GO_ON = 1 - 1e-6


def modified_policy_iteration(
    mdp: TabularMDP,
    *,
    discount: float,
    tolerance: float = 1e-8,
    max_sweeps: int = 1_000_000,
    initial_values: ArrayLike | None = None,
    on_sweep: SweepWatcher | None = None,
) -> Solution:
    """Optimal values by modified policy iteration.

    Args:
        mdp: The model.
        discount: In [0, 1]; at 1 every state's optimal total reward must be finite.
        tolerance: Largest error of a value that is accepted.
        max_sweeps: Give up after so many passes over the states, of either kind.
        initial_values: (S,) values to start from, zeros by default.
        on_sweep: Called after every improving sweep.

    Returns:
        The solution; ``sweeps`` counts the passes of both kinds.

    Raises:
        TypeError: ``mdp`` is no `TabularMDP`.
        ValueError: An argument is out of range, or the discount is 1 and some state's optimal
            value is not finite.

    Example:
        >>> loop = TabularMDP.from_outcomes([[[(1.0, 0, 1.0, False)]]])
        >>> modified_policy_iteration(loop, discount=0.9).state_values.round(6)
        array([10.])
    """
    check_planner_arguments(mdp, discount=discount, tolerance=tolerance, max_sweeps=max_sweeps)
    operator = BellmanOperator.of(mdp, discount)
    values = operator.starting_values(initial_values)
    if discount == 1:
        return _undiscounted(operator, values, tolerance, max_sweeps, on_sweep)
    search = PolicySearch(operator, values, tolerance, max_sweeps, on_sweep)
    search.sweep_together(start_below=initial_values is None)
    if not search.ended:
        search.sweep_in_place()
    return search.solution()


class PolicySearch:
    """The values on their way, with buffers, counters and what has been proven of them.

    Args:
        operator: The operator, of a discount below 1.
        values: (S,) values to start from; they are overwritten.
        tolerance: Largest error of a value that is accepted.
        max_sweeps: Give up after so many passes.
        on_sweep: Called after every improving sweep.

    Attributes:
        ended: Whether the search is over, because it has converged or given up.
        sweeps: Passes so far.
        values: (S,) the values so far.
    """

    def __init__(
        self,
        operator: BellmanOperator,
        values: Floats,
        tolerance: float,
        max_sweeps: int,
        on_sweep: SweepWatcher | None,
    ) -> None:
        self.ended = False
        self._operator = operator
        self.values = values
        self._tolerance, self._max_sweeps = tolerance, max_sweeps
        self._on_sweep = on_sweep
        self.sweeps = 0
        self._proven = np.inf
        self._found: Solution | None = None
        self._expected = _Expectation(tolerance)
        self._rows: PolicyRows | None = None
        self._ragged: PolicyRows | None = None
        self._chosen: NDArray[np.int64] | None = None
        self._take_memory()

    def solution(self) -> Solution:
        """The solution, with a warning where it falls short; the search is over then."""
        if self._found is not None:
            return self._found
        self._give_memory()
        return finish(
            self._operator,
            self.values,
            method=_METHOD,
            sweeps=self.sweeps,
            tolerance=self._tolerance,
            proven=self._proven,
        )

    def _take_memory(self) -> None:
        operator = self._operator
        if operator.width:
            self._rows = PolicyRows.padded(operator.num_states, operator.sizes[1])
        else:
            self._chosen = np.empty(operator.num_states, dtype=np.int64)
        self._out = np.empty_like(self.values)

    def _give_memory(self) -> None:
        """Make room for the solution's arrays."""
        self._rows = self._ragged = self._chosen = None
        self._out = self.values

    def sweep_together(self, *, start_below: bool) -> None:
        """Synchronous sweeps, until the end or until they turn out to be slow."""
        errors = self._operator.errors
        goal = 1.8 * self._tolerance * (1 - errors.discount) / max(errors.discount, 1e-9)
        goal = max(goal, sys.float_info.min)
        previous, last_span, slow_rounds = 0.0, np.inf, 0
        while True:
            lowest, highest, largest = self._improve_together()
            middle, bound, exhausted = errors.bounds_after(lowest, highest, largest)
            if self._note(max(-lowest, highest), bound, exhausted):
                self.values = self._operator.shift(self.values, middle)
                return
            if start_below and self.sweeps == 1:
                self._lower(lowest, highest, largest)
            span = highest - lowest
            settled = span <= previous
            count, lowest, highest = self.current_rows().sweep(
                self.values,
                self._out,
                discount=errors.discount,
                num_sweeps=min(_TO_THE_END if settled else _AT_A_TIME, self._left()),
                small_enough=goal if settled else max(_SHRINK * span, goal),
            )
            self.sweeps += count
            previous = highest - lowest
            if settled and previous <= goal:
                if self._certify_early(lowest, highest, largest):
                    return
                continue  # the policy is lost, so that the next sweep must improve
            is_slow = span > _PROGRESS * last_span or _is_slow(span, previous, count, goal)
            slow_rounds, last_span = slow_rounds + 1 if is_slow else 0, span
            if slow_rounds == _SLOW_ROUNDS:
                return

    def sweep_in_place(self, patience: float = math.inf) -> None:
        """Gauss–Seidel sweeps, until the end or until it seems to be too far away.

        Args:
            patience: Leave off when more than so many sweeps are expected to be left.
        """
        operator, errors = self._operator, self._operator.errors
        backwards = False
        while True:
            change, largest = operator.improve_in_place(
                self.values, backwards=backwards, chosen=self._chosen, rows=self._rows
            )
            self.sweeps += 1
            _, bound, exhausted = errors.bounds_after(-change, change, largest)
            if self._note(change, bound, exhausted):
                return
            if self._expected.sweeps_left(self.sweeps, bound, patience) > patience:
                return
            count, _ = self.current_rows().sweep_in_place(
                self.values,
                discount=errors.discount,
                num_sweeps=min(_IN_PLACE_AT_A_TIME, self._left()),
                backwards=not backwards,
            )
            self.sweeps += count
            backwards = not backwards

    def _improve_together(self) -> tuple[float, float, float]:
        changes = self._operator.improve(self.values, self._out, self._chosen, self._rows)
        self.values, self._out = self._out, self.values
        self.sweeps += 1
        return changes

    def current_rows(self) -> PolicyRows:
        """The rows of the policy that the last improving sweep chose."""
        if self._chosen is not None:
            self._ragged = chosen_rows(self._operator, self._chosen, reuse=self._ragged)
            return self._ragged
        assert self._rows is not None
        return self._rows

    def _left(self) -> int:
        """Sweeps that may be made before the last, which improves."""
        return self._max_sweeps - self.sweeps - 1

    def _note(self, change: float, bound: float, exhausted: bool) -> bool:
        """Tell the watcher of an improving sweep; whether it was the last."""
        watch(self._on_sweep, self.sweeps, self.values, change, bound)
        self._proven = bound
        self.ended = bound <= self._tolerance or exhausted or self.sweeps >= self._max_sweeps
        return self.ended

    def _lower(self, lowest: float, highest: float, largest: float) -> None:
        """Move the values after the first sweep below the optimum."""
        lower, _ = self._operator.errors.offsets(lowest, highest, largest)
        if np.isfinite(lower) and lower < 0:
            self._operator.shift(self.values, self._operator.errors.discount * lower)

    def _certify_early(self, lowest: float, highest: float, largest: float) -> bool:
        """Try whether the final backup proves enough already, which saves an improving sweep."""
        errors = self._operator.errors
        if errors.least_sum < _ALL_GO_ON:
            return False  # where some episodes end a constant is no correction
        middle, _, _ = errors.bounds_after(lowest, highest, largest)
        self._give_memory()
        solution = certify(
            self._operator,
            self._operator.shift(self.values, middle),
            method=_METHOD,
            sweeps=self.sweeps,
            tolerance=self._tolerance,
        )
        if solution.converged:
            self._found, self.ended = solution, True
            return True
        self._take_memory()
        self._operator.shift(self.values, 0.0)  # pinned states got their own values
        return False


class _Expectation:
    """How many sweeps are left, by how the bound has fallen over the last half of them."""

    def __init__(self, tolerance: float) -> None:
        self._tolerance = tolerance
        self._seen: list[tuple[int, float]] = []  # sweeps, least bound so far

    def sweeps_left(self, sweeps: int, bound: float, patience: float) -> float:
        """A guess; 0 while there is too little to go by.

        In a maze the bound does not fall before news has come to every end. So no guess is made
        before the sweeps made cost a good part of what would follow, and a bound that does not
        fall is borne until they cost as much: together they are then at most about twice the
        better choice.
        """
        least = min(bound, self._seen[-1][1]) if self._seen else bound
        self._seen.append((sweeps, least))
        rounds = len(self._seen)
        before, then = self._seen[rounds // 2]
        made = sweeps - self._seen[0][0]
        if rounds < _ROUNDS_SEEN or made < (patience / 3 if least < then else patience):
            return 0.0
        if not 0 < least < then:
            return math.inf
        return (sweeps - before) * math.log(least / self._tolerance) / math.log(then / least)


def _is_slow(before: float, after: float, num_sweeps: int, goal: float) -> bool:
    """Whether the span, that so many sweeps took from before to after, is far from the goal."""
    if num_sweeps == 0 or not before > 0 or after <= goal:
        return False
    rate = min((after / before) ** (1 / num_sweeps), 1 - 1e-9)
    return (math.log(goal) - math.log(after)) / math.log(rate) > _SLOW


def _undiscounted(
    operator: BellmanOperator,
    values: Floats,
    tolerance: float,
    max_sweeps: int,
    on_sweep: SweepWatcher | None,
) -> Solution:
    """The same at discount 1, where greedy policies may not end.

    Started below T(values), the values rise and every greedy policy ends with certainty
    (Bertsekas and Tsitsiklis 1991); so it starts from the values of a policy that does.
    """
    values = _rising_start(operator, values)
    out, chosen = np.empty_like(values), np.empty(len(values), dtype=np.int64)
    rows: PolicyRows | None = None
    sweeps, target = 0, tolerance
    while True:
        sweeps += 1
        lowest, highest, largest = operator.improve(values, out, chosen)
        values, out = out, values
        change = max(-lowest, highest)
        watch(on_sweep, sweeps, values, change, np.inf)
        if change <= target or sweeps >= max_sweeps:
            solution = certify(
                operator,
                values.copy(),
                method=_METHOD,
                sweeps=sweeps,
                tolerance=tolerance,
            )
            exhausted = change <= operator.errors.rounding(largest)
            if solution.converged or exhausted or sweeps >= max_sweeps:
                warn_if_short(solution, tolerance)
                return solution
            target = change * min(0.5, max(1e-3, 0.5 * tolerance / solution.error_bound))
        rows = chosen_rows(operator, chosen, reuse=rows)
        sweeps += rows.sweep(
            values,
            out,
            discount=1.0,
            num_sweeps=min(_UNDISCOUNTED_AT_A_TIME, max_sweeps - sweeps - 1),
            small_enough=0.1 * change,
        )[0]


def _rising_start(operator: BellmanOperator, values: Floats) -> Floats:
    """Values that a backup does not lower: the given ones, if so, or those of a policy."""
    if operator.resting is not None:
        chosen, out = np.empty(len(values), dtype=np.int64), np.empty_like(values)
        if operator.improve(values, out, chosen)[0] >= 0:
            return values
        rows = chosen_rows(operator, first_policy(operator, values))
        found = PolicySystem(rows, 1.0).solve(rows.rewards)
        if np.isfinite(found).all():
            return found
    return values
