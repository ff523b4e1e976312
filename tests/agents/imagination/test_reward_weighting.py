"""Weights of episodes by their returns."""

import numpy as np
import pytest
from gymagine.agents.imagination.reward_weighting import (
    drawn_windows,
    effective_number,
    last_episodes,
    return_weights,
)
from gymagine.generative.data.environments import Transitions


def steps_of(num, ends, reward=None):
    """Steps of episodes that terminate at some numbers."""
    x, no = np.zeros((num, 1)), np.zeros(num, dtype=bool)
    terminated = np.isin(np.arange(num), ends)
    return Transitions(x, x, np.zeros(num) if reward is None else reward, x, terminated, no)


def test_weights_by_hand():
    """Returns 0, 1, 2 have the deviation sqrt(2 / 3); at tau = 1 the weights are e^(G / sd)."""
    expected = np.exp(np.array([0, 1, 2]) / np.sqrt(2 / 3))
    found = return_weights(np.array([0.0, 1.0, 2.0]), 1.0)
    np.testing.assert_allclose(found, expected / expected.sum())
    np.testing.assert_allclose(return_weights(np.array([5.0, 5.0]), 1.0), [0.5, 0.5])
    np.testing.assert_allclose(return_weights(np.array([1e9, 2e9]), 1e-3), [0, 1], atol=1e-12)
    assert effective_number(np.array([1.0, 1.0, 1.0, 0.0])) == 3
    assert 1 < effective_number(found) < 3


def test_windows_are_drawn_by_their_episodes_returns():
    reward = np.zeros(30)
    reward[14] = 1.0  # the second of three episodes
    data = steps_of(30, [9, 19, 29], reward)
    rng = np.random.default_rng(0)
    windows = np.tile(np.arange(30), 100)
    drawn, effective = drawn_windows(data, windows, 1.0, rng)
    share = np.bincount(windows[drawn] // 10, minlength=3) / len(drawn)
    weights = return_weights(np.array([0.0, 1.0, 0.0]), 1.0)
    np.testing.assert_allclose(share, weights, atol=0.03)
    assert effective == pytest.approx(effective_number(weights))
    assert last_episodes(data, 2).tolist() == list(range(10, 30))
