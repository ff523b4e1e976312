"""Examples 6.2 and 7.1."""

import numpy as np
import pytest
from gymagine.envs.textbook.random_walk import random_walk, random_walk_5, random_walk_19


def test_five_states(values_of):
    values = values_of(random_walk_5(), np.zeros(7, dtype=int), 1.0)
    np.testing.assert_allclose(values[1:-1], np.arange(1, 6) / 6, atol=1e-12)


def test_nineteen_states(values_of):
    values = values_of(random_walk_19(), np.zeros(21, dtype=int), 1.0)
    np.testing.assert_allclose(values[1:-1], np.arange(-9, 10) / 10, atol=1e-12)


def test_starts_in_the_middle():
    assert random_walk_5().initial_distribution.argmax() == 3
    assert random_walk_19().initial_distribution.argmax() == 10
    assert random_walk_5().layout.cells == ("H..S..G",)


def test_discounted_by_the_ruin_formula(values_of):
    # E[discount^T; right end] from s with n+1 = N: (x^s - y^s) / (x^N - y^N), x, y the roots of
    # d/2 z^2 - z + d/2 = 0; the reward is paid on arriving, so one discount less
    discount, walk = 0.9, random_walk(9, left_reward=0.0, right_reward=1.0)
    values = values_of(walk, np.zeros(11, dtype=int), discount)
    x = (1 + np.sqrt(1 - discount**2)) / discount
    s = np.arange(1, 10)
    expected = (x**s - x**-s) / (x**10 - x**-10.0) / discount
    np.testing.assert_allclose(values[1:-1], expected, atol=1e-12)


def test_a_walk_needs_a_middle():
    with pytest.raises(ValueError, match="odd number of states, so with a middle, got 4"):
        random_walk(4, left_reward=0.0, right_reward=1.0)
