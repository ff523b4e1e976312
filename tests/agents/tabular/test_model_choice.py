"""When learning is simulated, when stepped, and what is said if it cannot be simulated."""

import gymnasium
import pytest
from gymagine.agents.tabular.q_learning import QLearning
from gymagine.envs.discretize import discretize
from gymnasium import wrappers
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
