"""Bins against numpy's histogram edges, bounds, and the three environments it is for."""

import gymnasium
import numpy as np
import pytest
from gymagine.envs.discretize import default_bounds, discretize
from gymagine.envs.state_index import StateIndex
from gymnasium.envs.classic_control.cartpole import CartPoleEnv
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import DiscretizeObservation, RecordEpisodeStatistics


@pytest.mark.parametrize("multidiscrete", [True, False])
@pytest.mark.parametrize("env_id", ["CartPole-v1", "MountainCar-v0", "Acrobot-v1"])
def test_every_observation_is_the_bin_of_the_continuous_one(env_id, multidiscrete):
    env = discretize(env_id, bins=6, multidiscrete=multidiscrete)
    plain = gymnasium.make(env_id)
    index = StateIndex(env.observation_space)
    low, high = env.env.observation_space.low, env.env.observation_space.high
    rng = np.random.default_rng(0)
    observation, _ = env.reset(seed=0)
    continuous, _ = plain.reset(seed=0)
    seen = set()
    for _ in range(1500):
        share = (np.asarray(continuous, dtype=float) - low) / (high - low)
        expected = np.clip((share * 6).astype(int) - (share < 0), 0, 5)
        # a bin's edge may fall either way by rounding
        clear = np.abs(share * 6 - np.round(share * 6)) > 1e-5
        found = observation if multidiscrete else np.unravel_index(observation, (6,) * len(low))
        np.testing.assert_array_equal(np.asarray(found)[clear], expected[clear])
        assert env.observation_space.contains(observation)
        seen.add(index.encode(observation))
        action = int(rng.integers(env.action_space.n))
        observation, _, terminated, truncated, _ = env.step(action)
        continuous, _, *_ = plain.step(action)
        if terminated or truncated:
            observation, _ = env.reset()
            continuous, _ = plain.reset()
    assert len(seen) > 3


def test_cartpole_bounds():
    env = discretize("CartPole-v1", bins=(3, 4, 5, 6))
    assert env.observation_space.nvec.tolist() == [3, 4, 5, 6]
    inner = env.env.observation_space
    np.testing.assert_allclose(inner.high, [2.4, 3.0, 0.2095, 3.5], rtol=1e-6)
    np.testing.assert_allclose(inner.low, -inner.high)
    assert env.observation(np.array([9, 9, 9, 9], dtype=np.float32)).tolist() == [2, 3, 4, 5]
    assert env.observation(np.array([-9, -9, -9, -9], dtype=np.float32)).tolist() == [0, 0, 0, 0]


def test_cartpoles_are_known_by_their_space():
    subclass = type("Shaped", (CartPoleEnv,), {})()
    assert subclass.spec is None
    low, high = default_bounds(subclass.observation_space)
    np.testing.assert_allclose(high, [2.4, 3.0, 0.2095, 3.5], rtol=1e-6)
    np.testing.assert_allclose(low, -high)
    endless = gymnasium.spaces.Box(-np.finfo(np.float32).max, 1, (2,))
    with pytest.raises(ValueError, match="expected finite bounds"):
        default_bounds(endless)


def test_pictures_are_no_table():
    # the number of bins has more digits than Python prints
    picture = gymnasium.spaces.Box(0, 255, (210, 160, 3), np.uint8)
    with pytest.raises(ValueError, match=r"about 10\^100800, .* not for pictures"):
        discretize(Observing(picture, picture.low))


def test_own_bounds_come_first():
    env = discretize("CartPole-v1", bins=2, low=[-1.0] * 4, high=[1.0, 2.0, 3.0, 4.0])
    np.testing.assert_allclose(env.env.observation_space.low, [-1] * 4)
    np.testing.assert_allclose(env.env.observation_space.high, [1, 2, 3, 4])


def test_bounded_spaces_need_no_bounds():
    plain = gymnasium.make("MountainCar-v0")
    env = discretize(plain, bins=4)
    assert isinstance(env, DiscretizeObservation)
    assert env.env.observation_space == plain.observation_space


def test_the_environment_can_be_made_again_from_its_spec():
    env = discretize(RecordEpisodeStatistics(gymnasium.make("CartPole-v1")), bins=3)
    again = gymnasium.make(env.spec)
    assert str(again) == str(env)
    first, _ = env.reset(seed=4)
    second, _ = again.reset(seed=4)
    np.testing.assert_array_equal(first, second)


@pytest.mark.filterwarnings("ignore:.*different from the unwrapped version")
@pytest.mark.parametrize("env_id", ["CartPole-v1", "MountainCar-v0", "Acrobot-v1"])
def test_checker(env_id):
    check_env(discretize(env_id, bins=3), skip_render_check=True)


class Observing(gymnasium.Env):
    """Shows one observation for ever."""

    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, space, value):
        self.observation_space = space
        self.value = np.asarray(value, dtype=space.dtype)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.value, {}


@pytest.mark.parametrize("bounds", [{}, {"low": -1.0, "high": 1.0}])
def test_a_nan_is_no_bin(bounds):
    env = discretize(Observing(gymnasium.spaces.Box(-1, 1, (2,)), [np.nan, 0]), bins=4, **bounds)
    with pytest.raises(ValueError, match=r"expected an observation of numbers, got \[nan"):
        env.reset()
    beyond = Observing(gymnasium.spaces.Box(-1, 1, (2,)), [np.inf, -np.inf])
    assert discretize(beyond, bins=4, **bounds).reset()[0].tolist() == [3, 0]


def test_odd_boxes():
    bounds = np.array([[0, 5], [1, 5]], dtype=np.float32)
    constant = gymnasium.spaces.Box(*bounds)
    env = discretize(Observing(constant, [1, 5]), bins=4)
    observation, _ = env.reset()
    assert observation[0] == 3
    assert observation in env.observation_space
    picture = gymnasium.spaces.Box(0, 255, (2, 2), np.uint8)
    env = discretize(Observing(picture, [[0, 64], [128, 255]]), bins=4)
    assert env.reset()[0].tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="finite bounds with low < high in uint8, got low=-10"):
        discretize(Observing(picture, picture.low), low=-10, high=300)
    assert discretize(gymnasium.spec("CartPole-v1"), bins=2).observation_space.shape == (4,)


def test_coarse_learning_is_possible():
    # in five bins of the angle alone, pushing towards the fall balances far better than chance
    def mean_length(policy):
        env = discretize("CartPole-v1", bins=(1, 1, 20, 3))
        lengths = []
        for seed in range(20):
            observation, _ = env.reset(seed=seed)
            ended, length = False, 0
            while not ended:
                observation, _, terminated, truncated, _ = env.step(policy(observation))
                ended, length = terminated or truncated, length + 1
            lengths.append(length)
        return np.mean(lengths)

    rng = np.random.default_rng(0)
    chance = mean_length(lambda _: int(rng.integers(2)))
    towards = mean_length(lambda bins: int(bins[2] >= 10) if bins[3] == 1 else int(bins[3] == 2))
    assert towards > 2 * chance


def test_bad_arguments():
    with pytest.raises(ValueError, match="expected Box observations to discretize"):
        discretize("FrozenLake-v1")
    with pytest.raises(ValueError, match="bins of at least 1 for 2 dimensions, got 0"):
        discretize("MountainCar-v0", bins=0)
    with pytest.raises(ValueError, match=r"for 2 dimensions, got \(1, 2, 3\)"):
        discretize("MountainCar-v0", bins=(1, 2, 3))
    with pytest.raises(ValueError, match="both low and high or neither"):
        discretize("MountainCar-v0", low=0.0)
    with pytest.raises(ValueError, match="low < high"):
        discretize("MountainCar-v0", low=1.0, high=[2.0, 1.0])
    unknown = gymnasium.wrappers.NormalizeObservation(gymnasium.make("CartPole-v1"))
    with pytest.raises(ValueError, match=r"low=\[...\], high=\[...\]\) bounds of shape \(4,\)"):
        discretize(unknown)
