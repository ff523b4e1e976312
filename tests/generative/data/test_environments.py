"""Steps and frames against environments that are stepped by hand."""

import gymnasium
import numpy as np
import pytest
import torch
from gymagine.generative.data.environments import Transitions, frames, transitions
from gymnasium import spaces


class Corridor(gymnasium.Env):
    """Cells from 0; right (1) moves on, cell 3 terminates; every observation is one buffer."""

    def __init__(self, render_mode=None):
        self.observation_space = spaces.Dict(
            place=spaces.Box(0, 9, (2,), np.float32), was=spaces.Discrete(2, start=5)
        )
        self.action_space = spaces.Discrete(2)
        self.render_mode = render_mode
        self._place = np.zeros(2, np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._place[:] = 0
        return {"place": self._place, "was": np.int64(5)}, {}

    def step(self, action):
        self._place += np.float32(action)
        observation = {"place": self._place, "was": np.int64(5 + action)}
        return observation, float(action), bool(self._place[0] == 3), False, {}

    def render(self):
        return np.full((4, 6, 3), 10 * self._place[0], np.uint8)


class Always:
    """Goes right, and remembers what it was told."""

    def __init__(self):
        self.calls = []

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        self.calls.append((state, bool(episode_start[0]), deterministic))
        return np.array(1), (state or 0) + 1


def test_steps_are_those_of_the_environment():
    policy = Always()
    env = Corridor()
    steps = transitions(env, 7, policy)
    assert steps.observation["place"][:, 0].tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert steps.next_observation["place"][:, 0].tolist() == [1, 2, 3, 1, 2, 3, 1]
    assert steps.terminated.tolist() == [False, False, True, False, False, True, False]
    assert steps.observation["was"].tolist() == [5, 6, 6, 5, 6, 6, 5]
    assert not steps.truncated.any()
    assert steps.reward.tolist() == [1.0] * 7 and len(steps) == 7
    assert policy.calls[:4] == [
        (None, True, False),
        (1, False, False),
        (2, False, False),
        (None, True, False),
    ]


def test_random_steps_are_those_that_the_seeds_give_by_hand():
    steps = transitions("Pendulum-v1", 450, seed=3)
    env = gymnasium.make("Pendulum-v1")
    env.action_space.seed(3)
    observation, _ = env.reset(seed=3)
    for i in range(450):
        assert np.array_equal(steps.observation[i], observation)
        action = env.action_space.sample()
        observation, reward, terminated, truncated, _ = env.step(action)
        assert np.array_equal(steps.action[i], action)
        assert np.array_equal(steps.next_observation[i], observation)
        assert steps.reward[i] == reward
        assert (steps.terminated[i], steps.truncated[i]) == (terminated, truncated)
        if terminated or truncated:
            observation, _ = env.reset()
    assert steps.truncated.sum() == 2 and not steps.terminated.any()
    assert steps.observation.dtype == np.float32


def test_seeds_differ_and_the_callers_action_space_is_left_alone():
    env = gymnasium.make("CartPole-v1")
    env.action_space.seed(0)
    first, same = (transitions(env, 60, seed=1) for _ in range(2))
    assert np.array_equal(first.action, same.action)
    assert np.array_equal(first.observation, same.observation)
    assert not np.array_equal(first.action, transitions(env, 60, seed=2).action)
    untouched = spaces.Discrete(2, seed=0)
    assert [env.action_space.sample() for _ in range(20)] == [
        untouched.sample() for _ in range(20)
    ]
    env.reset()  # still open


def test_an_agent_of_sb3_acts():
    from stable_baselines3 import PPO

    model = PPO("MlpPolicy", "CartPole-v1", n_steps=8, batch_size=8, seed=0, device="cpu")
    steps = transitions("CartPole-v1", 20, model, deterministic=True)
    expected, _ = model.predict(steps.observation, deterministic=True)
    assert np.array_equal(steps.action, expected)


def test_frames_are_drawn_before_each_step():
    seen = frames(Corridor(render_mode="rgb_array"), 5, Always())
    assert seen.dtype == torch.uint8 and seen.shape == (5, 3, 4, 6)
    assert seen[:, 0, 0, 0].tolist() == [0, 10, 20, 0, 10]


def test_frames_are_shrunk_by_the_mean_over_areas():
    whole, small = (frames("CartPole-v1", 3, seed=1, size=size) for size in (None, (40, 60)))
    assert whole.shape == (3, 3, 400, 600) and small.shape == (3, 3, 40, 60)
    mean = whole.double().view(3, 3, 40, 10, 60, 10).mean(dim=(3, 5))
    assert (mean - small.double()).abs().max() <= 0.51
    assert not torch.equal(whole[0], whole[2])


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="at least 1 step, got 0"):
        transitions("CartPole-v1", 0)
    with pytest.raises(ValueError, match="render_mode='rgb_array', got None"):
        frames(Corridor(), 1)
    with pytest.raises(ValueError, match="lengths"):
        none = np.zeros(2, bool)
        Transitions(np.zeros((3, 1)), np.zeros(2), np.zeros(2), np.zeros((2, 1)), none, none)


def test_what_is_no_environment_or_policy_is_refused(without_shape_checks):
    with pytest.raises(TypeError, match="policy with predict, got int"):
        transitions("CartPole-v1", 1, 3)
    vector = gymnasium.make_vec("CartPole-v1", num_envs=2)
    with pytest.raises(TypeError, match="one environment, got CartPoleVectorEnv"):
        transitions(vector, 1)


@pytest.mark.parametrize("size", [(0, 4), (-1, 4), (4,), (4, 4, 4), 3, (2.5, 4), "44", (True, 4)])
def test_sizes_that_cannot_be(size, without_shape_checks):
    with pytest.raises((ValueError, TypeError), match=r"expected .*size.*got"):
        frames(Corridor(render_mode="rgb_array"), 2, size=size)


@pytest.mark.parametrize("num", [2.5, "3", None, True])
def test_numbers_that_are_none(num, without_shape_checks):
    with pytest.raises(TypeError, match="expected a whole number of steps, got"):
        transitions("CartPole-v1", num)
