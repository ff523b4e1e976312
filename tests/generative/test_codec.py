"""Codecs of random spaces give back what they were given, and always values of the space."""

import numpy as np
import pytest
import torch
from gymagine.generative.codec import Codec
from gymagine.generative.data.environments import transitions
from gymnasium import spaces
from gymnasium.vector.utils import concatenate, create_empty_array
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

NUM = 6


@st.composite
def boxes(draw):
    shape = tuple(draw(st.lists(st.integers(1, 3), max_size=3)))
    dtype = draw(
        st.sampled_from([np.float32, np.float64, np.float16, np.int32, np.int8, np.uint8])
    )
    if np.dtype(dtype).kind == "f":
        low, width = draw(st.integers(-50, 50)), draw(st.integers(1, 50))
        unbounded = draw(st.booleans())
        return spaces.Box(-np.inf if unbounded else low, low + width, shape, dtype)
    least = np.iinfo(dtype).min
    low = draw(st.integers(max(least, -100), 100))
    return spaces.Box(low, low + draw(st.integers(0, 27)), shape, dtype)


def leaves():
    small = st.integers(1, 4)
    return st.one_of(
        boxes(),
        st.builds(lambda n, start: spaces.Discrete(n, start=start), small, st.integers(-9, 9)),
        st.builds(
            lambda pairs: spaces.MultiDiscrete(
                [n for n, _ in pairs], start=[start for _, start in pairs]
            ),
            st.lists(st.tuples(small, st.integers(-5, 5)), min_size=1, max_size=3),
        ),
        st.builds(lambda: spaces.MultiDiscrete(np.array([[2, 3], [4, 1]]))),
        st.builds(spaces.MultiBinary, st.one_of(small, st.tuples(small, small))),
    )


def trees():
    return st.recursive(
        leaves(),
        lambda children: st.one_of(
            st.builds(spaces.Tuple, st.lists(children, min_size=1, max_size=3)),
            st.builds(
                spaces.Dict,
                st.dictionaries(st.sampled_from("abc"), children, min_size=1, max_size=3),
            ),
        ),
        max_leaves=5,
    )


def stacked(space, values):
    return concatenate(space, values, create_empty_array(space, n=len(values)))


def rows_of(space, batch):
    """Single values of a batch, as environments give them."""
    if isinstance(space, spaces.Dict):
        parts = {key: rows_of(part, batch[key]) for key, part in space.spaces.items()}
        return [dict(zip(parts, row, strict=True)) for row in zip(*parts.values(), strict=True)]
    if isinstance(space, spaces.Tuple):
        parts = [rows_of(part, own) for part, own in zip(space.spaces, batch, strict=True)]
        return list(zip(*parts, strict=True))
    return [np.asarray(row) for row in batch] if isinstance(space, spaces.Box) else list(batch)


def assert_same(space, found, given):
    if isinstance(space, spaces.Dict | spaces.Tuple):
        keys = space.spaces if isinstance(space, spaces.Dict) else range(len(space.spaces))
        for key in keys:
            assert_same(space.spaces[key], found[key], given[key])
        return
    assert found.dtype == space.dtype and found.shape == given.shape
    if np.dtype(space.dtype).kind == "f":
        loss = 1e-2 if space.dtype == np.float16 else 1e-5
        assert np.allclose(found, given, rtol=loss, atol=100 * loss)
    else:
        assert np.array_equal(found, given)


@settings(max_examples=60, deadline=None)
@given(trees(), st.integers(0, 1_000), st.sampled_from(["identity", "min-max", "z-score"]))
def test_the_inverse_gives_values_back(space, seed, normaliser):
    space.seed(seed)
    batch = stacked(space, [space.sample() for _ in range(NUM)])
    codec = Codec.fitted(space, batch, normaliser)
    x = codec.encode(batch)
    assert tuple(x.shape) == (NUM, *codec.event_shape) and x.dtype == torch.float32
    found = codec.decode(x)
    assert_same(space, found, batch)
    for value in rows_of(space, found):
        assert space.contains(value)
    assert_close(codec.encode(found), x, rtol=1e-3, atol=1e-3)


@settings(max_examples=60, deadline=None)
@given(trees(), st.integers(0, 1_000), st.sampled_from([1e-3, 1.0, 1e3, 1e20]))
def test_any_finite_tensor_gives_values_of_the_space(space, seed, scale):
    space.seed(seed)
    batch = stacked(space, [space.sample() for _ in range(NUM)])
    codec = Codec.fitted(space, batch)
    rng = torch.Generator().manual_seed(seed)
    x = scale * torch.randn(NUM, *codec.event_shape, generator=rng)
    for value in rows_of(space, codec.decode(x)):
        assert space.contains(value)


@settings(max_examples=30, deadline=None)
@given(trees(), st.integers(0, 1_000))
def test_parts_cover_the_vector_and_single_values_are_batches_of_one(space, seed):
    space.seed(seed)
    values = [space.sample() for _ in range(NUM)]
    batch = stacked(space, values)
    codec = Codec.fitted(space, batch)
    x = codec.encode(batch)
    ends = [(part.start, part.stop) for part in codec.parts]
    assert [start for start, _ in ends] == [0, *(stop for _, stop in ends[:-1])]
    assert ends[-1][1] == x[0].numel()
    one = codec.encode_one(values[2])
    assert torch.equal(one, x[2])
    assert space.contains(codec.decode_one(one))
    for part in codec.parts:
        if part.kind == "category":
            own = x[:, part.entries]
            assert torch.equal(own.sum(dim=1), torch.ones(NUM)) and set(own.unique().tolist()) <= {
                0,
                1,
            }


def test_numbers_by_hand():
    space = spaces.Dict(
        a=spaces.Discrete(3, start=-1),
        b=spaces.Tuple([spaces.MultiBinary(2), spaces.MultiDiscrete([2, 3], start=[0, 5])]),
        c=spaces.Box(-np.inf, np.inf, (2,), np.float64),
        d=spaces.Box(0, 255, (2,), np.uint8),
    )
    batch = {
        "a": np.array([-1, 1]),
        "b": (np.array([[0, 1], [1, 1]]), np.array([[1, 5], [0, 7]])),
        "c": np.array([[0.0, 10.0], [4.0, 30.0]]),
        "d": np.array([[0, 255], [51, 102]]),
    }
    codec = Codec.fitted(space, batch)
    expected = [
        [1, 0, 0, 0, 1, 0, 1, 1, 0, 0, -1, -1, -1, 1],
        [0, 0, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1, -0.6, -0.2],
    ]
    assert_close(codec.encode(batch), torch.tensor(expected))
    names = [(part.name, part.kind, part.start) for part in codec.parts]
    assert names == [
        ("a", "category", 0),
        ("b.0", "bits", 3),
        ("b.1[0]", "category", 5),
        ("b.1[1]", "category", 7),
        ("c", "numbers", 10),
        ("d", "bytes", 12),
    ]
    noisy = torch.tensor([[0.2, 0.1, 0.3, 0.6, 0.4, 9, 8, -3, -2, -1, 0, 3, -5, 0.0]])
    found = codec.decode(noisy)
    assert found["a"].tolist() == [1] and found["b"][0].tolist() == [[1, 0]]
    assert found["b"][1].tolist() == [[0, 7]]
    assert found["c"].tolist() == [[2.0, 50.0]] and found["d"].tolist() == [[0, 128]]


@pytest.mark.parametrize(
    ("shape", "channels", "event_shape"),
    [
        ((5, 7, 3), "auto", (3, 5, 7)),
        ((4, 5, 7), "auto", (4, 5, 7)),
        ((3, 5, 3), "auto", (3, 3, 5)),
        ((3, 5, 3), "first", (3, 5, 3)),
        ((2, 5, 7), "last", (7, 2, 5)),
        ((5, 7), "auto", (1, 5, 7)),
        ((2, 2, 5, 7), "auto", (140,)),
        ((6,), "auto", (6,)),
    ],
)
def test_boxes_of_bytes_are_pictures(shape, channels, event_shape):
    space = spaces.Box(0, 255, shape, np.uint8, seed=0)
    codec = Codec(space, channels=channels)
    assert codec.event_shape == event_shape
    batch = np.stack([space.sample() for _ in range(4)])
    x = codec.encode(batch)
    if event_shape == (shape[-1], *shape[:-1]) and len(shape) == 3:
        assert_close(
            x[1, 2, 1, 0], torch.tensor(batch[1, 1, 0, 2] / 127.5 - 1, dtype=torch.float32)
        )
    assert np.array_equal(codec.decode(x), batch)
    assert x.min() >= -1 and x.max() <= 1
    unit = Codec(space, low=0.0, high=1.0, channels=channels).encode(batch)
    assert_close(unit, (x + 1) / 2)


def test_state_travels():
    space = spaces.Dict(a=spaces.Box(-9, 9, (3,)), b=spaces.Discrete(2))
    space.seed(0)
    batch = stacked(space, [space.sample() for _ in range(NUM)])
    codec, other = Codec.fitted(space, batch, "z-score"), Codec(space)
    assert not torch.equal(other.encode(batch), codec.encode(batch))
    other.load_state_dict(codec.state_dict())
    assert torch.equal(other.encode(batch), codec.encode(batch))
    assert codec.encode(batch)[:, :3].mean().abs() < 1e-5


def test_far_positions_keep_their_differences():
    x = 1e9 + np.linspace(0, 1, 5)[:, None]
    codec = Codec.fitted(spaces.Box(-np.inf, np.inf, (1,), np.float64), x)
    assert_close(codec.encode(x).flatten(), torch.linspace(-1, 1, 5), rtol=0, atol=1e-6)
    assert np.abs(codec.decode(codec.encode(x)) - x).max() < 1e-6


def test_the_ends_of_wide_whole_numbers_are_kept():
    for dtype in (np.int64, np.uint64, np.int32):
        ends = np.iinfo(dtype)
        space = spaces.Box(ends.min, ends.max, (1,), dtype)
        found = Codec(space).decode(torch.tensor([[-1e30], [1e30], [7.4]]))
        assert found[:, 0].tolist() == [ends.min, ends.max, 7]


def test_transitions_are_encoded_as_they_come():
    steps = transitions("CliffWalking-v1", 50)
    codec = Codec(spaces.Discrete(48))
    assert np.array_equal(codec.decode(codec.encode(steps.observation)), steps.observation)
    cart = transitions("CartPole-v1", 200)
    space = spaces.Box(-np.inf, np.inf, (4,))
    x = Codec.fitted(space, cart.observation).encode(cart.observation)
    assert_close(x.amax(dim=0), torch.ones(4)), assert_close(x.amin(dim=0), -torch.ones(4))


def test_arrays_that_cannot_be_written_to_are_left_alone():
    batch = np.zeros((2, 4, 4, 3), np.uint8)
    batch.flags.writeable = False
    x = Codec(spaces.Box(0, 255, (4, 4, 3), np.uint8)).encode(batch)
    x += 1
    assert not batch.any()


@pytest.mark.parametrize(
    ("space", "batch", "message"),
    [
        (spaces.Discrete(3, start=2), np.array([2, 5]), r"in Discrete\(3, start=2\), got 5"),
        (spaces.MultiDiscrete([2, 3]), np.array([[0, 3]]), "got 3"),
        (spaces.Discrete(3), np.array([0.5]), "got 0.5"),
        (spaces.MultiBinary(2), np.array([[0, 2]]), "got 2"),
        (spaces.Box(0, 255, (2,), np.uint8), np.array([[0, 256]]), "got 256"),
        (spaces.Box(-1, 1, (2,)), np.array([[0, np.nan]]), "got nan"),
        (
            spaces.Box(-1, 1, (2,)),
            np.zeros(2),
            r"shape \(N, \*\(2,\)\), got float64 of shape \(2,\)",
        ),
        (spaces.Box(-1, 1, (2,)), np.zeros((3, 3)), r"of shape \(3, 3\)"),
        (spaces.Box(-1, 1, (1,)), np.array([["a"]]), "as numbers"),
        (spaces.Dict(a=spaces.Discrete(2)), {"b": np.zeros(1)}, "the leaf 'a' in the batch"),
        (
            spaces.Tuple([spaces.Discrete(2), spaces.Discrete(2)]),
            (np.zeros(2), np.zeros(3)),
            r"one batch, got lengths \[2, 3\]",
        ),
        (
            spaces.Box(-np.inf, np.inf, (1,), np.float64),
            np.array([[1e300]]),
            "range of torch.float32",
        ),
    ],
)
def test_batches_that_do_not_fit_are_refused(space, batch, message):
    with pytest.raises(ValueError, match=message):
        Codec(space).encode(batch)


def test_other_mistakes_are_named(without_shape_checks):
    with pytest.raises(ValueError, match=r"got Text.* at 'a\.1'"):
        Codec(spaces.Dict(a=spaces.Tuple([spaces.Discrete(2), spaces.Text(3)])))
    with pytest.raises(ValueError, match="at least one number"):
        Codec(spaces.Dict({}))
    with pytest.raises(ValueError, match="low below high"):
        Codec(spaces.Discrete(2), low=1.0)
    with pytest.raises(ValueError, match="'middle'"):
        Codec(spaces.Discrete(2), channels="middle")
    codec = Codec(spaces.Dict(a=spaces.Discrete(2), b=spaces.Box(0, 1, (1,))))
    with pytest.raises(ValueError, match=r"\(N, 3\), got \(2, 4\)"):
        codec.decode(torch.zeros(2, 4))
    with pytest.raises(ValueError, match="NaN or infinity"):
        codec.decode(torch.full((2, 3), torch.nan))
    with pytest.raises(ValueError, match="expected a value of Dict"):
        codec.encode_one({"a": 1})


def test_empty_leaves_come_back_empty():
    space = spaces.Dict(a=spaces.Box(0, 1, (0,)), b=spaces.Discrete(2))
    codec = Codec(space)
    batch = {"a": np.zeros((3, 0), np.float32), "b": np.array([0, 1, 1])}
    x = codec.encode(batch)
    assert x.shape == (3, 2) and [part.name for part in codec.parts] == ["b"]
    assert codec.decode(x)["a"].shape == (3, 0)
