"""Example 13.1: the closed form, its optimum, and the epsilon-greedy values."""

import numpy as np
import pytest
from gymagine.envs.textbook.short_corridor import short_corridor


def value(values_of, p):
    return values_of(short_corridor(), np.tile([1 - p, p], (4, 1)), 1.0)[0]


@pytest.mark.parametrize("p", [0.1, 0.5, 2 - np.sqrt(2), 0.9])
def test_closed_form(values_of, p):
    assert value(values_of, p) == pytest.approx(2 * (p - 2) / (p * (1 - p)), abs=1e-9)


def test_the_best_stochastic_policy(values_of):
    best = 2 - np.sqrt(2)
    assert value(values_of, best) == pytest.approx(-(6 + 4 * np.sqrt(2)), abs=1e-9)
    assert value(values_of, best - 1e-3) < value(values_of, best) > value(values_of, best + 1e-3)


def test_epsilon_greedy(values_of, truths):
    assert value(values_of, 0.95) == pytest.approx(truths["corridor_eps_right"], abs=1e-6)
    assert value(values_of, 0.05) == pytest.approx(truths["corridor_eps_left"], abs=1e-6)


def test_all_states_look_alike_until_the_end(optimal_values):
    mdp = short_corridor()
    assert mdp.observation_index.tolist() == [0, 0, 0, 1]
    assert mdp.num_observations == 2
    assert optimal_values(mdp, 1.0)[0][0] == -3
    assert short_corridor(observed=True).num_observations == 4
