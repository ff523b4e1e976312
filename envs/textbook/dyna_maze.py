"""The Dyna maze, and the two mazes that change while the agent learns.

Reaching the goal pays 1, everything else 0; discount 0.95. The shortest ways take 14 steps in the
plain maze; 10, then 16 in the blocking maze, whose short way is closed (and a longer one opened);
16, then 10 in the shortcut maze, where a shorter way opens and nothing tells so.

References:
    R. S. Sutton and A. G. Barto (2018), Reinforcement Learning: An Introduction, Example 8.1 with
    Figure 8.2, Example 8.2 with Figure 8.4 (blocking), Example 8.3 with Figure 8.5 (shortcut).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..arguments import whole_number
from ..grid_layout import GridLayout
from ..mdp import TabularMDP
from ..outcome_sampling import ModelChanges
from .entry_point import EntryPoint, VectorEntryPoint
from .grid_moves import GOAL, WALL, Branch, Grid, move_directions

__all__ = ["DynaMaze", "DynaMazeVector", "dyna_maze", "dyna_maze_changes"]

_PLAIN = (".......#G", "..#....#.", "S.#....#.", "..#......", ".....#...", ".........")
_CHANGING = ("........G", ".........", ".........", "{wall}", ".........", "...S.....")
# the row of the wall before the change and after it
_WALLS = {
    "blocking": ("########.", ".########"),
    "shortcut": (".########", ".#######."),
}
_CHANGE_STEPS = {"blocking": 1000, "shortcut": 3000}


def dyna_maze(*, variant: str = "plain", change_step: int | None = None) -> TabularMDP:
    """The model of a maze, of a changing one before its change.

    States are the cells row by row that are open before or after the change, in both models. An
    agent that stands where the change puts a wall can step out of it and not back.

    Args:
        variant: ``plain``, ``blocking`` or ``shortcut``.
        change_step: When a changing maze changes (see `dyna_maze_changes`); this model is the
            same whenever that is.

    Raises:
        ValueError: An unknown variant, or a ``change_step`` that `dyna_maze_changes` refuses.
    """
    _change_step(variant, change_step)
    if variant == "plain":
        return _maze(_PLAIN, _PLAIN, name="DynaMaze")
    before, after = _rows(variant)
    return _maze(before, after, name=f"DynaMaze-{variant}")


def dyna_maze_changes(*, variant: str = "plain", change_step: int | None = None) -> ModelChanges:
    """The change of a maze, for `TabularEnv`'s ``model_changes``: what its clock says holds.

    The change comes after ``change_step`` steps of the environment, over all episodes, counted
    since it was made or last reset with a seed. ``env.unwrapped.mdp`` is the model in force;
    copies of a vector environment each count their own steps.

    Args:
        variant: ``plain`` (no change), ``blocking`` or ``shortcut``.
        change_step: At least 1; None is the book's 1000 for blocking, 3000 for shortcut.

    Raises:
        ValueError: An unknown variant, or a step for a maze that does not change.
    """
    step = _change_step(variant, change_step)
    if step is None:
        return ()
    before, after = _rows(variant)
    return ((step, _maze(after, before, name=f"DynaMaze-{variant}-changed")),)


def _change_step(variant: str, change_step: int | None) -> int | None:
    if variant == "plain" and change_step is not None:
        raise ValueError(f"expected no change_step for the plain maze, got {change_step}")
    if variant == "plain":
        return None
    if variant not in _WALLS:
        raise ValueError(f"expected a variant of plain, {', '.join(_WALLS)}, got {variant!r}")
    if change_step is None:
        return _CHANGE_STEPS[variant]
    return whole_number(change_step, "change_step", least=1)


def _rows(variant: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    before, after = (tuple(row.format(wall=wall) for row in _CHANGING) for wall in _WALLS[variant])
    return before, after


def _maze(rows: tuple[str, ...], others: tuple[str, ...], *, name: str) -> TabularMDP:
    # a wall now that is open at the other time: a state, but one that cannot be entered
    passing = "x"
    marked = tuple(
        "".join(
            passing if now == WALL and then != WALL else now
            for now, then in zip(row, other, strict=True)
        )
        for row, other in zip(rows, others, strict=True)
    )
    grid, directions = Grid.parse(marked, extra=passing), move_directions(4)
    closed, ends = grid.marked(passing), grid.marked(GOAL)
    here = np.arange(grid.num_states)
    branches = []
    for down, right in directions:
        landing, _ = grid.land(down, right)
        landing = np.where(closed[landing] | ends, here, landing)
        branch = Branch(
            probability=np.ones(grid.num_states),
            next_state=landing,
            reward=np.where(ends[landing] & ~ends, 1.0, 0.0),
            terminated=ends[landing],
        )
        branches.append([branch])
    mdp = grid.model(branches, directions=directions, name=name)
    # drawn as the wall that it is now, although an agent may be standing there
    return replace(mdp, layout=GridLayout(rows, grid.state_of_cell, directions))


DynaMaze = EntryPoint(dyna_maze, changes=dyna_maze_changes)
DynaMazeVector = VectorEntryPoint(dyna_maze, changes=dyna_maze_changes)
