r"""The gambler's problem: staking on coin flips until the goal or ruin.

The state is the capital, 0 to ``goal``; both ends are terminal. Heads, with probability p, wins
the stake, tails loses it; reaching the goal pays 1, all else 0; discount 1, so the value is the
probability of reaching the goal. With :math:`p < 1/2` bold play (stake all, or what is missing) is
optimal, :math:`v(100/2) = p`, :math:`v(100/4) = p^2`; many other policies are too.

References:
    R. S. Sutton and A. G. Barto (2018), Reinforcement Learning: An Introduction, Example 4.3.
    L. E. Dubins and L. J. Savage (1965), How to Gamble If You Must: bold play.
"""

from __future__ import annotations

import numpy as np

from ..arguments import real_number, whole_number
from ..mdp import TabularMDP
from .entry_point import EntryPoint, VectorEntryPoint

__all__ = ["Gambler", "GamblerVector", "gambler"]


def gambler(
    *,
    probability: float = 0.4,
    goal: int = 100,
    capital: int | None = None,
    masked: bool = False,
) -> TabularMDP:
    """The model of the gambler's problem.

    Action a stakes a + 1, at most half the goal (no larger stake is ever of use). A stake beyond
    ``min(capital, goal - capital)`` is read as that largest stake.

    Args:
        probability: Of heads, in [0, 1].
        goal: The capital to reach, at least 2.
        capital: The capital to start with; None draws one from 1 to goal - 1.
        masked: Forbid stakes beyond the largest by the action mask instead.

    Raises:
        ValueError: An option is out of its range.
    """
    probability = real_number(probability, "probability", least=0, most=1)
    goal = whole_number(goal, "goal", least=2)
    if capital is not None:
        capital = whole_number(capital, "capital", least=1, most=goal - 1)
    stakes = range(1, goal // 2 + 1)
    start = np.zeros(goal + 1)
    start[range(1, goal) if capital is None else capital] = 1.0
    return TabularMDP.from_outcomes(
        [
            [_flip(held, stake, probability, goal, masked=masked) for stake in stakes]
            for held in range(goal + 1)
        ],
        initial_distribution=start / start.sum(),
        name="Gambler",
    )


def _flip(
    held: int, stake: int, probability: float, goal: int, *, masked: bool
) -> list[tuple[float, int, float, bool]]:
    if held in (0, goal):
        return [(1.0, held, 0.0, True)]
    largest = min(held, goal - held)
    if stake > largest and masked:
        return []
    won, lost = held + min(stake, largest), held - min(stake, largest)
    return [
        (probability, won, float(won == goal), won == goal),
        (1 - probability, lost, 0.0, lost == 0),
    ]


Gambler = EntryPoint(gambler)
GamblerVector = VectorEntryPoint(gambler)
