r"""Policy evaluation: the value of following one policy.

.. math:: V_\pi = r_\pi + \gamma c_\pi V_\pi, \qquad
   V^{(h)} = r_\pi + \gamma c_\pi V^{(h-1)}, \quad V^{(0)} = 0

The first is solved as a sparse linear system or by sweeps, and proven as in `error_bounds`, with
the policy's own rows. The second is the exact value of an episode that is cut off after h steps.

At discount 1 the expected steps :math:`w = (I - c_\pi)^{-1} 1` take the place of
:math:`1 / (1 - \gamma)`: if :math:`c_\pi w \le w - \delta` then
:math:`|V - V_\pi| \le \max_s |T_\pi V - V|(s) \cdot w / \delta`, for
:math:`V \pm \varepsilon w` with :math:`\varepsilon = \max |T_\pi V - V| / \delta` are a super- and
a subsolution and :math:`c_\pi` contracts in the norm weighted by w (Puterman 1994, section 6.10).
States from which the policy goes round for ever without reward have value 0; where it goes round
for ever with reward the value does not exist.

References:
    M. L. Puterman (1994), Markov Decision Processes, sections 4.2, 6.1 and 6.10.
    R. S. Sutton and A. G. Barto (2018), Reinforcement Learning: An Introduction, section 4.1.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike, NDArray

from ...envs.arguments import real_array, whole_number
from ...envs.mdp import TabularMDP
from .bellman_operator import BellmanOperator, check_planner_arguments
from .certificate import greedy_policy, warn_if_short
from .end_components import ending_pairs
from .error_bounds import UNIT_ROUNDING, BackupErrors
from .linear_solve import PolicySystem
from .policy_rows import PolicyRows
from .resting_places import negligible_rewards
from .row_selection import mixed_rows
from .solution import Solution, SweepWatcher, watch

__all__ = ["policy_evaluation"]

Floats = NDArray[np.float64]

_STEPS_AT_ONCE = 100
_MOST_STEPS = 10_000_000  # expected steps that sweeps may count before the proof is given up


def policy_evaluation(
    mdp: TabularMDP,
    policy: ArrayLike,
    *,
    discount: float,
    tolerance: float = 1e-8,
    max_sweeps: int = 1_000_000,
    method: Literal["solve", "sweeps"] = "solve",
    horizon: int | None = None,
    initial_values: ArrayLike | None = None,
    on_sweep: SweepWatcher | None = None,
) -> Solution:
    """Values of a policy.

    Args:
        mdp: The model.
        policy: (S,) actions, or (S, A) probabilities of the actions.
        discount: In [0, 1]; at 1 the policy must not go round for ever with reward.
        tolerance: Largest error of a value that is accepted.
        max_sweeps: For ``method="sweeps"``: give up after so many passes.
        method: ``"solve"`` a sparse linear system, or ``"sweeps"``.
        horizon: The number of steps after which an episode is cut off, at least 0: the values are
            then those of exactly that many steps, computed by as many sweeps from 0. None never
            cuts.
        initial_values: (S,) values to start the sweeps from, zeros by default; not for a horizon.
        on_sweep: Called after every sweep (not by ``"solve"``).

    Returns:
        The solution: ``state_values`` of the policy, ``action_values`` of each action first and
        then the policy (with one step less to go under a horizon), ``policy`` the greedy
        improvement of the given one, ``error_bound`` of the distance to the policy's values.

    Raises:
        TypeError: ``mdp`` is no `TabularMDP`.
        ValueError: An argument is out of range, the policy is none (shape, range, masked actions),
            or the discount is 1 and some value does not exist.

    Example:
        >>> loop = TabularMDP.from_outcomes([[[(0.5, 0, 1.0, False), (0.5, 0, 1.0, True)]]])
        >>> policy_evaluation(loop, np.array([0]), discount=1.0).state_values
        array([2.])
    """
    check_planner_arguments(mdp, discount=discount, tolerance=tolerance, max_sweeps=max_sweeps)
    if method not in ("solve", "sweeps"):
        raise ValueError(f"expected method 'solve' or 'sweeps', got {method!r}")
    if horizon is not None:
        horizon = whole_number(horizon, "a horizon", least=0)
    operator = BellmanOperator.of(mdp, discount, optimal=False)
    weights = action_probabilities(mdp, policy)
    if horizon is not None:
        return _cut_off(operator, mixed_rows(operator, weights), horizon, tolerance, on_sweep)
    if discount == 1:
        weights = _without_idle(operator, weights)
    rows = mixed_rows(operator, weights)
    problem = _Problem(operator, rows)
    if discount == 1:
        problem.find_stretch(by_sweeps=method == "sweeps")
    if method == "solve":
        values, sweeps, proven = PolicySystem(rows, discount).solve(rows.rewards), 0, np.inf
    else:
        start = operator.starting_values(initial_values)
        values, sweeps, proven = problem.sweep(start, tolerance, max_sweeps, on_sweep)
    lowest, highest = problem.changes(values)
    error_bound = min(proven, problem.bound(lowest, highest, _size(values)))
    solution = _solution(operator, values, sweeps, max(-lowest, highest), error_bound, tolerance)
    warn_if_short(solution, tolerance)
    return solution


def action_probabilities(mdp: TabularMDP, policy: ArrayLike) -> Float64[Floats, "states actions"]:
    """(S, A) probabilities that (S,) actions or (S, A) probabilities mean.

    Raises:
        ValueError: The shape is neither, an action is out of range or masked, or a state's
            probabilities are negative or do not sum to 1.
    """
    num_states, num_actions = mdp.num_states, mdp.num_actions
    given: NDArray[Any] = np.asarray(policy)
    if given.shape == (num_states,) and np.issubdtype(given.dtype, np.integer):
        outside = (given < 0) | (given >= num_actions)
        if outside.any():
            state = int(np.argmax(outside))
            raise ValueError(
                f"state {state}: expected an action in [0, {num_actions}), got {given[state]}"
            )
        weights = np.zeros((num_states, num_actions))
        weights[np.arange(num_states), given] = 1.0
    elif given.shape == (num_states, num_actions):
        weights = real_array(given, "a policy").astype(np.float64)
        bad = ~((weights >= 0).all(axis=1) & (np.abs(weights.sum(axis=1) - 1) <= 1e-8))
        if bad.any():
            state = int(np.argmax(bad))
            raise ValueError(
                f"state {state}: expected action probabilities that sum to 1, got {weights[state]}"
            )
    else:
        raise ValueError(
            f"expected a policy of ({num_states},) integer actions or "
            f"({num_states}, {num_actions}) probabilities, got {given.dtype} of shape "
            f"{given.shape}"
        )
    masked = (weights > 0) & ~mdp.allowed
    if masked.any():
        state, action = divmod(int(np.argmax(masked)), num_actions)
        raise ValueError(f"state {state}: expected an allowed action, got {action}, masked")
    return weights


class _Problem:
    """The rows of one policy and what a backup with them proves."""

    def __init__(self, operator: BellmanOperator, rows: PolicyRows) -> None:
        self.rows = rows
        self.discount = operator.discount
        sums: Floats = np.asarray(rows.matrix().sum(axis=1))
        # the rows' own weights and rewards are products and sums too
        num_products = int(rows.lengths().max()) + operator.errors.num_products + 1
        self.errors = BackupErrors.of_sums(
            discount=operator.discount,
            least_sum=float(sums.min()),
            greatest_sum=float(sums.max()),
            largest_reward=operator.errors.largest_reward,
            num_products=num_products,
        )
        self._stretch = np.inf  # the largest w over delta (module docstring)

    def changes(self, values: Floats) -> tuple[float, float]:
        """The least and the greatest change of one backup."""
        change = self.rows.backup(values, self.discount) - values
        return float(change.min()), float(change.max())

    def bound(self, lowest: float, highest: float, largest: float) -> float:
        """Largest error of values that a backup changes by these."""
        if self.discount == 1:
            change = max(-lowest, highest)
            return (change + self.errors.allowance(change, largest)) * self._stretch
        lower, upper = self.errors.offsets(lowest, highest, largest)
        return max(-lower, upper)

    def sweep(
        self,
        values: Floats,
        tolerance: float,
        max_sweeps: int,
        on_sweep: SweepWatcher | None,
    ) -> tuple[Floats, int, float]:
        """Sweep until the bound is within the tolerance; values, sweeps and the bound."""
        scratch = np.empty_like(values)
        sweeps, error_bound, middle = 0, np.inf, 0.0
        while sweeps < max_sweeps:
            sweeps += 1
            _, lowest, highest = self.rows.sweep(values, scratch, discount=self.discount)
            largest = _size(values)
            middle, error_bound, exhausted = self.errors.bounds_after(lowest, highest, largest)
            if self.discount == 1:
                middle = 0.0
                error_bound = self.bound(lowest, highest, largest)
                exhausted = max(-lowest, highest) <= self.errors.rounding(largest)
            watch(on_sweep, sweeps, values, max(-lowest, highest), error_bound)
            if error_bound <= tolerance or exhausted:
                break
        values += middle
        return values, sweeps, error_bound

    def find_stretch(self, *, by_sweeps: bool) -> None:
        """Bound the expected steps at discount 1; the policy ends or is idle everywhere."""
        ones = np.ones(self.rows.num_states)
        if by_sweeps:
            steps, scratch = np.zeros_like(ones), np.empty_like(ones)
            for _ in range(_MOST_STEPS // _STEPS_AT_ONCE):
                _, _, highest = self.rows.sweep(
                    steps, scratch, discount=1.0, num_sweeps=_STEPS_AT_ONCE, rewards=ones
                )
                if highest <= 0.5:
                    break
        else:
            steps = PolicySystem(self.rows, 1.0).solve(ones)
        largest = _size(steps)
        drop = float((steps - self.rows.matrix() @ steps).min())
        drop -= self.errors.relative_rounding * largest
        if drop > 0 and steps.min() > 0:
            self._stretch = largest / drop


def _size(values: Floats) -> float:
    return float(np.abs(values).max())


def _without_idle(operator: BellmanOperator, weights: Floats) -> Floats:
    """The policy's weights, 0 in the states where it goes round for ever without reward.

    Raises:
        ValueError: The policy goes round for ever with reward.
    """
    from scipy.sparse.csgraph import connected_components

    mdp = operator.mdp
    rows = mixed_rows(operator, weights)
    graph = rows.matrix().copy()
    graph.sum_duplicates()  # connected_components does not return where an edge stands twice
    count, component = connected_components(graph, directed=True, connection="strong")
    here = np.repeat(component, rows.lengths())
    there = component[rows.next_states]
    open_ = np.zeros(count, dtype=np.bool_)
    open_[here[here != there]] = True
    ends = ending_pairs(mdp).reshape(weights.shape) & (weights > 0)
    open_[component[ends.any(axis=1)]] = True
    idle = ~open_[component]
    earns = idle & (np.abs(rows.rewards) > _negligible(operator, weights))
    if earns.any():
        state = int(np.argmax(earns))
        raise ValueError(
            f"discount 1: expected a policy that ends or comes to rest, got one that goes round "
            f"for ever with reward through state {state}: its value there is not finite (use a "
            f"discount below 1, or a horizon)"
        )
    return np.where(idle[:, None], 0.0, weights)


def _negligible(operator: BellmanOperator, weights: Floats) -> Floats:
    """(S,) the policy's expected rewards up to this size may be 0 but for rounding."""
    used = np.count_nonzero(weights, axis=1)
    sizes = (weights * np.abs(operator.rewards).reshape(weights.shape)).sum(axis=1)
    own = (weights * negligible_rewards(operator.mdp).reshape(weights.shape)).sum(axis=1)
    mixing = np.where(used > 1, 2 * UNIT_ROUNDING * used * sizes, 0.0)
    total: Floats = own + mixing
    return total


def _cut_off(
    operator: BellmanOperator,
    rows: PolicyRows,
    horizon: int,
    tolerance: float,
    on_sweep: SweepWatcher | None,
) -> Solution:
    discount, errors = operator.discount, _Problem(operator, rows).errors
    values, scratch = np.zeros(operator.num_states), np.empty(operator.num_states)
    before = values.copy()
    error, largest, change = 0.0, 0.0, 0.0
    for sweep in range(1, horizon + 1):
        before[:] = values
        _, lowest, highest = rows.sweep(values, scratch, discount=discount)
        largest = max(largest, _size(values))
        error = discount * errors.greatest_sum * error + errors.rounding(largest)
        change = max(-lowest, highest)
        watch(on_sweep, sweep, values, change, np.inf if sweep < horizon else error)
    solution = _solution(operator, values, horizon, change, error, tolerance, ahead=before)
    warn_if_short(solution, tolerance)
    return solution


def _solution(
    operator: BellmanOperator,
    values: Floats,
    sweeps: int,
    residual: float,
    error_bound: float,
    tolerance: float,
    ahead: Floats | None = None,
) -> Solution:
    """The solution with the pair values of one step and then ``ahead`` (None: ``values``)."""
    seen = (values if ahead is None else ahead).copy()
    if operator.pinned is not None:
        seen[operator.pinned] = 0.0
    action_values, _ = operator.action_values(seen)
    largest = _size(values)
    tie = operator.errors.rounding(largest) + min(2 * error_bound, 1e-9 * largest)
    return Solution(
        method="policy-evaluation",
        discount=operator.discount,
        state_values=values,
        action_values=action_values,
        policy=greedy_policy(action_values, tie),
        sweeps=sweeps,
        residual=residual + 0.0,
        error_bound=error_bound,
        converged=error_bound <= tolerance,
    )
