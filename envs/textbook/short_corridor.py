r"""The short corridor with switched actions: three states that look the same.

Left and right, -1 at every step; in the second state the actions are reversed. All three states
show observation 0 (the end shows 1), so a policy is one number p, the probability of right, with

.. math:: v_p(s_0) = \frac{2 (p - 2)}{p (1 - p)}, \qquad
          \max_p v_p(s_0) = -(6 + 4 \sqrt 2) \approx -11.66 \text{ at } p = 2 - \sqrt 2 .

Epsilon-greedy policies, which must prefer one of the two, reach -44.2 or -82.1 at epsilon 0.1.

References:
    R. S. Sutton and A. G. Barto (2018), Reinforcement Learning: An Introduction, Example 13.1.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..grid_layout import GridLayout
from ..mdp import TabularMDP
from .entry_point import EntryPoint, VectorEntryPoint

__all__ = ["ShortCorridor", "ShortCorridorVector", "short_corridor"]

_END = 3


def short_corridor(*, observed: bool = False) -> TabularMDP:
    """The model of the short corridor: states 0 to 2 and the end 3; actions 0 left, 1 right.

    Planners see the states, and so do better (-3 from the start) than any agent that sees the
    observations.

    Args:
        observed: Show the states as they are, which makes the problem easy.
    """

    def outcome(state: int, step: int) -> list[tuple[float, int, float, bool]]:
        to = max(state + (-step if state == 1 else step), 0)
        return [(1.0, to, -1.0, to == _END)]

    mdp = TabularMDP.from_outcomes(
        [
            *([outcome(state, -1), outcome(state, 1)] for state in range(_END)),
            [[(1.0, _END, 0.0, True)]] * 2,
        ],
        layout=GridLayout(("S..G",), np.arange(4)[None], ((0, -1), (0, 1))),
        name="ShortCorridor",
    )
    return mdp if observed else replace(mdp, observation_index=np.array([0, 0, 0, 1]))


ShortCorridor = EntryPoint(short_corridor)
ShortCorridorVector = VectorEntryPoint(short_corridor)
