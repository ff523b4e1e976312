"""Cliff walking: the short way along the cliff, or the safe one above it.

Every step pays -1; stepping off the cliff pays -100 and leads back to the start without ending the
episode. Discount 1; the shortest way takes 13 steps.

References:
    R. S. Sutton and A. G. Barto (2018), Reinforcement Learning: An Introduction, Example 6.6.
"""

from __future__ import annotations

import numpy as np

from ..arguments import whole_number
from ..mdp import TabularMDP
from .entry_point import EntryPoint, VectorEntryPoint
from .grid_moves import GOAL, PIT, START, Branch, Grid, move_directions

__all__ = ["Cliff", "CliffVector", "cliff"]


def cliff(*, width: int = 12, height: int = 4, cliff_reward: float = -100.0) -> TabularMDP:
    """The model of cliff walking: the start and the goal at the ends of the bottom row.

    States are numbered row by row, the cliff's cells included (nothing leads into them), as in
    Gymnasium's CliffWalking, whose action order (up, right, down, left) it shares.

    Args:
        width: Columns, at least 3.
        height: Rows, at least 2.
        cliff_reward: What the fall pays.

    Raises:
        ValueError: The grid is too small for a cliff.
    """
    width, height = whole_number(width, "width"), whole_number(height, "height")
    if width < 3 or height < 2:
        raise ValueError(f"expected at least 3 columns and 2 rows, got {width} and {height}")
    rows = ("." * width,) * (height - 1) + (START + PIT * (width - 2) + GOAL,)
    grid, directions = Grid.parse(rows), move_directions(4)
    falls, ends = grid.marked(PIT), grid.marked(GOAL)
    start = int(np.flatnonzero(grid.marked(START))[0])
    branches = []
    for down, right in directions:
        landing, _ = grid.land(down, right)
        landing = np.where(ends, np.arange(grid.num_states), landing)
        branch = Branch(
            probability=np.ones(grid.num_states),
            next_state=np.where(falls[landing], start, landing),
            reward=np.where(ends, 0.0, np.where(falls[landing], cliff_reward, -1.0)),
            terminated=ends[landing],
        )
        branches.append([branch])
    return grid.model(branches, directions=directions, name="Cliff")


Cliff = EntryPoint(cliff)
CliffVector = VectorEntryPoint(cliff)
