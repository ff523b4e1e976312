"""Episodes kept until they end."""

from gymagine.agents.tabular.episode_buffer import (
    EPISODE,
    LENGTH,
    empty_buffer,
    forget_episode,
    larger_buffer,
    record_step,
    room_in,
)


def test_first_visits_are_those_of_their_own_episode():
    buffer = empty_buffer(num_entries=4, size=8)
    for entries, first in (([2, 1, 2, 2, 0], [1, 1, 0, 0, 1]), ([2, 2, 3], [1, 0, 1])):
        forget_episode(buffer)
        for entry in entries:
            record_step(buffer, 0, 0, 0.0, 1.0, entry)
        assert buffer.is_first[: len(entries)].tolist() == first
        assert buffer.place[LENGTH] == len(entries)
    assert buffer.place[EPISODE] == 2


def test_a_larger_buffer_holds_the_same_episode():
    buffer = empty_buffer(num_entries=4, size=2)
    forget_episode(buffer)
    record_step(buffer, 5, 1, 0.5, 2.0, 3)
    record_step(buffer, 6, 0, 1.5, 4.0, 3)
    assert room_in(buffer) == 0
    larger = larger_buffer(buffer)
    assert room_in(larger) == 2
    record_step(larger, 7, 1, 2.5, 8.0, 0)
    assert larger.states[:3].tolist() == [5, 6, 7]
    assert larger.rewards[:3].tolist() == [0.5, 1.5, 2.5]
    assert larger.ratios[:3].tolist() == [2.0, 4.0, 8.0]
    assert larger.is_first[:3].tolist() == [True, False, True]
