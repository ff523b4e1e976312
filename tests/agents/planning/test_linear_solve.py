"""Linear systems against dense algebra, and the choice of the method."""

import math

import numpy as np
import pytest
from gymagine.agents.planning.bellman_operator import BellmanOperator
from gymagine.agents.planning.linear_solve import PolicySystem, profile_of
from gymagine.agents.planning.policy_rows import PolicyRows
from gymagine.agents.planning.row_selection import chosen_rows
from gymagine.envs.garnet import garnet

from .conftest import chain
from .test_modified_policy_iteration import slippery_grid


def rows_of(mdp, action=0):
    operator = BellmanOperator.of(mdp, 0.9)
    return chosen_rows(operator, np.arange(mdp.num_states) * mdp.num_actions + action)


@pytest.mark.parametrize("factorise", [True, False, None])
@pytest.mark.parametrize("discount", [0.5, 0.99, 0.9999])
def test_against_dense_algebra(factorise, discount):
    rows = rows_of(garnet(200, 2, 3, seed=0))
    right = np.random.default_rng(0).normal(size=200)
    matrix = np.eye(200) - discount * rows.matrix().toarray()
    found = PolicySystem(rows, discount, factorise=factorise).solve(right)
    truth = np.linalg.solve(matrix, right)
    assert np.abs(found - truth).max() <= 5e-12 * np.abs(truth).max() / (1 - discount)
    residual = np.abs(matrix @ found - right).max()
    assert residual <= (5e-12 if factorise is False else 1e-14) * (1 + np.abs(truth).max())


def test_singular_systems_are_not_answered():
    stays = PolicyRows(np.arange(3), np.arange(2, dtype=np.int32), np.ones(2), np.ones(2))
    answer = PolicySystem(stays, 1.0, factorise=True).solve(np.ones(2))
    assert not np.isfinite(answer).all()


def test_graphs_with_small_separators_are_told():
    assert math.isfinite(profile_of(rows_of(chain(1000)).matrix()))
    assert math.isfinite(profile_of(rows_of(slippery_grid(30)).matrix()))
    assert math.isinf(profile_of(rows_of(garnet(2000, 2, 5, seed=0)).matrix()))
    small = profile_of(rows_of(garnet(50, 2, 5, seed=0)).matrix())
    assert math.isfinite(small)  # so small that its factors may be dense


def test_an_empty_graph():
    nothing = PolicyRows(
        np.zeros(4, dtype=np.int64), np.zeros(0, dtype=np.int32), np.zeros(0), np.arange(3.0)
    )
    assert PolicySystem(nothing, 0.9).solve(np.arange(3.0)).tolist() == [0.0, 1.0, 2.0]
