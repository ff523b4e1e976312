r"""The last step of every planner: from values, however found, to a `Solution` with a bound.

One more backup of the values gives the action values, the policy, the residual and a proof of how
far the values are from the truth (`error_bounds` for discounts below 1, `total_reward` for 1). So
no planner is trusted: a mistake in one could make it slow, not its bound false.

Equal actions: actions of a state whose values differ by less than the values' own uncertainty
(rounding, and twice the error bound but at most 1e-9 of the largest value) count as equal, and the
lowest is taken, so that planners agree on the policy wherever they can. At discount 1 an action of
equal value may go round for ever; there the policy is one that gets away (`resting_places`).
"""

from __future__ import annotations

import math
import sys
import warnings
from types import FrameType

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from .bellman_operator import BellmanOperator
from .bellman_sweeps import lowest_near_best
from .solution import Solution
from .total_reward import certify_total_reward

__all__ = ["certify", "finish", "greedy_policy", "warn_if_short"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_TIE = 1e-9


def finish(
    operator: BellmanOperator,
    values: Float64[Floats, " states"],
    *,
    method: str,
    sweeps: int,
    tolerance: float,
    proven: float = np.inf,
) -> Solution:
    """`certify`, and one warning where the solver stopped short of the tolerance."""
    solution = certify(
        operator, values, method=method, sweeps=sweeps, tolerance=tolerance, proven=proven
    )
    warn_if_short(solution, tolerance)
    return solution


def certify(
    operator: BellmanOperator,
    values: Float64[Floats, " states"],
    *,
    method: str,
    sweeps: int,
    tolerance: float,
    proven: float = np.inf,
) -> Solution:
    """Back the values up once more and state how good they are.

    Args:
        operator: The operator whose fixed point is sought.
        values: (S,) values, 0 where pinned, equal within resting places; they become the
            solution's and pinned states get their own value.
        method: The solver's name.
        sweeps: Passes that were made.
        tolerance: Error bound that was asked for.
        proven: A bound of the largest error that the solver has proven already.

    Returns:
        The solution; ``converged`` says whether the bound is within the tolerance.
    """
    errors, largest = operator.errors, _size(values)
    action_values, best = operator.action_values(values)
    outside = operator.without_resting(action_values)
    if operator.resting is not None:
        operator.resting.level(best)
    change = best - values
    if operator.pinned is not None:
        change[operator.pinned] = 0.0
    lowest, highest = float(change.min()), float(change.max())
    if operator.resting is None:
        del change
        lower, upper = errors.offsets(lowest, highest, largest)
        error_bound, nearness = max(-lower, upper), np.inf
    else:
        backup = values + change
        rounding = errors.allowance(max(-lowest, highest), largest)
        proof = certify_total_reward(operator, values, outside, backup, rounding)
        error_bound, nearness = proof.error_bound, proof.nearness
    error_bound = min(proven, error_bound) if math.isfinite(largest) else math.inf
    if operator.pinned is not None:
        values[operator.pinned] = best[operator.pinned]  # a backup, with an error of its own
        ahead = errors.discount * errors.greatest_sum * error_bound
        error_bound = max(error_bound, ahead + errors.rounding(largest))
    tie = errors.rounding(largest) + min(2 * error_bound, _TIE * largest)
    return Solution(
        method=method,
        discount=operator.discount,
        state_values=values,
        action_values=action_values,
        policy=_policy(operator, outside, min(tie, nearness)),
        sweeps=sweeps,
        residual=max(-lowest, highest) + 0.0,
        error_bound=error_bound,
        converged=error_bound <= tolerance,
    )


def _size(values: Floats) -> float:
    return max(float(values.max()), -float(values.min()))


def greedy_policy(
    action_values: Float64[Floats, "states actions"], tie: float
) -> Int64[Ints, " states"]:
    """(S,) the lowest action whose value is within ``tie`` of the state's best."""
    policy = np.zeros(len(action_values), dtype=np.int64)
    lowest_near_best(action_values, tie, policy)
    return policy


def warn_if_short(solution: Solution, tolerance: float) -> None:
    """Warn where a solver stopped without the proof that was asked for, at the caller's line."""
    if not solution.converged:
        warnings.warn(
            f"{solution.method} stopped after {solution.sweeps} sweeps with a proven error bound "
            f"of {solution.error_bound:.3g}, above the tolerance {tolerance:.3g}",
            RuntimeWarning,
            stacklevel=_level_of_caller(),
        )


def _level_of_caller() -> int:
    """How many frames above the caller of this the first outside of the package is."""
    package = __name__.partition(".")[0]
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and _package_of(frame) == package:
        frame, level = frame.f_back, level + 1
    return level


def _package_of(frame: FrameType) -> str:
    name: str = frame.f_globals.get("__name__", "")
    return name.partition(".")[0]


def _policy(operator: BellmanOperator, outside: Floats, tie: float) -> Ints:
    policy = greedy_policy(outside, tie)
    resting = operator.resting
    if resting is None or not resting.any:
        return policy
    own = outside.max(axis=1)
    chosen = np.arange(len(policy)) * operator.mdp.num_actions + policy
    chosen[own == -np.inf] = -1
    own[own <= tie] = np.minimum(own[own <= tie], 0.0)
    resting.lead(own, chosen)
    return resting.spread(operator.mdp, chosen)
