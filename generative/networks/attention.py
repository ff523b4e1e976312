r"""Multi-head attention, and the transformer's block.

For queries, keys and values :math:`Q, K, V` of a head, with rows for positions and :math:`d_k`
columns,

.. math:: \operatorname{attention}(Q, K, V) = \operatorname{softmax}
    \Big(\frac{Q K^\top}{\sqrt{d_k}} + M\Big) V ,

where the mask M is zero or, in *causal* attention, :math:`-\infty` for keys at positions after the
query's. Without a mask attention commutes with permutations of the positions: order comes
from what is added to the inputs, such as

.. math:: e_{p,2i} = \sin\big(p\, 10000^{-2i/d}\big), \qquad
    e_{p,2i+1} = \cos\big(p\, 10000^{-2i/d}\big).

A block normalises *before* each of its two parts (pre-LN), which learns without a warm-up:

.. math:: h \leftarrow h + \operatorname{attention}(\operatorname{LN}(h)), \qquad
    h \leftarrow h + \operatorname{MLP}(\operatorname{LN}(h)).

In causal attention no later position changes an earlier one's keys and values. A `KeyValueCache`
holds them, so that one more position costs one query in place of all over again.

References:
    A. Vaswani et al. (2017), Attention is all you need, arXiv:1706.03762, equation 1 and sections
        3.2 to 3.5.
    R. Xiong et al. (2020), On layer normalization in the transformer architecture,
        arXiv:2002.04745, table 1 (pre-LN).
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "KeyValueCache",
    "MultiHeadAttention",
    "TransformerBlock",
    "sinusoidal_positions",
]


def sinusoidal_positions(num_positions: int, width: int) -> Float[Tensor, "positions width"]:
    """(T, d) sines and cosines of positions from 0.

    Example:
        >>> sinusoidal_positions(2, 4)
        tensor([[0.0000, 1.0000, 0.0000, 1.0000],
                [0.8415, 0.5403, 0.0100, 0.9999]])
    """
    pairs = torch.arange((width + 1) // 2, dtype=torch.float64)
    angles = torch.outer(
        torch.arange(num_positions, dtype=torch.float64),
        torch.exp(pairs * -2 * math.log(1e4) / width),
    )
    interleaved = torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)
    return interleaved[:, :width].to(torch.get_default_dtype())


class KeyValueCache:
    """Keys and values of the positions that a causal attention has seen.

    Args:
        num_positions: How many there is room for.

    Attributes:
        length: How many it holds.
    """

    def __init__(self, num_positions: int) -> None:
        self.num_positions, self.length = num_positions, 0
        self._kept: Tensor | None = None

    def extended(
        self, keys_values: Float[Tensor, "two batch heads positions channels"]
    ) -> Float[Tensor, "two batch heads all_positions channels"]:
        """Add (2, B, heads, T, d) keys and values; returns those of all positions so far."""
        two, batch, heads, new, channels = keys_values.shape
        if self._kept is None:
            self._kept = keys_values.new_empty(two, batch, heads, self.num_positions, channels)
        begin, self.length = self.length, self.length + new
        self._kept[:, :, :, begin : self.length] = keys_values
        return self._kept[:, :, :, : self.length]


class MultiHeadAttention(nn.Module):
    """Attention of a sequence to itself.

    Args:
        width: Features of a position, in and out.
        num_heads: Attentions side by side, each with width / num_heads features.

    Raises:
        ValueError: The width cannot be shared out to the heads.

    Example:
        >>> attention = MultiHeadAttention(8, 2)
        >>> attention(torch.randn(3, 5, 8)).shape
        torch.Size([3, 5, 8])
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        if width < 1 or num_heads < 1 or width % num_heads:
            raise ValueError(
                f"expected a width that is a multiple of the number of heads, got {width} and "
                f"{num_heads}"
            )
        self.num_heads = num_heads
        self.project_in = nn.Linear(width, 3 * width)
        self.project_out = nn.Linear(width, width)

    def forward(
        self,
        x: Float[Tensor, "batch positions width"],
        *,
        causal: bool = False,
        cache: KeyValueCache | None = None,
    ) -> Float[Tensor, "batch positions width"]:
        """(B, T, width) what each position takes from all, or from those up to itself.

        Args:
            x: (B, T, width).
            causal: Whether later positions are hidden.
            cache: Of earlier positions, which come before x and are attended to as well; x joins
                them. Attention is then causal.
        """
        batch, length, width = x.shape
        projected: Tensor = self.project_in(x)
        heads = projected.view(batch, length, 3, self.num_heads, width // self.num_heads)
        queries, keys, values = heads.permute(2, 0, 3, 1, 4)
        if cache is None:
            mixed = functional.scaled_dot_product_attention(
                queries, keys, values, is_causal=causal
            )
        else:
            keys, values = cache.extended(torch.stack([keys, values]))
            hidden = None
            if length > 1:
                allowed = torch.ones(length, cache.length, dtype=torch.bool, device=x.device)
                hidden = allowed.tril(cache.length - length)
            mixed = functional.scaled_dot_product_attention(queries, keys, values, hidden)
        found: Tensor = self.project_out(mixed.transpose(1, 2).reshape(batch, length, width))
        return found


class TransformerBlock(nn.Module):
    """Attention and two dense layers, each of the normalised input and added to it.

    Args:
        width: Features of a position.
        num_heads: Of the attention.

    Raises:
        ValueError: The width cannot be shared out to the heads.

    Example:
        >>> block, x = TransformerBlock(8, 2), torch.randn(3, 5, 8)
        >>> cache = KeyValueCache(5)
        >>> steps = [block(x[:, t : t + 1], cache=cache) for t in range(5)]
        >>> torch.allclose(torch.cat(steps, dim=1), block(x, causal=True), atol=1e-5)
        True
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = MultiHeadAttention(width, num_heads)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(
        self,
        x: Float[Tensor, "batch positions width"],
        *,
        causal: bool = False,
        cache: KeyValueCache | None = None,
    ) -> Float[Tensor, "batch positions width"]:
        """(B, T, width), with the arguments of `MultiHeadAttention`."""
        x = x + self.attention(self.norm_1(x), causal=causal, cache=cache)
        found: Tensor = x + self.mlp(self.norm_2(x))
        return found
