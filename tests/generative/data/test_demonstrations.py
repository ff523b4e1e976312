"""Parts of demonstrations, files of them, and environments that they are not of."""

import gymnasium
import numpy as np
import pytest
from gymagine.generative.data.collecting import collect
from gymagine.generative.data.demonstrations import Demonstrations
from gymagine.generative.data.environments import Transitions
from gymnasium import spaces

LENGTHS = (3, 1, 4, 2)
TUPLES = spaces.Tuple((spaces.Discrete(9), spaces.Box(-1, 1, (2,), np.float64)))


def numbered(lengths=LENGTHS, success=(True, False, True, False), **changes):
    """Steps numbered from 0, of episodes that terminate, the last of which is truncated."""
    num = sum(lengths)
    ends = np.isin(np.arange(num), np.cumsum(lengths) - 1)
    last = np.arange(num) == num - 1
    count = np.arange(num, dtype=np.float64)
    observation = {"count": count[:, None], "parity": np.arange(num) % 2}
    steps = Transitions(
        observation=observation,
        action=(np.arange(num) % 9, np.stack([count, -count], axis=1)),
        reward=count,
        next_observation={"count": count[:, None] + 1, "parity": (np.arange(num) + 1) % 2},
        terminated=ends & ~last,
        truncated=last,
    )
    fields = {
        "environment": "Numbers-v0",
        "observation_space": spaces.Dict(
            count=spaces.Box(0, np.inf, (1,), np.float64), parity=spaces.Discrete(2)
        ),
        "action_space": TUPLES,
        "success": None if success is None else np.array(success),
        "seeds": tuple(range(10, 10 + len(lengths))),
        "options": {"size": 3},
    }
    return Demonstrations(steps, **{**fields, **changes})


def counts(data):
    return data.transitions.observation["count"][:, 0].tolist()


def test_lengths_and_returns_are_those_of_episodes():
    data = numbered()
    assert data.lengths.tolist() == [3, 1, 4, 2] and len(data) == 10
    assert data.returns.tolist() == [0 + 1 + 2, 3, 4 + 5 + 6 + 7, 8 + 9]
    assert data.episode(-1).reward.tolist() == [8, 9]
    assert data.episode(2).action[1][:, 1].tolist() == [-4, -5, -6, -7]


def test_selections_keep_episodes_whole_and_what_is_known_of_them():
    data = numbered()
    found = data.select([3, 0])
    assert counts(found) == [8, 9, 0, 1, 2]
    assert found.seeds == (13, 10) and found.success.tolist() == [False, True]
    assert counts(data.successful()) == [0, 1, 2, 4, 5, 6, 7]
    assert counts(data.with_return(17)) == [4, 5, 6, 7, 8, 9]


def test_a_split_deals_every_episode_once():
    data = numbered(lengths=(2,) * 10, success=None)
    train, rest = data.split(0.3, seed=1)
    assert (train.num_episodes, rest.num_episodes) == (7, 3)
    assert sorted(counts(train) + counts(rest)) == counts(data)
    assert rest.seeds == data.split(0.3, seed=1)[1].seeds != data.split(0.3, seed=2)[1].seeds


def test_joined_demonstrations_follow_each_other():
    one, other = numbered(), numbered(lengths=(2, 2), success=None)
    both = one.joined(other, one)
    assert counts(both) == counts(one) + counts(other) + counts(one)
    assert both.success is None and both.seeds == one.seeds + other.seeds + one.seeds
    assert one.joined(one).success.tolist() == [True, False, True, False] * 2


@pytest.mark.parametrize("known", [True, False])
def test_files_hold_every_bit(known, tmp_path):
    data = numbered() if known else numbered(success=None, seeds=None, environment=None)
    data.save(tmp_path / "demonstrations.safetensors")
    again = Demonstrations.load(tmp_path / "demonstrations.safetensors")
    assert counts(again) == counts(data) and again.options == data.options
    for name in ("reward", "terminated", "truncated"):
        assert np.array_equal(getattr(again.transitions, name), getattr(data.transitions, name))
    for one, other in zip(again.transitions.action, data.transitions.action, strict=True):
        assert np.array_equal(one, other) and one.dtype == other.dtype
    after, before = again.transitions.next_observation, data.transitions.next_observation
    assert all(np.array_equal(after[key], before[key]) for key in before)
    assert (again.environment, again.seeds) == (data.environment, data.seeds)
    assert (again.observation_space, again.action_space) == (
        data.observation_space,
        data.action_space,
    )
    assert (again.success is None) if not known else np.array_equal(again.success, data.success)


def test_demonstrations_fit_their_own_environment_only():
    data = collect("FrozenLake-v1", None, 2)
    data.check_fits("FrozenLake-v1")
    data.check_fits(gymnasium.make("FrozenLake-v1", render_mode="rgb_array"))
    with pytest.raises(
        ValueError,
        match="environment of FrozenLake-v1, as these demonstrations are, got CartPole-v1",
    ):
        data.check_fits("CartPole-v1")
    with pytest.raises(ValueError, match="got FrozenLake-v1@map_name=8x8"):
        data.check_fits(gymnasium.make("FrozenLake-v1", map_name="8x8"))
    wrapped = gymnasium.wrappers.TransformObservation(
        gymnasium.make("FrozenLake-v1"), float, spaces.Box(0, 15, ())
    )
    with pytest.raises(ValueError, match=r"observation space Discrete\(16\).*got .* with Box"):
        data.check_fits(wrapped)


def test_what_is_known_of_no_environment_is_judged_by_its_spaces():
    lake = collect("FrozenLake-v1", None, 2)
    foreign = Demonstrations(
        lake.transitions, None, lake.observation_space, lake.action_space, options={"any": 1}
    )
    foreign.check_fits("FrozenLake-v1")
    with pytest.raises(ValueError, match="of an unknown environment with the observation space"):
        foreign.check_fits("CartPole-v1")


def test_demonstrations_of_two_environments_are_not_joined():
    with pytest.raises(ValueError, match=r"of Numbers-v0@size=3, as .* got Numbers-v0@size=4"):
        numbered().joined(numbered(options={"size": 4}))


def test_mistakes_are_named(tmp_path):
    data = numbered()
    unfinished = data.transitions
    with pytest.raises(ValueError, match="whole episodes, got 10 steps of which the last neither"):
        none = np.zeros(10, bool)
        Demonstrations(
            Transitions(
                unfinished.observation,
                unfinished.action,
                unfinished.reward,
                unfinished.next_observation,
                unfinished.terminated,
                none,
            ),
            "Numbers-v0",
            data.observation_space,
            data.action_space,
        )
    with pytest.raises(ValueError, match="successes of 4 episodes, got those of 1"):
        numbered(success=(True,))
    with pytest.raises(ValueError, match="whether they succeeded"):
        numbered(success=None).successful()
    with pytest.raises(ValueError, match="a success among 4 episodes, got none"):
        numbered(success=(False,) * 4).successful()
    with pytest.raises(ValueError, match="return of at least 100 among 4 episodes, got 22 at"):
        data.with_return(100)
    with pytest.raises(ValueError, match="which of 4 episodes, got shape"):
        data.select([True, False])
    with pytest.raises(ValueError, match="at least one episode"):
        data.select([])
    with pytest.raises(ValueError, match=r"both parts, got 0.1 of 4"):
        data.split(0.1)
    with pytest.raises(FileNotFoundError):
        Demonstrations.load(tmp_path / "none")
