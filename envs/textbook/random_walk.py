r"""Random walks on a line: left or right with equal chances, until an end.

There is one action; the walk is for prediction. State 0 and state n + 1 are the ends, the walk
starts in the middle. With end rewards a on the left and b on the right and discount 1,

.. math:: v(s) = a + (b - a) \frac{s}{n + 1}, \qquad s = 1, \dots, n.

References:
    R. S. Sutton and A. G. Barto (2018), Reinforcement Learning: An Introduction, Example 6.2 (5
    states, rewards 0 and 1) and Example 7.1 (19 states, rewards -1 and 1).
"""

from __future__ import annotations

import numpy as np

from ..arguments import whole_number
from ..grid_layout import GridLayout
from ..mdp import TabularMDP
from .entry_point import EntryPoint, VectorEntryPoint

__all__ = [
    "RandomWalk5",
    "RandomWalk5Vector",
    "RandomWalk19",
    "RandomWalk19Vector",
    "random_walk",
    "random_walk_5",
    "random_walk_19",
]


def random_walk(num_states: int, *, left_reward: float, right_reward: float) -> TabularMDP:
    """The model of a random walk over an odd number of states and two ends.

    Args:
        num_states: n, states that are no end; odd, at least 1.
        left_reward: Paid on reaching state 0.
        right_reward: Paid on reaching state n + 1.

    Raises:
        ValueError: ``num_states`` is even or below 1.
    """
    num_states = whole_number(num_states, "num_states")
    if num_states < 1 or num_states % 2 == 0:
        raise ValueError(f"expected an odd number of states, so with a middle, got {num_states}")
    last, middle = num_states + 1, (num_states + 1) // 2
    paid = {0: left_reward, last: right_reward}
    outcomes = [
        [[(0.5, to, paid.get(to, 0.0), to in paid) for to in (state - 1, state + 1)]]
        for state in range(1, last)
    ]
    row = "".join("H" if state == 0 else "." for state in range(last)) + "G"
    return TabularMDP.from_outcomes(
        [[[(1.0, 0, 0.0, True)]], *outcomes, [[(1.0, last, 0.0, True)]]],
        initial_distribution=middle,
        layout=GridLayout(
            (row[:middle] + "S" + row[middle + 1 :],), np.arange(last + 1)[None], ((0, 0),)
        ),
        name=f"RandomWalk{num_states}",
    )


def random_walk_5(*, left_reward: float = 0.0, right_reward: float = 1.0) -> TabularMDP:
    """Example 6.2: values 1/6, 2/6, ..., 5/6 in states 1 to 5."""
    return random_walk(5, left_reward=left_reward, right_reward=right_reward)


def random_walk_19(*, left_reward: float = -1.0, right_reward: float = 1.0) -> TabularMDP:
    """Example 7.1: values -0.9, -0.8, ..., 0.9 in states 1 to 19."""
    return random_walk(19, left_reward=left_reward, right_reward=right_reward)


RandomWalk5 = EntryPoint(random_walk_5)
RandomWalk5Vector = VectorEntryPoint(random_walk_5)
RandomWalk19 = EntryPoint(random_walk_19)
RandomWalk19Vector = VectorEntryPoint(random_walk_19)
