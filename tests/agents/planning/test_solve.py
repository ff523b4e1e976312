"""The choice of the planner: which one it is on models made for each."""

from dataclasses import replace

import numpy as np
import pytest
from gymagine.agents.planning.modified_policy_iteration import PolicySearch
from gymagine.agents.planning.policy_iteration import policy_iteration
from gymagine.agents.planning.solve import solve
from gymagine.envs.garnet import garnet
from gymagine.envs.mdp import TabularMDP

from .exact_arithmetic import largest_error, optimal_values


def long_chain(length):
    """Left or right, missed with 0.3; a little reward at the left end, much at the right."""
    rows = []
    for state in range(length):
        left, right = max(state - 1, 0), min(state + 1, length - 1)
        reward = {0: 0.01, length - 1: 1.0}.get(state, 0.0)
        rows.append(
            [
                [(0.7, left, reward, False), (0.3, right, reward, False)],
                [(0.3, left, reward, False), (0.7, right, reward, False)],
            ]
        )
    return TabularMDP.from_outcomes(rows, name="chain")


def islands(count, size):
    """Garnets without a bridge between them: the span of their values never shrinks fast."""
    parts = [garnet(size, 3, 4, seed=seed) for seed in range(count)]
    starts = np.concatenate([p.row_starts[:-1] + i * p.num_outcomes for i, p in enumerate(parts)])
    return TabularMDP(
        row_starts=np.append(starts, count * parts[0].num_outcomes),
        next_states=np.concatenate(
            [p.next_states + np.int32(i * size) for i, p in enumerate(parts)]
        ),
        probabilities=np.concatenate([p.probabilities for p in parts]),
        rewards=np.concatenate([p.rewards for p in parts]),
        terminated=np.concatenate([p.terminated for p in parts]),
        initial_distribution=np.full(count * size, 1 / (count * size)),
        num_actions=3,
    )


def test_fast_mixing_is_swept():
    solution = solve(garnet(2000, 4, 5, seed=0), discount=0.999, tolerance=1e-6)
    assert solution.method == "modified-policy-iteration"
    assert solution.converged
    assert solution.sweeps < 100


@pytest.mark.parametrize("discount", [0.999, 0.9999])
def test_long_chains_go_to_policy_iteration(discount):
    mdp = long_chain(1500)
    seen = []
    solution = solve(
        mdp, discount=discount, tolerance=1e-6, on_sweep=lambda s: seen.append(s.index)
    )
    assert seen == sorted(set(seen))
    assert seen[-1] == solution.sweeps
    assert solution.method == "policy-iteration"
    assert solution.converged
    start = solution.state_values
    exact = policy_iteration(mdp, discount=discount, initial_values=start, tolerance=1e-6)
    error = np.abs(solution.state_values - exact.state_values).max()
    assert error <= solution.error_bound + exact.error_bound


def test_islands_go_to_policy_iteration_by_a_krylov_method():
    mdp = islands(3, 400)
    solution = solve(mdp, discount=0.9999, tolerance=1e-6)
    assert solution.method == "policy-iteration"
    assert solution.converged
    for island in range(3):
        alone = solve(garnet(400, 3, 4, seed=island), discount=0.9999, tolerance=1e-6)
        part = solution.state_values[island * 400 : (island + 1) * 400]
        assert np.abs(part - alone.state_values).max() <= 2e-6


def test_without_discount_small_separators_decide():
    rows = [
        [
            [(0.6, min(s + 1, 599), -1.0, s == 599), (0.4, max(s - 1, 0), -1.0, False)],
            [(0.5, min(s + 1, 599), -0.5, s == 599), (0.5, max(s - 1, 0), -0.5, False)],
        ]
        for s in range(600)
    ]
    chain = TabularMDP.from_outcomes(rows)
    assert solve(chain, discount=1.0, tolerance=1e-6).method == "policy-iteration"
    random = garnet(600, 3, 4, seed=0, terminal_share=0.02)
    costly = replace(random, rewards=-np.abs(random.rewards))
    solution = solve(costly, discount=1.0, tolerance=1e-6)
    assert solution.method == "modified-policy-iteration"
    assert solution.converged


def test_a_failed_early_proof_loses_no_policy(monkeypatch):
    """Memory given back for the proof is taken again with nothing in it: it must not be read."""
    take_memory = PolicySearch._take_memory

    def take_spoiled_memory(search):
        take_memory(search)
        search._chosen.fill(10**12)

    monkeypatch.setattr(PolicySearch, "_take_memory", take_spoiled_memory)
    mdp = TabularMDP.from_outcomes(
        [
            [
                [(1.0, 1, 0.0, False)],
                [
                    (0.5, 0, -1.5, False),
                    (0.25, 1, -1.0, False),
                    (0.25, 2, -1.0, False),
                ],
            ],
            [[(1.0, 0, -2.0, False)], [(1.0, 0, -2.0, False)]],
            [[(1.0, 2, 1.0, False)], [(1.0, 2, 0.0, False)]],
        ]
    )
    with pytest.warns(RuntimeWarning, match="stopped"):
        solution = solve(mdp, discount=0.99, tolerance=1e-14)
    error = largest_error(solution.state_values, optimal_values(mdp, 0.99))
    assert error <= solution.error_bound < 1e-10
