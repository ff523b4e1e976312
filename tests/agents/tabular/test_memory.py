"""Memories of one learner share their tables and keep their episodes apart."""

import numpy as np
import pytest
from gymagine.agents.tabular import MonteCarlo, NStepSARSA, QLearning, SARSALambda
from gymagine.agents.tabular.memory import (
    episode_arrays,
    for_another_episode,
    named_arrays,
    room_for_steps,
    with_room,
    with_room_for,
)


def memory_of(learner):
    return learner("FrozenLake-v1", seed=0).learn(50)._memory


@pytest.mark.parametrize(
    ("learner", "own"),
    [(QLearning, ""), (NStepSARSA, "recent"), (SARSALambda, "traces"), (MonteCarlo, "episode")],
)
def test_what_is_of_one_episode_is_not_shared(learner, own):
    memory = memory_of(learner)
    other = dict(named_arrays(for_another_episode(memory)))
    parts = dict(episode_arrays(memory))
    assert {name.partition(".")[0] for name in parts} == ({own} if own else set())
    for name, array in named_arrays(memory):
        assert np.shares_memory(array, other[name]) == (name not in parts)
        if name in parts:
            assert not other[name].any()
            assert other[name].shape == array.shape and other[name].dtype == array.dtype


def test_only_whole_episodes_need_room():
    assert room_for_steps(memory_of(QLearning)) > 1 << 60
    memory = memory_of(MonteCarlo)
    size = len(memory.episode.states)
    kept = int(memory.episode.place[0])
    assert room_for_steps(memory) == size - kept
    assert with_room(memory) is memory
    memory.episode.place[0] = size
    larger = with_room(memory)
    assert room_for_steps(larger) == size
    np.testing.assert_array_equal(larger.episode.states[:size], memory.episode.states)
    assert larger.action_values is memory.action_values


def test_room_for_what_was_saved():
    memory = memory_of(MonteCarlo)
    size = len(memory.episode.states)
    assert (
        len(with_room_for(memory, np.zeros(4 * size, dtype=np.int64)).episode.states) == 4 * size
    )
    assert with_room_for(memory, np.zeros(size, dtype=np.int64)) is memory
    assert with_room_for(memory, None) is memory
    plain = memory_of(QLearning)
    assert with_room_for(plain, np.zeros(10**6, dtype=np.int64)) is plain
