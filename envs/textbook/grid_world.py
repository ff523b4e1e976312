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
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..arguments import real_number
from ..mdp import TabularMDP
from .entry_point import EntryPoint, VectorEntryPoint
from .grid_moves import FLOOR, GOAL, PIT, START, WALL, Branch, Grid, move_directions

__all__ = ["GridWorld", "GridWorldVector", "grid_world"]

IntArray: TypeAlias = NDArray[np.int64]
FloatArray: TypeAlias = NDArray[np.float64]

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
        TypeError: An option is of another type.

    Example:
        >>> grid_world(["S.G"], step_reward=-1.0).outcomes(1, 1)
        [(1.0, 2, 0.0, True)]
    """
    rewards = _cell_rewards(cell_rewards)
    jumps = _jumps(teleports)
    _check_characters(rewards, jumps)
    extra = "".join([*rewards, *jumps, *(target for target, _ in jumps.values())])
    grid = Grid.parse(rows, extra=extra)
    directions = move_directions(moves)
    rules = _Rules(
        grid=grid,
        slip=real_number(slip, "slip", least=0, most=1),
        wind=_wind_of_states(grid, wind),
        stochastic_wind=stochastic_wind,
        step_reward=real_number(step_reward, "step_reward"),
        bump_reward=real_number(bump_reward, "bump_reward"),
        entering=_entering_rewards(
            grid,
            {
                GOAL: real_number(goal_reward, "goal_reward"),
                PIT: real_number(pit_reward, "pit_reward"),
                **rewards,
            },
        ),
        jumps={mark: (_only(grid, target), pay) for mark, (target, pay) in jumps.items()},
    )
    branches = [list(rules.branches(*direction)) for direction in directions]
    return grid.model(branches, directions=directions, name=name)


@dataclass(frozen=True)
class _Rules:
    grid: Grid
    slip: float
    wind: IntArray
    stochastic_wind: bool
    step_reward: float
    bump_reward: float
    entering: FloatArray
    jumps: dict[str, tuple[int, float]]

    def branches(self, down: int, right: int) -> Iterator[Branch]:
        """The ways of one move; a goal or a pit loops, ended, in the first of them."""
        grid, ends = self.grid, self.grid.marked(GOAL + PIT)
        chosen = ends.copy()
        target, reward_there = np.arange(grid.num_states), np.zeros(grid.num_states)
        for mark, (landing, pay) in self.jumps.items():
            here = grid.marked(mark)
            chosen, target[here], reward_there[here] = chosen | here, landing, pay
        first = True
        for share, sideways_down, sideways_right in _slipped(down, right, self.slip):
            for probability, push in self._winds():
                landing_state, bumped = grid.land(sideways_down - push, sideways_right)
                reward = self.step_reward + self.entering[landing_state]
                reward += np.where(bumped, self.bump_reward, 0.0)
                next_state = np.where(chosen, target, landing_state)
                yield Branch(
                    probability=np.where(chosen, float(first), share * probability),
                    next_state=next_state,
                    reward=np.where(chosen, reward_there, reward),
                    terminated=ends[next_state],
                )
                first = False

    def _winds(self) -> list[tuple[FloatArray, IntArray]]:
        whole = np.ones(self.grid.num_states)
        if not self.stochastic_wind:
            return [(whole, self.wind)]
        # a column without wind has no chance in it: two of its three ways are impossible
        some, none = self.wind != 0, np.where(self.wind != 0, 1 / 3, 0.0)
        return [
            (none, self.wind - 1),
            (np.where(some, 1 / 3, whole), self.wind),
            (none, self.wind + 1),
        ]


def _slipped(down: int, right: int, slip: float) -> list[tuple[float, int, int]]:
    straight = (1.0 - slip, down, right)
    if slip == 0:
        return [straight]
    return [straight, (slip / 2, right, -down), (slip / 2, -right, down)]


def _wind_of_states(grid: Grid, wind: Sequence[int] | None) -> IntArray:
    columns = len(grid.rows[0])
    if wind is None:
        return np.zeros(grid.num_states, dtype=np.int64)
    strengths = np.asarray(wind)
    if strengths.shape != (columns,) or not np.issubdtype(strengths.dtype, np.integer):
        raise ValueError(f"expected wind as {columns} whole numbers, one a column, got {wind!r}")
    # from beyond the edges all winds are alike, and the largest numbers would overflow
    most = 2 * len(grid.rows) + 2
    return np.clip(strengths.astype(np.int64), -most, most)[grid.columns]


def _entering_rewards(grid: Grid, rewards: Mapping[str, float]) -> FloatArray:
    paid = np.zeros(grid.num_states)
    for mark, reward in rewards.items():
        paid[grid.marked(mark)] = reward
    return paid


def _only(grid: Grid, mark: str) -> int:
    states = np.flatnonzero(grid.marked(mark))
    if len(states) != 1:
        raise ValueError(f"expected one cell {mark!r} to teleport to, got {len(states)}")
    return int(states[0])


def _cell_rewards(given: Mapping[str, float] | None) -> dict[str, float]:
    if given is not None and not isinstance(given, Mapping):
        raise TypeError(f"expected cell_rewards as a dictionary, got {given!r}")
    return {
        mark: real_number(reward, f"the reward of cell {mark!r}")
        for mark, reward in (given or {}).items()
    }


def _jumps(given: Mapping[str, tuple[str, float]] | None) -> dict[str, tuple[str, float]]:
    if given is not None and not isinstance(given, Mapping):
        raise TypeError(f"expected teleports as a dictionary, got {given!r}")
    jumps = {}
    for mark, jump in (given or {}).items():
        if not isinstance(jump, tuple | list) or len(jump) != 2 or not _is_character(jump[0]):
            raise ValueError(
                f"expected teleport {mark!r} as (target character, reward), got {jump!r}"
            )
        jumps[mark] = (jump[0], real_number(jump[1], f"the reward of teleport {mark!r}"))
    return jumps


def _is_character(value: object) -> bool:
    return isinstance(value, str) and len(value) == 1


def _check_characters(rewards: dict[str, float], jumps: dict[str, tuple[str, float]]) -> None:
    for option, marks in (("cell_rewards", rewards), ("teleports", jumps)):
        taken = WALL + GOAL + PIT + (FLOOR + START if option == "teleports" else "")
        for mark in marks:
            if not _is_character(mark) or mark.isspace() or mark in taken:
                raise ValueError(
                    f"expected {option} for single characters other than {taken!r}, got {mark!r}"
                )
    both = sorted(set(rewards) & set(jumps))
    if both:
        raise ValueError(f"expected cell_rewards and teleports to be disjoint, got {both} in both")


GridWorld = EntryPoint(grid_world)
GridWorldVector = VectorEntryPoint(grid_world)
