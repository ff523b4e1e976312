r"""How far undiscounted values can be from the truth.

At discount 1 a backup contracts nothing by itself; what makes the error finite is that episodes
end. Let resting places be joined (`resting_places`), let :math:`V` be values, :math:`m \le TV - V
\le M`, and let :math:`w \ge \delta > 0` be a vector with

.. math:: \sum_{s'} c(s' \mid s, a)\, w(s') \le w(s) - \delta

for every *near* pair, those whose value is within :math:`\theta` of the state's best: w is about
the longest expected number of steps when only near pairs are used. Put :math:`\varepsilon =
\max(M, -m, 0) / \delta`. If every other pair has

.. math:: \varepsilon \Big( \sum_{s'} c(s' \mid s, a)\, w(s') - w(s) \Big)
   \le V(s) - q(s, a),

then :math:`|V - V^*|(s) \le \varepsilon\, w(s)` for every state.

*Proof.* Above: :math:`U = V + \varepsilon w` has :math:`TU \le U`, for near pairs because
:math:`q + \varepsilon c w \le V + M + \varepsilon (w - \delta) \le U`, for the others by the
condition. So :math:`U \ge T_\pi^n U = V_n^\pi + c_\pi^n U` for every policy, and for one that ends
with certainty :math:`c_\pi^n U \to 0`: U is above its value. A policy that does not end with
certainty earns minus infinity somewhere, since every end component left loses. Below: the greedy
policy uses near pairs only, so :math:`c_\pi w \le w - \delta` makes :math:`c_\pi` a contraction in
the norm weighted by w (it ends with certainty), and :math:`L = V - \varepsilon w` has :math:`L \le
T_\pi L \le \dots \le V_\pi \le V^*`. ∎

How w was found does not matter, the two conditions are checked. It is found as the solution of
:math:`w = 1 + \max_{a\ \text{near}} c_a w` by policy iteration, which leaves :math:`\delta` near
1.

References:
    D. P. Bertsekas and J. N. Tsitsiklis (1991), An analysis of stochastic shortest path problems.
    C. Baier et al. (2017), Ensuring the reliability of your model checker: interval iteration.
    M. L. Puterman (1994), Markov Decision Processes, sections 6.10 and 7.2 (weighted norms).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from .bellman_operator import BellmanOperator
from .linear_solve import PolicySystem
from .policy_rows import PolicyRows
from .row_selection import chosen_rows

__all__ = ["TotalRewardCertificate", "certify_total_reward", "expected_steps"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_NEARNESS = (1e-4, 1e-6, 1e-8, 1e-10, 1e-12)
_IMPROVEMENTS = 100


@dataclass(frozen=True)
class TotalRewardCertificate:
    """What `certify_total_reward` found.

    Attributes:
        error_bound: Largest error of the values; infinite where there is no proof.
        nearness: The theta of the proof: pairs as near to the best as this end with certainty.
    """

    error_bound: float
    nearness: float


def certify_total_reward(
    operator: BellmanOperator,
    values: Float64[Floats, " states"],
    action_values: Float64[Floats, "states actions"],
    best: Float64[Floats, " states"],
    rounding: float,
) -> TotalRewardCertificate:
    """Bound the largest error of ``values`` at discount 1.

    Args:
        operator: The operator, with its resting places.
        values: (S,) values, equal within a resting place, 0 where pinned.
        action_values: (S, A) their pair values; -inf where masked or inside a resting place.
        best: (S,) their backup, equal within a resting place, 0 where pinned.
        rounding: How far rounding can have moved a pair's value.
    """
    change = best - values
    size = max(float(change.max()), -float(change.min()), 0.0) + rounding
    scale = max(float(np.abs(values).max()), operator.errors.largest_reward, 1e-300)
    live = np.ones(len(values), dtype=np.bool_) if operator.pinned is None else ~operator.pinned
    slack = values[:, None] - action_values - rounding
    for nearness in _NEARNESS:
        theta = nearness * scale + 2 * rounding
        near = (action_values >= best[:, None] - theta) & live[:, None]
        found = _longest_steps(operator, near, action_values)
        if found is None:
            continue
        steps, ahead = found
        growth = ahead - steps[:, None]
        noise = operator.errors.relative_rounding * float(steps.max())
        drop = -float(growth[near].max(initial=-1.0)) - noise
        if drop <= 0:
            continue
        epsilon = size / drop
        others = ~near & live[:, None] & np.isfinite(action_values)
        if (epsilon * (growth[others] + noise) <= slack[others]).all():
            return TotalRewardCertificate(epsilon * float(steps.max(initial=1.0)), theta)
    return TotalRewardCertificate(np.inf, 0.0)


def expected_steps(rows: PolicyRows) -> Float64[Floats, " states"] | None:
    """(S,) expected steps until the policy ends, or None where it does not end with certainty."""
    steps = PolicySystem(rows, 1.0).solve(np.ones(rows.num_states))
    return steps if np.isfinite(steps).all() and steps.min() > 0.5 else None


def _longest_steps(
    operator: BellmanOperator, near: Bools, action_values: Floats
) -> tuple[Floats, Floats] | None:
    """The w of the module's proof and c w of every pair, or None where there is none."""
    num_states, num_actions = near.shape
    first = np.where(near, action_values, -np.inf)
    chosen = np.arange(num_states) * num_actions + np.argmax(first, axis=1)
    chosen[~near.any(axis=1)] = -1
    _join(operator, first.max(axis=1), chosen)
    steps_operator = replace(operator, rewards=np.zeros_like(operator.rewards))
    for _ in range(_IMPROVEMENTS):
        steps = expected_steps(chosen_rows(operator, chosen))
        if steps is None:
            return None
        if operator.pinned is not None:
            steps[operator.pinned] = 0.0
        ahead, _ = steps_operator.action_values(steps)
        longest = np.where(near, ahead, -np.inf)
        most = longest.max(axis=1)
        longer = most > steps - 0.5
        if not longer.any():
            return steps, ahead
        better = np.arange(num_states) * num_actions + np.argmax(longest, axis=1)
        chosen = np.where(longer, better, chosen)
        _join(operator, np.where(longer, most, -np.inf), chosen)
    return None


def _join(operator: BellmanOperator, scores: Floats, chosen: Ints) -> None:
    """Let each resting place choose what its state with the best finite score chose."""
    resting = operator.resting
    if resting is None or not resting.any:
        return
    leaders = resting.leaders(scores)
    leaders = leaders[np.isfinite(scores[leaders])]
    row_of_place = np.full(len(resting.starts), -2, dtype=np.int64)
    row_of_place[resting.labels[leaders]] = chosen[leaders]
    rows = row_of_place[resting.labels[resting.members]]
    chosen[resting.members] = np.where(rows == -2, chosen[resting.members], rows)
