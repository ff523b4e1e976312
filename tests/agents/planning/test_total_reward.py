"""Expected steps and the bound without discount, on models whose w is known."""

import numpy as np
import pytest
from gymagine.agents.planning.bellman_operator import BellmanOperator
from gymagine.agents.planning.row_selection import chosen_rows
from gymagine.agents.planning.total_reward import certify_total_reward, expected_steps
from gymagine.envs.mdp import TabularMDP

from .conftest import chain


def test_expected_steps_of_a_walk():
    operator = BellmanOperator.of(chain(10), 1.0)
    ahead = np.arange(10) * 2 + 1
    steps = expected_steps(chosen_rows(operator, ahead))
    assert steps == pytest.approx(np.arange(10, 0, -1))


def test_a_policy_that_stays_has_no_expected_steps():
    operator = BellmanOperator.of(chain(10), 1.0)
    stays = np.arange(10) * 2 + 1
    stays[4] = 8
    assert expected_steps(chosen_rows(operator, stays)) is None


def certificate(operator, values):
    action_values, best = operator.action_values(values)
    outside = operator.without_resting(action_values)
    operator.resting.level(best)
    rounding = operator.errors.rounding(float(np.abs(values).max()))
    return certify_total_reward(operator, values, outside, best, rounding)


def test_bound_of_a_walk_is_the_residual_times_the_steps():
    """Values that are all 0.01 too high at the far end: w is 10 steps, the residual 0.01."""
    operator = BellmanOperator.of(chain(10), 1.0)
    exact = -np.arange(10.0, 0, -1)
    exact[0] += 0.01
    found = certificate(operator, exact)
    assert 0.01 <= found.error_bound <= 0.01 * 10 * 1.01


def test_far_off_values_have_no_bound():
    """At zero every action looks free, and staying for ever as good as going on."""
    operator = BellmanOperator.of(chain(10), 1.0)
    assert certificate(operator, np.zeros(10)).error_bound == np.inf


def test_longer_ways_of_equal_value_are_counted():
    """Two free ways to the prize, of one and of a hundred steps: w must bear the longer."""
    rows = [[[(1.0, 1, 1.0, True)], [(0.99, 0, 0.0, False), (0.01, 1, 1.0, True)]]]
    rows.append([[(1.0, 1, 0.0, True)], [(1.0, 1, 0.0, True)]])
    operator = BellmanOperator.of(TabularMDP.from_outcomes(rows), 1.0)
    values = np.array([1.0 + 1e-9, 0.0])
    found = certificate(operator, values)
    assert 1e-9 <= found.error_bound <= 1e-9 * 102
