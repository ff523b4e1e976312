"""Learners in parallel threads learn what they would have learnt alone."""

import gymnasium
import pytest
from gymagine.agents.tabular.population import learn_many
from gymagine.agents.tabular.q_learning import QLearning
from gymagine.agents.tabular.sarsa import SARSA


def make():
    return [
        learner("FrozenLake-v1", seed=seed, simulator=simulator)
        for learner in (QLearning, SARSA)
        for simulator in ("compiled", "stepped")
        for seed in range(3)
    ]


def test_threads_change_nothing():
    together = learn_many(make(), 3_000, num_threads=4)
    alone = [agent.learn(3_000) for agent in make()]
    for ours, theirs in zip(together, alone, strict=True):
        assert ours.action_values.tobytes() == theirs.action_values.tobytes()


def test_one_that_fails_does_not_stop_the_others():
    agents = make()[:3]
    agents[0]._interaction = None
    with pytest.raises(ValueError, match="expected an environment to learn in"):
        learn_many(agents, 1_000)
    assert [agent.num_timesteps for agent in agents[1:]] == [1_000, 1_000]


def test_bad_arguments():
    agent = QLearning("FrozenLake-v1", seed=0)
    with pytest.raises(ValueError, match="once"):
        learn_many([agent, agent], 10)
    with pytest.raises(ValueError, match="at least one thread"):
        learn_many([agent], 10, num_threads=0)
    assert learn_many([], 10) == []


def test_an_environment_that_two_would_step_is_refused():
    env = gymnasium.make("FrozenLake-v1")
    agents = [QLearning(env, seed=seed, simulator="stepped") for seed in range(2)]
    with pytest.raises(ValueError, match="got one shared"):
        learn_many(agents, 10)
    simulated = [QLearning(env, seed=seed) for seed in range(2)]
    assert learn_many(simulated, 10) == simulated
