"""Attention against its formula, PyTorch's own layer, and itself one position at a time."""

import math

import pytest
import torch
from gymagine.generative.networks.attention import (
    KeyValueCache,
    MultiHeadAttention,
    TransformerBlock,
    sinusoidal_positions,
)
from torch import nn
from torch.nn import functional
from torch.testing import assert_close


def sequences(batch=2, length=5, width=8, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(batch, length, width, generator=rng, dtype=torch.float64)


def made(module, *args):
    torch.manual_seed(0)
    return module(*args).double()


@pytest.mark.parametrize("causal", [False, True])
def test_attention_is_the_formula_head_by_head(causal):
    attention, x = made(MultiHeadAttention, 8, 2), sequences()
    q, k, v = attention.project_in(x).chunk(3, dim=2)
    hidden = torch.full((5, 5), -math.inf, dtype=torch.float64).triu(1) if causal else 0.0
    parts, torchs = [], []
    for head in (slice(0, 4), slice(4, 8)):
        scores = q[..., head] @ k[..., head].transpose(1, 2) / math.sqrt(4)
        parts.append((scores + hidden).softmax(dim=2) @ v[..., head])
        own = (part[..., head] for part in (q, k, v))
        torchs.append(functional.scaled_dot_product_attention(*own, is_causal=causal))
    expected = torch.cat(parts, dim=2)
    assert_close(torch.cat(torchs, dim=2), expected)
    assert_close(attention(x, causal=causal), attention.project_out(expected))


def test_attention_is_pytorchs_layer_with_the_same_weights():
    attention, x = made(MultiHeadAttention, 8, 4), sequences()
    layer = nn.MultiheadAttention(8, 4, batch_first=True, dtype=torch.float64)
    own = attention.state_dict()
    layer.load_state_dict(
        {
            "in_proj_weight": own["project_in.weight"],
            "in_proj_bias": own["project_in.bias"],
            "out_proj.weight": own["project_out.weight"],
            "out_proj.bias": own["project_out.bias"],
        }
    )
    later = torch.ones(5, 5, dtype=torch.bool).triu(1)
    assert_close(attention(x, causal=True), layer(x, x, x, attn_mask=later)[0])


def test_causal_blocks_see_all_that_came_before_and_nothing_else():
    block, x = made(TransformerBlock, 8, 2), sequences(1)
    slopes = torch.autograd.functional.jacobian(lambda x: block(x, causal=True)[0].sum(1), x)
    pattern = (slopes[:, 0] != 0).any(dim=2)
    assert torch.equal(pattern, torch.ones(5, 5, dtype=torch.bool).tril())


def test_without_a_mask_blocks_commute_with_permutations():
    block, x = made(TransformerBlock, 8, 2), sequences()
    order = torch.tensor([3, 1, 4, 0, 2])
    assert_close(block(x[:, order]), block(x)[:, order])
    causal = [block(x[:, order], causal=True), block(x, causal=True)[:, order]]
    assert not torch.allclose(*causal)


@pytest.mark.parametrize("pieces", [(1,) * 5, (3, 1, 1), (2, 3), (5,)], ids=str)
def test_a_cache_gives_the_same_as_all_at_once(pieces):
    block, x = made(TransformerBlock, 8, 2), sequences()
    cache = KeyValueCache(7)
    found = [block(piece, cache=cache) for piece in x.split(pieces, dim=1)]
    assert cache.length == 5
    assert_close(torch.cat(found, dim=1), block(x, causal=True))


def test_sinusoids_by_hand():
    found = sinusoidal_positions(50, 6)
    for p, i in ((0, 0), (7, 1), (49, 2)):
        angle = p / 10000 ** (2 * i / 6)
        assert_close(found[p, 2 * i].item(), math.sin(angle), atol=1e-6, rtol=0)
        assert_close(found[p, 2 * i + 1].item(), math.cos(angle), atol=1e-6, rtol=0)
    assert sinusoidal_positions(3, 5).shape == (3, 5)


def test_the_shift_of_sinusoids_is_a_rotation():
    """Section 3.5 of the paper: a position k later is a linear function of the position."""
    found = sinusoidal_positions(20, 4).double()
    shift = torch.linalg.lstsq(found[:-3], found[3:]).solution
    assert_close(found[:-3] @ shift, found[3:], atol=1e-5, rtol=0)
    assert_close(shift @ shift.T, torch.eye(4, dtype=torch.float64), atol=1e-4, rtol=0)


def test_heads_share_the_width():
    with pytest.raises(ValueError, match="got 10 and 4"):
        MultiHeadAttention(10, 4)
