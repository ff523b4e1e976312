"""The windy gridworld: a crosswind through the middle of a grid pushes upward.

The reward is -1 at every step until the goal; discount 1. With four moves the shortest way takes
15 steps, with king's moves 7.

References:
    R. S. Sutton and A. G. Barto (2018), Reinforcement Learning: An Introduction, Example 6.5;
    Exercise 6.9 (king's moves, staying) and Exercise 6.10 (stochastic wind).
"""

from __future__ import annotations

from ..mdp import TabularMDP
from .entry_point import EntryPoint, VectorEntryPoint
from .grid_world import grid_world

__all__ = ["WindyGridworld", "WindyGridworldVector", "windy_gridworld"]

_ROWS = ("..........",) * 3 + ("S......G..",) + ("..........",) * 3
_WIND = (0, 0, 0, 1, 1, 1, 2, 2, 1, 0)


def windy_gridworld(*, moves: int = 4, stochastic_wind: bool = False) -> TabularMDP:
    """The model of the windy gridworld: 7 x 10 cells, 70 states.

    Args:
        moves: 4; 8 with the diagonals; 9 with staying too (`grid_world` has their order).
        stochastic_wind: In a windy column the wind is one less, as given, or one more, each with
            probability 1/3.

    Raises:
        ValueError: Another number of moves.
    """
    return grid_world(
        _ROWS,
        moves=moves,
        wind=_WIND,
        stochastic_wind=stochastic_wind,
        step_reward=-1.0,
        goal_reward=0.0,
        name="WindyGridworld",
    )


WindyGridworld = EntryPoint(windy_gridworld)
WindyGridworldVector = VectorEntryPoint(windy_gridworld)
