"""GridWorld against printed values, FrozenLake's table and hand-made rows."""

import gymnasium
import numpy as np
import pytest
from gymagine.envs.textbook.grid_world import GridWorld, grid_world


def test_values_of_russell_and_norvig(optimal_values):
    # 3rd edition, Figure 17.3: utilities at discount 1, where ours count the step's own cost too
    printed = [0.812, 0.868, 0.918, 0.762, 0.660, 0.705, 0.655, 0.611, 0.388]
    mdp = grid_world(slip=0.2)
    values, action_values = optimal_values(mdp, 1.0)
    # the book's utility of a state includes that state's reward of -0.04, and so do ours: a
    # step's reward is paid on leaving
    nonterminal = [0, 1, 2, 4, 5, 7, 8, 9, 10]
    np.testing.assert_allclose(values[nonterminal], printed, atol=5e-4)
    assert action_values[nonterminal].argmax(axis=1).tolist() == [1, 1, 1, 0, 0, 0, 3, 3, 3]


def test_same_table_as_frozen_lake():
    # theirs: left, down, right, up
    lake = gymnasium.make("FrozenLake-v1").unwrapped
    rows = ["".join(text.decode() for text in row).replace("F", ".") for row in lake.desc]
    mdp = grid_world(rows, slip=2 / 3, step_reward=0.0, pit_reward=0.0)
    for state in range(16):
        if rows[state // 4][state % 4] in "HG":
            continue
        for ours, theirs in enumerate([3, 2, 1, 0]):
            expected = {}
            for probability, to, reward, ended in lake.P[state][theirs]:
                key = (int(to), float(reward), ended)
                expected[key] = expected.get(key, 0.0) + probability
            found = {(to, r, ended): p for p, to, r, ended in mdp.outcomes(state, ours)}
            assert found == pytest.approx(expected)


def test_moves_and_their_order():
    rows = ["...", ".S.", "..G"]
    landings = [grid_world(rows, moves=9).outcomes(4, action)[0][1] for action in range(9)]
    assert landings == [1, 5, 7, 3, 2, 8, 6, 0, 4]
    assert grid_world(rows, moves=8).num_actions == 8


def test_diagonals_slide_along_edges_and_walls_block():
    mdp = grid_world(["S#.", "..G"], moves=8, bump_reward=-7.0, step_reward=0.0, goal_reward=0.0)
    assert mdp.outcomes(0, 1) == [(1.0, 0, -7.0, False)]  # right, into the wall
    assert mdp.outcomes(0, 4) == [(1.0, 0, -7.0, False)]  # up-right, onto the wall
    assert mdp.outcomes(0, 6) == [(1.0, 2, -7.0, False)]  # down-left slides down
    assert mdp.outcomes(0, 5) == [(1.0, 3, 0.0, False)]  # down-right


def test_slip_goes_to_both_sides():
    mdp = grid_world(["...", ".S.", "..G"], slip=0.3)
    found = {to: probability for probability, to, _, _ in mdp.outcomes(4, 0)}
    assert found == pytest.approx({1: 0.7, 3: 0.15, 5: 0.15})
    found = {to: probability for probability, to, _, _ in mdp.outcomes(4, 1)}
    assert found == pytest.approx({5: 0.7, 1: 0.15, 7: 0.15})
    diagonal = grid_world(["...", ".S.", "..G"], slip=0.3, moves=8)
    found = {to: probability for probability, to, _, _ in diagonal.outcomes(4, 4)}
    assert found == pytest.approx({2: 0.7, 0: 0.15, 8: 0.15})


def test_wind_of_the_column_left_behind():
    rows = ["....", "....", "S..G"]
    mdp = grid_world(rows, wind=[0, 2, 1, -1], step_reward=0.0, bump_reward=-1.0)
    assert mdp.outcomes(8, 1) == [(1.0, 9, 0.0, False)]
    assert mdp.outcomes(9, 1) == [(1.0, 2, 0.0, False)]
    assert mdp.outcomes(9, 0) == [(1.0, 1, -1.0, False)]
    assert mdp.outcomes(3, 3) == [(1.0, 6, 0.0, False)]


def test_stochastic_wind_leaves_calm_columns_alone():
    mdp = grid_world(["...", "...", "...", "S.G"], wind=[0, 1, 0], stochastic_wind=True)
    assert len(mdp.outcomes(9, 1)) == 1
    found = {to: probability for probability, to, _, _ in mdp.outcomes(10, 3)}
    assert found == pytest.approx({9: 1 / 3, 6: 1 / 3, 3: 1 / 3})


def test_rewards_add_up():
    mdp = grid_world(
        ["Sx", "HG"],
        step_reward=-1.0,
        goal_reward=10.0,
        pit_reward=-20.0,
        bump_reward=-0.5,
        cell_rewards={"x": 3.0, "S": 0.25},
    )
    assert mdp.outcomes(0, 1) == [(1.0, 1, 2.0, False)]
    assert mdp.outcomes(0, 0) == [(1.0, 0, -1.25, False)]
    assert mdp.outcomes(0, 2) == [(1.0, 2, -21.0, True)]
    assert mdp.outcomes(1, 2) == [(1.0, 3, 9.0, True)]
    assert mdp.outcomes(3, 0) == [(1.0, 3, 0.0, True)]


def test_teleports_pay_their_own_reward():
    mdp = grid_world(["SAb", "..a", "..G"], teleports={"A": ("a", 7.0)}, cell_rewards={"b": 1.0})
    assert all(mdp.outcomes(1, action) == [(1.0, 5, 7.0, False)] for action in range(4))
    into_the_goal = grid_world(["SA", "G."], teleports={"A": ("G", 2.0)})
    assert into_the_goal.outcomes(1, 3) == [(1.0, 2, 2.0, True)]


@pytest.mark.parametrize("stochastic", [False, True])
def test_no_wind_is_too_strong(stochastic):
    rows = ["...", "S.G", "..."]
    strongest = [-(2**63), 2**63 - 1, 9]
    options = {"stochastic_wind": stochastic, "moves": 9}
    mdp = grid_world(rows, wind=strongest, **options)
    assert {to for _, to, _, _ in mdp.outcomes(3, 8)} == {6}  # down, and up:
    assert {to for _, to, _, _ in mdp.outcomes(4, 8)} == {1}
    assert mdp.to_dict() == grid_world(rows, wind=[-9, 9, 9], **options).to_dict()


def test_several_starts_and_text_maps():
    mdp = grid_world("S.S\n.#G")
    assert mdp.initial_distribution.tolist() == [0.5, 0.0, 0.5, 0.0, 0.0]
    assert mdp.layout.cells == ("S.S", ".#G")
    assert mdp.layout.state_of_cell.tolist() == [[0, 1, 2], [3, -1, 4]]


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (["S.", "."], {}, r"rows of one length, at least 1, got lengths \[1, 2\]"),
        ([], {}, "rows of one length"),
        (["S?"], {}, "got '\\?' in row 0, column 1"),
        (["..G"], {}, "at least one start 'S'"),
        (["S."], {"slip": 1.5}, r"slip in \[0, 1\], got 1.5"),
        (["S."], {"slip": float("nan")}, r"slip in \[0, 1\], got nan"),
        (["S."], {"moves": 5}, "4, 8 or 9 moves, got 5"),
        (["S."], {"wind": [1]}, r"wind as 2 whole numbers, one a column, got \[1\]"),
        (["S."], {"cell_rewards": {"G": 1.0}}, "cell_rewards for single characters"),
        (["S."], {"cell_rewards": {"xy": 1.0}}, "got 'xy'"),
        (["S."], {"teleports": {"S": (".", 1.0)}}, "teleports for single characters"),
        (["SA"], {"teleports": {"A": ("a", 1.0)}}, "one cell 'a' to teleport to, got 0"),
        (["SAaa"], {"teleports": {"A": ("a", 1.0)}}, "got 2"),
        (["SA"], {"teleports": {"A": ("S", 1.0)}, "cell_rewards": {"A": 1.0}}, "disjoint"),
    ],
)
def test_senseless_options(rows, options, message):
    with pytest.raises(ValueError, match=message):
        grid_world(rows, **options)


def test_made_with_options():
    env = gymnasium.make("gymagine/GridWorld-v0", rows=["S.G"], step_reward=-1.0)
    assert env.observation_space.n == 3
    assert env.spec.max_episode_steps == 200
    with pytest.raises(TypeError, match="unexpected keyword"):
        gymnasium.make("gymagine/GridWorld-v0", slippery=True)
    assert GridWorld(["SG"]).mdp.num_states == 2


def test_a_large_map_has_the_outcomes_of_its_small_part():
    rows = ["." * 300] * 300
    rows[150] = "." * 150 + "S" + "." * 149
    mdp = grid_world(rows, slip=0.1)
    found = {to: probability for probability, to, _, _ in mdp.outcomes(45000, 0)}
    assert found == pytest.approx({44700: 0.9, 45000: 0.05, 45001: 0.05})
    assert mdp.num_states == 90000
