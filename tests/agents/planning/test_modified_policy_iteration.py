"""Modified policy iteration where it changes its ways: slow models, large ones, ragged rows."""

import sys

import numpy as np
import pytest
from gymagine.agents.planning import bellman_operator
from gymagine.agents.planning.bellman_operator import BellmanOperator
from gymagine.agents.planning.modified_policy_iteration import _is_slow, modified_policy_iteration
from gymagine.agents.planning.policy_iteration import policy_iteration
from gymagine.agents.planning.value_iteration import value_iteration
from gymagine.envs.garnet import garnet
from gymagine.envs.mdp import TabularMDP


def slippery_grid(side, *, slip=1 / 3, goal=None, ragged=False):
    """Four moves at a cost of 1, to the sides with ``slip`` each, until the goal is entered."""
    size = side * side
    goal = size - 1 if goal is None else goal
    row, column = np.divmod(np.arange(size), side)
    moves = ((0, -1), (1, 0), (0, 1), (-1, 0))
    ahead = np.stack(
        [
            np.clip(row + down, 0, side - 1) * side + np.clip(column + right, 0, side - 1)
            for down, right in moves
        ],
        axis=1,
    )
    ahead = np.stack([np.roll(ahead, turn, axis=1) for turn in (1, 0, -1)], axis=2)
    ahead[goal] = goal
    weights = np.broadcast_to(np.array([slip, 1 - 2 * slip, slip]), ahead.shape).copy()
    rewards = np.where((np.arange(size) == goal)[:, None, None], 0.0, -np.ones(ahead.shape))
    if ragged:  # a long jump from the first cell: its rows no longer fit the others' width
        extra = np.arange(0, size, 7, dtype=np.int64)
        return _with_jumps(ahead, weights, rewards, goal, extra)
    order = np.argsort(ahead, axis=2, kind="stable")
    following = np.take_along_axis(ahead, order, axis=2)
    return TabularMDP(
        row_starts=np.arange(4 * size + 1, dtype=np.int64) * 3,
        next_states=following.astype(np.int32).ravel(),
        probabilities=np.take_along_axis(weights, order, axis=2).ravel(),
        rewards=rewards.ravel(),
        terminated=(following == goal).ravel(),
        initial_distribution=np.full(size, 1 / size),
        num_actions=4,
    )


def _with_jumps(ahead, weights, rewards, goal, extra):
    outcomes = []
    for state in range(len(ahead)):
        rows = []
        for action in range(4):
            pair = zip(ahead[state, action], weights[state, action], strict=True)
            rows.append(
                [(float(w), int(s), float(rewards[state, 0, 0]), bool(s == goal)) for s, w in pair]
            )
        outcomes.append(rows)
    share = 1 / len(extra)
    outcomes[0][0] = [(share, int(s), -1.0, bool(s == goal)) for s in extra]
    return TabularMDP.from_outcomes(outcomes)


def true_error(mdp, discount, values):
    """At most this far from the optimum, by scipy: |TV - V| / (1 - discount)."""
    backup = mdp.expected_rewards.ravel() + discount * (mdp.continuation_matrix() @ values)
    best = np.where(mdp.allowed, backup.reshape(mdp.allowed.shape), -np.inf).max(axis=1)
    return np.abs(best - values).max() / (1 - discount)


@pytest.mark.parametrize("goal", [0, 60])
@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("discount", [0.9, 0.99, 0.999])
def test_slow_models_are_solved_in_place(ragged, discount, goal):
    mdp = slippery_grid(12, goal=goal, ragged=ragged)
    exact = policy_iteration(mdp, discount=discount)
    for tolerance in (1e-2, 1e-6):
        solution = modified_policy_iteration(mdp, discount=discount, tolerance=tolerance)
        assert solution.converged
        error = np.abs(solution.state_values - exact.state_values).max()
        assert error <= solution.error_bound + exact.error_bound <= tolerance + 1e-9
        if tolerance < 1e-2:
            assert (solution.policy == exact.policy).mean() > 0.9  # ties of mirror images


def test_ragged_rows_have_no_common_width():
    operator = BellmanOperator.of(slippery_grid(12, ragged=True), 0.9)
    assert operator.width == 0
    assert BellmanOperator.of(slippery_grid(12), 0.9).width == 3
    assert BellmanOperator.of(garnet(50, 3, 4, seed=0), 0.9).kinds is None


@pytest.mark.parametrize("planner", [modified_policy_iteration, value_iteration])
@pytest.mark.parametrize(
    "build",
    [
        lambda: slippery_grid(40),
        lambda: garnet(1_000, 4, 5, seed=0),
        pytest.param(
            lambda: garnet(1_000, 4, 5, seed=0, terminal_share=0.05), marks=pytest.mark.slow
        ),
    ],
    ids=["grid", "garnet", "garnet-with-ends"],
)
def test_models_with_loops_of_constant_length(planner, build, monkeypatch):
    monkeypatch.setattr(bellman_operator, "_CONSTANT_FROM", 1)  # as for the largest models
    mdp = build()
    assert isinstance(BellmanOperator.of(mdp, 0.95).sizes[0], tuple)
    solution = planner(mdp, discount=0.95, tolerance=1e-6)
    assert solution.converged
    assert true_error(mdp, 0.95, solution.state_values) < 1e-4
    other = policy_iteration(mdp, discount=0.95, initial_values=solution.state_values)
    error = np.abs(solution.state_values - other.state_values).max()
    assert error <= solution.error_bound + other.error_bound


def test_max_sweeps_is_kept_in_all_phases():
    mdp = slippery_grid(12)
    for most in (1, 2, 5, 30, 60, 100):
        seen = []
        with pytest.warns(RuntimeWarning, match="stopped"):
            solution = modified_policy_iteration(
                mdp, discount=0.999, max_sweeps=most, on_sweep=seen.append
            )
        assert solution.sweeps == most == seen[-1].index
        exact = policy_iteration(mdp, discount=0.999)
        error = np.abs(solution.state_values - exact.state_values).max()
        assert error <= solution.error_bound + exact.error_bound


def test_max_sweeps_is_kept_without_discount():
    mdp = slippery_grid(5)
    for most in (1, 2, 3, 20):
        with pytest.warns(RuntimeWarning, match="stopped"):
            solution = modified_policy_iteration(mdp, discount=1.0, max_sweeps=most)
        assert solution.sweeps <= most


def test_goals_below_any_float_are_far_away():
    """Of a tolerance of 1e-300: the goal's share of the span is 0 in floats."""
    assert _is_slow(1e21, 1e20, 8, sys.float_info.min)
