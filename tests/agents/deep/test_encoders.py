"""Encoders give Gymnasium's own flattening, and the convolutions of the papers and of SB3."""

import numpy as np
import pytest
import torch
from gymagine.agents.deep.encoders import Encoder, ImageEncoder, image_axes
from gymagine.agents.deep.observation_leaves import ObservationLeaves
from gymnasium import spaces
from gymnasium.vector.utils import concatenate, create_empty_array
from stable_baselines3.common.torch_layers import NatureCNN
from torch.nn import functional


def generators(*seeds):
    return [np.random.default_rng(seed) for seed in seeds]


def encoder_of(space, *seeds, **settings):
    leaves = ObservationLeaves(space)
    return Encoder(leaves.spaces, leaves.names, rngs=generators(*seeds), **settings)


def drawn(space, members, batch, seed=0):
    """Samples, and the leaves of them as (M, B, *shape) tensors."""
    space.seed(seed)
    samples = [[space.sample() for _ in range(batch)] for _ in range(members)]
    flat = [sample for row in samples for sample in row]
    batched = concatenate(space, flat, create_empty_array(space, len(flat)))
    stacked = ObservationLeaves(space).of_batch(batched)
    return samples, tuple(
        torch.from_numpy(x.reshape(members, batch, *x.shape[1:])) for x in stacked
    )


FLAT = {
    "discrete": spaces.Discrete(5, start=-2),
    "multi-discrete": spaces.MultiDiscrete([3, 1, 4], start=[1, 0, -7]),
    "multi-discrete matrix": spaces.MultiDiscrete([[3, 2], [2, 5]]),
    "multi-binary": spaces.MultiBinary(4),
    "multi-binary matrix": spaces.MultiBinary([2, 3]),
    "box": spaces.Box(-3, 9, (2, 3)),
    "scalar box": spaces.Box(-3, 9, ()),
    "unbounded double box": spaces.Box(-np.inf, np.inf, (4,), np.float64),
    "bytes": spaces.Box(0, 255, (128,), np.uint8),
    "blackjack": spaces.Tuple([spaces.Discrete(32), spaces.Discrete(11), spaces.Discrete(2)]),
    "dict": spaces.Dict(
        {"b": spaces.Box(-1, 1, (2,)), "a": spaces.Discrete(3), "c": spaces.MultiBinary(2)}
    ),
}


@pytest.mark.parametrize("space", FLAT.values(), ids=FLAT)
def test_features_are_gymnasiums_flattening(space):
    encoder = encoder_of(space, 0, 1)
    samples, observation = drawn(space, 2, 6)
    found = encoder(observation)
    expected = [[spaces.flatten(space, sample) for sample in row] for row in samples]
    np.testing.assert_allclose(found, np.asarray(expected, np.float32), rtol=1e-6)
    assert found.dtype == torch.float32
    assert encoder.num_features == found.shape[-1] == spaces.flatdim(space)
    assert not list(encoder.parameters())


ATARI = spaces.Box(0, 255, (4, 84, 84), np.uint8)


def test_nature_network_has_the_published_number_of_parameters():
    """Mnih et al. (2015): 8,224 + 32,832 + 36,928 in convolutions, 3136 x 512 + 512 after them."""
    encoder = encoder_of(ATARI, 0)
    assert [p.numel() for p in encoder.parameters()] == [
        *(8192, 32),
        *(32768, 64),
        *(36864, 64),
        *(3136 * 512, 512),
    ]
    # with 18 actions: what is commonly counted for this network
    assert sum(p.numel() for p in encoder.parameters()) + 513 * 18 == 1_693_362
    assert encoder.num_features == 512


@pytest.mark.parametrize("shape", [(4, 84, 84), (3, 36, 50)])
@pytest.mark.parametrize("members", [1, 3])
def test_nature_network_is_stable_baselines(shape, members):
    space = spaces.Box(0, 255, shape, np.uint8)
    encoder = encoder_of(space, *range(members))
    _, (images,) = drawn(space, members, 2)
    found = encoder((images,))
    own = [p.detach() for p in encoder.parameters()]
    for m in range(members):
        peer = NatureCNN(space, 512)
        weights = [p[m] for p in own]
        weights[-2], weights[-1] = weights[-2].T, weights[-1][0]
        for p, value in zip(peer.parameters(), weights, strict=True):
            p.data.copy_(value)
        torch.testing.assert_close(found[m], peer(images[m] / 255), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("dtype", [np.uint8, np.bool_])
def test_small_frames_go_through_minatars_network(dtype):
    """Young & Tian (2019): 16 filters of 3 x 3, so 8 x 8 x 16 numbers, then 128 units."""
    space = spaces.Box(0, 1, (10, 10, 7), dtype)
    encoder = encoder_of(space, 0, 1)
    assert [tuple(p.shape[1:]) for p in encoder.parameters()] == [
        *((16, 7, 3, 3), (16,)),
        *((1024, 128), (1, 128)),
    ]
    _, (planes,) = drawn(space, 2, 5)
    convolution, bias, dense, dense_bias = (p[1] for p in encoder.parameters())
    maps = functional.conv2d(planes[1].permute(0, 3, 1, 2).float(), convolution, bias).relu()
    expected = (maps.flatten(1) @ dense + dense_bias).relu()  # planes of ones stay ones
    torch.testing.assert_close(encoder((planes,))[1], expected)


def test_without_its_dense_layer_an_image_ends_in_maps():
    whole, maps = encoder_of(ATARI, 3), encoder_of(ATARI, 3, dense=False)
    assert maps.num_features == 3136
    _, observation = drawn(ATARI, 1, 2)
    dense = whole.leaves[0].dense
    torch.testing.assert_close(whole(observation), dense(maps(observation)).relu())


LAYOUTS = [
    # shape, the axes of rows and columns
    ((84, 84, 3), (0, 1)),
    ((3, 84, 84), (1, 2)),
    ((210, 160, 3), (0, 1)),
    ((10, 10, 10), (0, 1)),  # MinAtar's Seaquest
    ((4, 4, 9), (0, 1)),
    ((9, 4, 4), (1, 2)),
    ((7, 7, 3), (0, 1)),
    ((4, 64, 48, 3), (1, 2)),
    ((4, 3, 64, 48), (2, 3)),
    ((6, 10, 10), (1, 2)),
    ((84, 84), (0, 1)),
]


@pytest.mark.parametrize(("shape", "picture"), LAYOUTS)
def test_any_layout_is_the_same_picture(shape, picture):
    """Each gives what the (C, H, W) layout, by moving the picture's axes last, gives."""
    space = spaces.Box(0, 255, shape, np.uint8)
    encoder = ImageEncoder(space, rngs=generators(0))
    _, (images,) = drawn(space, 1, 2)
    moved = images.movedim([axis + 2 for axis in picture], (-2, -1))
    moved = moved.reshape(1, 2, -1, *moved.shape[-2:])
    maps = moved / 255
    for convolution in encoder.convolutions:
        maps = convolution(maps).relu()
    torch.testing.assert_close(encoder(images), encoder.dense(maps.flatten(2)).relu())


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((84, 84, 3), np.float32),
        ((84, 84, 3), np.int16),
        ((4, 128), np.uint8),  # stacked memory of an Atari console
        ((2, 2, 3), np.uint8),
        ((128,), np.uint8),
    ],
)
def test_what_is_no_image(shape, dtype):
    space = spaces.Box(0, 100, shape, dtype)
    assert image_axes(space) is None
    assert encoder_of(space, 0).num_features == np.prod(shape)
    with pytest.raises(ValueError, match="a Box of images of bytes or booleans, got Box"):
        ImageEncoder(space, rngs=generators(0))


MIXED = spaces.Dict(
    camera=spaces.Box(0, 255, (12, 12, 3), np.uint8),
    floor=spaces.Discrete(3, start=4),
    place=spaces.Box(-1, 1, (2,)),
    map=spaces.Box(0, 255, (1, 40, 40), np.uint8),
)


def test_leaves_are_encoded_each_and_put_side_by_side():
    encoder = encoder_of(MIXED, 0, 1)
    _, observation = drawn(MIXED, 2, 3)
    found = encoder(observation)
    assert encoder.num_features == found.shape[-1] == 128 + 3 + 2 + 512
    parts = found.split([128, 3, 2, 512], dim=-1)
    names = ObservationLeaves(MIXED).names
    assert names == ("camera", "floor", "place", "map")
    for part, encode, x in zip(parts, encoder.leaves, observation, strict=True):
        torch.testing.assert_close(part, encode(x))


def test_members_are_alone():
    five, alone = encoder_of(MIXED, 0, 1, 2, 3, 4), encoder_of(MIXED, 2)
    for many, one in zip(five.parameters(), alone.parameters(), strict=True):
        assert torch.equal(many[2], one[0])
    _, observation = drawn(MIXED, 5, 3)
    own = tuple(x[2:3] for x in observation)
    torch.testing.assert_close(five(observation)[2], alone(own)[0], atol=1e-6, rtol=1e-6)


def test_every_parameter_gets_a_gradient_of_its_member_only():
    encoder = encoder_of(MIXED, 0, 1)
    encoder(drawn(MIXED, 2, 8)[1])[1].sum().backward()
    for p in encoder.parameters():
        assert p.grad[1].any() and not p.grad[0].any()


def test_double_precision():
    encoder = encoder_of(MIXED, 0, 1)
    _, observation = drawn(MIXED, 2, 3)
    single, double = encoder(observation), encoder.double()(observation)
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), single, atol=1e-5, rtol=1e-5)


def test_orthogonal_weights():
    encoder = encoder_of(ATARI, 0, gain=2.0)
    filters = encoder.leaves[0].convolutions[2].weight[0].flatten(1)
    torch.testing.assert_close(filters @ filters.T, 4 * torch.eye(64), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("leaves", "names", "message"),
    [
        ([], None, "at least one leaf of the observation space, got none"),
        (
            [spaces.Discrete(2), spaces.Text(4)],
            ["a", "b.c"],
            "expected a Box, Discrete, MultiDiscrete or MultiBinary as leaf 'b.c' .* got Text",
        ),
        ([spaces.Dict(x=spaces.Discrete(2))], None, "as the leaf of the .* got Dict"),
        ([spaces.Box(0, 1, (3, 0))], ["empty"], "at least one number in leaf 'empty'"),
    ],
)
def test_mistakes(leaves, names, message):
    with pytest.raises(ValueError, match=message):
        Encoder(leaves, names, rngs=generators(0))


def test_a_leaf_too_few_is_an_error():
    encoder = encoder_of(FLAT["dict"], 0)
    with pytest.raises(ValueError, match="shorter"):
        encoder(drawn(FLAT["dict"], 1, 2)[1][:2])
