"""Example 6.5 and Exercises 6.9 and 6.10."""

import numpy as np
import pytest
from gymagine.envs.textbook.windy_gridworld import windy_gridworld

START, GOAL = 30, 37


@pytest.mark.parametrize(("moves", "steps"), [(4, 15), (8, 7), (9, 7)])
def test_shortest_ways(optimal_values, moves, steps):
    values, _ = optimal_values(windy_gridworld(moves=moves), 1.0)
    assert values[START] == -steps


def test_the_books_example_of_the_wind():
    # "if you are one cell to the right of the goal, then the action left takes you to the cell
    # just above the goal"
    assert windy_gridworld().outcomes(GOAL + 1, 3) == [(1.0, GOAL - 10, -1.0, False)]


def test_stochastic_wind_by_enumeration(optimal_values):
    mdp = windy_gridworld(moves=8, stochastic_wind=True)
    wind = (0, 0, 0, 1, 1, 1, 2, 2, 1, 0)
    moves = [(-1, 0), (0, 1), (1, 0), (0, -1), (-1, 1), (1, 1), (1, -1), (-1, -1)]
    for state in set(range(70)) - {GOAL}:
        row, column = divmod(state, 10)
        for action, (down, right) in enumerate(moves):
            expected = {}
            for change in (-1, 0, 1) if wind[column] else (0,):
                to_row = min(max(row + down - wind[column] - change, 0), 6)
                to = to_row * 10 + min(max(column + right, 0), 9)
                expected[to] = expected.get(to, 0) + (1 / 3 if wind[column] else 1.0)
            found = {to: p for p, to, _, _ in mdp.outcomes(state, action)}
            assert found == pytest.approx(expected)
    values, _ = optimal_values(mdp, 1.0)
    assert np.isfinite(values).all()
    assert values[START] < -7
