"""What is known of Gymnasium's environments, reproduced by every planner.

The numbers come from outside this package: closed forms (14/17, 13 steps at -1, 2379/300,
0.99^5), and dynamic programming and enumeration done with other code for Gymnasium 1.4.0.
"""

from functools import cache

import numpy as np
import pytest
from gymagine.agents.planning.backward_induction import backward_induction
from gymagine.agents.planning.policy_evaluation import policy_evaluation
from gymagine.envs.mdp import TabularMDP

from .conftest import PLANNERS

LAKE = {
    1.0: np.array([14, 14, 14, 14, 14, 0, 9, 0, 14, 14, 13, 0, 0, 15, 16, 0]) / 17,
    0.99: [
        *(0.5420259320003089, 0.49880318722924255, 0.47069569055605465, 0.4568516996573193),
        *(0.5584509602427593, 0, 0.35834807198291646, 0),
        *(0.5917987448562182, 0.6430798247683637, 0.6152075578770377, 0),
        *(0, 0.7417204389890684, 0.8628374301488428, 0),
    ],
}
START_VALUES = [
    ("FrozenLake-v1", {}, 1.0, 14 / 17),
    ("FrozenLake-v1", {}, 0.99, 0.5420259320003089),
    ("FrozenLake-v1", {}, 0.95, 0.1804715783970903),
    ("FrozenLake-v1", {}, 0.9, 0.0688909049),
    ("FrozenLake-v1", {"is_slippery": False}, 1.0, 1.0),
    ("FrozenLake-v1", {"is_slippery": False}, 0.99, 0.99**5),
    ("FrozenLake-v1", {"is_slippery": False}, 0.95, 0.95**5),
    ("FrozenLake8x8-v1", {}, 1.0, 1.0),
    ("FrozenLake8x8-v1", {}, 0.99, 0.41464036179986113),
    ("FrozenLake8x8-v1", {}, 0.95, 0.04825020408120969),
    ("CliffWalking-v1", {}, 1.0, -13.0),
    ("CliffWalking-v1", {}, 0.99, -(1 - 0.99**13) / 0.01),
    ("CliffWalking-v1", {}, 0.95, -(1 - 0.95**13) / 0.05),
    ("Taxi-v4", {}, 1.0, 2379 / 300),
    ("Taxi-v4", {}, 0.99, 6.327464314919367),
    ("Taxi-v4", {}, 0.95, 1.7299300168321838),
]
GREEDY_99 = {
    "FrozenLake-v1": "0333000031000210",
    "FrozenLake8x8-v1": "3222222233333221330023213331002203002132000130020010000201001210",
    "CliffWalking-v1": "111111111112" * 3 + "000000000011",
}
CAPPED = {  # id: cap, best, greedy of 0.99, uniformly random
    "FrozenLake-v1": (100, 0.7441902878292697, 0.7401648977587051, 0.013939795959171436),
    "FrozenLake8x8-v1": (200, 0.9132201502016296, 0.8629553799611125, 0.0019013954948230382),
    "Taxi-v4": (200, 2379 / 300, 2379 / 300, -771.0909994496636),
}


@cache
def model(name, **arguments):
    import gymnasium

    env = gymnasium.make(name, **arguments)
    try:
        return TabularMDP.from_env(env)
    finally:
        env.close()


@pytest.mark.parametrize("planner", list(PLANNERS))
@pytest.mark.parametrize(
    ("name", "arguments", "discount", "truth"),
    START_VALUES,
    ids=lambda value: None if isinstance(value, dict) else str(value),
)
def test_start_values(planner, name, arguments, discount, truth):
    mdp = model(name, **arguments)
    solution = PLANNERS[planner](mdp, discount=discount, tolerance=5e-10)
    assert solution.converged
    value = mdp.initial_distribution @ solution.state_values
    assert solution.error_bound <= 5e-10
    assert value == pytest.approx(truth, rel=0, abs=solution.error_bound + 1e-10)  # its digits


@pytest.mark.parametrize("discount", list(LAKE))
def test_whole_value_function_of_the_lake(planner, discount):
    solution = planner(model("FrozenLake-v1"), discount=discount, tolerance=1e-10)
    np.testing.assert_allclose(solution.state_values, LAKE[discount], rtol=0, atol=1.1e-10)


@pytest.mark.parametrize("name", list(GREEDY_99))
def test_greedy_policies_take_the_lowest_of_equals(planner, name):
    solution = planner(model(name), discount=0.99, tolerance=1e-9)
    assert "".join(map(str, solution.policy)) == GREEDY_99[name]


@pytest.mark.parametrize(
    ("name", "state", "lower", "higher"),
    [("FrozenLake-v1", 6, 0, 2), ("FrozenLake8x8-v1", 50, 1, 2)],  # mirror images of each other
)
def test_ties_of_the_lake(planner, name, state, lower, higher):
    values = planner(model(name), discount=0.99, tolerance=1e-10).action_values[state]
    assert values[lower] == pytest.approx(values[higher], abs=1e-12)
    assert values[lower] == pytest.approx(values.max(), abs=1e-12)
    assert sorted(values)[1] < values[lower] - 0.01


@pytest.mark.parametrize("name", ["FrozenLake-v1", "FrozenLake8x8-v1", "Taxi-v4"])
def test_policies_without_discount_are_worth_the_optimum(planner, name):
    mdp = model(name)
    solution = planner(mdp, discount=1.0, tolerance=1e-10)
    worth = policy_evaluation(mdp, solution.policy, discount=1.0, tolerance=1e-9)
    np.testing.assert_allclose(worth.state_values, solution.state_values, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", list(CAPPED))
def test_scores_under_the_step_cap(name):
    cap, best, greedy, uniform = CAPPED[name]
    mdp = model(name)
    start = mdp.initial_distribution
    assert mdp.max_episode_steps == cap
    assert start @ backward_induction(mdp).state_values == pytest.approx(best, rel=0, abs=1e-9)
    policy = PLANNERS["policy-iteration"](mdp, discount=0.99).policy
    of_greedy = policy_evaluation(mdp, policy, discount=1.0, horizon=cap)
    assert start @ of_greedy.state_values == pytest.approx(greedy, rel=0, abs=1e-9)
    random = np.full((mdp.num_states, mdp.num_actions), 1 / mdp.num_actions)
    of_random = policy_evaluation(mdp, random, discount=1.0, horizon=cap)
    assert start @ of_random.state_values == pytest.approx(uniform, rel=0, abs=1e-9)


# ---- Blackjack (Sutton and Barto 2018, example 5.1 and figure 5.2) ------------------------------

HARD = {1: 17, 2: 13, 3: 13, 4: 12, 5: 12, 6: 12, 7: 17, 8: 17, 9: 17, 10: 17}
USABLE = {1: 19, 2: 18, 3: 18, 4: 18, 5: 18, 6: 18, 7: 18, 8: 18, 9: 19, 10: 19}


@pytest.fixture(scope="module")
def blackjack():
    return model("Blackjack-v1", sab=True)


def test_blackjack_value_and_policy(planner, blackjack):
    solution = planner(blackjack, discount=1.0, tolerance=1e-10)
    value = blackjack.initial_distribution @ solution.state_values
    assert value == pytest.approx(-0.043113105413476974, rel=0, abs=1e-9)
    for usable, first_stick in ((0, HARD), (1, USABLE)):
        for card, threshold in first_stick.items():
            for total in range(12, 22):
                action = solution.policy[(total * 11 + card) * 2 + usable]
                assert action == int(total < threshold), (total, card, usable)


@pytest.mark.parametrize("method", ["solve", "sweeps"])
def test_blackjack_stick_on_twenty(blackjack, method):
    total = np.arange(blackjack.num_states) // 22
    policy = np.where((total < 20) & (np.arange(blackjack.num_states) < 704), 1, 0)
    solution = policy_evaluation(blackjack, policy, discount=1.0, method=method, tolerance=1e-10)
    value = blackjack.initial_distribution @ solution.state_values
    assert value == pytest.approx(-0.35011114608834143, rel=0, abs=1e-9)
