"""RiverSwim's gain from its stationary distribution."""

import numpy as np
import pytest
from gymagine.envs.textbook.river_swim import river_swim


def gain(mdp, action):
    """Long-run reward per step of always taking one action, by a linear solve."""
    size = mdp.num_states
    matrix, reward = np.zeros((size, size)), np.zeros(size)
    for state in range(size):
        for probability, to, paid, _ in mdp.outcomes(state, action):
            matrix[state, to] += probability
            reward[state] += probability * paid
    system = np.vstack([matrix.T - np.eye(size), np.ones(size)])
    stationary = np.linalg.lstsq(system, np.r_[np.zeros(size), 1.0], rcond=None)[0]
    return stationary @ reward


def test_gain_of_swimming_right_by_detailed_balance():
    # a birth-death chain: pi_{s+1} / pi_s = up / down
    weights = np.cumprod([1.0, 0.3 / 0.1, 3.0, 3.0, 3.0, 0.3 / 0.7])
    expected = 10000 * 0.3 * weights[-1] / weights.sum()
    assert gain(river_swim(), 1) == pytest.approx(expected, rel=1e-12)
    assert expected == pytest.approx(668.807, abs=1e-3)
    assert gain(river_swim(), 0) == pytest.approx(5.0)


def test_right_is_optimal(optimal_values):
    # at discounts near 1 every state should swim, at small ones the first state stays
    _, action_values = optimal_values(river_swim(), 0.99)
    assert action_values.argmax(axis=1).tolist() == [1] * 6
    _, action_values = optimal_values(river_swim(), 0.3)
    assert action_values[0].argmax() == 0


def test_starts_near_the_small_reward():
    assert river_swim().initial_distribution.tolist() == [0, 0.5, 0.5, 0, 0, 0]
    assert river_swim(num_states=20).num_states == 20
    with pytest.raises(ValueError, match="num_states of at least 3, got 2"):
        river_swim(num_states=2)
