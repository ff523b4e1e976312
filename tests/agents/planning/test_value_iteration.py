"""Value iteration: the counts of sweeps that theory gives."""

import math
from itertools import pairwise

import numpy as np
import pytest
from gymagine.agents.planning.value_iteration import value_iteration
from gymagine.envs.garnet import garnet
from gymagine.envs.mdp import TabularMDP

from .conftest import chain


def test_span_bounds_stop_where_the_sup_norm_would_go_on():
    """On a garnet some dozen sweeps; the sup norm alone needs log(1e-8) / log(0.99) and more."""
    mdp = garnet(1000, 4, 5, seed=0)
    assert value_iteration(mdp, discount=0.99, tolerance=1e-6).sweeps < 50


def test_a_loop_is_solved_by_one_sweep():
    loop = TabularMDP.from_outcomes([[[(1.0, 0, 1.0, False)]]])
    for discount in (0.5, 0.99, 0.999):
        solution = value_iteration(loop, discount=discount)
        assert solution.sweeps == 1
        assert solution.state_values[0] == pytest.approx(1 / (1 - discount), rel=1e-12)


@pytest.mark.parametrize("backwards", [False, True])
def test_gauss_seidel_uses_new_values_at_once(backwards):
    """News of the end goes up the numbers in one sweep, and down them one state a sweep."""
    size = 40
    rows = []
    for state in range(size):
        ahead = state - 1 if not backwards else state + 1
        last = not 0 <= ahead < size
        rows.append([[(1.0, state if last else ahead, -1.0, last)]])
    solution = value_iteration(TabularMDP.from_outcomes(rows), discount=1.0, gauss_seidel=True)
    assert solution.sweeps <= 3 if not backwards else solution.sweeps >= size


def test_sweeps_follow_the_contraction():
    """On a chain with a cost of 1 the changes are discount^k until the end is known."""
    changes = []
    value_iteration(chain(50), discount=0.9, on_sweep=lambda s: changes.append(s.residual))
    assert changes[:40] == pytest.approx([0.9**k for k in range(40)])


def test_bounds_seen_fall_and_hold():
    mdp = garnet(100, 3, 4, seed=1)
    truth = value_iteration(mdp, discount=0.95, tolerance=1e-11).state_values
    seen = []

    def on_sweep(sweep):
        middle = np.abs(sweep.state_values - truth)
        seen.append((sweep.error_bound, np.ptp(sweep.state_values - truth) / 2, middle.max()))

    value_iteration(mdp, discount=0.95, on_sweep=on_sweep)
    bounds = [bound for bound, _, _ in seen]
    assert all(later <= earlier for earlier, later in pairwise(bounds))
    assert all(half_span <= bound for bound, half_span, _ in seen)
    assert math.isfinite(bounds[0])
