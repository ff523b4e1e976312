r"""Policy iteration: solve for the policy's values, act greedily on them, until nothing improves.

.. math:: V_k = r_{\pi_k} + \gamma c_{\pi_k} V_k, \qquad
   \pi_{k+1}(s) \in \arg\max_a \Big[ r(s, a) + \gamma \sum_{s'} c(s' \mid s, a) V_k(s') \Big]

A state keeps its action unless another is better by more than rounding can feign, so every policy
is better than the last and the iteration ends with a stable policy. At discount 1 it
starts from a policy that ends with certainty, and then all of them do (Bertsekas and Tsitsiklis).

Slow mixing (a discount near 1, long chains, mazes) does not slow it down: the linear system takes
the place of the sweeps (`linear_solve`). Where the system cannot be solved, sweeps stand in for
it.

References:
    R. A. Howard (1960), Dynamic Programming and Markov Processes.
    D. P. Bertsekas and J. N. Tsitsiklis (1991), An analysis of stochastic shortest path problems.
    M. L. Puterman (1994), Markov Decision Processes, section 6.4.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import ArrayLike, NDArray

from ...envs.mdp import TabularMDP
from .bellman_operator import BellmanOperator, check_planner_arguments
from .certificate import finish
from .linear_solve import PolicySystem
from .policy_rows import PolicyRows
from .row_selection import chosen_rows
from .solution import Solution, SweepWatcher, watch

__all__ = ["improve_policies", "policy_iteration"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SWEEPS_INSTEAD = 10_000


def policy_iteration(
    mdp: TabularMDP,
    *,
    discount: float,
    tolerance: float = 1e-8,
    max_sweeps: int = 10_000,
    initial_values: ArrayLike | None = None,
    on_sweep: SweepWatcher | None = None,
) -> Solution:
    """Optimal values and a stable optimal policy by policy iteration.

    Args:
        mdp: The model.
        discount: In [0, 1]; at 1 every state's optimal total reward must be finite.
        tolerance: Largest error of a value that is accepted.
        max_sweeps: Give up after so many improvements.
        initial_values: (S,) the first policy is greedy for these, zeros by default; at discount 1
            they are checked only.
        on_sweep: Called after every improvement.

    Returns:
        The solution; ``sweeps`` counts the improvements.

    Raises:
        TypeError: ``mdp`` is no `TabularMDP`.
        ValueError: An argument is out of range, or the discount is 1 and some state's optimal
            value is not finite.

    Example:
        >>> loop = TabularMDP.from_outcomes([[[(1.0, 0, 1.0, False)]]])
        >>> policy_iteration(loop, discount=0.9).state_values.round(6)
        array([10.])
    """
    check_planner_arguments(mdp, discount=discount, tolerance=tolerance, max_sweeps=max_sweeps)
    operator = BellmanOperator.of(mdp, discount)
    values = operator.starting_values(initial_values)
    chosen = first_policy(operator, values)
    values, sweeps = improve_policies(
        operator, chosen, values, max_improvements=max_sweeps, on_sweep=on_sweep
    )
    return finish(operator, values, method="policy-iteration", sweeps=sweeps, tolerance=tolerance)


def first_policy(
    operator: BellmanOperator, values: Float64[Floats, " states"]
) -> Int64[Ints, " states"]:
    """(S,) rows of the greedy policy, or at discount 1 of one that ends with certainty."""
    if operator.resting is not None:
        chosen = operator.resting.way_out.copy()
        if operator.pinned is not None:
            chosen[operator.pinned] = -1
        return chosen
    chosen = np.empty(operator.num_states, dtype=np.int64)
    operator.improve(values, np.empty_like(values), chosen)
    return chosen


def improve_policies(
    operator: BellmanOperator,
    chosen: Int64[Ints, " states"],
    values: Float64[Floats, " states"],
    *,
    max_improvements: int,
    look_ahead: int = 0,
    sweeps_before: int = 0,
    on_sweep: SweepWatcher | None = None,
) -> tuple[Float64[Floats, " states"], int]:
    """Evaluate and improve until no action is better by more than rounding.

    Greedy actions see one step ahead, so that in a long chain a better end is found a few states
    farther with each policy. Sweeps of value iteration from the policy's values, to and fro,
    carry the news on before the next policy is chosen. Should a policy chosen so ever be worse
    than the last somewhere, no more is looked ahead: from there each is better than the last, but
    for the errors of its values. Should these ever bring a policy back, it is the last.

    Args:
        operator: The operator; at discount 1 the first policy must end with certainty.
        chosen: (S,) rows of the first policy; changed in place.
        values: (S,) first guess of its values.
        max_improvements: How many at most.
        look_ahead: Gauss–Seidel sweeps between a policy's values and the next policy.
        sweeps_before: Where a watcher's count goes on.
        on_sweep: Called after every improvement.

    Returns:
        The values of the last policy evaluated, and how many were.
    """
    out, better_rows = np.empty_like(values), np.empty_like(chosen)
    rows: PolicyRows | None = None
    factorise: bool | None = None
    last = np.full_like(values, -np.inf)
    seen: set[int] = set()
    for improvement in range(1, max_improvements + 1):
        rows = chosen_rows(operator, chosen, reuse=rows)
        system = PolicySystem(rows, operator.discount, factorise=factorise)
        values, factorise = _evaluate(system, values), system.factorise
        noise = _noise(operator, rows, values)
        if (values < last - noise).any() or not (values > last).any():
            look_ahead = 0
        lowest, highest, largest = operator.improve(values, out, better_rows)
        lower, upper = operator.errors.offsets(lowest, highest, largest)
        index, change = sweeps_before + improvement, max(-lowest, highest)
        watch(on_sweep, index, values, change, max(-lower, upper))
        better = out > rows.backup(values, operator.discount) + noise
        if operator.pinned is not None:
            better[operator.pinned] = False
        before = len(seen)
        seen.add(hash(chosen.tobytes()))
        if not better.any() or len(seen) == before:
            break
        chosen[better] = better_rows[better]
        if look_ahead:
            last[:] = values
            for sweep in range(look_ahead):
                operator.improve_in_place(values, backwards=sweep % 2 == 1)
            operator.improve(values, out, better_rows)
            farther = out > rows.backup(values, operator.discount) + _noise(operator, rows, values)
            chosen[farther] = better_rows[farther]
    return values, improvement


def _noise(operator: BellmanOperator, rows: PolicyRows, values: Floats) -> Floats:
    """(S,) by how much rounding can make two equal pairs of a state differ.

    It goes by the values nearby: in a long chain they differ by hundreds of orders of magnitude.
    """
    nearby = rows.backup(np.abs(values), operator.discount, np.abs(rows.rewards))
    return 2 * operator.errors.relative_rounding * nearby


def _evaluate(system: PolicySystem, guess: Floats) -> Floats:
    values = system.solve(system.rows.rewards, guess)
    if np.isfinite(values).all():
        return values
    values = guess.copy()
    system.rows.sweep(
        values,
        np.empty_like(values),
        discount=system.discount,
        num_sweeps=_SWEEPS_INSTEAD,
        small_enough=0.0,
    )
    return values
