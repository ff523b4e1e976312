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


@pytest.mark.parametrize(("dims", "size"), [(1, (1,)), (2, (1, 1)), (2, (2, 1))])
@pytest.mark.parametrize("channels", [2, 3, 4, 8])
def test_one_place_of_one_event_is_enough(dims, size, channels):
    """A group of a single number would be normalised to nothing, whatever the number."""
    torch.manual_seed(0)
    network = UNet(1, 1, dims=dims, num_condition=3, channels=channels, multipliers=(1, 2))
    for module in network.modules():
        if isinstance(module, torch.nn.GroupNorm):
            assert module.num_channels >= 2 * module.num_groups
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
    condition = torch.randn(1, 3)
    with torch.no_grad():
        found = [network(torch.full((1, 1, *size), x), condition) for x in (-2.0, 0.0, 2.0)]
    assert all(each.shape == (1, 1, *size) and each.isfinite().all() for each in found)
    if channels == 8:  # of fewer nearly nothing is left, but signs
        assert (found[0] - found[2]).abs().max() > 1e-3


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
    with pytest.raises(ValueError, match=r"at least 2 channels in each level.*got \[1, 2\]"):
        UNet(1, 1, dims=2, num_condition=2, channels=1, multipliers=(1, 2))
