"""End components and ways to get somewhere, against all subsets and a plain search."""

from itertools import combinations

import numpy as np
import pytest
from gymagine.agents.planning.end_components import (
    any_outcome,
    ending_pairs,
    maximal_end_components,
    steps_towards,
)
from gymagine.envs.mdp import TabularMDP


def sparse_model(seed, num_states=6, num_actions=2):
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(num_states):
        actions = []
        for action in range(num_actions):
            size = int(random.integers(1, 3))
            ends = bool(random.random() < 0.15)
            weights = random.dirichlet(np.ones(size))
            outcomes = [(float(w), int(random.integers(num_states)), 0.0, ends) for w in weights]
            actions.append([] if action and random.random() < 0.2 else outcomes)
        rows.append(actions)
    return TabularMDP.from_outcomes(rows)


def is_end_component(mdp, states):
    """Closed under some pair in each state, and strongly connected by all such pairs."""
    inside = set(states)
    ahead = {}
    for state in states:
        ahead[state] = set()
        for action in range(mdp.num_actions):
            outcomes = mdp.outcomes(state, action)
            if outcomes and all(s in inside and not ends for _, s, _, ends in outcomes):
                ahead[state] |= {s for _, s, _, _ in outcomes}
        if not ahead[state]:
            return False
    for start in states:
        found, frontier = {start}, [start]
        while frontier:
            for other in ahead[frontier.pop()] - found:
                found.add(other)
                frontier.append(other)
        if found != inside:
            return False
    return True


@pytest.mark.parametrize("seed", range(25))
def test_maximal_end_components_by_trying_all_subsets(seed):
    mdp = sparse_model(seed)
    subsets = [
        set(states)
        for size in range(1, mdp.num_states + 1)
        for states in combinations(range(mdp.num_states), size)
        if is_end_component(mdp, states)
    ]
    maximal = {frozenset(a) for a in subsets if not any(a < b for b in subsets)}
    usable = (np.diff(mdp.row_starts) > 0) & ~ending_pairs(mdp)
    labels, inside = maximal_end_components(mdp, usable)
    found = {frozenset(np.flatnonzero(labels == label).tolist()) for label in set(labels) - {-1}}
    assert found == maximal
    for row in np.flatnonzero(inside):
        home = labels[row // mdp.num_actions]
        assert home >= 0
        ahead = mdp.next_states[mdp.row_starts[row] : mdp.row_starts[row + 1]]
        assert (labels[ahead] == home).all()


@pytest.mark.parametrize("seed", range(25))
def test_steps_towards_targets(seed):
    mdp = sparse_model(seed)
    targets = np.zeros(mdp.num_states, dtype=np.bool_)
    targets[[0, 3]] = True
    usable = np.diff(mdp.row_starts) > 0
    rank, chosen = steps_towards(mdp, usable, targets)
    can = set(np.flatnonzero(targets).tolist())
    while True:
        more = {
            state
            for state in range(mdp.num_states)
            for action in range(mdp.num_actions)
            for _, ahead, _, ends in mdp.outcomes(state, action)
            if ahead in can and not ends
        }
        if more <= can:
            break
        can |= more
    assert set(np.flatnonzero(rank >= 0).tolist()) == can
    assert (rank[targets] == 0).all()
    for state in can - {0, 3}:
        outcomes = mdp.outcomes(*divmod(int(chosen[state]), mdp.num_actions))
        assert chosen[state] // mdp.num_actions == state
        assert any(0 <= rank[s] < rank[state] and not ends for _, s, _, ends in outcomes)


def test_any_outcome_of_masked_pairs_is_false():
    mdp = TabularMDP.from_outcomes([[[(1.0, 0, 0.0, False)], []], [[], [(1.0, 1, 0.0, True)]]])
    everything = np.ones(mdp.num_outcomes, dtype=np.bool_)
    assert any_outcome(mdp, everything).tolist() == [True, False, False, True]
    assert ending_pairs(mdp).tolist() == [False, False, False, True]


def test_no_targets():
    mdp = sparse_model(0)
    none = np.zeros(mdp.num_states, dtype=np.bool_)
    rank, chosen = steps_towards(mdp, np.diff(mdp.row_starts) > 0, none)
    assert (rank == -1).all()
    assert (chosen == -1).all()
