"""Layouts are checked when they are built and survive JSON."""

import json

import numpy as np
import pytest
from gymagine.envs.grid_layout import GridLayout

CELLS, STATES = ("S.#", ".HG"), np.array([[0, 1, -1], [2, 3, 4]])
MOVES = ((0, -1), (1, 0), (0, 1), (-1, 0))


def test_json_keeps_everything():
    layout = GridLayout(CELLS, STATES, MOVES)
    again = GridLayout.from_json(json.loads(json.dumps(layout.to_json())))
    assert (again.cells, again.directions) == (CELLS, MOVES)
    np.testing.assert_array_equal(again.state_of_cell, STATES)
    assert again.state_of_cell.dtype == np.int64
    assert (layout.num_rows, layout.num_columns) == (2, 3)


def test_layouts_can_be_compared_and_kept_in_sets():
    layout = GridLayout(CELLS, STATES, MOVES)
    assert layout == layout
    assert len({layout, layout}) == 1


def test_a_layout_does_not_change_with_the_callers_array():
    states = STATES.copy()
    layout = GridLayout(CELLS, states, MOVES)
    states[0, 0] = 9
    assert layout.state_of_cell[0, 0] == 0
    with pytest.raises(ValueError, match="read-only"):
        layout.state_of_cell[0, 0] = 9


@pytest.mark.parametrize(
    ("cells", "states", "directions", "message"),
    [
        (("S.", ".HG"), STATES, MOVES, r"rows of one length, at least 1, got lengths \[2, 3\]"),
        ((), STATES, MOVES, r"got lengths \[\]"),
        (("", ""), STATES, MOVES, r"at least 1, got lengths \[0\]"),
        (CELLS, STATES.T, MOVES, r"shape \(2, 3\) for these cells, got \(3, 2\)"),
        (CELLS, STATES - 1, MOVES, "states from -1 up, got -2"),
    ],
)
def test_wrong_layouts_are_refused(cells, states, directions, message):
    with pytest.raises(ValueError, match=message):
        GridLayout(cells, states, directions)


def test_a_damaged_direction_is_refused():
    value = GridLayout(CELLS, STATES, MOVES).to_json() | {"directions": [[0, 1, 1]]}
    with pytest.raises(ValueError, match="too many values"):
        GridLayout.from_json(value)
