"""Truths: reference/tabular_truths.json, Sutton and Barto's examples, closed forms."""

import gymnasium
import numpy as np
import pytest
from gymagine.agents.planning.planner import BackwardInduction
from gymagine.agents.random_policy import RandomPolicy
from gymagine.envs.mdp import TabularMDP
from gymagine.experiments.environment_names import EnvironmentName
from gymagine.experiments.exact_evaluation import (
    exact_length,
    exact_return,
    exact_return_of,
    known_model,
    optimal_return,
    policy_table,
)

GREEDY = np.array([0, 3, 3, 3, 0, 0, 0, 0, 3, 1, 0, 0, 0, 2, 1, 0])


class Table:
    def __init__(self, actions):
        self.actions = actions

    def predict(self, observation, state=None, episode_start=None, deterministic=True):
        return self.actions[observation], state


def test_frozen_lake_under_the_cap():
    mdp = TabularMDP.from_env("FrozenLake-v1")
    random = np.full((16, 4), 0.25)
    assert exact_return(mdp, GREEDY, horizon=100) == pytest.approx(0.7401648977587051, abs=1e-12)
    assert exact_return(mdp, random, horizon=100) == pytest.approx(0.0139397959591714, abs=1e-12)
    assert optimal_return(mdp, horizon=100) == pytest.approx(0.7441902878292697, abs=1e-12)
    assert optimal_return(mdp, discount=0.99) == pytest.approx(0.5420259320003089, abs=1e-7)
    assert optimal_return(mdp) == pytest.approx(14 / 17, abs=1e-7)


@pytest.mark.parametrize(
    ("env_id", "optimum"),
    [("FrozenLake8x8-v1", 0.9132201502), ("Taxi-v4", 2379 / 300), ("Blackjack-v1", None)],
)
def test_optima_under_each_cap(env_id, optimum):
    env = gymnasium.make(env_id, **({"sab": True} if optimum is None else {}))
    mdp = TabularMDP.from_env(env)
    horizon = env.spec.max_episode_steps or 1000
    truth = -0.043113 if optimum is None else optimum
    assert optimal_return(mdp, horizon=horizon) == pytest.approx(truth, abs=1e-6)


def test_cliff_walking_without_a_limit():
    mdp = TabularMDP.from_env("CliffWalking-v1")
    assert optimal_return(mdp, horizon=1000) == -13.0
    stuck = np.zeros(48, dtype=np.int64)
    assert exact_return(mdp, stuck, horizon=1000) == -1000.0
    assert optimal_return(mdp, discount=0.9) == pytest.approx(-(1 - 0.9**13) / 0.1, abs=1e-7)


@pytest.mark.slow
def test_length_is_what_sampling_finds():
    from gymagine.experiments.evaluation import evaluate

    mdp = TabularMDP.from_env("FrozenLake-v1")
    played = evaluate(Table(GREEDY), "FrozenLake-v1", num_episodes=3_000, seed=2)
    error = played.lengths.std() / np.sqrt(3_000)
    assert abs(exact_length(mdp, GREEDY, horizon=100) - played.lengths.mean()) < 4 * error


def test_policies_are_read_from_any_agent():
    name = EnvironmentName("FrozenLake-v1")
    env, mdp = name.make(), known_model(name)
    assert policy_table(Table(GREEDY), mdp, env, horizon=100).tolist() == GREEDY.tolist()
    random = policy_table(RandomPolicy("FrozenLake-v1"), mdp, env, horizon=100)
    assert np.array_equal(random, np.full((16, 4), 0.25))


def test_observations_that_join_states():
    """Blackjack's model tells naturals apart, its observations do not."""
    name = EnvironmentName("Blackjack-v1", {"sab": True})
    env, mdp = name.make(), known_model(name)

    class StickOnTwenty:
        def predict(self, observation, state=None, episode_start=None, deterministic=True):
            return (observation[0] < 20).astype(np.int64), state

    policy = policy_table(StickOnTwenty(), mdp, env, horizon=100)
    assert policy.shape == (mdp.num_states,)
    # Sutton and Barto's figure 5.1 policy: -0.350111
    assert exact_return(mdp, policy, horizon=1000) == pytest.approx(-0.350111, abs=1e-6)


def test_agents_with_a_memory_have_no_table():
    class Alternating:
        def predict(self, observation, state=None, episode_start=None, deterministic=True):
            return np.zeros(len(observation), dtype=np.int64), np.ones(len(observation))

    name = EnvironmentName("FrozenLake-v1")
    assert policy_table(Alternating(), known_model(name), name.make(), horizon=100) is None
    assert exact_return_of(Alternating(), name, discount=1.0, horizon=100) is None


def test_unknown_models_are_none():
    assert known_model(EnvironmentName("CartPole-v1")) is None
    assert known_model(gymnasium.make("CartPole-v1")) is None
    shifted = gymnasium.wrappers.TransformReward(gymnasium.make("FrozenLake-v1"), lambda r: r - 1)
    assert known_model(shifted) is None


def test_a_policy_that_looks_at_the_clock_reaches_the_optimum_under_the_cap():
    agent = BackwardInduction("FrozenLake-v1").learn(1)
    name = EnvironmentName("FrozenLake-v1")
    env, mdp = name.make(), known_model(name)
    policy = policy_table(agent, mdp, env, horizon=100)
    assert policy.shape == (100, 16)
    assert exact_return(mdp, policy, horizon=100) == pytest.approx(0.7441902878292697, abs=1e-12)
    same = np.tile(GREEDY, (100, 1))
    assert exact_return(mdp, same, horizon=100) == pytest.approx(0.7401648977587051, abs=1e-12)
    with pytest.raises(ValueError, match="expected a horizon"):
        exact_return(mdp, policy)
