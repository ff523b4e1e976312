r"""The last step of every planner: from values, however they were found, to a `Solution` with a bound.

One more backup of the values gives the action values, the policy, the residual and a proof of how
far the values are from the truth (`error_bounds` for discounts below 1, `total_reward` for 1). So
no planner is trusted: an error in one could make it slow, not its bound false.

Equal actions: actions of a state whose values differ by less than the values' own uncertainty
(rounding, and twice the error bound but at most 1e-9 of the largest value) count as equal, and the
lowest is taken, so that planners agree on the policy wherever they can.
"""

from __future__ import annotations

import logging
import warnings

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from .bellman_operator import BellmanOperator
from .solution import Solution

__all__ = ["certify", "greedy_policy", "warn_if_short"]

_logger = logging.getLogger(__name__)
_TIE = 1e-9


def certify(
    operator: BellmanOperator,
    values: Float64[NDArray[np.float64], " states"],
    *,
    method: str,
    sweeps: int,
    tolerance: float,
    proven: float = np.inf,
) -> Solution:
    """Back the values up once more and state how good they are.

    Args:
        operator: The operator whose fixed point is sought.
        values: (S,) values, 0 where pinned; changed in place: pinned states get their own value.
        method: The solver's name.
        sweeps: Passes that were made.
        tolerance: Error bound that was asked for.
        proven: A bound of the largest error that the solver has proven already.

    Returns:
        The solution; `converged` says whether the bound is within the tolerance. A solver that did
        not get there is reported by one warning.
    """
    action_values = operator.action_values(values)
    best = action_values.max(axis=1)
    change = best - values
    if operator.pinned is not None:
        change[operator.pinned] = 0.0
    lowest, highest = float(change.min()), float(change.max())
    largest = float(np.abs(values).max())
    lower, upper = operator.offsets(lowest, highest, operator.rounding(largest))
    error_bound = min(proven, max(-lower, upper)) * max(1.0, operator.greatest_sum)
    if operator.pinned is not None:
        values[operator.pinned] = best[operator.pinned]
    tie = operator.rounding(largest) + min(2 * error_bound, _TIE * largest)
    solution = Solution(
        method=method,
        discount=operator.discount,
        state_values=values,
        action_values=action_values,
        policy=greedy_policy(action_values, tie),
        sweeps=sweeps,
        residual=max(-lowest, highest, 0.0),
        error_bound=error_bound,
        converged=error_bound <= tolerance,
    )
    warn_if_short(solution, tolerance)
    return solution


def greedy_policy(
    action_values: Float64[NDArray[np.float64], "states actions"], tie: float
) -> Int64[NDArray[np.int64], " states"]:
    """(S,) the lowest action whose value is within ``tie`` of the state's best."""
    best = action_values.max(axis=1, keepdims=True)
    policy: NDArray[np.int64] = np.argmax(action_values >= best - tie, axis=1)
    return policy


def warn_if_short(solution: Solution, tolerance: float) -> None:
    """Warn once where a solver stopped without the proof that was asked for."""
    if not solution.converged:
        warnings.warn(
            f"{solution.method} stopped after {solution.sweeps} sweeps with a proven error bound of "
            f"{solution.error_bound:.3g}, above the tolerance {tolerance:.3g}",
            RuntimeWarning,
            stacklevel=3,
        )
