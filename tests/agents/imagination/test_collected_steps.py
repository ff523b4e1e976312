import numpy as np
import pytest
from gymagine.agents.imagination.collected_steps import CollectedSteps
from gymnasium import spaces

SPACE = spaces.Dict(count=spaces.Box(0, 99, (1,), np.float32), floor=spaces.Discrete(3))


def counted(num, every):
    """Observation t, action t + 50, reward t / 10; every so many steps the episode ends."""
    steps, at = CollectedSteps(SPACE, spaces.Box(0, 99, (1,), np.float32)), 0
    shown = {"count": np.zeros(1, np.float32), "floor": 0}
    for t in range(num):
        before = {"count": np.array([at], np.float32), "floor": at % 3}
        at += 1
        shown["count"][0] = at  # as an environment does that writes over what it gave
        shown["floor"] = at % 3
        ended = at % every == 0
        steps.add(
            before,
            np.array([t + 50.0], np.float32),
            t / 10,
            shown,
            terminated=ended,
            truncated=False,
        )
        at = 0 if ended else at
    return steps


def test_steps_stay_aligned():
    data = counted(7, 3).transitions()
    assert data.observation["count"].ravel().tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert data.next_observation["count"].ravel().tolist() == [1, 2, 3, 1, 2, 3, 1]
    assert data.next_observation["floor"].tolist() == [1, 2, 0, 1, 2, 0, 1]
    assert data.action.ravel().tolist() == list(range(50, 57))
    assert data.terminated.tolist() == [False, False, True] * 2 + [False]
    np.testing.assert_allclose(data.reward, np.arange(7) / 10)


def test_an_episode_that_is_left_is_truncated_but_not_terminated():
    steps = counted(7, 3)
    steps.cut()
    assert steps.transitions().truncated.tolist() == [False] * 6 + [True]
    ended = counted(6, 3)
    ended.cut()
    assert not ended.transitions().truncated.any()


def test_arrays_bring_all_of_it_back():
    steps = counted(7, 3)
    again = CollectedSteps(SPACE, spaces.Box(0, 99, (1,), np.float32))
    again.restore(steps.arrays())
    assert len(again) == 7
    one, other = again.arrays(), steps.arrays()
    assert one.keys() == other.keys()
    assert all((one[name] == other[name]).all() for name in one)
    assert all(one[name].dtype == other[name].dtype for name in one)
    empty = CollectedSteps(SPACE, SPACE)
    assert empty.arrays() == {}
    with pytest.raises(ValueError, match="at least one step"):
        empty.transitions()
    short = steps.arrays() | {"reward": np.zeros(3)}
    with pytest.raises(ValueError, match="one length"):
        again.restore(short)
