r"""Value iteration: back every state up until the bound of the true error is small enough.

.. math:: V_{k+1}(s) = \max_a \Big[ r(s, a) + \gamma \sum_{s'} c(s' \mid s, a) V_k(s') \Big]

The synchronous form stops on MacQueen's bounds (`error_bounds`), which follow the *span* of the
last change, and returns the middle of the two; on models that mix fast it needs a small part of
the sweeps that the sup norm would. The Gauss–Seidel form uses each new value at once; its operator
is a contraction by :math:`\gamma` too, but not one that a constant passes through, so it stops on
:math:`\gamma / (1 - \gamma) \cdot \max_s |V_{k+1} - V_k|(s)`.

References:
    R. Bellman (1957), Dynamic Programming.
    M. L. Puterman (1994), Markov Decision Processes, sections 6.3.2, 6.3.3 and 6.6.3.
    R. S. Sutton and A. G. Barto (2018), Reinforcement Learning: An Introduction, section 4.4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...envs.mdp import TabularMDP
from .bellman_operator import BellmanOperator, check_planner_arguments
from .certificate import certify, finish, warn_if_short
from .solution import Solution, SweepWatcher, watch

__all__ = ["value_iteration"]

Floats = NDArray[np.float64]
_Step: TypeAlias = Callable[[Floats], tuple[Floats, float, float, float]]


def value_iteration(
    mdp: TabularMDP,
    *,
    discount: float,
    tolerance: float = 1e-8,
    max_sweeps: int = 1_000_000,
    gauss_seidel: bool = False,
    initial_values: ArrayLike | None = None,
    on_sweep: SweepWatcher | None = None,
) -> Solution:
    """Optimal values by value iteration.

    Args:
        mdp: The model.
        discount: In [0, 1]; at 1 every state's optimal total reward must be finite.
        tolerance: Largest error of a value that is accepted; the solver stops when it has proven
            that its values are as near as that.
        max_sweeps: Give up after so many passes over the states.
        gauss_seidel: Use new values at once, in the order of the states.
        initial_values: (S,) values to start from, zeros by default.
        on_sweep: Called after every sweep.

    Returns:
        The solution; ``sweeps`` counts the passes.

    Raises:
        TypeError: ``mdp`` is no `TabularMDP`.
        ValueError: An argument is out of range, or the discount is 1 and some state's optimal
            value is not finite.

    Example:
        >>> loop = TabularMDP.from_outcomes([[[(1.0, 0, 1.0, False)]]])
        >>> solution = value_iteration(loop, discount=0.9)
        >>> solution.state_values.round(6), solution.sweeps
        (array([10.]), 1)
    """
    check_planner_arguments(mdp, discount=discount, tolerance=tolerance, max_sweeps=max_sweeps)
    operator = BellmanOperator.of(mdp, discount)
    values = operator.starting_values(initial_values)
    step = _in_place(operator) if gauss_seidel else _synchronous(operator)
    method = "gauss-seidel-value-iteration" if gauss_seidel else "value-iteration"
    iterate = _undiscounted if discount == 1 else _discounted
    return iterate(operator, step, values, method, tolerance, max_sweeps, on_sweep)


def _synchronous(operator: BellmanOperator) -> _Step:
    buffer = np.empty(operator.num_states)

    def step(values: Floats) -> tuple[Floats, float, float, float]:
        nonlocal buffer
        lowest, highest, largest = operator.improve(values, buffer)
        values, buffer = buffer, values
        return values, lowest, highest, largest

    return step


def _in_place(operator: BellmanOperator) -> _Step:
    def step(values: Floats) -> tuple[Floats, float, float, float]:
        change, largest = operator.improve_in_place(values)
        return values, -change, change, largest

    return step


def _discounted(
    operator: BellmanOperator,
    step: _Step,
    values: Floats,
    method: str,
    tolerance: float,
    max_sweeps: int,
    on_sweep: SweepWatcher | None,
) -> Solution:
    sweeps, error_bound, middle = 0, np.inf, 0.0
    while sweeps < max_sweeps:
        sweeps += 1
        values, lowest, highest, largest = step(values)
        middle, error_bound, exhausted = operator.errors.bounds_after(lowest, highest, largest)
        watch(on_sweep, sweeps, values, max(-lowest, highest), error_bound)
        if error_bound <= tolerance or exhausted:
            break
    return finish(
        operator,
        operator.shift(values, middle),
        method=method,
        sweeps=sweeps,
        tolerance=tolerance,
        proven=error_bound,
    )


def _undiscounted(
    operator: BellmanOperator,
    step: _Step,
    values: Floats,
    method: str,
    tolerance: float,
    max_sweeps: int,
    on_sweep: SweepWatcher | None,
) -> Solution:
    sweeps, target = 0, tolerance
    while True:
        sweeps += 1
        values, lowest, highest, largest = step(values)
        change = max(-lowest, highest)
        watch(on_sweep, sweeps, values, change, np.inf)
        if change > target and sweeps < max_sweeps:
            continue
        solution = certify(
            operator, values.copy(), method=method, sweeps=sweeps, tolerance=tolerance
        )
        exhausted = change <= operator.errors.rounding(largest)
        if solution.converged or exhausted or sweeps == max_sweeps:
            warn_if_short(solution, tolerance)
            return solution
        target = change * min(0.5, max(1e-3, 0.5 * tolerance / solution.error_bound))
