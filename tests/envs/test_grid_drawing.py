"""Pictures are read back pixel by pixel where it matters: colours, arrows, the agent."""

import numpy as np
import pytest
from gymagine.envs.grid_drawing import (
    describe_model,
    draw_grid,
    draw_model,
    draw_text,
    numbered_layout,
)
from gymagine.envs.grid_layout import GridLayout
from gymagine.envs.mdp import TabularMDP
from gymagine.envs.textbook.grid_world import grid_world
from matplotlib import colormaps

MDP = grid_world(["S.G", ".#H", "..."], moves=8)
LAYOUT = MDP.layout
SIZE = 40


def viridis(share):
    return (np.array(colormaps["viridis"](share)[:3]) * 255).round()


def cell(picture, row, column, size=SIZE):
    return picture[row * size + 1 : (row + 1) * size, column * size + 1 : (column + 1) * size]


def background(picture, row, column, size=SIZE):
    """The commonest colour of a cell."""
    colours, counts = np.unique(
        cell(picture, row, column, size).reshape(-1, 3), axis=0, return_counts=True
    )
    return colours[counts.argmax()]


def test_shape_and_type():
    picture = draw_grid(LAYOUT, cell_size=SIZE)
    assert picture.shape == (3 * SIZE + 1, 3 * SIZE + 1, 3)
    assert picture.dtype == np.uint8
    assert picture.flags.writeable


def test_walls_goals_and_pits_have_colours_of_their_own():
    picture = draw_grid(LAYOUT, cell_size=SIZE)
    places = [(0, 1), (1, 1), (0, 2), (1, 2)]
    colours = {tuple(background(picture, *place).tolist()) for place in places}
    assert len(colours) == 4


def test_values_are_viridis_between_the_extremes():
    values = np.array([0.0, 5.0, 99.0, 10.0, -99.0, 2.5, 7.5, 1.0])
    picture = draw_grid(LAYOUT, state_values=values, cell_size=SIZE)
    # the goal's 99 and the pit's -99 do not count
    for state, share in ((0, 0.0), (1, 0.5), (3, 1.0), (5, 0.25)):
        row, column = np.argwhere(LAYOUT.state_of_cell == state)[0]
        assert np.abs(background(picture, row, column) - viridis(share)).max() <= 1
    plain = draw_grid(LAYOUT, cell_size=SIZE)
    for place in ((0, 2), (1, 2), (1, 1)):
        np.testing.assert_array_equal(background(picture, *place), background(plain, *place))


def test_values_that_are_all_alike_or_not_finite_are_drawn():
    draw_grid(LAYOUT, state_values=np.zeros(8), cell_size=SIZE)
    values = np.array([np.nan, np.inf, 0, -np.inf, 0, 1.0, 2.0, 3.0])
    picture = draw_grid(LAYOUT, state_values=values, cell_size=SIZE)
    assert np.abs(background(picture, 0, 1) - viridis(1.0)).max() <= 1
    draw_grid(LAYOUT, state_values=np.full(8, np.nan), cell_size=SIZE)


@pytest.mark.parametrize("action", range(8))
def test_arrows_point_where_the_action_goes(action):
    # the head is wider than the tail: the ink's centre of mass lies ahead of the cell's centre
    policy = np.full(8, action)
    plain = draw_grid(LAYOUT, cell_size=SIZE)
    drawn = draw_grid(LAYOUT, policy=policy, cell_size=SIZE)
    changed = np.argwhere((cell(plain, 2, 1) != cell(drawn, 2, 1)).any(axis=2))
    offset = changed.mean(axis=0) - (SIZE / 2 - 1)
    direction = np.array(LAYOUT.directions[action])
    assert offset @ direction / np.linalg.norm(direction) > 1
    across = np.array([-direction[1], direction[0]])
    assert abs(offset @ across / np.linalg.norm(across)) < 1


def test_a_stochastic_policy_has_an_arrow_for_each_likely_action():
    def ink(policy):
        plain, drawn = (
            draw_grid(LAYOUT, cell_size=64),
            draw_grid(LAYOUT, policy=policy, cell_size=64),
        )
        return int((cell(plain, 2, 1, 64) != cell(drawn, 2, 1, 64)).any(axis=2).sum())

    one, two, rare = np.zeros((8, 8)), np.zeros((8, 8)), np.zeros((8, 8))
    one[:, 0], two[:, :2] = 1.0, 0.5
    rare[:, 0], rare[:, 1] = 0.99, 0.01
    assert ink(two) > 1.5 * ink(one)
    assert ink(rare) == ink(one)


@pytest.mark.parametrize("size", [1, 4, 8, 16, 64])
def test_the_agent_is_in_its_cell_only(size):
    plain = draw_grid(LAYOUT, cell_size=size)
    drawn = draw_grid(LAYOUT, agent_state=5, cell_size=size)
    changed = np.argwhere((plain != drawn).any(axis=2))
    assert len(changed) > 0
    row, column = np.argwhere(LAYOUT.state_of_cell == 5)[0]
    low = np.array([row, column]) * size
    assert (changed >= low).all()
    assert (changed <= low + size).all()


def test_nothing_hides_a_value():
    values = np.arange(8.0)
    with_agent = draw_grid(LAYOUT, agent_state=5, state_values=values, cell_size=64)
    without = draw_grid(LAYOUT, state_values=values, cell_size=64)
    inner = (slice(8, -8), slice(8, -8))
    row, column = np.argwhere(LAYOUT.state_of_cell == 5)[0]
    np.testing.assert_array_equal(
        cell(with_agent, row, column, 64)[inner], cell(without, row, column, 64)[inner]
    )


def test_models_without_a_layout_are_numbered_cells():
    rows = [[[(1.0, state, 0.0, False)]] for state in range(20)]
    mdp = TabularMDP.from_outcomes(rows, name="twenty")
    layout = numbered_layout(20)
    assert (layout.num_rows, layout.num_columns) == (4, 5)
    assert layout.state_of_cell[3].tolist() == [15, 16, 17, 18, 19]
    assert numbered_layout(7).state_of_cell.tolist() == [list(range(7))]
    assert numbered_layout(14).state_of_cell[-1].tolist() == [12, 13, -1, -1]
    picture = draw_model(mdp, agent_state=3)
    assert (cell(picture, 0, 0, 64) != cell(picture, 0, 1, 64)).any()
    assert (
        describe_model(mdp, agent_state=3, last_action=0)
        == "twenty: state 3 of 20 after action 0\n"
    )


def test_large_models_fit_a_screen():
    rows = [[[(1.0, state, 0.0, False)]] for state in range(10000)]
    mdp = TabularMDP.from_outcomes(rows)
    assert max(draw_model(mdp, agent_state=1, state_values=np.arange(10000.0)).shape) <= 1537


def test_text():
    policy = np.array([1, 2, 0, 0, 0, 5, 8 - 1, 3])
    assert draw_text(LAYOUT, agent_state=3, policy=policy).splitlines() == [
        " S  ↓  G ",
        "[↑] #  H ",
        " ↘  ↖  ← ",
    ]
    weights = np.eye(8)[policy]
    assert draw_text(LAYOUT, policy=weights) == draw_text(LAYOUT, policy=policy)


def test_actions_without_a_direction_are_named():
    layout = GridLayout(("S.",), np.array([[0, 1]]), ())
    assert draw_text(layout, policy=np.array([0, 3])) == " S  3 \n"
    plain, drawn = draw_grid(layout), draw_grid(layout, policy=np.array([0, 3]))
    assert (cell(plain, 0, 1, 64) != cell(drawn, 0, 1, 64)).any()


def test_the_largest_numbers_do_not_overflow(recwarn):
    mdp = grid_world(["S..."])
    extremes = np.array([-1e308, 0.0, 0.5e308, 1e308])
    modest = np.array([-2.0, 0.0, 1.0, 2.0])
    pictures = [draw_model(mdp, state_values=values) for values in (extremes, modest)]
    corners = [picture[2:8, 2::64][:, :4] for picture in pictures]  # beside the numbers
    np.testing.assert_array_equal(*corners)
    assert not recwarn


@pytest.mark.parametrize("value", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_the_start_is_seen_on_every_colour(value):
    def luma(colour):
        return colour @ np.array([0.2126, 0.7152, 0.0722])

    mdp = grid_world(["S.."], step_reward=0.0)
    picture = draw_model(mdp, state_values=np.array([value, 0.0, 1.0])).astype(float)
    mark = picture[4:20, 4:20].reshape(-1, 3)
    assert np.ptp([luma(colour) for colour in mark]) > 60


def test_cell_size_must_be_positive():
    with pytest.raises(ValueError, match="cell_size of at least 1, got 0"):
        draw_grid(LAYOUT, cell_size=0)
