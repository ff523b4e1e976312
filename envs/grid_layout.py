"""Where the states of a model lie on a grid: what drawings need to know, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int64
from numpy.typing import NDArray

__all__ = ["GridLayout"]


@dataclass(frozen=True, eq=False)
class GridLayout:
    """A grid of cells, the state that each shows, and the direction of each action.

    Attributes:
        cells: R strings of length C, one character per cell: ``#`` wall, ``S`` start, ``G`` goal,
            ``H`` hole or pit, ``.`` floor; other characters are drawn as letters.
        state_of_cell: (R, C) index of the state in each cell, -1 where there is none. A model with
            several states per cell (a taxi with its passenger) has no layout.
        directions: For each action its (row, column) displacement; (0, 0) for staying.

    Raises:
        ValueError: The rows differ in length or are empty, the states have another shape or lie
            below -1, or a direction is no pair.

    Example:
        >>> corridor = GridLayout(("S.G",), np.array([[0, 1, 2]]), ((0, -1), (0, 1)))
        >>> corridor.num_rows, corridor.num_columns
        (1, 3)
    """

    cells: tuple[str, ...]
    state_of_cell: Int64[NDArray[np.int64], "rows columns"]
    directions: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        widths = {len(row) for row in self.cells}
        if len(widths) != 1 or 0 in widths:
            raise ValueError(
                f"expected rows of one length, at least 1, got lengths {sorted(widths)}"
            )
        if self.state_of_cell.shape != (self.num_rows, self.num_columns):
            raise ValueError(
                f"expected states of shape {(self.num_rows, self.num_columns)} for these cells, "
                f"got {self.state_of_cell.shape}"
            )
        if (self.state_of_cell < -1).any():
            raise ValueError(f"expected states from -1 up, got {self.state_of_cell.min()}")
        if any(len(direction) != 2 for direction in self.directions):
            raise ValueError(
                f"expected a (row, column) displacement for each action, got {self.directions}"
            )
        states = self.state_of_cell.copy()
        states.flags.writeable = False
        object.__setattr__(self, "state_of_cell", states)

    @property
    def num_rows(self) -> int:
        """R."""
        return len(self.cells)

    @property
    def num_columns(self) -> int:
        """C."""
        return len(self.cells[0])

    def to_json(self) -> dict[str, Any]:
        """What JSON can hold of it."""
        return {
            "cells": list(self.cells),
            "state_of_cell": self.state_of_cell.tolist(),
            "directions": [list(direction) for direction in self.directions],
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> GridLayout:
        """The inverse of `to_json`."""
        return cls(
            cells=tuple(value["cells"]),
            state_of_cell=np.array(value["state_of_cell"], dtype=np.int64),
            directions=tuple((int(row), int(column)) for row, column in value["directions"]),
        )
