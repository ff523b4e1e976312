"""Moving on a grid of characters: directions, edges and walls, numbered cells.

Actions turn clockwise from up: 0 up, 1 right, 2 down, 3 left (CliffWalking's order), then the
diagonals 4 up-right, 5 down-right, 6 down-left, 7 up-left, then 8 staying.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from ..grid_layout import GridLayout

__all__ = ["Cell", "Grid", "move_directions"]

Cell: TypeAlias = tuple[int, int]

WALL, START, GOAL, PIT, FLOOR = "#", "S", "G", "H", "."
_CLOCKWISE: tuple[Cell, ...] = ((-1, 0), (0, 1), (1, 0), (0, -1))
_DIAGONALS: tuple[Cell, ...] = ((-1, 1), (1, 1), (1, -1), (-1, -1))


def move_directions(moves: int) -> tuple[Cell, ...]:
    """The (row, column) displacement of each action, for 4, 8 or 9 moves.

    Raises:
        ValueError: Another number of moves.
    """
    if moves not in (4, 8, 9):
        raise ValueError(f"expected 4, 8 or 9 moves, got {moves!r}")
    return (*_CLOCKWISE, *_DIAGONALS, (0, 0))[:moves]


@dataclass(frozen=True)
class Grid:
    """Rows of characters; every cell that is not a wall is a state, numbered row by row.

    Raises:
        ValueError: No rows, rows of different lengths, or characters outside ``known``.
    """

    rows: tuple[str, ...]
    known: str = WALL + START + GOAL + PIT + FLOOR

    def __post_init__(self) -> None:
        lengths = [len(row) for row in self.rows]
        if not lengths or min(lengths) == 0 or len(set(lengths)) != 1:
            raise ValueError(f"expected rows of one length, at least 1, got lengths {lengths}")
        for row, text in enumerate(self.rows):
            for column, character in enumerate(text):
                if character not in self.known:
                    raise ValueError(
                        f"expected characters from {''.join(sorted(set(self.known)))!r}, got "
                        f"{character!r} in row {row}, column {column}"
                    )

    @classmethod
    def parse(cls, rows: str | Sequence[str], *, extra: str = "") -> Grid:
        """A grid from rows, or from one text with a row in each line.

        Args:
            rows: The rows.
            extra: Characters known besides wall, start, goal, pit and floor.
        """
        lines = rows.split() if isinstance(rows, str) else rows
        return cls(tuple(lines), known=WALL + START + GOAL + PIT + FLOOR + extra)

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """The cell of each state."""
        return tuple(
            (row, column)
            for row, text in enumerate(self.rows)
            for column, character in enumerate(text)
            if character != WALL
        )

    @cached_property
    def states(self) -> dict[Cell, int]:
        """The state of each cell."""
        return {cell: state for state, cell in enumerate(self.cells)}

    def __getitem__(self, cell: Cell) -> str:
        return self.rows[cell[0]][cell[1]]

    def find(self, characters: str) -> list[Cell]:
        """The cells that show one of these characters."""
        return [cell for cell in self.cells if self[cell] in characters]

    def land(self, cell: Cell, displacement: Cell) -> tuple[Cell, bool]:
        """Where a displacement leads, and whether an edge or a wall stopped it.

        Edges clip each coordinate, so that a diagonal slides along them; who would land on a wall
        stays where they are.
        """
        wanted = (cell[0] + displacement[0], cell[1] + displacement[1])
        row = min(max(wanted[0], 0), len(self.rows) - 1)
        column = min(max(wanted[1], 0), len(self.rows[0]) - 1)
        if self.rows[row][column] == WALL:
            return cell, True
        return (row, column), (row, column) != wanted

    def start_distribution(self) -> Float64[NDArray[np.float64], " states"]:
        """(S,) uniform over the cells marked as start.

        Raises:
            ValueError: There is none.
        """
        starts = self.find(START)
        if not starts:
            raise ValueError(f"expected at least one start {START!r}, got none in {self.rows}")
        distribution = np.zeros(len(self.cells))
        distribution[[self.states[cell] for cell in starts]] = 1 / len(starts)
        return distribution

    def state_of_cell(self) -> Int64[NDArray[np.int64], "rows columns"]:
        """(R, C) the state in each cell, -1 in walls."""
        states = np.full((len(self.rows), len(self.rows[0])), -1, dtype=np.int64)
        for cell, state in self.states.items():
            states[cell] = state
        return states

    def layout(self, directions: tuple[Cell, ...]) -> GridLayout:
        """What drawings need."""
        return GridLayout(self.rows, self.state_of_cell(), directions)
