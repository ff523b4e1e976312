r"""Backward induction: the exact optimum of a fixed number of steps.

.. math:: V_h(s) = 0 \text{ at } t = H, \qquad
   V_t(s) = \max_a \Big[ r(s, a) + \gamma \sum_{s'} c(s' \mid s, a) V_{t+1}(s') \Big].

With the environment's own step cap as H and discount 1 this is the best expected score that any
agent can reach in it. The optimal action depends on the time: with one step left another action
may be best than with a hundred.

References:
    R. Bellman (1957), Dynamic Programming.
    M. L. Puterman (1994), Markov Decision Processes, section 4.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from ...envs.arguments import whole_number
from ...envs.mdp import TabularMDP
from .bellman_operator import BellmanOperator, check_discount
from .certificate import greedy_policy
from .solution import SweepWatcher, watch

__all__ = ["FiniteHorizonSolution", "backward_induction"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FiniteHorizonSolution:
    """The result of `backward_induction`; time t counts the steps taken.

    Attributes:
        method: ``backward-induction``.
        discount: The discount it is for.
        horizon: H, the number of steps.
        values_by_time: (H + 1, S) optimal values at time t, with H - t steps to go; the last is 0.
        policies_by_time: (H, S) optimal actions at time t; the lowest of equals.
        state_values: (S,) values at time 0.
        action_values: (S, A) values of each action at time 0; -inf where masked.
        policy: (S,) actions at time 0.
        error_bound: Bound of the rounding error of all values; there is no other error.
    """

    method: str
    discount: float
    horizon: int
    values_by_time: Float64[Floats, "horizon_and_one states"]
    policies_by_time: Int64[NDArray[np.int64], "horizon states"]
    state_values: Float64[Floats, " states"]
    action_values: Float64[Floats, "states actions"]
    policy: Int64[NDArray[np.int64], " states"]
    error_bound: float


def backward_induction(
    mdp: TabularMDP,
    *,
    horizon: int | None = None,
    discount: float = 1.0,
    on_sweep: SweepWatcher | None = None,
) -> FiniteHorizonSolution:
    """Optimal values and policies of episodes that are cut off after ``horizon`` steps.

    Args:
        mdp: The model.
        horizon: Number of steps, at least 1; None takes the model's ``max_episode_steps``.
        discount: In [0, 1].
        on_sweep: Called after every step backwards.

    Raises:
        TypeError: ``mdp`` is no `TabularMDP`, or the horizon no whole number.
        ValueError: The horizon is not positive or neither given nor recorded, or the discount is
            outside [0, 1].

    Example:
        >>> loop = TabularMDP.from_outcomes([[[(1.0, 0, 1.0, False)]]])
        >>> backward_induction(loop, horizon=7).state_values
        array([7.])
    """
    check_discount(mdp, discount)
    horizon = mdp.max_episode_steps if horizon is None else horizon
    if horizon is None:
        raise ValueError(f"expected a horizon: {mdp!r} records no max_episode_steps")
    horizon = whole_number(horizon, "a horizon", least=1)
    operator = BellmanOperator.of(mdp, discount, optimal=False)
    values = np.zeros((horizon + 1, mdp.num_states))
    policies = np.empty((horizon, mdp.num_states), dtype=np.int64)
    error, errors = 0.0, operator.errors
    for time in reversed(range(horizon)):
        ahead = values[time + 1].copy()
        if operator.pinned is not None:
            ahead[operator.pinned] = 0.0
        action_values, values[time] = operator.action_values(ahead)
        rounding = errors.rounding(float(np.abs(values[time + 1]).max()))
        policies[time] = greedy_policy(action_values, 2 * (error + rounding))
        error = discount * errors.greatest_sum * error + rounding
        change = float(np.abs(values[time] - values[time + 1]).max())
        watch(on_sweep, horizon - time, values[time], change, error)
    return FiniteHorizonSolution(
        method="backward-induction",
        discount=float(discount),
        horizon=horizon,
        values_by_time=values,
        policies_by_time=policies,
        state_values=values[0].copy(),
        action_values=action_values,
        policy=policies[0].copy(),
        error_bound=error,
    )
