r"""Grid worlds drawn as text: walls, goals, pits, teleports, wind, slip, rewards of cells.

The move of action a goes its own way with probability :math:`1 - \text{slip}` and to either
perpendicular side with :math:`\text{slip} / 2`; then the wind of the column that was left pushes
it up. The reward of a step is

.. math:: r = r_\text{step} + r_\text{bump} [\text{an edge or wall stopped it}]
              + r_\text{goal} [\text{G}] + r_\text{pit} [\text{H}] + r_\text{cell}.

References:
    S. Russell and P. Norvig (2010), Artificial Intelligence: A Modern Approach, 3rd edition,
    section 17.1: the 4x3 world that is the default map (with ``slip=0.2``); Figure 17.3 has its
    values.
    R. S. Sutton and A. G. Barto (2018), Reinforcement Learning: An Introduction, Example 6.5 for
    the wind, Example 3.5 for teleports.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..mdp import TabularMDP
from .entry_point import EntryPoint, VectorEntryPoint
from .grid_moves import FLOOR, GOAL, PIT, START, WALL, Cell, Grid, move_directions

__all__ = ["GridWorld", "GridWorldVector", "grid_world"]

_RUSSELL_NORVIG = ("...G", ".#.H", "S...")


def grid_world(
    rows: str | Sequence[str] = _RUSSELL_NORVIG,
    *,
    moves: int = 4,
    slip: float = 0.0,
    wind: Sequence[int] | None = None,
    stochastic_wind: bool = False,
    step_reward: float = -0.04,
    goal_reward: float = 1.0,
    pit_reward: float = -1.0,
    bump_reward: float = 0.0,
    cell_rewards: Mapping[str, float] | None = None,
    teleports: Mapping[str, tuple[str, float]] | None = None,
    name: str = "GridWorld",
) -> TabularMDP:
    """The model of a grid world.

    Args:
        rows: The map, as rows or as one text of lines: ``#`` wall, ``S`` start (several: one is
            drawn), ``G`` goal and ``H`` pit (both end the episode), ``.`` floor, and the
            characters of ``cell_rewards`` and ``teleports``. States are the cells that are not
            walls, row by row.
        moves: 4; 8 with the diagonals; 9 with staying too. Actions: 0 up, 1 right, 2 down, 3
            left, 4 up-right, 5 down-right, 6 down-left, 7 up-left, 8 stay.
        slip: Probability, in [0, 1], of moving to one of the two perpendicular sides instead.
        wind: For each column how many cells it pushes up (down where negative); the wind of
            the column left behind counts. Only the landing cell matters, so a wind of 2 carries
            over a thin wall.
        stochastic_wind: Where wind is not 0 it is one less, as given, or one more, each with
            probability 1/3.
        step_reward: Paid at every step.
        goal_reward: Paid in addition on entering a goal.
        pit_reward: Paid in addition on entering a pit.
        bump_reward: Paid in addition where an edge or a wall stops the move.
        cell_rewards: For other characters of the map, and for ``.`` and ``S``, what entering
            such a cell pays in addition.
        teleports: For other characters of the map ``(target, reward)``: every action there
            leads to the one cell marked ``target`` and pays just that reward.
        name: For tables and plots.

    Raises:
        ValueError: An option makes no sense; the message names it.

    Example:
        >>> grid_world(["S.G"], step_reward=-1.0).outcomes(1, 1)
        [(1.0, 2, 0.0, True)]
    """
    rewards = dict(cell_rewards or {})
    jumps = dict(teleports or {})
    _check_characters(rewards, jumps)
    extra = "".join([*rewards, *jumps, *(target for target, _ in jumps.values())])
    grid = Grid.parse(rows, extra=extra)
    if not 0 <= slip <= 1:
        raise ValueError(f"expected slip in [0, 1], got {slip}")
    columns = len(grid.rows[0])
    strengths = [0] * columns if wind is None else list(wind)
    if len(strengths) != columns:
        raise ValueError(f"expected wind for {columns} columns, got {len(strengths)}: {wind}")
    rules = _Rules(
        grid=grid,
        slip=slip,
        wind=strengths,
        stochastic_wind=stochastic_wind,
        step_reward=step_reward,
        bump_reward=bump_reward,
        entering={GOAL: goal_reward, PIT: pit_reward, **rewards},
        jumps={mark: (_only(grid, target), pay) for mark, (target, pay) in jumps.items()},
    )
    directions = move_directions(moves)
    return TabularMDP.from_outcomes(
        [[rules.outcomes(cell, move) for move in directions] for cell in grid.cells],
        initial_distribution=grid.start_distribution(),
        layout=grid.layout(directions),
        name=name,
    )


@dataclass(frozen=True)
class _Rules:
    grid: Grid
    slip: float
    wind: list[int]
    stochastic_wind: bool
    step_reward: float
    bump_reward: float
    entering: dict[str, float]
    jumps: dict[str, tuple[Cell, float]]

    def outcomes(self, cell: Cell, move: Cell) -> list[tuple[float, int, float, bool]]:
        """Those of one cell and one move; a goal or a pit loops, ended."""
        mark, states = self.grid[cell], self.grid.states
        if mark in (GOAL, PIT):
            return [(1.0, states[cell], 0.0, True)]
        if mark in self.jumps:
            target, reward = self.jumps[mark]
            return [(1.0, states[target], reward, self.grid[target] in (GOAL, PIT))]
        found = []
        for probability, (down, right) in _slipped(move, self.slip):
            for share, push in self._winds(cell[1]):
                landing, bumped = self.grid.land(cell, (down - push, right))
                reward = self.step_reward + self.entering.get(self.grid[landing], 0.0)
                if bumped:
                    reward += self.bump_reward
                ended = self.grid[landing] in (GOAL, PIT)
                found.append((probability * share, states[landing], reward, ended))
        return found

    def _winds(self, column: int) -> list[tuple[float, int]]:
        strength = self.wind[column]
        if self.stochastic_wind and strength != 0:
            return [(1 / 3, strength - 1), (1 / 3, strength), (1 / 3, strength + 1)]
        return [(1.0, strength)]


def _slipped(move: Cell, slip: float) -> Iterator[tuple[float, Cell]]:
    down, right = move
    yield 1 - slip, move
    yield slip / 2, (right, -down)
    yield slip / 2, (-right, down)


def _only(grid: Grid, mark: str) -> Cell:
    cells = grid.find(mark)
    if len(cells) != 1:
        raise ValueError(f"expected one cell {mark!r} to teleport to, got {len(cells)}")
    return cells[0]


def _check_characters(rewards: dict[str, float], jumps: dict[str, tuple[str, float]]) -> None:
    for option, marks in (("cell_rewards", rewards), ("teleports", jumps)):
        taken = WALL + GOAL + PIT + (FLOOR + START if option == "teleports" else "")
        for mark in marks:
            if len(mark) != 1 or mark in taken:
                raise ValueError(
                    f"expected {option} for single characters other than {taken!r}, got {mark!r}"
                )
    both = sorted(set(rewards) & set(jumps))
    if both:
        raise ValueError(f"expected cell_rewards and teleports to be disjoint, got {both} in both")


GridWorld = EntryPoint(grid_world)
GridWorldVector = VectorEntryPoint(grid_world)
