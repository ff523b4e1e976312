"""Expected SARSA against updates done by hand, and against SARSA's variance."""

from fractions import Fraction

import numpy as np
import pytest
from gymagine.agents.tabular.expected_sarsa import ExpectedSARSA
from gymagine.agents.tabular.q_learning import QLearning
from gymagine.agents.tabular.sarsa import SARSA
from gymagine.schedules import Schedule

observe = ExpectedSARSA.kernels.observe


def make(rate):
    agent = ExpectedSARSA("FrozenLake-v1", seed=0, discount=0.5, step_size=0.5,
                          step_size_decay=0.0, exploration_rate=rate)  # fmt: skip
    agent._memory.action_values[:2] = [[1, 2, 0, 0], [4, 8, 0, 0]]
    return agent._memory


def test_updates_by_hand():
    memory = make(0.5)
    # in state 1: half of the mean 3, half of the best 8, together 11/2; target 1 + 11/4
    observe(memory, 0, 0, 1.0, False, False, 1)
    assert Fraction(memory.action_values[0, 0]) == 1 + Fraction(1, 2) * (1 + Fraction(11, 4) - 1)
    observe(memory, 0, 1, 4.0, True, False, 1)
    assert Fraction(memory.action_values[0, 1]) == 3
    assert observe(memory, 0, 2, 1.0, False, True, 1) == -1
    assert Fraction(memory.action_values[0, 2]) == Fraction(1, 2) * (1 + Fraction(11, 4))


def test_the_policy_is_that_of_the_next_step():
    memory = make(Schedule("linear", 1.0, 0.0, 2))  # 1 at step 0, 1/2 at step 1
    observe(memory, 0, 2, 0.0, False, False, 1)
    assert Fraction(memory.action_values[0, 2]) == Fraction(11, 8)


def test_without_exploration_it_is_q_learning():
    settings = {"seed": 3, "exploration_rate": 0.0, "initial_action_value": 0.5}
    expected = ExpectedSARSA("FrozenLake-v1", **settings).learn(50_000)
    q_learning = QLearning("FrozenLake-v1", **settings).learn(50_000)
    assert (expected.action_values == q_learning.action_values).all()


def test_its_updates_vary_less_than_those_of_sarsa():
    def spread(learner):
        values = [
            learner("CliffWalking-v1", seed=seed, discount=1.0, exploration_rate=1.0,
                    step_size=0.1, step_size_decay=0.0).learn(100_000).action_values[24, 1]
            for seed in range(30)
        ]  # fmt: skip
        return np.std(values)

    assert spread(ExpectedSARSA) < 0.9 * spread(SARSA)


def test_figure_6_3_full_steps_do_not_hurt_on_the_cliff():
    agent = ExpectedSARSA("CliffWalking-v1", seed=0, discount=1.0, step_size=1.0,
                          step_size_decay=0.0).learn(50_000)  # fmt: skip
    assert agent.episode_returns.mean() == pytest.approx(-22, abs=8)
