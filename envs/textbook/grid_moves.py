"""Moving on a grid of characters: directions, edges and walls, for all cells at once.

Actions turn clockwise from up: 0 up, 1 right, 2 down, 3 left (CliffWalking's order), then the
diagonals 4 up-right, 5 down-right, 6 down-left, 7 up-left, then 8 staying.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy.typing import NDArray

from ..grid_layout import GridLayout
from ..mdp import TabularMDP

__all__ = ["FLOOR", "GOAL", "PIT", "START", "WALL", "Branch", "Grid", "move_directions"]

Move: TypeAlias = tuple[int, int]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]
FloatArray: TypeAlias = NDArray[np.float64]

WALL, START, GOAL, PIT, FLOOR = "#", "S", "G", "H", "."
_CLOCKWISE: tuple[Move, ...] = ((-1, 0), (0, 1), (1, 0), (0, -1))
_DIAGONALS: tuple[Move, ...] = ((-1, 1), (1, 1), (1, -1), (-1, -1))


def move_directions(moves: int) -> tuple[Move, ...]:
    """The (row, column) displacement of each action, for 4, 8 or 9 moves.

    Raises:
        ValueError: Another number of moves.
    """
    if moves not in (4, 8, 9) or isinstance(moves, float):
        raise ValueError(f"expected 4, 8 or 9 moves, got {moves!r}")
    return (*_CLOCKWISE, *_DIAGONALS, (0, 0))[:moves]


@dataclass(frozen=True)
class Branch:
    """One way that one action can turn out, in every state.

    Attributes:
        probability: (S,) of this way.
        next_state: (S,) where it leads.
        reward: (S,) what it pays.
        terminated: (S,) whether it ends the episode.
    """

    probability: Float64[FloatArray, " states"]
    next_state: Int64[IntArray, " states"]
    reward: Float64[FloatArray, " states"]
    terminated: Bool[BoolArray, " states"]


@dataclass(frozen=True)
class Grid:
    """Rows of characters; every cell that is not a wall is a state, numbered row by row.

    Raises:
        ValueError: No rows, rows of different lengths, or characters outside ``known``.
    """

    rows: tuple[str, ...]
    known: str = WALL + START + GOAL + PIT + FLOOR

    def __post_init__(self) -> None:
        lengths = {len(row) for row in self.rows}
        if len(lengths) != 1 or 0 in lengths:
            raise ValueError(
                f"expected rows of one length, at least 1, got lengths {sorted(lengths)}"
            )
        if set().union(*self.rows) <= set(self.known):
            return
        for row, text in enumerate(self.rows):
            for column, mark in enumerate(text):
                if mark not in self.known:
                    raise ValueError(
                        f"expected characters from {''.join(sorted(set(self.known)))!r}, got "
                        f"{mark!r} in row {row}, column {column}"
                    )

    @classmethod
    def parse(cls, rows: str | Sequence[str], *, extra: str = "") -> Grid:
        """A grid from rows, or from one text with a row in each line.

        Args:
            rows: The rows.
            extra: Characters known besides wall, start, goal, pit and floor.
        """
        given: object = rows
        if not isinstance(given, Iterable) or isinstance(given, bytes):
            raise TypeError(f"expected rows of characters, got {rows!r}")
        lines: list[Any] = rows.split() if isinstance(rows, str) else list(rows)
        for row, line in enumerate(lines):
            if not isinstance(line, str | Sequence | np.ndarray) or isinstance(line, bytes):
                raise TypeError(f"expected row {row} as characters, got {line!r}")
        return cls(
            tuple("".join(line) for line in lines), known=WALL + START + GOAL + PIT + FLOOR + extra
        )

    @cached_property
    def marks(self) -> NDArray[Any]:
        """(S,) the character of each state."""
        return self._characters[self._positions]

    @cached_property
    def state_of_cell(self) -> Int64[IntArray, "rows columns"]:
        """(R, C) the state in each cell, -1 in walls."""
        states = np.full(self._characters.shape, -1, dtype=np.int64)
        states[self._positions] = np.arange(len(self._positions[0]))
        return states

    @property
    def num_states(self) -> int:
        """S."""
        return len(self.marks)

    @property
    def columns(self) -> Int64[IntArray, " states"]:
        """(S,) the column of each state."""
        return self._positions[1]

    def marked(self, marks: str) -> Bool[BoolArray, " states"]:
        """(S,) which states show one of these characters."""
        return np.isin(self.marks, list(marks))

    def land(
        self, down: int | IntArray, right: int | IntArray
    ) -> tuple[Int64[IntArray, " states"], Bool[BoolArray, " states"]]:
        """Where a displacement leads from every state, and whether an edge or a wall stopped it.

        Edges clip each coordinate, so that a diagonal slides along them; who would land on a wall
        stays where they are.
        """
        rows, columns = self._positions
        height, width = self._characters.shape
        row = np.clip(rows + down, 0, height - 1)
        column = np.clip(columns + right, 0, width - 1)
        landing = self.state_of_cell[row, column]
        bumped = (row != rows + down) | (column != columns + right) | (landing < 0)
        return np.where(landing < 0, np.arange(self.num_states), landing), bumped

    def model(
        self,
        branches: Sequence[Sequence[Branch]],
        *,
        directions: tuple[Move, ...],
        name: str,
    ) -> TabularMDP:
        """The model whose action a turns out in the ways ``branches[a]``, as many for each.

        Raises:
            ValueError: There is no start.
        """

        def flat(field: str, dtype: Any) -> NDArray[Any]:
            columns = [[getattr(branch, field) for branch in ways] for ways in branches]
            return np.moveaxis(np.array(columns, dtype=dtype), 2, 0).ravel()

        num_rows, ways = self.num_states * len(branches), len(branches[0])
        return TabularMDP(
            row_starts=np.arange(0, num_rows * ways + 1, ways, dtype=np.int64),
            next_states=flat("next_state", np.int32),
            probabilities=flat("probability", np.float64),
            rewards=flat("reward", np.float64),
            terminated=flat("terminated", np.bool_),
            initial_distribution=self._start_distribution(),
            num_actions=len(branches),
            layout=GridLayout(self.rows, self.state_of_cell, directions),
            name=name,
        )

    def _start_distribution(self) -> FloatArray:
        starts = self.marked(START)
        if not starts.any():
            raise ValueError(f"expected at least one start {START!r} in the rows, got none")
        distribution: FloatArray = starts / starts.sum()
        return distribution

    @cached_property
    def _characters(self) -> NDArray[Any]:
        return np.array([list(row) for row in self.rows])

    @cached_property
    def _positions(self) -> tuple[IntArray, IntArray]:
        rows, columns = np.nonzero(self._characters != WALL)
        return rows, columns
