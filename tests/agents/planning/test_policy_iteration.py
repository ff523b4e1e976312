"""Policy iteration ends with a stable policy, keeps ties, and rises."""

from itertools import pairwise

import numpy as np
import pytest
from gymagine.agents.planning.bellman_operator import BellmanOperator
from gymagine.agents.planning.policy_evaluation import policy_evaluation
from gymagine.agents.planning.policy_iteration import (
    first_policy,
    improve_policies,
    policy_iteration,
)
from gymagine.envs.garnet import garnet
from gymagine.envs.mdp import TabularMDP

from .conftest import MODELS, chain
from .test_modified_policy_iteration import slippery_grid
from .test_solve import long_chain


@pytest.mark.parametrize("seed", range(5))
def test_values_rise_until_the_policy_is_stable(seed):
    mdp = garnet(60, 4, 3, seed=seed)
    seen = []
    solution = policy_iteration(
        mdp, discount=0.95, on_sweep=lambda s: seen.append(s.state_values.copy())
    )
    assert len(seen) == solution.sweeps < 12
    for before, after in pairwise(seen):
        assert (after >= before - 1e-11).all()
    again = policy_evaluation(mdp, solution.policy, discount=0.95)
    assert (again.policy == solution.policy).all()
    np.testing.assert_allclose(again.state_values, solution.state_values, rtol=0, atol=1e-11)


def test_twins_do_not_alternate():
    """Two actions that are the same but for rounding: 1/3 three times, in another order."""
    thirds = [1 / 3, 1 / 3, 1 - 2 / 3]
    rows = []
    for state in range(6):
        one = [(p, (state + k) % 6, 0.1 * k, False) for k, p in enumerate(thirds)]
        other = [(p, (state + k) % 6, 0.1 * k, False) for k, p in enumerate(reversed(thirds))]
        rows.append([one, other])
    solution = policy_iteration(TabularMDP.from_outcomes(rows), discount=0.999, tolerance=1e-6)
    assert solution.sweeps <= 3
    assert (solution.policy == 0).all()


@pytest.mark.parametrize("name", ["chain", "lounges"])
def test_first_policy_without_discount_ends(name):
    operator = BellmanOperator.of(MODELS[name](), 1.0)
    chosen = first_policy(operator, np.zeros(operator.num_states))
    values, count = improve_policies(
        operator, chosen, np.zeros(operator.num_states), max_improvements=1
    )
    assert count == 1
    assert np.isfinite(values).all()


@pytest.mark.parametrize("look_ahead", [2, 5])
@pytest.mark.parametrize("discount", [0.99, 0.9999])
def test_looking_ahead_takes_fewer_policies(discount, look_ahead):
    for mdp in (slippery_grid(10), long_chain(300)):
        operator = BellmanOperator.of(mdp, discount)
        counts, found = [], []
        for sweeps in (0, look_ahead):
            start = np.zeros(mdp.num_states)
            values, count = improve_policies(
                operator,
                first_policy(operator, start),
                start,
                max_improvements=1000,
                look_ahead=sweeps,
            )
            counts.append(count)
            found.append(values)
        assert counts[1] < counts[0]
        np.testing.assert_allclose(found[0], found[1], rtol=1e-9, atol=1e-9)


def test_initial_values_choose_the_first_policy():
    mdp = chain(30)
    solution = policy_iteration(mdp, discount=0.99)
    again = policy_iteration(mdp, discount=0.99, initial_values=solution.state_values)
    assert again.sweeps == 1 < solution.sweeps


def test_policies_that_come_back_end_the_search():
    """Rows that sum to 1 + 4e-9 at a discount of 1 - 1e-9: nothing contracts, values mean little.

    Found by chance; the policies went round in a circle of three until the improvements ran out.
    """
    rows = [
        [[(0.43, 0, 0.0, False), (0.57, 1, 1.0, True)], [(1.0, 0, -2.0, False)], []],
        [
            [],
            [(0.46424219474043754, 1, 0.0, False), (0.5357578052595625, 1, 2.0, False)],
            [(0.9436106559463465, 1, 1.0, False), (0.056389348350491496, 3, -1.0, False)],
        ],
        [[(1.0, 0, 1.0, True)], [(1.0, 0, 0.0, True)], [(1.0, 1, -2.0, False)]],
        [
            [(0.4492913476198451, 2, 1.0, False), (0.5507086523801549, 2, 2.0, False)],
            [(0.921750610706413, 2, 0.0, True), (0.07824938929358705, 3, -2.0, False)],
            [(0.08047927490420648, 3, 0.0, False), (0.9195207250957934, 3, 1.0, False)],
        ],
    ]
    with pytest.warns(RuntimeWarning, match="stopped"):
        solution = policy_iteration(TabularMDP.from_outcomes(rows), discount=1 - 1e-9)
    assert solution.sweeps < 50
    assert solution.error_bound == np.inf
