"""What the books say of their own problems, by every planner."""

from math import sqrt

import numpy as np
import pytest
from gymagine.agents.planning.modified_policy_iteration import modified_policy_iteration
from gymagine.agents.planning.policy_evaluation import policy_evaluation
from gymagine.agents.planning.policy_iteration import policy_iteration
from gymagine.envs.textbook.book_grids import book_grid_4x4, book_grid_5x5
from gymagine.envs.textbook.dyna_maze import dyna_maze
from gymagine.envs.textbook.forest_management import forest_management
from gymagine.envs.textbook.gambler import gambler
from gymagine.envs.textbook.jacks_car_rental import jacks_car_rental
from gymagine.envs.textbook.random_walk import random_walk_5, random_walk_19
from gymagine.envs.textbook.short_corridor import short_corridor
from gymagine.envs.textbook.windy_gridworld import windy_gridworld

METHODS = ("solve", "sweeps")


def uniform(mdp):
    return mdp.allowed / mdp.allowed.sum(axis=1, keepdims=True)


def bold_play(probability, goal=100):
    """The chance of a gambler who stakes all, or what is missing (Dubins and Savage 1965)."""
    chance = np.zeros(goal + 1)
    chance[goal] = 1.0
    for _ in range(200):  # each pass settles one more binary digit of the capital
        for capital in range(1, goal):
            stake = min(capital, goal - capital)
            won, lost = chance[capital + stake], chance[capital - stake]
            chance[capital] = probability * won + (1 - probability) * lost
    return chance


@pytest.mark.parametrize("masked", [False, True])
def test_gambler(planner, masked):
    """Sutton and Barto, example 4.3: many policies are optimal, all as good as bold play."""
    mdp = gambler(probability=0.4, masked=masked)
    solution = planner(mdp, discount=1.0, tolerance=1e-10)
    np.testing.assert_allclose(
        solution.state_values[1:100], bold_play(0.4)[1:100], rtol=0, atol=1e-9
    )
    assert solution.state_values[[25, 50, 75]] == pytest.approx([0.16, 0.4, 0.64], abs=1e-10)
    worth = policy_evaluation(mdp, solution.policy, discount=1.0)
    np.testing.assert_allclose(worth.state_values, solution.state_values, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("moves", "steps"), [(4, 15), (8, 7)])
def test_windy_gridworld(planner, moves, steps):
    """Example 6.5 and exercise 6.9."""
    mdp = windy_gridworld(moves=moves)
    solution = planner(mdp, discount=1.0, tolerance=1e-9)
    assert mdp.initial_distribution @ solution.state_values == pytest.approx(-steps, abs=1e-9)


def test_dyna_maze(planner):
    """Example 8.1: 14 steps to a reward of 1 at discount 0.95."""
    mdp = dyna_maze()
    solution = planner(mdp, discount=0.95, tolerance=1e-10)
    assert mdp.initial_distribution @ solution.state_values == pytest.approx(0.95**13, abs=1e-9)


@pytest.mark.parametrize(
    ("discount", "values"),
    [(0.9, [26.244, 29.484, 33.484]), (0.96, [74.6496, 78.1056, 82.1056])],
)
def test_forest_management(planner, discount, values):
    """The example of the MDP toolbox, in closed form: wait for ever."""
    solution = planner(forest_management(), discount=discount, tolerance=1e-9)
    assert solution.state_values == pytest.approx(values, abs=1e-9)
    assert solution.policy.tolist() == [0, 0, 0]


def test_best_play_on_the_5x5_grid(planner):
    """Example 3.8: A is left at once, V(A) = 10 / (1 - 0.9^5)."""
    solution = planner(book_grid_5x5(), discount=0.9, tolerance=1e-9)
    best = 10 / (1 - 0.9**5)
    first_row = [0.9 * best, best, 0.9 * best, 0.9**2 * best, 0.9**3 * best]
    assert solution.state_values[[0, 1, 2]] == pytest.approx(first_row[:3], abs=1e-9)
    printed = [22.0, 24.4, 22.0, 19.4, 17.5]
    assert solution.state_values[:5] == pytest.approx(printed, abs=0.05)


@pytest.mark.parametrize("method", METHODS)
def test_random_policy_on_the_4x4_grid(method):
    """Example 4.1."""
    mdp = book_grid_4x4()
    solution = policy_evaluation(mdp, uniform(mdp), discount=1.0, method=method)
    expected = [0, -14, -20, -22, -14, -18, -20, -20, -20, -20, -18, -14, -22, -20, -14, 0]
    assert solution.state_values == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_random_policy_on_the_5x5_grid(method):
    """Example 3.5, first row with more digits than the book's."""
    mdp = book_grid_5x5()
    solution = policy_evaluation(mdp, uniform(mdp), discount=0.9, method=method)
    expected = [3.3089963356, 8.7892918626, 4.4276191826, 5.3223675934]
    assert solution.state_values[:4] == pytest.approx(expected, abs=2e-8)


@pytest.mark.parametrize("method", METHODS)
def test_random_walks(method):
    """Examples 6.2 and 7.1: k / 6, and from -0.9 to 0.9."""
    for mdp, inner in (
        (random_walk_5(), np.arange(1, 6) / 6),
        (random_walk_19(), np.arange(-9, 10) / 10),
    ):
        solution = policy_evaluation(mdp, uniform(mdp), discount=1.0, method=method)
        assert solution.state_values[1:-1] == pytest.approx(inner, abs=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_short_corridor(method):
    """Example 13.1: the best probability of going right is 2 - sqrt(2), worth -(6 + 4 sqrt(2))."""
    mdp = short_corridor()
    for p, value in ((2 - sqrt(2), -(6 + 4 * sqrt(2))), (0.5, -12.0), (0.95, None)):
        weights = np.tile([1 - p, p], (mdp.num_states, 1))
        solution = policy_evaluation(mdp, weights, discount=1.0, method=method)
        expected = 2 * (p - 2) / (p * (1 - p)) if value is None else value
        assert mdp.initial_distribution @ solution.state_values == pytest.approx(
            expected, abs=1e-7
        )


@pytest.mark.parametrize("planner", [policy_iteration, modified_policy_iteration])
def test_jacks_car_rental(planner):
    """Figure 4.2: the policy moves from -4 to 5 cars. Its rows of 441 outcomes are proven too."""
    mdp = jacks_car_rental(masked=True)
    solution = planner(mdp, discount=0.9)
    assert solution.converged
    moved = solution.policy - 5
    assert moved.min() == -4
    assert moved.max() == 5
    assert moved[20 * 21] == 5  # twenty cars here and none there
