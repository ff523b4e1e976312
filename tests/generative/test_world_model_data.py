import numpy as np
import pytest
import torch
from gymagine.generative.data.environments import Transitions
from gymagine.generative.world_model_data import (
    episode_starts,
    histories,
    split_by_episodes,
    stacked_context,
)


def steps_of(lengths, cut=()):
    """Episodes of some lengths that terminate, but for those that are cut off."""
    num = sum(lengths)
    ends = np.zeros(num, dtype=bool)
    ends[np.cumsum(lengths) - 1] = True
    truncated = ends.copy()
    for place, last in enumerate(np.cumsum(lengths) - 1):
        truncated[last] = place in cut
    x = np.zeros((num, 1))
    return Transitions(x, x, np.zeros(num), x, ends & ~truncated, truncated)


def test_episodes_begin_after_either_end():
    assert episode_starts(steps_of([3, 1, 2], cut=(1,))).tolist() == [0, 0, 0, 3, 4, 4]


def test_no_history_reaches_over_an_end():
    starts = episode_starts(steps_of([3, 1, 4]))
    for length in (1, 2, 5):
        steps, known = histories(starts, length)
        assert steps.shape == known.shape == (8, length)
        assert (steps[:, -1] == np.arange(8)).all()
        assert known[:, -1].all()
        for t in range(8):
            expected = [s for s in range(t - length + 1, t + 1) if s >= starts[t]]
            assert steps[t][known[t]].tolist() == expected


def test_what_is_not_known_is_not_shown():
    observations, actions = torch.randn(4, 3, 2), torch.randn(4, 3, 1)
    known = torch.tensor([[False, True, True]] * 4)
    other = observations.clone()
    other[:, 0] += 1
    shown = stacked_context(observations, actions, known)
    assert shown.shape == (4, 3 * 2 + 3 * 1 + 2)
    assert torch.equal(shown, stacked_context(other, actions, known))
    assert shown[:, -2:].tolist() == [[0, 1]] * 4


def test_whole_episodes_are_held_out():
    starts = episode_starts(steps_of([10, 20, 30, 5, 35]))
    train, rest = split_by_episodes(starts, 0.2, seed=3)
    assert sorted([*train, *rest]) == list(range(100))
    assert not set(starts[train]) & set(starts[rest])
    assert 20 <= len(rest) <= 54
    again = split_by_episodes(starts, 0.2, seed=3)
    assert again[0].tolist() == train.tolist()
    assert {tuple(split_by_episodes(starts, 0.2, seed=s)[1]) for s in range(9)} != {tuple(rest)}


def test_both_parts_have_an_episode():
    for share in (0.01, 0.99):
        train, rest = split_by_episodes(episode_starts(steps_of([50, 50])), share, seed=0)
        assert len(train) == len(rest) == 50


def test_of_one_episode_the_end_is_held_out():
    train, rest = split_by_episodes(np.zeros(10, dtype=np.int64), 0.2, seed=0)
    assert (train.tolist(), rest.tolist()) == (list(range(8)), [8, 9])


def test_a_share_that_leaves_nothing():
    with pytest.raises(ValueError, match=r"leaves steps in both parts, got 0\.1 of 2"):
        split_by_episodes(np.zeros(2, dtype=np.int64), 0.1, seed=0)
