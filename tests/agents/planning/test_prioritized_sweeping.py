"""Prioritised sweeping: the queue's top bounds the residual, and few states are backed up."""

from dataclasses import replace

import numpy as np
import pytest
from gymagine.agents.planning.bellman_operator import BellmanOperator
from gymagine.agents.planning.prioritized_sweeping import prioritized_sweeping
from gymagine.agents.planning.priority_queue import heapify
from gymagine.agents.planning.value_iteration import value_iteration
from gymagine.envs.garnet import garnet

from .conftest import MODELS, chain


@pytest.mark.parametrize("name", list(MODELS))
@pytest.mark.parametrize("discount", [0.9, 0.99])
def test_top_of_the_queue_bounds_the_residual(name, discount):
    mdp = MODELS[name]()
    operator = BellmanOperator.of(mdp, discount)
    seen = []

    def on_sweep(sweep):
        out = np.empty(mdp.num_states)
        lowest, highest, _ = operator.improve(sweep.state_values.copy(), out)
        seen.append(max(-lowest, highest) <= sweep.residual + 1e-12)

    prioritized_sweeping(mdp, discount=discount, on_sweep=on_sweep)
    assert seen
    assert all(seen)


def test_news_travels_backwards_in_one_pass():
    """A prize at the end of a chain: each state needs one backup, in the right order."""
    mdp = chain(200, reward=0.0)
    prize = mdp.rewards.copy()
    prize[mdp.terminated] = 1.0
    mdp = replace(mdp, rewards=prize)
    solution = prioritized_sweeping(mdp, discount=0.99)
    assert solution.sweeps <= 3
    assert value_iteration(mdp, discount=0.99).sweeps >= 200
    assert solution.state_values == pytest.approx(0.99 ** np.arange(199, -1, -1))


def test_heap_order():
    random = np.random.default_rng(0)
    priority = random.random(1000)
    heap, place = random.permutation(1000).astype(np.int32), np.empty(1000, dtype=np.int32)
    heapify(heap, place, priority)
    assert (heap[place] == np.arange(1000)).all()
    for position in range(1, 1000):
        assert priority[heap[(position - 1) // 2]] >= priority[heap[position]]


def test_starting_at_the_truth_takes_no_work():
    mdp = garnet(50, 3, 4, seed=0)
    truth = value_iteration(mdp, discount=0.9, tolerance=1e-12).state_values
    solution = prioritized_sweeping(mdp, discount=0.9, initial_values=truth)
    assert solution.sweeps == 1
