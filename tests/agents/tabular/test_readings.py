"""What an environment says becomes numbers, or an error that says what was expected."""

import math
import pickle
from fractions import Fraction

import numpy as np
import pytest
from gymagine.agents.tabular.readings import Readings, number
from gymagine.envs.state_index import StateIndex
from gymnasium import spaces


def readings(space, num_actions=3, **options):
    observations = StateIndex(space)
    allowed = np.ones((observations.num_states, num_actions), dtype=bool)
    settings = {"allowed": allowed, "clock": np.array([7]), "read_masks": True} | options
    return Readings(space, observations, **settings), allowed


@pytest.mark.parametrize(
    ("space", "inside", "outside"),
    [
        (spaces.Discrete(4, start=-2), {-2: 0, 1: 3, np.int64(0): 2}, [2, -3, 0.5, None, "a"]),
        (
            spaces.Tuple((spaces.Discrete(2), spaces.Discrete(3))),
            {(0, 0): 0, (1, 2): 5},
            [(0, 3), (2, 0), 1, (0,)],
        ),
    ],
)
def test_observations_are_numbered(space, inside, outside):
    encode = readings(space)[0].encode
    assert {observation: encode(observation) for observation in inside} == inside
    assert [encode(observation) for observation in outside] == [-1] * len(outside)


@pytest.mark.parametrize(
    ("reward", "expected"),
    [(1, 1.0), (np.float32(0.5), 0.5), (np.array(2.0), 2.0), (True, 1.0), (Fraction(1, 4), 0.25)],
)
def test_rewards_are_numbers(reward, expected):
    assert number(reward) == expected


@pytest.mark.parametrize("reward", [None, "much", [1.0, 2.0], {}, 10**400])
def test_what_is_no_reward_is_nan(reward):
    assert math.isnan(number(reward))


def test_masks_are_kept():
    read, allowed = readings(spaces.Discrete(4))
    assert read.state(2, {"action_mask": np.array([0, 1, 1], dtype=np.int8)}) == 2
    assert allowed.tolist() == [[True] * 3, [True] * 3, [False, True, True], [True] * 3]
    read.keep_mask(1, [0, 0, 0], terminated=True)  # nothing is chosen there
    assert allowed[1].all()
    unread, untouched = readings(spaces.Discrete(4), read_masks=False)
    unread.state(2, {"action_mask": [0, 1, 1]})
    assert untouched.all()


def test_mistakes():
    read, _ = readings(spaces.Discrete(4))
    with pytest.raises(ValueError, match=r"expected an observation of Discrete\(4\) at step 7, "):
        read.state(9, {})
    with pytest.raises(ValueError, match="expected a finite reward at step 7, got nan"):
        read.refuse(0, math.nan, 0)
    with pytest.raises(ValueError, match=r"of 3 entries at step 7, got \(2,\)"):
        read.keep_mask(0, [1, 0], terminated=False)
    with pytest.raises(ValueError, match="to allow an action at step 7, got none in state 0"):
        read.keep_mask(0, [0, 0, 0], terminated=False)


def test_copies_read_alike():
    read, _ = readings(spaces.Discrete(4, start=1))
    assert pickle.loads(pickle.dumps(read)).encode(3) == read.encode(3) == 2
