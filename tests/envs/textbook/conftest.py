"""Dense solvers, short enough to be seen right, that share no code with the planners."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest


def dense(mdp):
    """(S, A, S) probabilities of going on and (S, A) expected rewards, by a loop."""
    going_on = np.zeros((mdp.num_states, mdp.num_actions, mdp.num_states))
    rewards = np.zeros((mdp.num_states, mdp.num_actions))
    for state, action in itertools.product(range(mdp.num_states), range(mdp.num_actions)):
        if not mdp.allowed[state, action]:
            rewards[state, action] = -np.inf
        for probability, to, reward, terminated in mdp.outcomes(state, action):
            rewards[state, action] += probability * reward
            going_on[state, action, to] += probability * (not terminated)
    return going_on, rewards


@pytest.fixture(scope="session")
def values_of():
    """``values_of(mdp, policy, discount)``: a policy's values by one linear solve."""

    def solve(mdp, policy, discount):
        going_on, rewards = dense(mdp)
        weights = np.asarray(policy, dtype=float)
        if weights.ndim == 1:
            weights = np.eye(mdp.num_actions)[np.asarray(policy)]
        matrix = np.einsum("sa,sat->st", weights, going_on)
        reward = np.einsum("sa,sa->s", weights, np.where(weights > 0, rewards, 0.0))
        return np.linalg.solve(np.eye(mdp.num_states) - discount * matrix, reward)

    return solve


@pytest.fixture(scope="session")
def optimal_values():
    """``optimal_values(mdp, discount)``: (S,) and (S, A) by value iteration to the end."""

    def solve(mdp, discount, *, sweeps=20000):
        going_on, rewards = dense(mdp)
        values = np.zeros(mdp.num_states)
        for _ in range(sweeps):
            action_values = rewards + discount * going_on @ values
            new = action_values.max(axis=1)
            if np.array_equal(new, values):
                break
            values = new
        return values, action_values

    return solve


@pytest.fixture(scope="session")
def truths():
    """Numbers computed outside this package (see tests/envs/textbook/truths.json)."""
    return json.loads((Path(__file__).parent / "truths.json").read_text())
