"""Example 6.7: the values, and the moments of the rewards that stand for normal ones."""

import numpy as np
import pytest
from gymagine.envs.textbook.maximization_bias import maximization_bias
from scipy.stats import kurtosis, norm


@pytest.mark.parametrize("masked", [False, True])
def test_values(optimal_values, masked):
    _, action_values = optimal_values(maximization_bias(masked=masked), 1.0)
    allowed = action_values[0][np.isfinite(action_values[0])]
    np.testing.assert_allclose(allowed[0::2], -0.1, atol=1e-12)
    np.testing.assert_allclose(allowed[1::2], 0.0, atol=1e-12)
    assert len(allowed) == (2 if masked else 10)
    np.testing.assert_allclose(action_values[1], -0.1, atol=1e-12)


def test_rewards_stand_for_normal_ones():
    outcomes = maximization_bias(num_rewards=400).outcomes(1, 0)
    rewards = np.array([reward for _, _, reward, _ in outcomes])
    probabilities = np.array([probability for probability, _, _, _ in outcomes])
    assert probabilities @ rewards == pytest.approx(-0.1, abs=1e-12)
    assert probabilities @ (rewards + 0.1) ** 2 == pytest.approx(1.0, abs=1e-12)
    assert kurtosis(rewards) == pytest.approx(0.0, abs=0.2)
    # Kolmogorov's distance to the normal distribution
    share = (np.arange(400) + 0.5) / 400
    assert np.abs(norm.cdf(np.sort(rewards), loc=-0.1) - share).max() < 0.01


def test_masked_choices():
    mdp = maximization_bias(masked=True)
    assert mdp.allowed.sum(axis=1).tolist() == [2, 10, 10]
    assert mdp.outcomes(0, 0) == [(1.0, 1, 0.0, False)]
    assert mdp.outcomes(0, 1) == [(1.0, 2, 0.0, True)]


def test_bad_options():
    with pytest.raises(ValueError, match="even number of actions, got 3"):
        maximization_bias(num_actions=3)
    with pytest.raises(ValueError, match="num_rewards of at least 2"):
        maximization_bias(num_rewards=1)
