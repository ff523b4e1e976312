import numpy as np
import pytest
import torch
from gymagine.agents.imagination.trajectory_windows import (
    WindowCoding,
    returns_to_go,
    window_rows,
)
from gymagine.generative.chunks import chunk_windows
from gymagine.generative.data.environments import Transitions


def counter(ends, cuts=()):
    """Observation t, next one t + 1 (also at ends), action 100 + t, reward t."""
    num = ends[-1] + 1 if not cuts else max(ends[-1], cuts[-1]) + 1
    t = np.arange(num, dtype=np.float64)
    return Transitions(
        t[:, None],
        100 + t[:, None],
        t,
        t[:, None] + 0.5,
        np.isin(np.arange(num), ends),
        np.isin(np.arange(num), cuts),
    )


def rows_of(data, horizon, with_actions=True):
    windows = chunk_windows(data, observation_horizon=1, prediction_horizon=horizon)
    parts = [torch.from_numpy(x) for x in (data.observation, data.next_observation, data.action)]
    return windows, window_rows(windows, *parts[:2], parts[2] if with_actions else None)


def test_windows_never_cross_episodes_and_rest_at_the_end():
    _, rows = rows_of(counter([2, 5]), 3)
    assert rows[..., 0].tolist() == [
        [0, 1, 2],
        [1, 2, 2.5],  # where it terminated, and stays
        [2, 2.5, 2.5],
        [3, 4, 5],
        [4, 5, 5.5],
        [5, 5.5, 5.5],
    ]
    assert rows[..., 1].tolist()[:3] == [[100, 101, 102], [101, 102, 102], [102, 102, 102]]


def test_windows_over_a_cut_are_left_out():
    windows, rows = rows_of(counter([6], [3]), 3, with_actions=False)
    assert windows.steps.tolist() == [0, 1, 4, 5, 6]
    assert rows.shape == (5, 3, 1)
    assert rows[1].flatten().tolist() == [1, 2, 3]


def test_returns_to_go_by_hand():
    """Rewards 0 1 2 | 3 4: 0 + (1 + 2 / 2) / 2, 1 + 2 / 2, 2, 3 + 4 / 2, 4."""
    assert returns_to_go(counter([2, 4]), 0.5).tolist() == [1, 2, 2, 5, 4]
    assert returns_to_go(counter([2, 4]), 1.0).tolist() == [3, 3, 2, 7, 4]
    assert returns_to_go(counter([4], [2]), 1.0).tolist() == [3, 3, 2, 7, 4]


@pytest.mark.parametrize("layout", ["vector", "sequence"])
def test_events_are_the_rows_again(layout):
    coding = WindowCoding(4, 3, 2, layout)
    rows = torch.arange(24.0).view(2, 4, 3)
    events = coding.events(rows)
    assert events.shape == (2, *coding.event_shape)
    assert torch.equal(coding.rows(events), rows)
    start = coding.starting(torch.tensor([[7.0, 8.0]]))
    assert start[0][coding.known_start].tolist() == [7, 8]
    assert coding.known_start.sum() == 2
    assert coding.rows(start)[0, 0].tolist() == [7, 8, 0]
