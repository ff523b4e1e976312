"""When learning is simulated, when stepped, and what is said if it cannot be simulated."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from gymagine.agents.tabular.q_learning import QLearning
from gymagine.envs.discretize import discretize
from gymagine.envs.mdp import TabularMDP
from gymagine.envs.tabular_env import TabularEnv
from gymnasium import wrappers
from gymnasium.envs.toy_text.frozen_lake import FrozenLakeEnv
from stable_baselines3.common.monitor import Monitor


def lake(**settings):
    return gymnasium.make("FrozenLake-v1", **settings)


def test_plain_environments_are_simulated():
    for env in ("FrozenLake-v1", "Taxi-v4", "CliffWalking-v1", "Blackjack-v1",
                "gymagine/DynaMaze-v0", lake().unwrapped):  # fmt: skip
        assert QLearning(env, seed=0).simulator == "compiled"


WRAPPED = {
    "TransformReward": lambda: wrappers.TransformReward(lake(), lambda r: 2 * r),
    "RecordEpisodeStatistics": lambda: wrappers.RecordEpisodeStatistics(lake()),
    "Monitor": lambda: Monitor(lake()),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_a_wrapper_that_does_something_is_run(name):
    assert QLearning(WRAPPED[name](), seed=0).simulator == "stepped"
    with pytest.raises(ValueError, match=f"wrapper {name} would not be run"):
        QLearning(WRAPPED[name](), seed=0, simulator="compiled")


def test_a_reward_wrapper_is_learnt_from():
    env = wrappers.TransformReward(lake(is_slippery=False), lambda r: 10 * r)
    agent = QLearning(env, seed=0, exploration_rate=1.0, discount=1.0).learn(20_000)
    assert agent.state_values[14] == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: gymnasium.make("Taxi-v4", fickle_passenger=True), "fickle passenger"),
        (lambda: discretize("CartPole-v1", bins=3), "wrapper DiscretizeObservation"),
        (
            lambda: gymnasium.make("gymagine/DynaMaze-v0", variant="shortcut", change_step=100),
            "whose model changes after",
        ),
    ],
)
def test_what_cannot_be_simulated(make, message):
    assert QLearning(make(), seed=0).simulator == "stepped"
    with pytest.raises(ValueError, match=message):
        QLearning(make(), seed=0, simulator="compiled")


def test_reading_masks_from_info_means_stepping():
    assert QLearning("FrozenLake-v1", seed=0, action_masks="always").simulator == "stepped"
    with pytest.raises(ValueError, match="action_masks='always'"):
        QLearning("FrozenLake-v1", seed=0, action_masks="always", simulator="compiled")


class Costly(FrozenLakeEnv):
    """Shapes the rewards in a subclass, and inherits a model that knows nothing of it."""

    def step(self, action):
        observation, reward, *rest = super().step(action)
        return observation, reward - 1, *rest


class Elsewhere(FrozenLakeEnv):
    """Begins where the model does not."""

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.s = 9
        return 9, {}


@pytest.mark.parametrize("env_type", [Costly, Elsewhere])
def test_a_subclass_with_steps_of_its_own_is_stepped(env_type):
    agent = QLearning(env_type(), seed=0, exploration_rate=1.0)
    assert agent.simulator == "stepped"
    with pytest.raises(ValueError, match=rf"{env_type.__name__}\.(step|reset), which overrides"):
        QLearning(env_type(), seed=0, simulator="compiled")


def alike(first, second):
    """Two states that look alike and allow these actions; both end at once."""
    rows = [
        [[(1.0, 0, 1.0, True)] if allowed else [] for allowed in mask] for mask in (first, second)
    ]
    mdp = TabularMDP.from_outcomes(rows)
    return TabularEnv(replace(mdp, observation_index=np.array([0, 0])))


def test_states_that_look_alike_allow_what_both_allow():
    agent = QLearning(alike([True, True, False], [False, True, True]), seed=0)
    agent.learn(200)
    assert np.isneginf(agent.action_values[0]).tolist() == [True, False, True]


def test_states_that_look_alike_without_a_common_action_are_refused():
    # the search for an allowed action would never end, without Python's lock
    with pytest.raises(ValueError, match="share an allowed action, got none for observation 0"):
        QLearning(alike([True, False], [False, True]), seed=0)
