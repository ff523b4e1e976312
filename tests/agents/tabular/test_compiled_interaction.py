"""Simulated and stepped learning have one distribution."""

import functools

import gymnasium
import numpy as np
import pytest
from gymagine.agents.tabular.monte_carlo import MonteCarlo
from gymagine.agents.tabular.q_learning import QLearning
from gymagine.agents.tabular.sarsa import SARSA
from gymagine.agents.tabular.td_prediction import TDPrediction
from gymagine.envs.mdp import TabularMDP
from scipy.stats import ks_2samp

SEEDS = 40


@pytest.fixture(autouse=True)
def one_model_of_each_environment(monkeypatch):
    """Building Blackjack's model for every seed takes far longer than learning on it."""
    monkeypatch.setattr(TabularMDP, "from_env", functools.cache(TabularMDP.from_env))


def statistics(learner, world, simulator, budget):
    """For each seed: episodes finished, their mean return, a sum of values, updated entries."""
    rows = []
    if isinstance(world, str):
        world = gymnasium.make(world)
    for seed in range(SEEDS):
        seed_of_its_own = 2 * seed + (simulator == "stepped")
        agent = learner(world, seed=seed_of_its_own, simulator=simulator, discount=0.95)
        assert agent.learn(budget).simulator == simulator
        values = agent.state_values
        mean_return = agent.episode_returns.mean() if agent.num_episodes else 0.0
        rows.append([agent.num_episodes, mean_return, values.sum(), (values != 0).sum()])
    return np.array(rows).T


@pytest.mark.parametrize(
    ("learner", "world", "budget"),
    [
        (QLearning, "FrozenLake-v1", 1_500),
        (SARSA, "FrozenLake-v1", 1_500),
        (QLearning, "Taxi-v4", 800),
        pytest.param(MonteCarlo, "Blackjack-v1", 400, marks=pytest.mark.slow),
        (TDPrediction, "gymagine/RiverSwim-v0", 1_500),
        pytest.param(MonteCarlo, "FrozenLake-v1", 1_500, marks=pytest.mark.slow),
        pytest.param(TDPrediction, "FrozenLake-v1", 1_500, marks=pytest.mark.slow),
        pytest.param(SARSA, "CliffWalking-v1", 800, marks=pytest.mark.slow),
        pytest.param(QLearning, "gymagine/RiverSwim-v0", 1_500, marks=pytest.mark.slow),
    ],
)
def test_both_ways_of_learning_have_one_distribution(learner, world, budget):
    compiled = statistics(learner, world, "compiled", budget)
    stepped = statistics(learner, world, "stepped", budget)
    for name, ours, theirs in zip(
        ("episodes", "return", "values", "entries"), compiled, stepped, strict=True
    ):
        assert ks_2samp(ours, theirs).pvalue > 0.001, (name, ours.mean(), theirs.mean())


def test_the_test_above_would_notice_a_drier_lake():
    """Half the slip is told apart by the same statistics."""
    slippery = gymnasium.make("FrozenLake-v1")
    drier = gymnasium.make("FrozenLake-v1", success_rate=2 / 3)
    pairs = [statistics(QLearning, env, "compiled", 1_500) for env in (slippery, drier)]
    assert min(ks_2samp(a, b).pvalue for a, b in zip(*pairs, strict=True)) < 0.001


def test_the_step_cap_is_that_of_the_wrapper():
    env = gymnasium.make("FrozenLake-v1", max_episode_steps=7)
    agent = QLearning(env, seed=0, exploration_rate=1.0).learn(2_000)
    assert agent.simulator == "compiled"
    assert agent.episode_lengths.max() == 7


def test_an_environment_without_a_cap_has_none():
    # the model of TabularEnv may know a cap; stepping it would never truncate
    env = gymnasium.make("gymagine/RiverSwim-v0").unwrapped
    agent = QLearning(env, seed=0).learn(5_000)
    assert agent.simulator == "compiled"
    assert agent.num_episodes == 0


def test_a_long_run_fills_the_log_many_times():
    agent = QLearning("Blackjack-v1", seed=0)
    heard = []
    agent.episode_watcher = lambda episodes: heard.append(len(episodes))
    agent.learn(200_000)
    assert agent.num_timesteps == 200_000
    assert sum(heard) == agent.num_episodes > 100_000
