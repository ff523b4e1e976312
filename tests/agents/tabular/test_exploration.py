"""Exploration against its probabilities, written out by hand."""

import numpy as np
import pytest
from gymagine.agents.tabular.exploration import (
    best_action,
    best_value,
    compile_exploration,
    expected_value,
    explored_action,
    policy_probabilities,
    uniform_action,
)
from gymagine.agents.tabular.random_stream import random_stream
from gymagine.schedules import Schedule
from scipy.stats import chisquare

VALUES = np.array([[1.0, 3.0, 3.0, -2.0, 9.0]])
ALLOWED = np.array([[True, True, True, True, False]])
DRAWS = 40_000


def explorer(method="epsilon-greedy", rate=0.2, temperature=1.0, allowed=ALLOWED, step=0):
    return compile_exploration(
        method,
        rate,
        temperature,
        allowed=allowed.copy(),
        is_masked=not allowed.all(),
        random=random_stream(np.random.SeedSequence(0)),
        clock=np.array([step]),
    )


# epsilon 0.2 over four allowed actions, two of them best: 0.05 each, and 0.4 more for the two
EPSILON_GREEDY = [0.05, 0.45, 0.45, 0.05, 0.0]
# temperature 2: weights e^-1, 1, 1, e^-2.5
WEIGHTS = np.array([np.exp(-1.0), 1.0, 1.0, np.exp(-2.5), 0.0])
SOFTMAX = WEIGHTS / WEIGHTS.sum()
CASES = [
    pytest.param({"rate": 0.2}, EPSILON_GREEDY, id="epsilon-greedy"),
    pytest.param({"rate": 0.0}, [0, 0.5, 0.5, 0, 0], id="greedy"),
    pytest.param({"rate": 1.0}, [0.25, 0.25, 0.25, 0.25, 0], id="uniform"),
    pytest.param({"method": "softmax", "temperature": 2.0}, SOFTMAX, id="softmax"),
    pytest.param({"method": "softmax", "temperature": 1e-3}, [0, 0.5, 0.5, 0, 0], id="cold"),
]


@pytest.mark.parametrize(("settings", "probabilities"), CASES)
def test_draws_have_the_stated_distribution(settings, probabilities):
    exploration = explorer(**settings)
    draws = [explored_action(exploration, VALUES, 0) for _ in range(DRAWS)]
    counts = np.bincount(draws, minlength=5)
    expected = np.array(probabilities) * DRAWS
    possible = expected > 0
    assert counts[~possible].sum() == 0
    assert chisquare(counts[possible], expected[possible]).pvalue > 0.01


@pytest.mark.parametrize(("settings", "probabilities"), CASES)
def test_probabilities_and_expected_values(settings, probabilities):
    exploration = explorer(**settings)
    written = np.zeros(5)
    policy_probabilities(exploration, VALUES, 0, written)
    assert written == pytest.approx(np.array(probabilities), abs=1e-12)
    mean = float(np.dot(probabilities, VALUES[0]))
    assert expected_value(exploration, VALUES, 0) == pytest.approx(mean, abs=1e-12)


def test_the_rate_is_that_of_the_present_step():
    rate = Schedule("linear", 1.0, 0.0, 100)
    for step, share in ((0, 1.0), (60, 0.4), (100, 0.0)):
        written = np.zeros(5)
        policy_probabilities(explorer(rate=rate, step=step), VALUES, 0, written)
        assert written[0] == pytest.approx(share / 4)


def test_huge_values_do_not_overflow_softmax():
    exploration = explorer("softmax", temperature=1e-2)
    values = VALUES * 1e6
    assert explored_action(exploration, values, 0) in (1, 2)
    assert expected_value(exploration, values, 0) == pytest.approx(3e6)


def test_greedy_choices_take_the_lowest_of_equals_and_no_masked_one():
    only_fourth = np.array([[False, False, False, True, False]])
    assert best_action(explorer(), VALUES, 0) == 1
    assert best_value(explorer(), VALUES, 0) == 3.0
    assert best_action(explorer(allowed=np.ones_like(ALLOWED)), VALUES, 0) == 4
    assert best_action(explorer(allowed=only_fourth), VALUES, 0) == 3


def test_uniform_draws_skip_masked_actions():
    exploration = explorer()
    counts = np.bincount([uniform_action(exploration, 0) for _ in range(DRAWS)], minlength=5)
    assert counts[4] == 0
    assert chisquare(counts[:4]).pvalue > 0.01


@pytest.mark.parametrize("value", [np.nan, -np.inf, np.inf])
@pytest.mark.parametrize("method", ["epsilon-greedy", "softmax"])
def test_values_that_overflowed_still_give_allowed_actions(value, method):
    """A masked action has no outcomes: the simulator would read beyond its arrays."""
    masked = explorer(method, rate=0.0, allowed=np.array([[False, False, True, True, False]]))
    values = np.full((1, 5), value)
    assert best_action(masked, values, 0) in (2, 3)
    assert {explored_action(masked, values, 0) for _ in range(50)} <= {2, 3}
