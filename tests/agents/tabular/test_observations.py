"""Observations, alone and in batches, as rows of a table."""

import numpy as np
import pytest
from gymagine.agents.tabular.observations import (
    action_index,
    batch_of_states,
)
from gymagine.envs.state_index import StateIndex
from gymnasium import spaces

DISCRETE = StateIndex(spaces.Discrete(4, start=2))
PAIRS = StateIndex(spaces.MultiDiscrete([2, 3]))
HANDS = StateIndex(spaces.Tuple((spaces.Discrete(4), spaces.Discrete(3))))


@pytest.mark.parametrize(
    ("index", "observation", "states", "is_batch"),
    [
        (DISCRETE, 3, [1], False),
        (DISCRETE, np.int32(3), [1], False),
        (DISCRETE, np.array(3), [1], False),
        (DISCRETE, [2, 5], [0, 3], True),
        (DISCRETE, np.array([4]), [2], True),
        (PAIRS, np.array([1, 2]), [5], False),
        (PAIRS, np.array([[1, 2], [0, 1]]), [5, 1], True),
        (HANDS, (3, 1), [10], False),
        (HANDS, (np.array([3, 0]), np.array([1, 2])), [10, 2], True),
    ],
)
def test_numbers(index, observation, states, is_batch):
    found, batch = batch_of_states(index, observation)
    assert (found.tolist(), batch) == (states, is_batch)


@pytest.mark.parametrize(
    ("index", "observation"),
    [
        (DISCRETE, 1), (DISCRETE, 6), (DISCRETE, 3.0), (DISCRETE, [2, 6]), (DISCRETE, [[2]]),
        (PAIRS, np.array([2, 0])), (PAIRS, 3), (HANDS, (4, 0)), (HANDS, (1, 2, 0)),
    ],
)  # fmt: skip
def test_outside_the_space(index, observation):
    with pytest.raises(ValueError, match="expected"):
        batch_of_states(index, observation)


def test_spaces():
    assert action_index(spaces.Discrete(3)).num_states == 3
    with pytest.raises(ValueError, match="one value for each action"):
        action_index(spaces.Box(0, 1))


@pytest.mark.parametrize(
    ("index", "batch"),
    [
        (DISCRETE, [2.7]),  # was cut to 2
        (DISCRETE, [2, None]),
        (DISCRETE, np.array([3.0, np.nan])),
        (PAIRS, [[0, 3], [0, 1]]),  # was 3, which is (1, 0)
        (HANDS, ([0], [3])),
        (HANDS, ([3, 0], [1])),
        (HANDS, [(3, 1), (0, 2), (1, 1)]),
        (HANDS, 5),
        (HANDS, ()),
        (HANDS, None),
    ],
)
def test_batches_that_are_none_are_refused(index, batch):
    with pytest.raises(ValueError, match="expected"):
        batch_of_states(index, batch)
