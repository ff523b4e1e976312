"""Collected episodes against environments that are stepped by hand."""

import gymnasium
import numpy as np
import pytest
from gymagine.generative.data.collecting import collect
from gymnasium import spaces


class Counter(gymnasium.Env):
    """Counts steps from the seed on; terminates at the next multiple of 5, with success at 10."""

    def __init__(self, tells=True):
        self.observation_space = spaces.Dict(
            count=spaces.Box(0, np.inf, (1,), np.float32), parity=spaces.Discrete(2)
        )
        self.action_space = spaces.Tuple((spaces.Discrete(3), spaces.Box(-1, 1, (2,))))
        self._tells = tells

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._count = int(self.np_random.integers(9))
        return self._observation(), {}

    def step(self, action):
        self._count += 1
        info = {"success": np.float64(self._count == 10)} if self._tells else {}
        return self._observation(), float(self._count), self._count % 5 == 0, False, info

    def _observation(self):
        count = np.full(1, self._count, np.float32)
        return {"count": count, "parity": np.int64(self._count % 2)}


class Expert:
    """Remembers how far into the episode it is, and acts on that."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        steps = 0 if bool(episode_start[0]) else state
        action = (np.int64(steps % 3), np.full(2, observation["count"][0] / 100, np.float32))
        return action, steps + 1


def test_steps_stay_aligned():
    data = collect(Counter(), Expert(), 6, seed=0)
    steps = data.transitions
    before, after = steps.observation["count"][:, 0], steps.next_observation["count"][:, 0]
    assert np.array_equal(after, before + 1)
    assert np.array_equal(steps.reward, after)
    assert np.array_equal(steps.terminated, after % 5 == 0)
    assert np.allclose(steps.action[1][:, 0], before / 100)
    assert not steps.truncated.any() and data.num_episodes == 6
    starts = np.cumsum([0, *data.lengths[:-1]])
    for start, length, total in zip(starts, data.lengths, data.returns, strict=True):
        own = slice(start, start + length)
        assert steps.action[0][own].tolist() == [i % 3 for i in range(length)]
        assert total == after[own].sum()
        assert np.array_equal(before[own][1:], after[own][:-1])
    assert np.array_equal(data.success, after[starts + data.lengths - 1] == 10)


def test_every_episode_can_be_played_again_from_its_seed():
    data = collect("CartPole-v1", None, 4, seed=7)
    env = gymnasium.make("CartPole-v1")
    for number, seed in enumerate(data.seeds):
        episode = data.episode(number)
        observation, _ = env.reset(seed=seed)
        for i in range(len(episode)):
            assert np.array_equal(observation, episode.observation[i])
            observation, _, terminated, _, _ = env.step(episode.action[i])
            assert np.array_equal(observation, episode.next_observation[i])
            assert terminated == episode.terminated[i]


def test_only_successes_are_kept_where_that_is_wanted():
    data = collect(Counter(), Expert(), 5, seed=1, success_only=True)
    assert data.success.all() and data.num_episodes == 5
    ends = np.cumsum(data.lengths) - 1
    assert (data.transitions.next_observation["count"][ends, 0] == 10).all()
    every = collect(Counter(), Expert(), 20, seed=1)
    assert data.seeds == tuple(np.array(every.seeds)[every.success][:5].tolist())


def test_success_is_unknown_or_a_function():
    silent = Counter(tells=False)
    assert collect(silent, Expert(), 3).success is None
    told = collect(silent, Expert(), 8, success=lambda one: one.reward[-1] == 5)
    ends = np.cumsum(told.lengths) - 1
    assert np.array_equal(told.success, told.transitions.reward[ends] == 5)


def test_long_episodes_are_truncated_not_terminated():
    data = collect("Pendulum-v1", None, 2, max_steps=30)
    assert data.lengths.tolist() == [30, 30]
    assert data.transitions.truncated.sum() == 2 and not data.transitions.terminated.any()
    (start, second) = (data.episode(i).observation[0] for i in range(2))
    assert not np.array_equal(start, second)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not():
    first, same, other = (collect("CartPole-v1", None, 3, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first.transitions.observation, same.transitions.observation)
    assert first.seeds == same.seeds != other.seeds


def test_what_cannot_be_collected():
    with pytest.raises(ValueError, match="expected episodes of at least 1, got 0"):
        collect("CartPole-v1", None, 0)
    with pytest.raises(ValueError, match="expected max_steps of at least 1, got 0"):
        collect("CartPole-v1", None, 1, max_steps=0)
    with pytest.raises(ValueError, match=r"expected a function for success, .* info\['success'\]"):
        collect("CartPole-v1", None, 1, success_only=True)
    with pytest.raises(ValueError, match="expected 2 episodes that succeed, got 0 of 20 tried"):
        collect("CartPole-v1", None, 2, success_only=True, success=lambda one: False)
