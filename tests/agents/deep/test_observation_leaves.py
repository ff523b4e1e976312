"""Leaves hold what the elements of a space hold, in its order, one by one and in batches."""

import numpy as np
import pytest
from gymagine.agents.deep.observation_leaves import ObservationLeaves
from gymnasium import spaces
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array

NESTED = spaces.Dict(
    {
        "camera": spaces.Box(0, 255, (2, 3), np.uint8),
        "body": spaces.Tuple(
            (
                spaces.Discrete(4, start=-2),
                spaces.Dict(speed=spaces.Box(-1, 1, (2,), np.float64)),
            )
        ),
        "keys": spaces.MultiBinary(3),
        "cards": spaces.MultiDiscrete([3, 5], start=[10, 20]),
    }
)


def batch_of(space, elements):
    return concatenate(space, elements, create_empty_array(space, len(elements)))


def test_the_leaves_of_a_nested_space_in_its_order():
    leaves = ObservationLeaves(NESTED)
    assert list(NESTED.spaces) == ["body", "camera", "cards", "keys"]  # as gymnasium sorts them
    assert leaves.names == ("body.0", "body.1.speed", "camera", "cards", "keys")
    assert leaves.shapes == ((), (2,), (2, 3), (2,), (3,))
    assert leaves.dtypes == (np.int64, np.float32, np.uint8, np.int64, np.int8)
    assert leaves.spaces[1] == NESTED["body"][1]["speed"]


def test_values_count_from_zero_and_keep_their_places():
    NESTED.seed(3)
    elements = [NESTED.sample() for _ in range(5)]
    leaves = ObservationLeaves(NESTED)
    arrays = leaves.of_batch(batch_of(NESTED, elements))
    leaves.check(arrays)
    for row, element in enumerate(elements):
        expected = (
            element["body"][0] + 2,
            element["body"][1]["speed"].astype(np.float32),
            element["camera"],
            element["cards"] - [10, 20],
            element["keys"],
        )
        single = leaves.of_one(element)
        leaves.check(single)
        for leaf, value in enumerate(expected):
            assert np.array_equal(arrays[leaf][row], value)
            assert np.array_equal(single[leaf], np.asarray(value)[None])
            assert arrays[leaf].dtype == single[leaf].dtype == leaves.dtypes[leaf]


PLAIN = [spaces.Discrete(3, start=-4), spaces.Box(-1, 1, (), np.float64)]


@pytest.mark.parametrize("space", [NESTED, *PLAIN, spaces.Tuple([NESTED, *PLAIN])])
def test_the_way_back(space):
    space.seed(3)
    elements = [space.sample() for _ in range(5)]
    leaves = ObservationLeaves(space)
    arrays = leaves.of_batch(batch_of(space, elements))
    for row in range(5):
        again = leaves.observation(arrays, row)
        assert again in space
        for one, other in zip(arrays, leaves.of_one(again), strict=True):
            assert np.array_equal(one[row], other[0])


@pytest.mark.parametrize(
    ("space", "dtype"),
    [
        (spaces.Box(0, 255, (4, 4), np.uint8), np.uint8),
        (spaces.Box(-5, 5, (2,), np.int16), np.int16),
        (spaces.Box(-1, 1, (3,), np.float16), np.float16),
        (spaces.Box(-1, 1, (3,), np.float64), np.float32),
        (spaces.Box(-1, 1, (), np.float32), np.float32),
        (spaces.Discrete(7), np.int64),
        (spaces.MultiDiscrete([[2, 3], [4, 5]]), np.int64),
        (spaces.MultiBinary((2, 2)), np.int8),
    ],
)
def test_a_plain_space_is_one_leaf(space, dtype):
    leaves = ObservationLeaves(space)
    assert leaves.names == ("",)
    assert leaves.shapes == (space.shape,)
    assert leaves.dtypes == (np.dtype(dtype),)
    many = batch_space(space, 6)
    many.seed(0)
    batch = many.sample()
    (array,) = leaves.of_batch(batch)
    leaves.check((array,))
    assert array.shape == (6, *space.shape)
    assert np.array_equal(array, np.asarray(batch).astype(dtype))


def test_a_far_start_fits_although_its_numbers_would_overflow_the_storage():
    space = spaces.MultiDiscrete(np.array([3, 3], np.uint8), np.uint8, start=[250, 250])
    leaves = ObservationLeaves(space)
    (array,) = leaves.of_batch(np.array([[250, 252]], dtype=np.uint8))
    assert array.tolist() == [[0, 2]]


def test_what_needs_no_change_is_not_copied():
    frames = np.zeros((2, 4, 4), np.uint8)
    assert np.shares_memory(
        ObservationLeaves(spaces.Box(0, 255, (4, 4), np.uint8)).of_batch(frames)[0], frames
    )


@pytest.mark.parametrize(
    "leaf",
    [
        spaces.Text(5),
        spaces.Graph(spaces.Box(0, 1, (2,)), None),
        spaces.Sequence(spaces.Discrete(3)),
        spaces.OneOf((spaces.Discrete(2), spaces.Discrete(3))),
    ],
)
def test_a_space_without_a_fixed_shape_is_refused_by_name(leaf):
    with pytest.raises(ValueError, match=r"expected Box, .*'robot\.1'"):
        ObservationLeaves(spaces.Dict(robot=spaces.Tuple((spaces.Discrete(2), leaf))))
    with pytest.raises(ValueError, match="at least one leaf"):
        ObservationLeaves(spaces.Dict())


def test_check_names_the_leaf_and_what_is_wrong_with_it():
    leaves = ObservationLeaves(NESTED)
    good = leaves.of_batch(batch_of(NESTED, [NESTED.sample() for _ in range(3)]))

    def spoilt(leaf, array):
        return tuple(array if place == leaf else part for place, part in enumerate(good))

    for value in (np.nan, np.inf):
        speed = good[1].copy()
        speed[1, 1] = value
        with pytest.raises(ValueError, match=r"'body\.1\.speed'.*copy 1"):
            leaves.check(spoilt(1, speed))
    with pytest.raises(ValueError, match=r"'camera' of shape \(B, \*\(2, 3\)\).*\(3, 3, 2\)"):
        leaves.check(spoilt(2, good[2].transpose(0, 2, 1)))
    with pytest.raises(ValueError, match=r"'keys'.*the\s+same"):
        leaves.check(spoilt(4, good[4][:2]))
    for value, told in ((4, 2), (-1, -3)):  # told as the space counts them
        with pytest.raises(ValueError, match=rf"'body\.0' in Discrete\(4, start=-2\), got {told}"):
            leaves.check(spoilt(0, np.array([0, value, 0])))
    with pytest.raises(ValueError, match="'cards'"):
        leaves.check(spoilt(3, np.array([[0, 0], [2, 5], [0, 0]])))
    with pytest.raises(ValueError, match="expected 5 leaves, got 4"):
        leaves.check(good[:4])


def test_a_number_that_leaves_the_range_of_float32_is_refused():
    leaves = ObservationLeaves(spaces.Box(-np.inf, np.inf, (1,), np.float64))
    with np.errstate(over="ignore"):
        arrays = leaves.of_batch(np.array([[1e300]]))
    with pytest.raises(ValueError, match="finite"):
        leaves.check(arrays)


@pytest.mark.parametrize("batch", [{"camera": 1}, None, {"camera": "a", "body": ()}, 3])
def test_a_batch_that_lacks_a_leaf_is_refused_by_name(batch):
    with pytest.raises(ValueError, match=r"the observation's leaf '(camera|body\.0)'"):
        ObservationLeaves(NESTED).of_batch(batch)
