r"""Linear programming: the optimal values as the least vector that no backup exceeds.

.. math:: \min_V \sum_s V(s) \quad \text{subject to} \quad
   V(s) - \gamma \sum_{s'} c(s' \mid s, a) V(s') \ge r(s, a) \quad \text{for all } s, a.

The program is handed to HiGHS. Its basis is a policy (one tight constraint for each state). What
the solver's feasibility tolerance leaves open is settled in exact steps of the simplex method: the
basis' own linear system is solved, and pivots are made where a constraint is violated by more than
rounding, many at once, which is policy iteration (Puterman, section 6.9.3). Mostly none is needed.
At discount 1 resting places are one variable each, bounded below by 0 (`resting_places`).

References:
    F. d'Epenoux (1963), A probabilistic production and inventory problem.
    M. L. Puterman (1994), Markov Decision Processes, section 6.9.
    Q. Huangfu and J. A. J. Hall (2018), Parallelizing the dual revised simplex method.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...envs.mdp import TabularMDP
from .bellman_operator import BellmanOperator, check_planner_arguments
from .certificate import finish
from .policy_iteration import improve_policies
from .solution import Solution, SweepWatcher, watch

__all__ = ["linear_programming"]

Floats = NDArray[np.float64]

_FEASIBILITY = 1e-10  # the least that HiGHS accepts
_PIVOTS = 100


def linear_programming(
    mdp: TabularMDP,
    *,
    discount: float,
    tolerance: float = 1e-8,
    max_sweeps: int = 1_000_000,
    initial_values: ArrayLike | None = None,
    on_sweep: SweepWatcher | None = None,
) -> Solution:
    """Optimal values by linear programming: for models of up to some thousand states.

    Args:
        mdp: The model.
        discount: In [0, 1]; at 1 every state's optimal total reward must be finite.
        tolerance: Largest error of a value that is accepted.
        max_sweeps: Most iterations of the simplex method.
        initial_values: Checked, and of no use to the simplex method.
        on_sweep: Called once, with the solver's values.

    Returns:
        The solution; ``sweeps`` counts HiGHS's iterations.

    Raises:
        TypeError: ``mdp`` is no `TabularMDP`.
        ValueError: An argument is out of range, or the discount is 1 and some state's optimal
            value is not finite.

    Example:
        >>> loop = TabularMDP.from_outcomes([[[(1.0, 0, 1.0, False)]]])
        >>> linear_programming(loop, discount=0.9).state_values.round(6)
        array([10.])
    """
    check_planner_arguments(mdp, discount=discount, tolerance=tolerance, max_sweeps=max_sweeps)
    operator = BellmanOperator.of(mdp, discount)
    operator.starting_values(initial_values)
    values, iterations = _solve_program(operator, max_sweeps)
    chosen = np.empty(mdp.num_states, dtype=np.int64)
    lowest, highest, _ = operator.improve(values, np.empty_like(values), chosen)
    watch(on_sweep, 1, values, max(-lowest, highest), np.inf)
    values, _ = improve_policies(operator, chosen, values, max_improvements=_PIVOTS)
    return finish(
        operator,
        values,
        method="linear-programming",
        sweeps=max(iterations, 1),
        tolerance=tolerance,
    )


def _solve_program(operator: BellmanOperator, max_iterations: int) -> tuple[Floats, int]:
    from scipy.optimize import linprog
    from scipy.sparse import csr_array

    mdp = operator.mdp
    variable, bounds = _variables(operator)
    states = np.arange(mdp.num_states)
    joined = csr_array((np.ones(mdp.num_states), (states, variable)))
    kept = operator.counted_pairs()
    own = joined[kept // mdp.num_actions]
    ahead = mdp.continuation_matrix()[kept] @ joined
    program: Any = linprog(  # type: ignore[call-overload]  # sparse constraints are allowed
        np.ones(len(bounds)),
        A_ub=operator.discount * ahead - own,
        b_ub=-operator.rewards[kept],
        bounds=bounds,
        method="highs",
        options={
            "maxiter": max_iterations,
            "primal_feasibility_tolerance": _FEASIBILITY,
            "dual_feasibility_tolerance": _FEASIBILITY,
        },
    )
    if program.x is None:
        return np.zeros(mdp.num_states), int(program.nit)
    values: Floats = program.x[variable]
    return values, int(program.nit)


def _variables(operator: BellmanOperator) -> tuple[NDArray[np.int64], Floats]:
    """(S,) the variable of each state, and the bounds of each variable."""
    states = np.arange(operator.num_states)
    variable = states if operator.resting is None else operator.resting.joined()
    bounds = np.full((int(variable.max()) + 1, 2), (-np.inf, np.inf))
    if operator.resting is not None:
        bounds[variable[operator.resting.members], 0] = 0.0
    if operator.pinned is not None:
        bounds[variable[operator.pinned]] = 0.0
    return variable, bounds
