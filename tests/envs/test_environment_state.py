"""Capturing in mid-episode and going on elsewhere must change nothing."""

import json

import gymnasium
import numpy as np
import pytest
from gymagine.envs.discretize import discretize
from gymagine.envs.environment_state import capture, restore
from gymagine.envs.registration import register_environments
from gymnasium.wrappers import (
    Autoreset,
    ClipReward,
    DiscretizeObservation,
    RecordEpisodeStatistics,
)
from stable_baselines3.common.monitor import Monitor

register_environments()

MAKERS = {
    "grid": lambda: gymnasium.make("gymagine/GridWorld-v0", slip=0.2),
    "river-swim": lambda: gymnasium.make("gymagine/RiverSwim-v0", max_episode_steps=90),
    "maximization-bias": lambda: gymnasium.make("gymagine/MaximizationBias-v0"),
    "changing-maze": lambda: gymnasium.make(
        "gymagine/DynaMaze-v0", variant="blocking", change_step=300, max_episode_steps=100
    ),
    "discretized-cartpole": lambda: discretize("CartPole-v1", bins=5),
    "frozen-lake": lambda: gymnasium.make("FrozenLake-v1"),
    "frozen-lake-8x8": lambda: gymnasium.make("FrozenLake8x8-v1"),
    "cliff": lambda: gymnasium.make("CliffWalking-v1", max_episode_steps=60),
    "cliff-slippery": lambda: gymnasium.make("CliffWalkingSlippery-v1", max_episode_steps=60),
    "taxi": lambda: gymnasium.make("Taxi-v4"),
    "taxi-fickle": lambda: gymnasium.make(
        "Taxi-v4", is_rainy=True, fickle_passenger=True, max_episode_steps=40
    ),
    "blackjack": lambda: gymnasium.make("Blackjack-v1"),
    "cartpole": lambda: gymnasium.make("CartPole-v1"),
    "maze": lambda: gymnasium.make("gymagine/PointMaze-v0"),
    "two-ways": lambda: gymnasium.make("gymagine/TwoWays-v0"),
    "mountain-car": lambda: gymnasium.make("MountainCar-v0"),
    "mountain-car-continuous": lambda: gymnasium.make("MountainCarContinuous-v0"),
    "acrobot": lambda: gymnasium.make("Acrobot-v1"),
    "pendulum": lambda: gymnasium.make("Pendulum-v1"),
    "no-checker": lambda: gymnasium.make("CartPole-v1", disable_env_checker=True),
    "statistics": lambda: RecordEpisodeStatistics(gymnasium.make("FrozenLake-v1")),
    "monitor": lambda: Monitor(gymnasium.make("FrozenLake-v1")),
    "discretized": lambda: DiscretizeObservation(gymnasium.make("MountainCar-v0"), 8),
    "autoreset": lambda: Autoreset(gymnasium.make("gymagine/GridWorld-v0", slip=0.5)),
    "unwrapped": lambda: gymnasium.make("Acrobot-v1").unwrapped,
}


def trajectory(env, steps, *, ended=False):
    """What ``steps`` steps return, with actions sampled from the environment's own space."""
    returned = []
    for _ in range(steps):
        if ended and not isinstance(env, Autoreset):
            observation, info = env.reset()
            returned.append(("reset", observation, info))
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        ended = terminated or truncated
        returned.append((observation, reward, terminated, truncated, info))
    return returned, ended


def assert_same(left, right):
    if isinstance(left, dict):
        assert left.keys() == right.keys()
        for key in left:
            if key != "t":  # seconds
                assert_same(left[key], right[key])
    elif isinstance(left, list | tuple):
        assert len(left) == len(right)
        for one, other in zip(left, right, strict=True):
            assert_same(one, other)
    else:
        assert type(left) is type(right)
        assert np.array_equal(left, right)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("steps", [0, 1, 7, 230])
def test_goes_on_identically(name, steps):
    original, fresh = MAKERS[name](), MAKERS[name]()
    original.action_space.seed(3)
    original.reset(seed=5)
    _, ended = trajectory(original, steps)
    state = json.loads(json.dumps(capture(original)))
    fresh.reset(seed=77)
    restore(fresh, state)
    expected, _ = trajectory(original, 250, ended=ended)
    got, _ = trajectory(fresh, 250, ended=ended)
    assert_same(expected, got)


def test_a_fresh_environment_need_not_be_reset():
    original, fresh = gymnasium.make("CartPole-v1"), gymnasium.make("CartPole-v1")
    original.reset(seed=1)
    original.step(1)
    restore(fresh, capture(original))
    assert_same(original.step(0), fresh.step(0))


def test_the_clock_of_a_changing_environment_goes_on():
    original, fresh = MAKERS["changing-maze"](), MAKERS["changing-maze"]()
    original.reset(seed=0)
    for _ in range(3):
        trajectory(original, 100)
        original.reset()
    restore(fresh, capture(original))
    assert fresh.unwrapped.steps_taken == 300
    assert fresh.unwrapped.mdp.name == "DynaMaze-blocking-changed"


def test_before_the_first_reset():
    original, fresh = gymnasium.make("FrozenLake-v1"), gymnasium.make("FrozenLake-v1")
    restore(fresh, json.loads(json.dumps(capture(original))))
    assert_same(original.reset(seed=0), fresh.reset(seed=0))


def test_capturing_changes_nothing():
    watched, plain = gymnasium.make("Taxi-v4"), gymnasium.make("Taxi-v4")
    for env in (watched, plain):
        env.action_space.seed(0)
        env.reset(seed=0)
    for _ in range(300):
        capture(watched)
        assert_same(trajectory(watched, 1), trajectory(plain, 1))


def test_unknown_layers_are_not_guessed():
    class Counting(gymnasium.Wrapper):
        count = 0

    assert capture(ClipReward(gymnasium.make("FrozenLake-v1"), -1, 1)) is None
    assert capture(Counting(gymnasium.make("FrozenLake-v1"))) is None

    class OwnLake(type(gymnasium.make("FrozenLake-v1").unwrapped)):
        pass

    assert capture(OwnLake()) is None


def test_a_foreign_generator_is_not_guessed():
    env = gymnasium.make("FrozenLake-v1").unwrapped
    env.reset(seed=0)
    env.np_random = np.random.Generator(np.random.MT19937(0))
    assert capture(env) is None


def test_restoring_into_another_stack_is_an_error():
    state = capture(gymnasium.make("FrozenLake-v1"))
    with pytest.raises(ValueError, match="expected the layers"):
        restore(gymnasium.make("CartPole-v1"), state)
    with pytest.raises(ValueError, match="expected a state of format"):
        restore(gymnasium.make("FrozenLake-v1"), {"s": 3})
