r"""Value iteration: back every state up until the bound of the true error is small enough.

.. math:: V_{k+1}(s) = \max_a \Big[ r(s, a) + \gamma \sum_{s'} c(s' \mid s, a) V_k(s') \Big]

The synchronous form stops on MacQueen's bounds (`error_bounds`), which follow the *span* of the last
change, and returns the middle of the two; on models that mix fast it needs a small part of
the sweeps that the sup norm would. The Gauss–Seidel form uses each new value at once; its operator
is a contraction by :math:`\gamma` too, but not one that a constant passes through, so it stops on
:math:`\gamma / (1 - \gamma) \cdot \max_s |V_{k+1} - V_k|(s)`.

References:
    R. Bellman (1957), Dynamic Programming.
    M. L. Puterman (1994), Markov Decision Processes, sections 6.3.2, 6.3.3 and 6.6.3.
    R. S. Sutton and A. G. Barto (2018), Reinforcement Learning: An Introduction, section 4.4.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from ...envs.mdp import TabularMDP
from .bellman_operator import BellmanOperator, check_planner_arguments
from .certificate import certify
from .solution import Solution, SweepWatcher, watch

__all__ = ["value_iteration"]

Floats = NDArray[np.float64]


def value_iteration(
    mdp: TabularMDP,
    *,
    discount: float,
    tolerance: float = 1e-8,
    max_sweeps: int = 1_000_000,
    gauss_seidel: bool = False,
    initial_values: Float64[Floats, " states"] | None = None,
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
        ValueError: An argument is out of range, or the discount is 1 and some state's optimal value
            is not finite.

    Example:
        >>> loop = TabularMDP.from_outcomes([[[(1.0, 0, 1.0, False)]]])
        >>> solution = value_iteration(loop, discount=0.9)
        >>> solution.state_values.round(6), solution.sweeps
        (array([10.]), 1)
    """
    check_planner_arguments(mdp, discount=discount, tolerance=tolerance, max_sweeps=max_sweeps)
    operator = BellmanOperator.of(mdp, discount)
    values = operator.starting_values(initial_values)
    sweep = _in_place if gauss_seidel else _synchronous
    values, proven, sweeps = sweep(operator, values, tolerance, max_sweeps, on_sweep)
    method = "gauss-seidel-value-iteration" if gauss_seidel else "value-iteration"
    return certify(
        operator, values, method=method, sweeps=sweeps, tolerance=tolerance, proven=proven
    )


def _synchronous(
    operator: BellmanOperator,
    values: Floats,
    tolerance: float,
    max_sweeps: int,
    on_sweep: SweepWatcher | None,
) -> tuple[Floats, float, int]:
    out = np.empty_like(values)
    chosen = np.empty(len(values), dtype=np.int64)
    index, error_bound, middle = 0, np.inf, 0.0
    while index < max_sweeps:
        index += 1
        lowest, highest, largest = operator.improve(values, out, chosen)
        values, out = out, values
        middle, error_bound, exhausted = operator.bounds(lowest, highest, largest)
        watch(on_sweep, index, values, max(-lowest, highest), error_bound)
        if error_bound <= tolerance or exhausted:
            break
    return operator.shift(values, middle), error_bound, index


def _in_place(
    operator: BellmanOperator,
    values: Floats,
    tolerance: float,
    max_sweeps: int,
    on_sweep: SweepWatcher | None,
) -> tuple[Floats, float, int]:
    index, error_bound = 0, np.inf
    while index < max_sweeps:
        index += 1
        change = operator.improve_in_place(values)
        largest = float(np.abs(values).max())
        _, error_bound, exhausted = operator.bounds(-change, change, largest)
        watch(on_sweep, index, values, change, error_bound)
        if error_bound <= tolerance or exhausted:
            break
    return values, error_bound, index
