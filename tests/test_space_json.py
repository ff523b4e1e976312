"""Every space of arrays comes back from JSON as it was."""

import json

import numpy as np
import pytest
from gymagine.space_json import space_from_json, space_to_json
from gymnasium import spaces

SPACES = [
    spaces.Discrete(4),
    spaces.Discrete(3, start=-2, dtype=np.int32),
    spaces.MultiDiscrete([3, 2], start=[1, -1]),
    spaces.MultiDiscrete([[3, 2], [2, 2]], dtype=np.int32),
    spaces.MultiBinary(5),
    spaces.MultiBinary([2, 3]),
    spaces.Box(-1, 1, (3,)),
    spaces.Box(np.array([-1, -np.inf]), np.array([2.5, np.inf]), dtype=np.float64),
    spaces.Box(0, 255, (84, 84, 3), np.uint8),
    spaces.Box(-3, 3, (), np.int64),
    spaces.Tuple((spaces.Discrete(32), spaces.Box(0, 1, (2,)))),
    spaces.Dict({"b": spaces.Discrete(2), "a": spaces.Tuple((spaces.MultiBinary(2),))}),
]


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_it_comes_back(space):
    text = json.dumps(space_to_json(space))
    back = space_from_json(json.loads(text))
    assert back == space
    assert back.dtype == space.dtype
    space.seed(3)
    back.seed(3)
    assert str(back.sample()) == str(space.sample())


def test_pictures_are_short():
    assert len(json.dumps(space_to_json(SPACES[8]))) < 100


def test_mistakes():
    with pytest.raises(ValueError, match="expected a space of arrays, got Text"):
        space_to_json(spaces.Text(3))
    with pytest.raises(ValueError, match="got one of kind 'Text'"):
        space_from_json({"kind": "Text"})
