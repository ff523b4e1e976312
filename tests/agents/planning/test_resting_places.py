"""Total rewards that are infinite are refused before anything is iterated; the rest are proven."""

import numpy as np
import pytest
from gymagine.agents.planning.policy_evaluation import policy_evaluation
from gymagine.agents.planning.policy_iteration import policy_iteration
from gymagine.agents.planning.resting_places import RestingPlaces
from gymagine.agents.planning.value_iteration import value_iteration
from gymagine.envs.mdp import TabularMDP

from .conftest import leaving_lounges


def model(rows):
    return TabularMDP.from_outcomes(rows)


def never_ends():
    """State 1 can only go round at a cost; state 0 may end."""
    return model([[[(1.0, 0, 0.0, True)]], [[(1.0, 1, -1.0, False)]]])


def may_be_caught():
    """From state 0 the one action ends or falls into the costly loop of state 1."""
    return model([[[(0.5, 0, 0.0, True), (0.5, 1, 0.0, False)]], [[(1.0, 1, -1e-3, False)]]])


def pays_for_ever():
    return model([[[(1.0, 0, 1.0, False)], [(1.0, 0, 0.0, True)]]])


def pays_on_average():
    """Two states round and round: +3, then -1."""
    return model(
        [
            [[(1.0, 1, 3.0, False)], [(1.0, 0, 0.0, True)]],
            [[(1.0, 0, -1.0, False)], [(1.0, 1, 0.0, True)]],
        ]
    )


def cancels():
    """Round and round: +1, then -1. The total has no limit."""
    return model(
        [
            [[(1.0, 1, 1.0, False)], [(1.0, 0, 0.0, True)]],
            [[(1.0, 0, -1.0, False)], [(1.0, 1, 0.0, True)]],
        ]
    )


def costs_on_average():
    """Round and round: +1, then -3; ending from either state costs 2. Worth -1 and -2."""
    return model(
        [
            [[(1.0, 1, 1.0, False)], [(1.0, 0, -2.0, True)]],
            [[(1.0, 0, -3.0, False)], [(1.0, 1, -2.0, True)]],
        ]
    )


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (never_ends, "state 1.*minus infinity"),
        (pays_for_ever, "state 0.*plus infinity"),
        (pays_on_average, "plus infinity"),
        (cancels, "settle"),
    ],
)
def test_infinite_totals_are_refused(planner, build, words):
    with pytest.raises(ValueError, match=words):
        planner(build(), discount=1.0)
    assert planner(build(), discount=0.5).converged


def test_a_chance_of_being_caught_is_refused(planner):
    with pytest.raises(ValueError, match=r"state 1.*minus infinity"):
        planner(may_be_caught(), discount=1.0)


def test_a_gain_within_a_losing_round_is_taken_once(planner):
    solution = planner(costs_on_average(), discount=1.0, tolerance=1e-12)
    assert solution.state_values == pytest.approx([-1.0, -2.0], abs=1e-12)
    assert solution.policy.tolist() == [0, 1]
    assert solution.converged


def test_resting_is_worth_nothing(planner):
    """In a free loop whose only way out costs, one stays; a higher common value solves V = TV."""
    loop = model(
        [
            [[(1.0, 1, 0.0, False)], [(1.0, 0, -5.0, True)]],
            [[(1.0, 0, 0.0, False)], [(1.0, 1, -1.0, False)]],
        ]
    )
    solution = planner(loop, discount=1.0, initial_values=np.full(2, 7.0))
    assert solution.state_values.tolist() == [0.0, 0.0]
    assert solution.error_bound < 1e-12
    assert solution.policy.tolist() == [0, 0]


def test_values_above_the_truth_come_down(planner):
    """From starting values of 1 everywhere, a fixed point of T on the lake, to 14/17."""
    import gymnasium

    lake = TabularMDP.from_env(gymnasium.make("FrozenLake-v1"))
    solution = planner(lake, discount=1.0, initial_values=np.ones(16), tolerance=1e-9)
    assert solution.state_values[0] == pytest.approx(14 / 17, rel=0, abs=1e-9)


def test_policy_leaves_a_resting_place_that_it_should_leave():
    """Every action of the walk is free and every value 1: greedy alone could walk for ever."""
    size = 9
    rows = [
        [[(1.0, max(state - 1, 0), 0.0, False)], [(1.0, state + 1, 0.0, False)]]
        for state in range(size - 1)
    ]
    rows.append([[(1.0, size - 2, 0.0, False)], [(1.0, size - 1, 1.0, True)]])
    solution = value_iteration(model(rows), discount=1.0)
    assert solution.state_values.tolist() == [1.0] * size
    assert solution.policy.tolist() == [1] * size
    worth = policy_evaluation(model(rows), solution.policy, discount=1.0)
    assert worth.state_values == pytest.approx(np.ones(size))


def test_places_of_the_lounges():
    mdp = leaving_lounges()
    places = RestingPlaces.of(mdp, mdp.expected_rewards.ravel())
    assert places.labels[0] == places.labels[1] >= 0
    assert places.labels[3] >= 0
    assert places.labels[3] != places.labels[0]
    assert places.labels[2] == places.labels[4] == -1
    assert np.flatnonzero(places.inside).tolist() == [0, 2, 6]
    values = np.array([1.0, 3.0, -9.0, -2.0, 4.0])
    places.level(values)
    assert values.tolist() == [3.0, 3.0, -9.0, 0.0, 4.0]


def test_rewards_that_cancel_but_for_rounding_are_none():
    """0.1 + 0.2 - 0.3 is 5.6e-17 in floats: a loop with that reward is a place to rest."""
    third = 1 / 3
    rows = [
        [
            [(third, 0, 0.1, False), (third, 0, 0.2, False), (1 - 2 * third, 0, -0.3, False)],
            [(1.0, 0, -1.0, True)],
        ]
    ]
    solution = value_iteration(model(rows), discount=1.0)
    assert solution.state_values.tolist() == [0.0]


def test_small_rewards_count_beside_large_ones(planner):
    """A loop that costs 1e-6 a step is worth minus infinity, whatever another state earns."""
    rows = [
        [[(1.0, 0, 1e12, True)]],
        [[(0.75, 1, -1e-6, False), (0.25, 1, -2e-6, False)]],
    ]
    with pytest.raises(ValueError, match=r"state 1.*minus infinity"):
        planner(model(rows), discount=1.0)
    with pytest.raises(ValueError, match=r"state 1.*not finite"):
        policy_evaluation(model(rows), np.zeros(2, dtype=int), discount=1.0)


def cycle(length, gain):
    """Round and round at a cost of 1, but for one step; all round it earns ``gain``, or -5 out."""
    rows = [
        [[(1.0, (state + 1) % length, -1.0, False)], [(1.0, state, -5.0, True)]]
        for state in range(length)
    ]
    rows[length // 2][0] = [(1.0, length // 2 + 1, length - 1 + gain, False)]
    return model(rows)


def test_long_cycles_that_lose_are_finite():
    """One leaves at once, or walks to the prize, takes it and leaves."""
    length, gain = 300, -0.5
    solution = policy_iteration(cycle(length, gain), discount=1.0)
    steps = (length // 2 - np.arange(length)) % length  # to the prize
    expected = np.maximum(-5.0, length - 1 + gain - 5.0 - steps)
    np.testing.assert_allclose(solution.state_values, expected, rtol=0, atol=1e-8)
    assert solution.converged


def test_long_cycles_that_gain_are_refused():
    with pytest.raises(ValueError, match="plus infinity"):
        policy_iteration(cycle(300, 1e-3), discount=1.0)
    with pytest.raises(ValueError, match="settle"):
        policy_iteration(cycle(300, 0.0), discount=1.0)
