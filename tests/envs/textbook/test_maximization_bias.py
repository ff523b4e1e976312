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


def share_of_left(mdp, *, double, num_runs=600, num_episodes=300, seed=0):
    """(E,) share of runs that go left in each episode of (Double) Q-learning, as in the book."""
    rng = np.random.default_rng(seed)
    rewards = np.array([reward for _, _, reward, _ in mdp.outcomes(1, 0)])
    ways = np.flatnonzero(mdp.allowed[0])
    goes_left = np.array([mdp.outcomes(0, int(way))[0][1] == 1 for way in ways])
    tables, runs = 2 if double else 1, np.arange(num_runs)
    values = [np.zeros((tables, num_runs, len(ways))), np.zeros((tables, num_runs, 10))]

    def greedy(estimates):
        return (estimates + 1e-9 * rng.random(estimates.shape)).argmax(axis=1)

    def act(state):
        actions = greedy(values[state].sum(axis=0))
        explores = rng.random(num_runs) < 0.1
        return np.where(explores, rng.integers(values[state].shape[2], size=num_runs), actions)

    shares = []
    for _ in range(num_episodes):
        chosen = act(0)
        left = goes_left[chosen]
        shares.append(left.mean())
        table = rng.integers(tables, size=num_runs)
        target = values[1][tables - 1 - table, runs, greedy(values[1][table, runs])]
        values[0][table, runs, chosen] += 0.1 * (
            np.where(left, target, 0.0) - values[0][table, runs, chosen]
        )
        table, gone, pressed = rng.integers(tables, size=num_runs), runs[left], act(1)
        place = (table[gone], gone, pressed[gone])
        values[1][place] += 0.1 * (rng.choice(rewards, size=len(gone)) - values[1][place])
    return np.array(shares)


def test_figure_6_5_and_how_the_unmasked_model_differs():
    shares = {
        (masked, double): share_of_left(maximization_bias(masked=masked), double=double)
        for masked in (True, False)
        for double in (True, False)
    }
    # the figure: Q-learning climbs far above the half that it starts from, Double Q never does,
    # and both fall to the 5 % of exploration
    assert shares[True, False][:30].max() > 0.85
    assert shares[True, True][5:].max() < 0.55
    assert shares[True, True][-30:].mean() < 0.10 < 0.15 > shares[True, False][-30:].mean()
    # what the docstring says of the default
    means = {key: share.mean() for key, share in shares.items()}
    assert means[True, False] == pytest.approx(0.38, abs=0.03)
    assert means[True, True] == pytest.approx(0.12, abs=0.03)
    assert means[False, False] == pytest.approx(0.46, abs=0.03)
    assert means[False, True] == pytest.approx(0.16, abs=0.03)


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
