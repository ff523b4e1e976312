"""Double Q-learning against updates done by hand, and the bias that it removes."""

from fractions import Fraction

import numpy as np
import pytest
from gymagine.agents.tabular.double_q_learning import DoubleQLearning
from gymagine.agents.tabular.population import learn_many
from gymagine.agents.tabular.q_learning import QLearning
from gymagine.envs.mdp import TabularMDP
from gymagine.envs.tabular_env import TabularEnv

observe = DoubleQLearning.kernels.observe
FIRST = [[0, 1, 0, 0], [4, 8, 0, 0]]
SECOND = [[2, 0, 0, 0], [16, 2, 0, 0]]


def make():
    agent = DoubleQLearning("FrozenLake-v1", seed=0, discount=0.5, step_size=0.5,
                            step_size_decay=0.0, exploration_rate=0.0)  # fmt: skip
    memory = agent._memory
    memory.first_values[:2], memory.second_values[:2] = FIRST, SECOND
    memory.action_values[:] = (memory.first_values + memory.second_values) / 2
    return memory


def test_either_table_is_updated_by_the_other():
    seen = set()
    for _ in range(40):
        memory = make()
        memory.exploration.random[:] = np.random.default_rng(len(seen)).integers(1, 2**63, 4)
        memory.exploration.random[0] += np.uint64(_)
        observe(memory, 0, 0, 1.0, False, False, 1)
        if memory.first_updates[0, 0]:
            # the first table prefers action 1, which the second says is worth 2
            assert Fraction(memory.first_values[0, 0]) == 0 + Fraction(1, 2) * (1 + 1 - 0)
            assert memory.second_values[:2].tolist() == SECOND
            assert Fraction(memory.action_values[0, 0]) == Fraction(3, 2)
        else:
            # the second prefers action 0, which the first says is worth 4
            assert Fraction(memory.second_values[0, 0]) == 2 + Fraction(1, 2) * (1 + 2 - 2)
            assert memory.first_values[:2].tolist() == FIRST
            assert Fraction(memory.action_values[0, 0]) == Fraction(5, 4)
        seen.add(bool(memory.first_updates[0, 0]))
    assert seen == {True, False}


def test_ends_of_episodes():
    memory = make()
    assert observe(memory, 0, 3, 4.0, True, False, 1) == -1
    assert memory.action_values[0, 3] == 1.0  # half of 4 in one of two tables
    assert observe(memory, 0, 3, 4.0, False, True, 1) == -1
    assert memory.action_values[0, 3] > 1.0


def test_both_tables_get_half_of_the_updates():
    agent = DoubleQLearning("FrozenLake-v1", seed=0).learn(10_000)
    first, second = agent._memory.first_updates.sum(), agent._memory.second_updates.sum()
    assert first + second == 10_000
    assert abs(first - second) < 400  # four standard deviations


@pytest.mark.slow
def test_maximisation_bias_as_in_figure_6_5():
    """Share of left in A over the first 300 episodes; the policy's own floor is 5 %."""

    def left_share(learner, count):
        agents = [
            learner(env(), seed=seed, discount=1.0, step_size=0.1, step_size_decay=0.0)
            for seed in range(count)
        ]
        shares = []
        for agent in agents:
            lengths = []
            agent.episode_watcher = lambda episodes, kept=lengths: kept.extend(episodes.lengths)
            agent.learn(700)
            shares.append(np.mean(np.array(lengths[:300]) == 2))  # left takes two steps
        return np.mean(shares)

    def env():
        # B's ten actions end with the mean -0.1 and the variance of a fair pair of outcomes
        normal = [(0.5, 2, 0.9, True), (0.5, 2, -1.1, True)]
        choice = [[(1.0, 1, 0.0, False)], [(1.0, 2, 0.0, True)], *([[]] * 8)]
        rows = [choice, [normal] * 10, [[(1.0, 2, 0.0, True)]] * 10]
        return TabularEnv(TabularMDP.from_outcomes(rows))

    q_learning, double = left_share(QLearning, 150), left_share(DoubleQLearning, 150)
    assert q_learning > 0.3
    assert double < 0.6 * q_learning
    assert double > 0.05


def test_the_maximum_is_not_overestimated():
    """Ten actions of true value 0 and a noisy reward: the estimate of the best one."""
    noise = [(0.5, 0, 1.0, True), (0.5, 0, -1.0, True)]
    env = TabularEnv(TabularMDP.from_outcomes([[[(1.0, 1, 0.0, False)]] * 10, [noise] * 10]))

    def estimate(learner):
        agents = [
            learner(env, seed=seed, discount=1.0, exploration_rate=1.0, step_size=1.0,
                    step_size_decay=1.0) for seed in range(40)
        ]  # fmt: skip
        return np.mean([a.action_values[0].mean() for a in learn_many(agents, 400)])

    biased, unbiased = estimate(QLearning), estimate(DoubleQLearning)
    assert biased > 0.15
    assert unbiased == pytest.approx(0.0, abs=0.06)
