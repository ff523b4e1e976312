"""The promised bound against the truth in rational arithmetic, and the formula against numbers."""

import warnings
from functools import cache

import numpy as np
import pytest
from gymagine.agents.planning.error_bounds import BackupErrors, value_offsets
from gymagine.agents.planning.policy_evaluation import policy_evaluation
from gymagine.envs.mdp import TabularMDP

from .conftest import PLANNERS
from .exact_arithmetic import largest_error, optimal_values, policy_values


def random_model(seed, *, ends=0.0, num_states=4, num_actions=2, scale=1.0):
    """Any rows: lengths, duplicates, endings, masks, large and small rewards."""
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(num_states):
        actions = []
        for action in range(num_actions):
            size = int(random.integers(1, 4))
            weights = random.dirichlet(np.ones(size))
            outcomes = [
                (
                    float(weights[k]),
                    int(random.integers(num_states)),
                    float(random.normal() * scale),
                    bool(random.random() < ends),
                )
                for k in range(size)
            ]
            actions.append(outcomes if action == 0 or random.random() < 0.8 else [])
        rows.append(actions)
    return TabularMDP.from_outcomes(rows)


@cache
def solved_model(seed, ends, discount):
    """A random model and its optimal values."""
    mdp = random_model(seed, ends=ends)
    return mdp, optimal_values(mdp, discount)


@pytest.mark.parametrize("tolerance", [1.0, 1e-7])
@pytest.mark.parametrize("ends", [0.0, 0.2])
@pytest.mark.parametrize("discount", [0.3, 0.97])
def test_true_error_is_within_the_bound(planner, discount, ends, tolerance):
    for seed in range(5):
        mdp, truth = solved_model(seed, ends, discount)
        solution = planner(mdp, discount=discount, tolerance=tolerance)
        assert solution.converged
        assert largest_error(solution.state_values, truth) <= solution.error_bound <= tolerance


@pytest.mark.parametrize("name", list(PLANNERS))
def test_true_error_is_within_the_bound_when_rounding_is_all(name):
    """No planner can reach 1e-16: what it then claims must be true, and said."""
    for seed in range(2):
        mdp = random_model(seed, ends=0.1, scale=1e3)
        truth = optimal_values(mdp, 0.97)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            solution = PLANNERS[name](mdp, discount=0.97, tolerance=1e-16)
        assert not solution.converged
        assert len(caught) == 1
        assert 0 < largest_error(solution.state_values, truth) <= solution.error_bound
        assert solution.error_bound < 1e-6  # and not absurdly loose: values are near 1e5


@pytest.mark.parametrize("name", list(PLANNERS))
def test_true_error_is_within_the_bound_without_discount(name):
    for seed in range(8):
        mdp = ending_model(seed)
        truth = optimal_values(mdp, 1)
        solution = PLANNERS[name](mdp, discount=1.0, tolerance=1e-9)
        assert solution.converged
        assert largest_error(solution.state_values, truth) <= solution.error_bound <= 1e-9


def ending_model(seed):
    """A random model all of whose policies end: each step may."""
    random = np.random.default_rng(seed)
    rows = []
    for state in range(4):
        actions = []
        for _ in range(2):
            end = float(random.uniform(0.01, 0.3))
            other = int(random.integers(4))
            outcomes = [
                (end, state, float(random.normal()), True),
                (1 - end, other, float(random.normal()), False),
            ]
            actions.append(outcomes)
        rows.append(actions)
    return TabularMDP.from_outcomes(rows)


@pytest.mark.parametrize("method", ["solve", "sweeps"])
@pytest.mark.parametrize("discount", [0.5, 0.99, 1.0])
def test_evaluation_is_within_its_bound(method, discount):
    for seed in range(10):
        mdp = ending_model(seed)
        policy = np.random.default_rng(seed).integers(0, 2, size=4)
        truth = policy_values(mdp, policy, discount)
        solution = policy_evaluation(mdp, policy, discount=discount, method=method, tolerance=1e-9)
        assert solution.converged
        assert largest_error(solution.state_values, truth) <= solution.error_bound <= 1e-9


@pytest.mark.parametrize("most", [1, 2, 5])
@pytest.mark.parametrize("discount", [1e-3, 0.99])
def test_bound_holds_far_from_the_truth(planner, discount, most):
    """From starting values of 1e11 that are almost forgotten at once: all changes are rounded."""
    mdp = TabularMDP.from_outcomes(
        [
            [[(1.0, 1, 0.0, True)]],
            [[(0.3909114927177607, 0, 0.0, True), (0.6090885072822394, 2, 1.0, True)]],
            [
                [
                    (0.2895908307445773, 1, -2.0, False),
                    (0.33118627029624687, 1, -2.0, True),
                    (0.3792228989591757, 2, 2.0, True),
                ]
            ],
        ]
    )
    truth = optimal_values(mdp, discount)
    for seed in range(10):
        start = np.random.default_rng(seed).normal(size=3) * 1e11
        with warnings.catch_warnings(record=True):
            warnings.simplefilter("always")
            solution = planner(mdp, discount=discount, max_sweeps=most, initial_values=start)
        assert largest_error(solution.state_values, truth) <= solution.error_bound


@pytest.mark.parametrize("discount", [0.99, 1 - 1e-9])
def test_bound_holds_where_the_sum_is_nearly_one(planner, discount):
    """A single outcome of 1 - 8e-9, as rounded data has it: discount times that is rounded."""
    loop = TabularMDP.from_outcomes([[[(1 - 8e-9, 0, 3.7, False)]]])
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        solution = planner(loop, discount=discount, max_sweeps=3)
    truth = optimal_values(loop, discount)
    assert largest_error(solution.state_values, truth) <= solution.error_bound


def test_bound_holds_below_the_least_normal_float(planner):
    mdp = TabularMDP.from_outcomes(
        [
            [[(0.5, 0, 5e-324, False), (0.5, 1, 1e-310, False)]],
            [[(1.0, 0, -1e-315, False)]],
        ]
    )
    solution = planner(mdp, discount=0.9)
    truth = optimal_values(mdp, 0.9)
    assert largest_error(solution.state_values, truth) <= solution.error_bound


@pytest.mark.filterwarnings("ignore:.*(invalid value|overflow).*:RuntimeWarning")
def test_no_bound_where_values_overflow(planner):
    loop = TabularMDP.from_outcomes([[[(1.0, 0, 1e308, False)]]])  # worth 1e309
    with pytest.warns(RuntimeWarning, match="stopped"):
        solution = planner(loop, discount=0.9, max_sweeps=1000)
    assert solution.error_bound == np.inf


@pytest.mark.parametrize("name", ["gauss-seidel", "prioritized-sweeping", "policy-iteration"])
def test_watched_bounds_hold(name):
    """Of planners whose values are the solution's as they stand; to the last digits."""
    for seed in range(3):
        mdp = random_model(seed)
        truth = optimal_values(mdp, 0.9)
        seen = []
        with warnings.catch_warnings(record=True):
            warnings.simplefilter("always")
            PLANNERS[name](
                mdp,
                discount=0.9,
                tolerance=1e-16,
                max_sweeps=400,
                on_sweep=lambda s, seen=seen, truth=truth: seen.append(
                    (largest_error(s.state_values, truth), s.error_bound)
                ),
            )
        assert all(error <= bound for error, bound in seen)
        assert seen[-1][1] < 1e-12


def test_bound_is_not_absurdly_loose():
    """Of value iteration on random models: within a hundred times the true error, mostly ten."""
    ratios = []
    for seed in range(20):
        mdp = random_model(seed)
        truth = optimal_values(mdp, 0.95)
        solution = PLANNERS["value-iteration"](mdp, discount=0.95, tolerance=1e-3)
        error = largest_error(solution.state_values, truth)
        if error > 1e-9:  # otherwise the last sweep hit the truth, as it may when all is solved
            ratios.append(solution.error_bound / error)
    assert len(ratios) > 5
    assert np.median(ratios) < 30


# ---- the formula --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lowest", "highest", "least", "greatest", "expected"),
    [
        (1.0, 3.0, 1.0, 1.0, (10.0, 30.0)),  # nothing ends: m / (1 - gamma), M / (1 - gamma)
        (-3.0, -1.0, 1.0, 1.0, (-30.0, -10.0)),
        (1.0, 3.0, 0.0, 1.0, (1.0, 30.0)),  # a gain may end at once, a loss may go on
        (-3.0, -1.0, 0.0, 1.0, (-30.0, -1.0)),
        (-1.0, 2.0, 0.5, 0.5, (-1 / 0.55, 2 / 0.55)),
    ],
)
def test_offsets(lowest, highest, least, greatest, expected):
    offsets = value_offsets(lowest, highest, discount=0.9, least_sum=least, greatest_sum=greatest)
    assert offsets == pytest.approx(expected)


def test_offsets_are_attained():
    """One state that stays and one that ends, both gaining 1: neither side can be improved."""
    mdp = TabularMDP.from_outcomes([[[(1.0, 0, 1.0, False)]], [[(1.0, 0, 1.0, True)]]])
    truth = optimal_values(mdp, 0.5)
    lower, upper = value_offsets(1.0, 1.0, discount=0.5, least_sum=0.0, greatest_sum=1.0)
    assert (float(min(truth)), float(max(truth))) == (lower, upper)


def test_no_bound_without_contraction():
    assert value_offsets(0.0, 0.0, discount=1.0, least_sum=1.0, greatest_sum=1.0) == (
        -np.inf,
        np.inf,
    )
    errors = BackupErrors(1.0, 0.0, 1.0, 1.0, 3)
    assert errors.bounds_after(-1.0, 1.0, 5.0) == (0.0, np.inf, False)
