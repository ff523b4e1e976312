"""Policies' values: closed forms, dense linear algebra, horizons step by step, refusals."""

import warnings

import numpy as np
import pytest
from gymagine.agents.planning.policy_evaluation import policy_evaluation
from gymagine.envs.garnet import garnet
from gymagine.envs.mdp import TabularMDP

from .conftest import chain, masked_garnet

METHODS = ("solve", "sweeps")


def dense(mdp, weights):
    """The dense transition matrix and reward vector of a policy, straight from the outcomes."""
    matrix = np.zeros((mdp.num_states, mdp.num_states))
    rewards = np.zeros(mdp.num_states)
    for state in range(mdp.num_states):
        for action in range(mdp.num_actions):
            for probability, ahead, reward, ends in mdp.outcomes(state, action):
                rewards[state] += weights[state, action] * probability * reward
                matrix[state, ahead] += weights[state, action] * probability * (not ends)
    return matrix, rewards


def random_policy(mdp, seed=0):
    weights = np.random.default_rng(seed).random((mdp.num_states, mdp.num_actions)) * mdp.allowed
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("discount", [0.0, 0.7, 0.99])
@pytest.mark.parametrize("build", [masked_garnet, lambda: garnet(50, 3, 4, seed=0)])
def test_stochastic_policy_against_dense_algebra(method, discount, build):
    mdp = build()
    weights = random_policy(mdp)
    matrix, rewards = dense(mdp, weights)
    truth = np.linalg.solve(np.eye(mdp.num_states) - discount * matrix, rewards)
    solution = policy_evaluation(mdp, weights, discount=discount, method=method, tolerance=1e-10)
    assert solution.converged
    assert np.abs(solution.state_values - truth).max() <= solution.error_bound + 1e-12
    ahead = np.array(
        [
            [
                sum(p * (r + discount * (not e) * truth[s]) for p, s, r, e in mdp.outcomes(i, a))
                if mdp.allowed[i, a]
                else -np.inf
                for a in range(mdp.num_actions)
            ]
            for i in range(mdp.num_states)
        ]
    )
    np.testing.assert_allclose(solution.action_values, ahead, rtol=0, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_expected_steps_of_a_lazy_walk(method):
    """A walk of n cells that advances with probability 1/2 takes 2 n steps on average."""
    weights = np.full((12, 2), 0.5)
    solution = policy_evaluation(chain(12), weights, discount=1.0, method=method)
    assert solution.converged
    np.testing.assert_allclose(-solution.state_values, 2 * np.arange(12, 0, -1), atol=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_resting_is_worth_nothing(method):
    mdp = TabularMDP.from_outcomes(
        [
            [[(0.5, 1, 3.0, False), (0.5, 2, 1.0, True)]],
            [[(1.0, 2, -1.0, False)]],
            [[(1.0, 2, 0.0, False)]],
        ]
    )
    solution = policy_evaluation(mdp, np.zeros(3, dtype=int), discount=1.0, method=method)
    assert solution.state_values == pytest.approx([1.5, -1.0, 0.0])
    assert solution.converged


@pytest.mark.parametrize("method", METHODS)
def test_going_round_with_reward_is_refused(method):
    mdp = TabularMDP.from_outcomes([[[(1.0, 1, 0.0, False)]], [[(1.0, 1, 1.0, False)]]])
    with pytest.raises(ValueError, match=r"state 1.*not finite"):
        policy_evaluation(mdp, np.zeros(2, dtype=int), discount=1.0, method=method)
    assert policy_evaluation(mdp, np.zeros(2, dtype=int), discount=0.5).state_values[1] == 2.0


@pytest.mark.parametrize("discount", [0.9, 1.0])
@pytest.mark.parametrize("horizon", [0, 1, 2, 7, 60])
def test_horizon_step_by_step(horizon, discount):
    mdp = masked_garnet()
    weights = random_policy(mdp)
    matrix, rewards = dense(mdp, weights)
    truth = np.zeros(mdp.num_states)
    for _ in range(horizon):
        truth = rewards + discount * matrix @ truth
    solution = policy_evaluation(mdp, weights, discount=discount, horizon=horizon)
    assert solution.sweeps == horizon
    assert np.abs(solution.state_values - truth).max() <= solution.error_bound + 1e-13
    assert solution.error_bound < 1e-10


def test_horizon_needs_no_ending():
    loop = TabularMDP.from_outcomes([[[(1.0, 0, 1.0, False)]]])
    solution = policy_evaluation(loop, np.array([0]), discount=1.0, horizon=5)
    assert solution.state_values.tolist() == [5.0]


def test_policy_is_the_improvement():
    solution = policy_evaluation(chain(4), np.array([0, 0, 1, 1]), discount=0.5)
    assert solution.policy.tolist() == [0, 1, 1, 1]


def test_sweeps_are_watched_and_stopping_short_is_said():
    mdp = garnet(30, 2, 3, seed=0)
    policy = np.zeros(30, dtype=int)
    seen = []
    full = policy_evaluation(
        mdp, policy, discount=0.9, method="sweeps", on_sweep=lambda s: seen.append(s.index)
    )
    assert seen == list(range(1, full.sweeps + 1))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        short = policy_evaluation(mdp, policy, discount=0.9, method="sweeps", max_sweeps=2)
    assert [warning.category for warning in caught] == [RuntimeWarning]
    assert not short.converged
    assert np.abs(short.state_values - full.state_values).max() <= short.error_bound
    again = policy_evaluation(
        mdp, policy, discount=0.9, method="sweeps", initial_values=full.state_values
    )
    assert again.sweeps < full.sweeps


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (np.zeros(14, dtype=int), "shape"),
        (np.zeros((15, 3)), "shape"),
        (np.zeros(15), "float64"),
        (np.full(15, 4), r"state 0: expected an action in \[0, 4\), got 4"),
        (np.full(15, -1), "got -1"),
        (np.full((15, 4), 0.3), "sum to 1"),
        (np.tile([2.0, -1.0, 0.0, 0.0], (15, 1)), "sum to 1"),
        (np.full((15, 4), np.nan), "sum to 1"),
        (np.full((15, 4), 0.25), "masked"),
    ],
)
def test_what_is_no_policy_is_refused(policy, words):
    with pytest.raises(ValueError, match=words):
        policy_evaluation(masked_garnet(), policy, discount=0.9)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"discount": 2.0}, "discount"),
        ({"discount": 0.5, "tolerance": -1.0}, "tolerance"),
        ({"discount": 0.5, "method": "guess"}, "method"),
        ({"discount": 0.5, "horizon": -1}, "horizon"),
        ({"discount": 0.5, "max_sweeps": 0}, "max_sweeps"),
    ],
)
def test_bad_arguments(arguments, words):
    # under the run-time type checks of these tests a wrong literal is a TypeError already
    with pytest.raises((ValueError, TypeError), match=words):
        policy_evaluation(chain(3), np.zeros(3, dtype=int), **arguments)
