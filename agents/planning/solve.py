r"""The planner that suits the model.

The choice is made by what is seen, not by the model's name:

1. Sweeps as of `modified_policy_iteration`. Most models are solved by them: those that mix fast
   within some dozen, most grids within some hundred.
2. While they run, the sweeps left are guessed from how the bound falls. Where they would cost more
   than solving linear systems, policy iteration takes over from the values reached: soon where the
   model has small separators and is quickly factorised (chains, mazes), later where a Krylov
   method must do. It looks ahead by some sweeps before it chooses a policy, so that it needs few.
3. Without discount, models with small separators go to policy iteration at once, whose error is
   rounding alone, and the others to modified policy iteration.

References:
    M. L. Puterman (1994), Markov Decision Processes, sections 6.4, 6.5 and 6.7.
"""

from __future__ import annotations

import math

from numpy.typing import ArrayLike

from ...envs.mdp import TabularMDP
from .bellman_operator import BellmanOperator, check_planner_arguments
from .certificate import finish
from .linear_solve import LEAST_OPERATIONS, profile_of
from .modified_policy_iteration import PolicySearch, modified_policy_iteration
from .policy_iteration import first_policy, improve_policies, policy_iteration
from .policy_rows import PolicyRows
from .row_selection import chosen_rows
from .solution import Solution, SweepWatcher

__all__ = ["solve"]

_IMPROVEMENTS = 20  # linear systems that policy iteration is expected to solve
_LOOK_AHEAD = 20  # cheap beside a linear system, and each policy sees so much farther
_LEAST_PATIENCE = 300  # sweeps
_KRYLOV_PATIENCE = 3_000  # sweeps that a Krylov method costs, all systems together


def solve(
    mdp: TabularMDP,
    *,
    discount: float,
    tolerance: float = 1e-8,
    max_sweeps: int = 1_000_000,
    initial_values: ArrayLike | None = None,
    on_sweep: SweepWatcher | None = None,
) -> Solution:
    """Optimal values by the planner that suits the model.

    Args:
        mdp: The model.
        discount: In [0, 1]; at 1 every state's optimal total reward must be finite.
        tolerance: Largest error of a value that is accepted.
        max_sweeps: Give up after so many passes over the states, or improvements.
        initial_values: (S,) values to start from, zeros by default.
        on_sweep: Called as the planner does that is at work.

    Returns:
        The solution; ``method`` names the planner that finished.

    Raises:
        TypeError: ``mdp`` is no `TabularMDP`.
        ValueError: An argument is out of range, or the discount is 1 and some state's optimal
            value is not finite.

    Example:
        >>> from gymagine.envs.garnet import garnet
        >>> solve(garnet(1000, 4, 5, seed=0), discount=0.99).method
        'modified-policy-iteration'
    """
    check_planner_arguments(mdp, discount=discount, tolerance=tolerance, max_sweeps=max_sweeps)
    operator = BellmanOperator.of(mdp, discount)
    values = operator.starting_values(initial_values)
    if discount == 1:
        profile = profile_of(chosen_rows(operator, first_policy(operator, values)).matrix())
        planner = policy_iteration if math.isfinite(profile) else modified_policy_iteration
        return planner(
            mdp,
            discount=discount,
            tolerance=tolerance,
            max_sweeps=max_sweeps,
            initial_values=initial_values,
            on_sweep=on_sweep,
        )
    search = PolicySearch(operator, values, tolerance, max_sweeps, on_sweep)
    search.sweep_together(start_below=initial_values is None)
    if not search.ended:
        at_least = _patience(search.current_rows(), LEAST_OPERATIONS * operator.num_states)
        search.sweep_in_place(patience=min(at_least, _KRYLOV_PATIENCE))
    if not search.ended:  # only now is the graph worth a look
        operations = profile_of(search.current_rows().matrix())
        search.sweep_in_place(patience=_patience(search.current_rows(), operations))
    if search.ended:
        return search.solution()
    values, improvements = improve_policies(
        operator,
        first_policy(operator, search.values),
        search.values,
        max_improvements=max_sweeps - search.sweeps,
        look_ahead=_LOOK_AHEAD,
        sweeps_before=search.sweeps,
        on_sweep=on_sweep,
    )
    return finish(
        operator,
        values,
        method="policy-iteration",
        sweeps=search.sweeps + improvements,
        tolerance=tolerance,
    )


def _patience(rows: PolicyRows, operations: float) -> float:
    """How many sweeps of these rows cost as much as policy iteration, by `profile_of` them."""
    if not math.isfinite(operations):
        return _KRYLOV_PATIENCE
    sweep = 2.0 * max(1, rows.num_entries)
    return max(_LEAST_PATIENCE, _IMPROVEMENTS * operations / sweep)
