"""Convolutions up and down: sizes, what reaches what, and where nothing does."""

import pytest
import torch
from gymagine.generative.networks.residual_conv import ConvDown, ConvUp, ResidualBlock, map_sizes


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (28, 28), (1, 5)])
def test_any_size_comes_back(size):
    sizes = map_sizes(*size, 2)
    down, up = ConvDown(3, (4, 6), 5), ConvUp(5, (4, 6), 2, sizes=sizes)
    maps = down(torch.zeros(2, 3, *size))
    assert maps.shape == (2, 5, *sizes[-1])
    assert up(maps).shape == (2, 2, *size)


def test_there_is_a_halving():
    with pytest.raises(ValueError, match="expected channels of at least one halving, got none"):
        ConvDown(3, (), 5)


def test_a_block_without_weights_is_the_identity():
    block = ResidualBlock(3, 0, torch.relu)
    with torch.no_grad():
        block.second.weight.zero_()
        block.second.bias.zero_()
    h = torch.randn(2, 3, 4, 4)
    assert torch.equal(block(h), h)


def test_context_shifts_every_place_alike():
    block = ResidualBlock(2, 3, lambda h: h)  # linear, but for the borders
    h, context = torch.zeros(1, 2, 4, 5), torch.randn(1, 3)
    moved = block(h, context) - block(h, torch.zeros(1, 3))
    assert moved.abs().min() > 0
    torch.testing.assert_close(moved, moved[:, :, :1, :1].expand_as(moved))


def test_what_a_place_of_the_map_sees():
    down = ConvDown(1, (4,), 2, activation=torch.tanh)
    x = torch.zeros(1, 1, 12, 12, requires_grad=True)
    (slope,) = torch.autograd.grad(down(x)[0, :, 3, 3].sum(), [x])
    rows = (slope[0, 0] != 0).any(dim=1).nonzero().flatten().tolist()
    # a 3 x 3 of stride 2 around row 6, and a 3 x 3 over the halved map: 3 + 2 * 2 rows
    assert rows == list(range(3, 10))
