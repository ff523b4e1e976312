r"""Modified policy iteration: improve once, then sweep the greedy policy a number of times.

.. math:: \pi_{k+1} \in \arg\max_\pi T_\pi V_k, \qquad V_{k+1} = T_{\pi_{k+1}}^{m + 1} V_k

References:
    M. L. Puterman and M. C. Shin (1978), Modified policy iteration algorithms for discounted
        Markov decision problems.
    M. L. Puterman (1994), Markov Decision Processes, sections 6.5 and 6.6.3.
"""

from __future__ import annotations

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

__all__ = ["modified_policy_iteration"]

Floats = NDArray[np.float64]

_MOST_SWEEPS = 20


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
    out, chosen = np.empty_like(values), np.empty(mdp.num_states, dtype=np.int64)
    rows: PolicyRows | None = None
    sweeps, middle, error_bound = 0, 0.0, np.inf
    while True:
        sweeps += 1
        lowest, highest, largest = operator.improve(values, out, chosen)
        values, out = out, values
        middle, error_bound, exhausted = operator.errors.bounds_after(lowest, highest, largest)
        watch(on_sweep, sweeps, values, max(-lowest, highest), error_bound)
        if error_bound <= tolerance or exhausted or sweeps >= max_sweeps:
            break
        rows = chosen_rows(operator, chosen, reuse=rows)
        span = 0.1 * (highest - lowest)
        sweeps += rows.sweep(
            values, out, discount=discount, num_sweeps=_MOST_SWEEPS, small_enough=span
        )[0]
    return finish(
        operator,
        operator.shift(values, middle),
        method="modified-policy-iteration",
        sweeps=sweeps,
        tolerance=tolerance,
        proven=error_bound,
    )


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
                method="modified-policy-iteration",
                sweeps=sweeps,
                tolerance=tolerance,
            )
            exhausted = change <= operator.errors.rounding(largest)
            if solution.converged or exhausted or sweeps >= max_sweeps:
                warn_if_short(solution, tolerance, stacklevel=4)
                return solution
            target = change * min(0.5, max(1e-3, 0.5 * tolerance / solution.error_bound))
        rows = chosen_rows(operator, chosen, reuse=rows)
        sweeps += rows.sweep(
            values, out, discount=1.0, num_sweeps=_MOST_SWEEPS, small_enough=0.1 * change
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
