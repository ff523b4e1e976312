import numpy as np
import pytest
from gymagine.agents.imagination.value_batches import as_batch, leaves, nested
from gymnasium import spaces
from gymnasium.vector.utils import batch_space

SPACES = [
    spaces.Box(-1, 1, (2, 3)),
    spaces.Discrete(4),
    spaces.MultiBinary(3),
    spaces.Dict(place=spaces.Box(-1, 1, (2,)), pair=spaces.Tuple([spaces.Discrete(2)] * 2)),
]


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_single_values_and_batches_are_told_apart(space):
    space.seed(0)
    single, is_batch = as_batch(space, space.sample(), "observation")
    assert not is_batch
    assert batch_space(space, 1).contains(single)
    several = batch_space(space, 3)
    several.seed(0)
    drawn = several.sample()
    found, is_batch = as_batch(space, drawn, "observation")
    assert is_batch
    for one, other in zip(leaves(space, found), leaves(space, drawn), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_leaves_make_the_value_again(space):
    space.seed(1)
    value = space.sample()
    again = nested(space, iter(leaves(space, value)))
    assert type(again) is type(value) or isinstance(again, np.ndarray)
    for one, other in zip(leaves(space, again), leaves(space, value), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("space", "value"),
    [
        (SPACES[0], np.zeros((3, 3))),
        (SPACES[3], {"place": np.zeros(2)}),
        (SPACES[3], {"place": np.zeros((3, 2)), "pair": (np.zeros(3), np.zeros(2))}),
        (SPACES[3], 7),
    ],
)
def test_other_shapes_are_refused(space, value):
    with pytest.raises(ValueError, match="expected observations of"):
        as_batch(space, value, "observation")
