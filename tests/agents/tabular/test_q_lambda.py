"""Watkins's Q(lambda) against updates by hand and against Q-learning."""

from fractions import Fraction

import numpy as np
import pytest
from gymagine.agents.tabular.q_lambda import QLambda
from gymagine.agents.tabular.q_learning import QLearning

observe, begin = QLambda.kernels.observe, QLambda.kernels.begin


def make(rate=0.0):
    agent = QLambda("FrozenLake-v1", seed=0, discount=0.5, step_size=0.5, step_size_decay=0.0,
                    exploration_rate=rate, trace_decay=0.5)  # fmt: skip
    agent._memory.action_values[:3] = [[4, 0, 0, 0], [8, 0, 0, 0], [2, 0, 0, 0]]
    return agent._memory


def test_two_greedy_steps_by_hand():
    memory = make()
    begin(memory, 0)
    assert observe(memory, 0, 0, 1.0, False, False, 1) == 0
    assert Fraction(memory.action_values[0, 0]) == Fraction(9, 2)  # error 1 + 8/2 - 4
    assert observe(memory, 1, 0, 2.0, True, False, 2) == -1
    assert Fraction(memory.action_values[1, 0]) == 5  # error 2 - 8
    assert Fraction(memory.action_values[0, 0]) == Fraction(9, 2) - Fraction(6, 8)


def test_exploring_cuts_the_traces():
    memory = make(rate=1.0)
    kept = []
    for _ in range(60):
        begin(memory, 0)
        action = observe(memory, 0, 0, 0.0, False, False, 1)
        assert (memory.traces.num_active[0] == 1) == (action == 0)
        kept.append(action == 0)
    assert 0 < np.mean(kept) < 1


def test_every_action_of_the_largest_value_counts_as_greedy():
    memory = make(rate=1.0)
    memory.action_values[1] = 8.0
    for _ in range(20):
        begin(memory, 0)
        observe(memory, 0, 0, 0.0, False, False, 1)
        assert memory.traces.num_active[0] == 1


@pytest.mark.parametrize("world", ["FrozenLake-v1", "CliffWalking-v1", "Taxi-v4"])
def test_lambda_zero_is_q_learning_bit_for_bit(world, simulator):
    settings = {"seed": 4, "simulator": simulator, "step_size_decay": 0.7}
    steps = 50_000 if simulator == "compiled" else 3_000
    traced = QLambda(world, trace_decay=0.0, **settings).learn(steps)
    one_step = QLearning(world, **settings).learn(steps)
    assert traced.action_values.tobytes() == one_step.action_values.tobytes()
