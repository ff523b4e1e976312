"""Two small gridworlds with printed values, for checking policy evaluation and control.

References:
    R. S. Sutton and A. G. Barto (2018), Reinforcement Learning: An Introduction, Example 4.1 with
    Figure 4.1 (4x4), Example 3.5 with Figure 3.2 and Example 3.8 with Figure 3.5 (5x5).
"""

from __future__ import annotations

from ..mdp import TabularMDP
from .entry_point import EntryPoint, VectorEntryPoint
from .grid_world import grid_world

__all__ = [
    "BookGrid4x4",
    "BookGrid4x4Vector",
    "BookGrid5x5",
    "BookGrid5x5Vector",
    "book_grid_4x4",
    "book_grid_5x5",
]


def book_grid_4x4() -> TabularMDP:
    """Example 4.1: -1 at every step until one of two corners; discount 1.

    The 16 cells are states 0 to 15; the book counts its two shaded corners as one terminal state.
    The book names no start; here it is any other cell.
    """
    rows = ("GSSS", "SSSS", "SSSS", "SSSG")
    return grid_world(rows, step_reward=-1.0, goal_reward=0.0, name="BookGrid4x4")


def book_grid_5x5() -> TabularMDP:
    """Example 3.5: +10 for leaving A, which leads to A', +5 for leaving B; it never ends.

    Bumping into an edge pays -1, every other move 0; discount 0.9. A' is marked ``a``, B' ``b``.
    The book names no start; here it is any unmarked cell.
    """
    rows = ("SASBS", "SSSSS", "SSSbS", "SSSSS", "SaSSS")
    return grid_world(
        rows,
        step_reward=0.0,
        bump_reward=-1.0,
        teleports={"A": ("a", 10.0), "B": ("b", 5.0)},
        name="BookGrid5x5",
    )


BookGrid4x4 = EntryPoint(book_grid_4x4)
BookGrid4x4Vector = VectorEntryPoint(book_grid_4x4)
BookGrid5x5 = EntryPoint(book_grid_5x5)
BookGrid5x5Vector = VectorEntryPoint(book_grid_5x5)
