"""Demonstrations through Minari's files, and data sets that Minari wrote."""

import os

import gymnasium
import numpy as np
import pytest
from gymagine.generative.data.collecting import collect
from gymagine.generative.data.demonstrations import Demonstrations
from gymagine.generative.data.environments import Transitions
from gymagine.generative.data.minari_files import read_minari, write_minari
from gymnasium import spaces

minari = pytest.importorskip("minari")
pytest.importorskip("h5py")


class Nested(gymnasium.Env):
    """Draws its observations; ends after some steps, cut off or not."""

    def __init__(self):
        picture = spaces.Box(0, 255, (8, 8, 3), np.uint8)
        self.observation_space = spaces.Dict(
            z=spaces.Box(-9, 9, (2,), np.float64),
            a=spaces.Tuple((spaces.Discrete(3, start=4), spaces.MultiBinary(3), picture)),
        )
        self.action_space = spaces.Tuple((spaces.Discrete(2), spaces.Box(-1, 1, (1,))))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        self._left = int(self.np_random.integers(1, 6))
        return self.observation_space.sample(), {}

    def step(self, action):
        self._left -= 1
        cut = bool(self.np_random.integers(2))
        info = {"success": self._left == 0 and cut}
        over = self._left == 0
        return (
            self.observation_space.sample(),
            0.1 * self._left,
            over and not cut,
            over and cut,
            info,
        )


def leaves(values):
    """Arrays by key: Minari's files know no order of keys."""
    if isinstance(values, dict):
        values = tuple(values[key] for key in sorted(values))
    if isinstance(values, tuple):
        for inner in values:
            yield from leaves(inner)
    else:
        yield values


def assert_same(one, other):
    names = ("observation", "action", "reward", "next_observation", "terminated", "truncated")
    for name in names:
        parts = [list(leaves(getattr(data.transitions, name))) for data in (one, other)]
        for mine, theirs in zip(*parts, strict=True):
            assert np.array_equal(mine, theirs) and mine.dtype == theirs.dtype
    assert np.array_equal(one.lengths, other.lengths) and one.seeds == other.seeds
    assert one.observation_space == other.observation_space
    assert one.action_space == other.action_space


def test_dicts_tuples_and_pictures_come_back_as_they_were(tmp_path):
    data = collect(Nested(), None, 6, seed=0)
    assert data.transitions.truncated.any() and data.transitions.terminated.any()
    write_minari(data, "nested/random-v0", folder=tmp_path)
    again = read_minari("nested/random-v0", folder=tmp_path)
    assert_same(data, again)
    assert np.array_equal(data.success, again.success) and data.success.any()


def test_the_environment_is_named_and_can_be_made_again(tmp_path):
    env = gymnasium.make("FrozenLake-v1", is_slippery=False)
    data = collect(env, None, 4, seed=1)
    where = write_minari(data, "lake-v3", folder=tmp_path)
    assert where == tmp_path / "lake-v3" and os.environ.get("MINARI_DATASETS_PATH") is None
    again = read_minari("lake-v3", folder=tmp_path)
    assert_same(data, again)
    assert (again.environment, again.options) == ("FrozenLake-v1", {"is_slippery": False})
    again.check_fits(env)
    with pytest.raises(ValueError, match="is_slippery=False, as these demonstrations are, got"):
        again.check_fits("FrozenLake-v1")
    own = minari.MinariDataset(where / "data")
    made = own.recover_environment()
    assert made.unwrapped.P == env.unwrapped.P
    # Minari's own reader sees the final observation
    episode = own[0]
    steps = data.episode(0)
    assert len(episode.observations) == len(steps) + 1
    assert episode.observations[-1] == steps.next_observation[-1]


def test_a_data_set_that_minari_wrote_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    buffers = [
        minari.data_collector.EpisodeBuffer(
            id=i,
            seed=40 + i if i else None,
            observations=[np.array([10 * i + t, 0, 0, 0], np.float32) for t in range(4)],
            actions=[t % 2 for t in range(3)],
            rewards=[0.5, 1.5, 2.5],
            terminations=[False, False, i == 0],
            truncations=[False, False, i == 1],
            infos={"other": np.zeros(4)},
        )
        for i in range(3)
    ]
    minari.create_dataset_from_buffers("cart/byhand-v0", buffers, env="CartPole-v1")
    data = read_minari("cart/byhand-v0")
    assert data.environment == "CartPole-v1" and data.success is None
    assert data.transitions.observation[:, 0].tolist() == [0, 1, 2, 10, 11, 12, 20, 21, 22]
    assert data.transitions.next_observation[:, 0].tolist() == [1, 2, 3, 11, 12, 13, 21, 22, 23]
    assert data.returns.tolist() == [4.5] * 3 and data.seeds == (None, 41, 42)
    assert data.transitions.terminated.tolist() == [False, False, True] + [False] * 6
    # the last episode merely stops: it was cut off
    assert np.flatnonzero(data.transitions.truncated).tolist() == [5, 8]
    data.check_fits("CartPole-v1")


def test_what_minari_cannot_do_is_named(tmp_path):
    data = collect("CartPole-v1", None, 2, seed=0)
    write_minari(data, "twice-v0", folder=tmp_path)
    with pytest.raises(ValueError, match="already exists"):
        write_minari(data, "twice-v0", folder=tmp_path)
    with pytest.raises(FileNotFoundError, match=r"expected a Minari data set at .*none-v0, found"):
        read_minari("none-v0", folder=tmp_path)
    steps = data.transitions
    torn = Transitions(
        steps.observation,
        steps.action,
        steps.reward,
        steps.next_observation + 1,
        steps.terminated,
        steps.truncated,
    )
    broken = Demonstrations(torn, "CartPole-v1", data.observation_space, data.action_space)
    with pytest.raises(
        ValueError, match="what the step before ended with, got others in episode 0"
    ):
        write_minari(broken, "torn-v0", folder=tmp_path)
    assert not (tmp_path / "torn-v0").exists()


def test_a_missing_library_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "minari", None)
    with pytest.raises(ImportError, match=r"pip install gymagine\[minari\]"):
        read_minari("any-v0", folder=tmp_path)
