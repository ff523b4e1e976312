"""Certificates do not trust: wrong values get bounds that cover how wrong they are."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
from gymagine.agents.planning.bellman_operator import BellmanOperator
from gymagine.agents.planning.certificate import certify, greedy_policy
from gymagine.agents.planning.policy_iteration import policy_iteration
from gymagine.envs.garnet import garnet

from .conftest import MODELS
from .exact_arithmetic import largest_error, optimal_values
from .test_error_bounds import ending_model, random_model


@pytest.mark.parametrize("size", [1e-9, 1e-3, 1.0, 1e3])
@pytest.mark.parametrize("discount", [0.5, 0.99])
def test_spoiled_values(size, discount):
    for seed in range(10):
        mdp = random_model(seed, ends=0.2)
        truth = optimal_values(mdp, discount)
        noise = np.random.default_rng(seed).normal(size=4) * size
        operator = BellmanOperator.of(mdp, discount)
        values = operator.starting_values(np.array([float(v) for v in truth]) + noise)
        solution = certify(operator, values, method="guess", sweeps=1, tolerance=1e-8)
        assert largest_error(solution.state_values, truth) <= solution.error_bound


@pytest.mark.parametrize("size", [1e-9, 1e-6, 1e-3, 1.0])
def test_spoiled_values_without_discount(size):
    """Far from the truth the bound may be infinite; near it is finite and true."""
    for seed in range(10):
        mdp = ending_model(seed)
        truth = optimal_values(mdp, 1)
        noise = np.random.default_rng(seed).normal(size=4) * size
        operator = BellmanOperator.of(mdp, 1.0)
        values = operator.starting_values(np.array([float(v) for v in truth]) + noise)
        solution = certify(operator, values, method="guess", sweeps=1, tolerance=1e-8)
        assert largest_error(solution.state_values, truth) <= solution.error_bound
        if size <= 1e-9:
            assert np.isfinite(solution.error_bound)


def test_spoiled_values_in_resting_places():
    """All at 7 solves V = TV in a free loop, and is no value: no finite bound may be claimed."""
    mdp = MODELS["lounges"]()
    truth = policy_iteration(mdp, discount=1.0).state_values
    operator = BellmanOperator.of(mdp, 1.0)
    for shift in (1e-6, 1.0, 7.0, -3.0):
        values = operator.starting_values(truth + shift)
        solution = certify(operator, values, method="guess", sweeps=1, tolerance=1e-8)
        assert np.abs(solution.state_values - truth).max() <= solution.error_bound


def test_a_proven_bound_is_kept_where_it_is_better():
    mdp = garnet(20, 2, 3, seed=0)
    operator = BellmanOperator.of(mdp, 0.9)
    values = policy_iteration(mdp, discount=0.9).state_values + 0.1
    own = certify(operator, values.copy(), method="guess", sweeps=1, tolerance=1.0)
    given = certify(operator, values, method="guess", sweeps=1, tolerance=1.0, proven=0.11)
    assert own.error_bound == pytest.approx(0.1, rel=1e-6)
    assert given.error_bound == pytest.approx(min(own.error_bound, 0.11))


def test_equal_actions_take_the_lowest():
    values = np.array([[1.0, 1.0 + 1e-12, 0.0], [0.0, 1.0, 1.0], [-np.inf, 2.0, 2.0]])
    assert greedy_policy(values, 1e-9).tolist() == [0, 1, 1]
    assert greedy_policy(values, 0.0).tolist() == [1, 1, 1]


def test_certifying_does_not_warn():
    mdp = garnet(20, 2, 3, seed=0)
    operator = BellmanOperator.of(mdp, 0.9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        solution = certify(operator, np.zeros(20), method="guess", sweeps=1, tolerance=1e-8)
    assert not solution.converged


WARN = """
import subprocess
import sys
import warnings
from functools import partial
from gymagine.agents.planning import *
from gymagine.envs.garnet import garnet
from gymagine.envs.mdp import TabularMDP

model = garnet(20, 2, 3, seed=0)
planners = [value_iteration, partial(value_iteration, gauss_seidel=True), policy_iteration,
            modified_policy_iteration, prioritized_sweeping, linear_programming, solve]
calls = [partial(p, model, discount=d, tolerance=1e-300, max_sweeps=3)
         for p in planners for d in (0.5, 0.99)]
calls += [partial(policy_evaluation, model, [0] * 20, discount=0.5, tolerance=1e-300, **more)
          for more in ({}, {"method": "sweeps"}, {"horizon": 3})]
ends = TabularMDP.from_outcomes([[[(0.9, 0, -1.0, False), (0.1, 0, -1.0, True)]]])
calls += [partial(p, ends, discount=1.0, tolerance=1e-300, max_sweeps=3) for p in planners]
calls += [ValueIteration("FrozenLake-v1", max_sweeps=1).learn]
for call in calls:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()  # here
    for warning in caught:
        print(warning.filename, warning.lineno)
"""


@pytest.mark.slow
def test_warnings_name_the_line_of_the_caller(tmp_path):
    """In a process of its own: the type checks of these tests put frames of theirs between."""
    script = tmp_path / "caller.py"
    script.write_text(WARN)
    seen = subprocess.run(
        [sys.executable, str(script)], check=True, capture_output=True, text=True, timeout=300
    ).stdout.splitlines()
    here = 1 + WARN.splitlines().index("        call()  # here")
    assert len(seen) > 17
    assert set(seen) == {f"{script} {here}"}
