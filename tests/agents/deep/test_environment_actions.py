"""What a network chose becomes an element of the action space."""

import numpy as np
import pytest
import torch
from gymagine.agents.deep.environment_actions import environment_actions
from gymnasium import spaces

SPACES = {
    "discrete": (spaces.Discrete(5, start=-2), [[4, 0, 2]], [[2, -2, 0]]),
    "multi-discrete": (
        spaces.MultiDiscrete([3, 4], start=[1, -1]),
        [[[0, 3], [2, 0]]],
        [[[1, 2], [3, -1]]],
    ),
    "multi-discrete matrix": (
        spaces.MultiDiscrete([[3, 2], [2, 5]], dtype=np.int32),
        [[[2, 0, 1, 4]]],
        [[[[2, 0], [1, 4]]]],
    ),
    "multi-binary": (spaces.MultiBinary([1, 3]), [[[1, 0, 1]]], [[[[1, 0, 1]]]]),
    "box": (
        spaces.Box(np.array([[-1.0], [0.0]]), np.array([[1.0], [np.inf]]), dtype=np.float64),
        [[[-3.5, 7.0]], [[0.25, -0.5]]],
        [[[[-1.0], [7.0]]], [[[0.25], [0.0]]]],
    ),
}


@pytest.mark.parametrize(("space", "chosen", "expected"), SPACES.values(), ids=SPACES)
def test_actions_are_in_the_space(space, chosen, expected):
    found = environment_actions(torch.tensor(chosen), space)
    assert found.dtype == space.dtype
    np.testing.assert_array_equal(found, np.array(expected))
    assert all(space.contains(action) for row in found for action in row)


def test_rounding_at_a_bound_stays_inside():
    space = spaces.Box(np.float32(-0.1), np.float32(0.3), (1,))
    beyond = torch.tensor([[[np.nextafter(np.float32(0.3), np.float32(1))]]])
    assert environment_actions(beyond, space)[0, 0] in space


def test_mistakes():
    with pytest.raises(ValueError, match=r"Box as the action space, got Text"):
        environment_actions(torch.zeros(1, 1), spaces.Text(3))
