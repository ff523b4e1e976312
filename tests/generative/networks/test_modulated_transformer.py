"""Tokens and back, and what a condition does to a transformer."""

import pytest
import torch
from gymagine.generative.networks.modulated_transformer import (
    ModulatedTransformer,
    ModulatedTransformerBlock,
    as_tokens,
    from_tokens,
)
from torch import nn
from torch.testing import assert_close

SHAPES = {"vectors": (5,), "sequences": (2, 6), "pictures": (3, 4, 6), "odd pictures": (1, 5, 7)}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_tokens_are_the_event(shape):
    x = torch.randn(4, *shape)
    tokens = as_tokens(x, 2)
    assert torch.equal(from_tokens(tokens, shape, 2), x)
    counts = {(5,): 5, (2, 6): 6, (3, 4, 6): 6, (1, 5, 7): 12}
    assert tokens.shape[1] == counts[shape]


def test_a_patch_is_a_square_of_all_channels():
    x = torch.arange(2 * 4 * 4.0).view(1, 2, 4, 4)
    tokens = as_tokens(x, 2)
    assert torch.equal(tokens[0, 3], x[0, :, 2:, 2:].flatten())


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_it_starts_as_zero_and_its_blocks_as_the_identity(shape):
    network = ModulatedTransformer(shape, num_condition=4, width=8, num_heads=2)
    assert not network(torch.randn(3, *shape), torch.randn(3, 4)).any()
    h = torch.randn(3, 5, 8)
    assert torch.equal(network.blocks[0](h, torch.randn(3, 4)), h)


def disturbed(module):
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module.double()


def test_a_block_by_its_formula():
    block = disturbed(ModulatedTransformerBlock(8, 2, 4))
    h = torch.randn(3, 5, 8, dtype=torch.float64)
    condition = torch.randn(3, 4, dtype=torch.float64)
    numbers = block.modulation(condition * condition.sigmoid())
    scale_1, shift_1, gate_1, scale_2, shift_2, gate_2 = numbers.unsqueeze(1).split(8, dim=2)

    def normalised(h):
        centred = h - h.mean(dim=2, keepdim=True)
        return centred / (centred.square().mean(dim=2, keepdim=True) + 1e-5).sqrt()

    between = h + gate_1 * block.attention((1 + scale_1) * normalised(h) + shift_1)
    expected = between + gate_2 * block.mlp((1 + scale_2) * normalised(between) + shift_2)
    assert_close(block(h, condition), expected)
    assert_close(block(h, condition[:1]), block(h, condition[:1].expand(3, 4)))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_every_entry_sees_every_other(shape):
    network = disturbed(ModulatedTransformer(shape, num_condition=4, width=8, num_heads=2))
    x, condition = torch.randn(1, *shape).double(), torch.randn(1, 4).double()
    slopes = torch.autograd.functional.jacobian(lambda x: network(x, condition).flatten(), x)
    assert (slopes.flatten(1) != 0).all()


def test_order_matters():
    network = disturbed(ModulatedTransformer((5,), num_condition=4, width=8, num_heads=2))
    x, condition = torch.randn(1, 5).double(), torch.randn(1, 4).double()
    assert not torch.allclose(network(x.flip(1), condition), network(x, condition).flip(1))
    pictures = disturbed(ModulatedTransformer((1, 4, 4), num_condition=4, width=8, num_heads=2))
    assert len(pictures.positions.unique(dim=0)) == 4


@pytest.mark.parametrize(
    ("shape", "settings", "message"),
    [
        ((5,), {"width": 10, "num_heads": 4}, "got 10 and 4"),
        ((1, 2, 3, 4), {}, r"expected events \(D,\), \(C, L\) or \(C, H, W\)"),
        ((5,), {"num_layers": 0}, "at least 1 number of the condition, layer"),
    ],
)
def test_mistakes(shape, settings, message):
    with pytest.raises(ValueError, match=message):
        ModulatedTransformer(shape, num_condition=4, **settings)
