"""Finite horizons: against trying every time-dependent policy, and closed forms."""

from functools import cache

import numpy as np
import pytest
from gymagine.agents.planning.backward_induction import backward_induction
from gymagine.agents.planning.policy_evaluation import policy_evaluation
from gymagine.envs.mdp import TabularMDP

from .conftest import chain, masked_garnet


def best_by_recursion(mdp, horizon, discount):
    """The optimum by plain recursion over the outcomes as listed."""

    @cache
    def best(state, steps):
        if steps == 0:
            return 0.0
        return max(
            sum(
                p * (r + (0.0 if ends else discount * best(ahead, steps - 1)))
                for p, ahead, r, ends in mdp.outcomes(state, action)
            )
            for action in range(mdp.num_actions)
            if mdp.allowed[state, action]
        )

    return np.array([best(state, horizon) for state in range(mdp.num_states)])


@pytest.mark.parametrize("discount", [0.0, 0.8, 1.0])
@pytest.mark.parametrize("horizon", [1, 2, 9])
def test_against_recursion(horizon, discount):
    mdp = masked_garnet()
    solution = backward_induction(mdp, horizon=horizon, discount=discount)
    truth = best_by_recursion(mdp, horizon, discount)
    np.testing.assert_allclose(solution.state_values, truth, rtol=0, atol=1e-12)
    assert solution.values_by_time.shape == (horizon + 1, mdp.num_states)
    assert solution.policies_by_time.shape == (horizon, mdp.num_states)
    assert (solution.values_by_time[-1] == 0).all()
    assert (solution.policy == solution.policies_by_time[0]).all()
    assert mdp.allowed[np.arange(mdp.num_states), solution.policies_by_time].all()
    assert (solution.action_values[~mdp.allowed] == -np.inf).all()
    assert solution.error_bound < 1e-11


def test_policies_are_worth_the_values():
    """Followed step by step, the time-dependent policy earns what was promised."""
    mdp = masked_garnet()
    solution = backward_induction(mdp, horizon=12)
    matrix = mdp.continuation_matrix()
    values = np.zeros(mdp.num_states)
    for time in reversed(range(12)):
        rows = np.arange(mdp.num_states) * mdp.num_actions + solution.policies_by_time[time]
        values = mdp.expected_rewards.ravel()[rows] + matrix[rows] @ values
        np.testing.assert_allclose(values, solution.values_by_time[time], rtol=0, atol=1e-12)


def test_time_matters():
    """A prize k steps away is walked to only while it can be reached."""
    rows = []
    for state in range(5):
        last = state == 4
        ahead = [(1.0, state if last else state + 1, 10.0 if last else -1.0, last)]
        rows.append([[(1.0, state, 0.0, False)], ahead])
    solution = backward_induction(TabularMDP.from_outcomes(rows), horizon=6)
    assert solution.state_values[0] == 10 - 4
    assert solution.values_by_time[2, 0] == 0.0
    assert solution.policies_by_time[1, 0] == 1
    assert solution.policies_by_time[2, 0] == 0


def test_beats_every_stationary_policy_under_the_cap():
    mdp = masked_garnet()
    best = backward_induction(mdp, horizon=5).state_values
    random = np.random.default_rng(0)
    for _ in range(50):
        policy = np.array([random.choice(np.flatnonzero(row)) for row in mdp.allowed])
        worth = policy_evaluation(mdp, policy, discount=1.0, horizon=5).state_values
        assert (worth <= best + 1e-12).all()


def test_ties_take_the_lowest_action():
    twins = TabularMDP.from_outcomes([[[(1.0, 0, 0.3, False)], [(1.0, 0, 0.3, False)]]])
    assert (backward_induction(twins, horizon=50).policies_by_time == 0).all()


def test_the_cap_of_the_model_is_the_default():
    mdp = TabularMDP.from_outcomes([[[(1.0, 0, 1.0, False)]]], max_episode_steps=7)
    assert backward_induction(mdp).horizon == 7
    assert backward_induction(mdp).state_values.tolist() == [7.0]
    assert backward_induction(mdp, horizon=3).state_values.tolist() == [3.0]


def test_steps_are_watched():
    seen = []
    backward_induction(chain(4), horizon=3, on_sweep=lambda s: seen.append(s.index))
    assert seen == [1, 2, 3]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({}, "horizon"), ({"horizon": 0}, "horizon"), ({"horizon": 3, "discount": 1.1}, "discount")],
)
def test_bad_arguments(arguments, words):
    with pytest.raises(ValueError, match=words):
        backward_induction(chain(3), **arguments)
    with pytest.raises(TypeError, match="TabularMDP"):
        backward_induction([[]], horizon=3)
