"""The numbering of finite spaces is one to one, and the same one by one and in batches."""

import gymnasium
import numpy as np
import pytest
from gymagine.envs.state_index import StateIndex
from gymnasium import spaces
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array
from hypothesis import assume, given, settings
from hypothesis import strategies as st

STARTS = st.integers(-40, 40)
DISCRETE = st.builds(
    lambda n, start, dtype: spaces.Discrete(n, start=start, dtype=dtype),
    st.integers(1, 6),
    STARTS,
    st.sampled_from([np.int64, np.int32, np.int8]),
)


@st.composite
def multi_discrete(draw):
    shape = draw(st.sampled_from([(1,), (2,), (3,), (2, 2), (1, 2)]))
    size = int(np.prod(shape))
    sizes = draw(st.lists(st.integers(1, 4), min_size=size, max_size=size))
    starts = draw(st.lists(STARTS, min_size=size, max_size=size))
    dtype = draw(st.sampled_from([np.int64, np.int32, np.int8]))
    return spaces.MultiDiscrete(
        np.reshape(sizes, shape), dtype=dtype, start=np.reshape(starts, shape).astype(dtype)
    )


BINARY = st.sampled_from([1, 3, (2, 2)]).map(spaces.MultiBinary)
FINITE = st.recursive(
    DISCRETE | multi_discrete() | BINARY,
    lambda inner: st.lists(inner, min_size=1, max_size=3).map(spaces.Tuple),
    max_leaves=4,
)


def same(one, other):
    if isinstance(one, tuple):
        return isinstance(other, tuple) and all(map(same, one, other))
    return np.array_equal(one, other) and np.shape(one) == np.shape(other)


@given(FINITE, st.integers(0, 2**31 - 1))
@settings(max_examples=100, deadline=None)
def test_samples_survive_and_batches_agree(space, seed):
    index = StateIndex(space)
    space.seed(seed)
    samples = [space.sample() for _ in range(6)]
    numbers = [index.encode(sample) for sample in samples]
    for sample, number in zip(samples, numbers, strict=True):
        assert type(number) is int
        assert 0 <= number < index.num_states
        assert index.decode(number) in space
        assert same(index.decode(number), sample)
    # as Gymnasium's vector environments put observations together
    batch = concatenate(space, samples, create_empty_array(space, n=6))
    assert batch in batch_space(space, 6)
    coded = index.encode_batch(batch)
    assert coded.dtype == np.int64
    assert coded.tolist() == numbers


@settings(max_examples=60, deadline=None)
@given(FINITE)
def test_every_number_is_one_element(space):
    index = StateIndex(space)
    assume(index.num_states <= 600)
    elements = [index.decode(number) for number in range(index.num_states)]
    assert all(element in space for element in elements)
    assert [index.encode(element) for element in elements] == list(range(index.num_states))


def test_numbers_are_mixed_radix():
    index = StateIndex(gymnasium.make("Blackjack-v1").observation_space)
    assert index.num_states == 32 * 11 * 2
    assert index.encode((13, 2, 1)) == (13 * 11 + 2) * 2 + 1
    assert index.encode((np.int64(13), np.int64(2), np.int8(1))) == 291
    assert index.decode(291) == (13, 2, 1)
    np.testing.assert_array_equal(
        index.encode_batch((np.array([13, 0]), np.array([2, 0]), np.array([1, 0]))), [291, 0]
    )
    nested = spaces.Tuple((spaces.Discrete(2, start=3), spaces.MultiDiscrete([2, 5])))
    assert StateIndex(nested).encode((4, np.array([1, 2]))) == (1 * 2 + 1) * 5 + 2


def test_far_starts_and_small_types_do_not_overflow():
    far = StateIndex(spaces.Tuple((spaces.Discrete(9, start=2**62), spaces.Discrete(9))))
    assert far.encode((2**62 + 3, 4)) == 31
    assert far.encode_batch((np.array([2**62 + 3]), np.array([4]))).tolist() == [31]
    small = StateIndex(spaces.MultiDiscrete([100, 100], dtype=np.int8))
    assert small.encode(np.array([99, 99], dtype=np.int8)) == 9999
    assert small.encode_batch(np.array([[99, 99]], dtype=np.int8)).tolist() == [9999]


@pytest.mark.parametrize(
    "space",
    [
        spaces.Discrete(3),
        spaces.MultiDiscrete([2, 3]),
        spaces.Tuple((spaces.Discrete(3), spaces.MultiBinary(2))),
    ],
)
def test_an_empty_batch_has_no_numbers(space):
    batch = create_empty_array(space, n=0)
    assert StateIndex(space).encode_batch(batch).shape == (0,)


@pytest.mark.parametrize("number", [-1, 6])
def test_numbers_out_of_range_are_refused(number):
    with pytest.raises(IndexError, match=rf"expected an index in \[0, 6\), got {number}"):
        StateIndex(spaces.MultiDiscrete([2, 3])).decode(number)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (spaces.Box(0, 1), r"expected a finite space, got Box.*discretize\(env, bins=10\)"),
        (spaces.Tuple((spaces.Discrete(2), spaces.Box(0, 1))), "discretize"),
        (spaces.Dict({"a": spaces.Discrete(2)}), "tables need Discrete, MultiDiscrete"),
        (spaces.Text(3), "expected a finite space, got Text"),
        (spaces.MultiBinary(31), r"at most 2\^31 - 1 elements, got 2147483648"),
        (spaces.MultiDiscrete([2**16, 2**16]), "got 4294967296"),
        (spaces.Tuple(()), "at least one coordinate"),
    ],
)
def test_what_is_not_countable_is_refused(space, message):
    with pytest.raises(ValueError, match=message):
        StateIndex(space)
