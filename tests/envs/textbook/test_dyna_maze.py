"""Shortest ways by breadth-first search, before and after the change."""

from collections import deque

import gymnasium
import pytest
from gymagine.envs.registration import register_environments
from gymagine.envs.textbook.dyna_maze import DynaMaze, dyna_maze, dyna_maze_changes

register_environments()

# Figures 8.2, 8.4 and 8.5, drawn again by hand
FIGURES = {
    ("plain", 0): ".......#G/..#....#./S.#....#./..#....../.....#.../.........",
    ("blocking", 0): "........G/........./........./########./........./...S.....",
    ("blocking", 1): "........G/........./........./.########/........./...S.....",
    ("shortcut", 0): "........G/........./........./.########/........./...S.....",
    ("shortcut", 1): "........G/........./........./.#######./........./...S.....",
}
STEPS = {
    ("plain", 0): 14,
    ("blocking", 0): 10,
    ("blocking", 1): 16,
    ("shortcut", 0): 16,
    ("shortcut", 1): 10,
}


def distance(rows):
    cells = {
        (r, c): mark for r, row in enumerate(rows) for c, mark in enumerate(row) if mark != "#"
    }
    start = next(cell for cell, mark in cells.items() if mark == "S")
    queue, seen = deque([(start, 0)]), {start}
    while queue:
        (r, c), steps = queue.popleft()
        if cells[r, c] == "G":
            return steps
        for to in ((r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)):
            if to in cells and to not in seen:
                seen.add(to)
                queue.append((to, steps + 1))
    return None


def model(variant, phase):
    if phase == 0:
        return dyna_maze(variant=variant)
    return dyna_maze_changes(variant=variant)[0][1]


@pytest.mark.parametrize(("variant", "phase"), FIGURES)
def test_shortest_ways(optimal_values, variant, phase):
    rows = FIGURES[variant, phase].split("/")
    mdp = model(variant, phase)
    assert distance(rows) == STEPS[variant, phase]
    values, _ = optimal_values(mdp, 0.95)
    start = int(mdp.initial_distribution.argmax())
    assert values[start] == pytest.approx(0.95 ** (STEPS[variant, phase] - 1), abs=1e-12)
    assert list(mdp.layout.cells) == rows


@pytest.mark.parametrize("variant", ["blocking", "shortcut"])
def test_closed_cells_can_be_left_and_not_entered(variant):
    for phase in (0, 1):
        mdp = model(variant, phase)
        closed = {
            int(mdp.layout.state_of_cell[3, column])
            for column, mark in enumerate(mdp.layout.cells[3])
            if mark == "#" and mdp.layout.state_of_cell[3, column] >= 0
        }
        entered = {
            to
            for state in range(mdp.num_states)
            for action in range(4)
            for _, to, _, _ in mdp.outcomes(state, action)
            if to != state
        }
        assert not closed & entered
        for state in closed:
            assert mdp.outcomes(state, 0)[0][1] != state


def test_the_environment_changes_at_its_step():
    env = gymnasium.make("gymagine/DynaMaze-v0", variant="blocking", change_step=30)
    env.reset(seed=0)
    base = env.unwrapped
    # right of the wall, then up: open before the change, closed after it
    way = [1] * 5 + [0] * 5
    assert [env.step(action)[2] for action in way] == [False] * 9 + [True]
    env.reset()
    for _ in range(20):
        env.step(2)
    assert base.steps_taken == 30
    assert base.mdp.name == "DynaMaze-blocking-changed"
    assert not any(env.step(action)[2] for action in way)
    left = [3] * 8 + [0] * 5 + [1] * 8
    env.reset()
    assert any(env.step(action)[2] for action in left)


def test_steps_of_the_book():
    assert dyna_maze_changes() == ()
    assert dyna_maze_changes(variant="blocking")[0][0] == 1000
    assert dyna_maze_changes(variant="shortcut")[0][0] == 3000


def test_bad_options():
    with pytest.raises(ValueError, match="variant of plain, blocking, shortcut, got 'moving'"):
        dyna_maze(variant="moving")
    with pytest.raises(ValueError, match="no change_step for the plain maze, got 5"):
        DynaMaze(change_step=5)
    with pytest.raises(ValueError, match="change_step of at least 1, got 0"):
        DynaMaze(variant="blocking", change_step=0)
