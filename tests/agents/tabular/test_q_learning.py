"""Q-learning against updates done by hand, exact values, and Watkins's guarantees."""

from fractions import Fraction

import numpy as np
import pytest
from gymagine.agents.tabular.monte_carlo import MonteCarlo
from gymagine.agents.tabular.population import learn_many
from gymagine.agents.tabular.q_learning import QLearning
from gymagine.agents.tabular.sarsa import SARSA
from gymagine.envs.discretize import discretize
from gymagine.envs.mdp import TabularMDP

observe = QLearning.kernels.observe


def half(learner=QLearning, **settings):
    """Step size and discount 1/2, greedy: every number stays a fraction with a power of two."""
    settings = {"step_size": 0.5, "step_size_decay": 0.0, "exploration_rate": 0.0, **settings}
    agent = learner("FrozenLake-v1", seed=0, discount=0.5, **settings)
    agent._memory.action_values[:3] = [[1, 2, 0, 0], [4, 8, 0, 0], [0, -2, -1, -4]]
    return agent._memory


def test_three_updates_by_hand():
    memory = half()
    values = memory.action_values
    # target 1 + 8/2 = 5, halfway from 1; then state 1 is entered, where action 1 is best
    assert observe(memory, 0, 0, 1.0, False, False, 1) == 1
    assert Fraction(values[0, 0]) == 3
    # target -2 + 3/2 = -1/2, halfway from 8
    assert observe(memory, 1, 1, -2.0, False, False, 0) == 0
    assert Fraction(values[1, 1]) == Fraction(15, 4)
    # terminated: the target is the reward, whatever state 1 is worth
    assert observe(memory, 0, 1, 4.0, True, False, 1) == -1
    assert Fraction(values[0, 1]) == 3
    assert memory.exploration.clock[0] == 3
    assert memory.num_updates[:2, :2].tolist() == [[1, 1], [0, 1]]


def test_truncation_bootstraps_and_ends_the_episode():
    memory = half()
    assert observe(memory, 2, 0, 1.0, False, True, 1) == -1
    assert Fraction(memory.action_values[2, 0]) == Fraction(5, 2)


def test_a_step_that_terminates_at_the_cap_does_not_bootstrap():
    memory = half()
    assert observe(memory, 2, 0, 1.0, True, True, 1) == -1
    assert Fraction(memory.action_values[2, 0]) == Fraction(1, 2)


def test_masked_actions_do_not_enter_the_bootstrap():
    memory = half()
    memory = memory._replace(exploration=memory.exploration._replace(is_masked=True))
    memory.exploration.allowed[1, 1] = False
    observe(memory, 2, 0, 1.0, False, False, 1)
    assert Fraction(memory.action_values[2, 0]) == Fraction(3, 2)  # 1 + 4/2, halfway from 0


def test_step_sizes_by_visits():
    memory = half(step_size=1.0, step_size_decay=1.0)
    for reward in (3.0, 6.0, 0.0):
        observe(memory, 2, 0, reward, True, False, 0)
    assert memory.action_values[2, 0] == pytest.approx(3.0)


def test_optimal_values_of_frozen_lake():
    mdp = TabularMDP.from_env("FrozenLake-v1")
    values = np.zeros(16)
    for _ in range(3_000):
        backup = mdp.continuation_matrix() @ values * 0.9
        action_values = mdp.expected_rewards + backup.reshape(16, 4)
        values = action_values.max(axis=1)
    agents = [
        QLearning("FrozenLake-v1", seed=seed, discount=0.9, exploration_rate=1.0, step_size=1.0,
                  step_size_decay=0.8) for seed in range(2)
    ]  # fmt: skip
    learnt = np.mean([a.action_values for a in learn_many(agents, 3_000_000)], axis=0)
    visited = action_values.max(axis=1) > 0  # nothing is learnt of holes, and 0 is right there
    assert visited.sum() == 11
    assert learnt[visited] == pytest.approx(action_values[visited], abs=0.02)
    # the published value of the start at this discount
    assert learnt[0].max() == pytest.approx(0.0688909049, abs=0.01)


def test_cliff_walking_as_in_figure_6_4():
    """Q-learning finds the shortest way and falls while exploring; SARSA stays away from it."""

    def runs(learner):
        agents = [learner("CliffWalking-v1", seed=seed, discount=1.0, step_size=0.5,
                          step_size_decay=0.0) for seed in range(10)]  # fmt: skip
        learn_many(agents, 20_000)
        online = np.mean([agent.episode_returns.mean() for agent in agents])
        return agents, online

    q_agents, q_online = runs(QLearning)
    _, sarsa_online = runs(SARSA)
    assert all(agent.policy[25:36].tolist() == [1] * 10 + [2] for agent in q_agents)
    assert all(agent.state_values[36] == pytest.approx(-13.0) for agent in q_agents)
    # the figure's levels after 500 episodes: about -25 for SARSA, about -45 for Q-learning
    assert -60 < q_online < -35
    assert -35 < sarsa_online < -18


@pytest.mark.slow
def test_discretised_cartpole_improves():
    env = discretize("CartPole-v1", bins=(1, 2, 6, 4))
    agent = QLearning(
        env, seed=0, exploration_rate="linear:1.0:0.02:20000", step_size=0.2, step_size_decay=0.0
    )
    assert agent.simulator == "stepped"
    first = agent.learn(2_000).episode_returns.mean()
    last = agent.learn(38_000).episode_returns.mean()
    assert first < 30
    assert last > 100


@pytest.mark.parametrize("learner", [QLearning, SARSA, MonteCarlo])
def test_the_defaults_solve_slippery_frozen_lake(learner):
    """Exact success of the greedy policies under the cap; 0.7442 is the most that can be had."""
    mdp = TabularMDP.from_env("FrozenLake-v1")
    agents = [learner("FrozenLake-v1", seed=seed) for seed in range(5)]
    scores = []
    for agent in learn_many(agents, 200_000):
        rows = np.arange(16) * 4 + agent.policy
        matrix, values = mdp.continuation_matrix()[rows], np.zeros(16)
        for _ in range(100):
            values = mdp.expected_rewards.ravel()[rows] + matrix @ values
        scores.append(values[0])
    assert np.mean(scores) > 0.71
    assert max(scores) <= 0.7441902878 + 1e-9
