"""Maps of any size keep it; a block starts as the identity; every condition counts."""

import math

import pytest
import torch
from gymagine.generative.networks.unet import ModulatedBlock, UNet, sinusoids


@pytest.mark.parametrize("size", [(8, 8), (7, 5), (28, 28), (3, 1)])
@pytest.mark.parametrize("multipliers", [(1,), (1, 2), (1, 1, 2)])
def test_pictures_keep_their_size(size, multipliers):
    network = UNet(2, 3, dims=2, num_condition=4, channels=4, multipliers=multipliers)
    assert network(torch.zeros(2, 2, *size), torch.zeros(2, 4)).shape == (2, 3, *size)


@pytest.mark.parametrize("num_blocks", [1, 2])
def test_sequences_keep_their_length(num_blocks):
    network = UNet(
        2, 2, dims=1, num_condition=4, channels=4, multipliers=(1, 2), num_blocks=num_blocks
    )
    assert network(torch.zeros(2, 2, 13), torch.zeros(2, 4)).shape == (2, 2, 13)


def test_a_block_starts_as_the_identity():
    block = ModulatedBlock(2, 8, 8, 4)
    x = torch.randn(2, 8, 5, 5)
    assert torch.equal(block(x, torch.randn(2, 4)), x)


def test_everything_reaches_everywhere():
    """With two levels of 8 x 8 the middle block sees the whole map."""
    torch.manual_seed(0)
    network = UNet(1, 1, dims=2, num_condition=3, channels=8, multipliers=(1, 2, 2))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    x = torch.randn(1, 1, 8, 8, requires_grad=True)
    condition = torch.randn(1, 3, requires_grad=True)
    corner = network(x, condition)[0, 0, 0, 0]
    by_x, by_condition = torch.autograd.grad(corner, [x, condition])
    assert (by_x != 0).all()
    assert (by_condition != 0).all()


def test_sinusoids():
    found = sinusoids(torch.tensor([0.0, 1.0, 250.0], dtype=torch.float64), 6)
    periods = [1.0, 100.0, 10_000.0]
    for row, position in zip(found, (0.0, 1.0, 250.0), strict=True):
        expected = [f(position / p) for f in (math.sin, math.cos) for p in periods]
        assert row.tolist() == pytest.approx(expected)


def test_mistakes():
    for wrong in ({"dims": 3}, {"channels": 0}, {"multipliers": ()}):
        settings = {"dims": 2, "num_condition": 2} | wrong
        with pytest.raises(ValueError, match="expected 1 or 2 dimensions"):
            UNet(1, 1, **settings)
