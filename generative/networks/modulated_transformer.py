r"""A transformer over the pieces of an event that is told a condition in every block.

An event becomes T tokens: the entries of a vector, the times of a sequence, square patches of a
picture. A condition c scales and shifts what both parts of a block see, and *gates* what they add,

.. math:: (\gamma_1, \beta_1, g_1, \gamma_2, \beta_2, g_2) = W\,\mathrm{SiLU}(c) + b, \qquad
    h \leftarrow h + g_1 \odot \operatorname{attention}\big((1 + \gamma_1) \odot \mathrm{LN}(h)
    + \beta_1\big), \qquad
    h \leftarrow h + g_2 \odot \operatorname{MLP}\big((1 + \gamma_2) \odot \mathrm{LN}(h)
    + \beta_2\big),

with a layer normalisation LN that has no parameters of its own. W and b start at zero, so that
every block starts as the identity, and so does the last layer, so that the network starts at zero.

References:
    W. Peebles, S. Xie (2023), Scalable diffusion models with transformers, arXiv:2212.09748,
        section 3.2 (patches, adaLN-Zero blocks, the last layer) and figure 3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from .attention import MultiHeadAttention, sinusoidal_positions
from .mlp import modulate

__all__ = ["ModulatedTransformer", "ModulatedTransformerBlock", "as_tokens", "from_tokens"]


def as_tokens(x: Float[Tensor, "batch ..."], patch_size: int) -> Float[Tensor, "batch tokens n"]:
    """(B, T, n) tokens: the D entries of (B, D), the L times of (B, C, L), or p x p patches.

    Patches of (B, C, H, W) go row by row; pictures that they do not divide are continued by zeros.

    Example:
        >>> as_tokens(torch.arange(8.0).view(1, 1, 2, 4), 2)
        tensor([[[0., 1., 4., 5.],
                 [2., 3., 6., 7.]]])
    """
    if x.dim() == 2:
        return x.unsqueeze(2)
    if x.dim() == 3:
        return x.transpose(1, 2)
    batch, channels, height, width = x.shape
    p = patch_size
    x = functional.pad(x, (0, -width % p, 0, -height % p))
    rows, columns = x.shape[2] // p, x.shape[3] // p
    pieces = x.view(batch, channels, rows, p, columns, p).permute(0, 2, 4, 1, 3, 5)
    return pieces.reshape(batch, rows * columns, channels * p * p)


def from_tokens(
    tokens: Float[Tensor, "batch tokens n"], event_shape: Sequence[int], patch_size: int
) -> Float[Tensor, "batch ..."]:
    """(B, *event) what `as_tokens` was given."""
    if len(event_shape) == 1:
        return tokens.squeeze(2)
    if len(event_shape) == 2:
        return tokens.transpose(1, 2)
    channels, height, width = event_shape
    rows, columns = (math.ceil(size / patch_size) for size in (height, width))
    pieces = tokens.view(-1, rows, columns, channels, patch_size, patch_size)
    whole = pieces.permute(0, 3, 1, 4, 2, 5).reshape(
        -1, channels, rows * patch_size, columns * patch_size
    )
    return whole[:, :, :height, :width]


class ModulatedTransformerBlock(nn.Module):
    """Attention and two dense layers, scaled, shifted and gated by a condition.

    Args:
        width: Features of a token.
        num_heads: Of the attention.
        num_condition: Numbers of the condition.
    """

    def __init__(self, width: int, num_heads: int, num_condition: int) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(width, num_heads)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.modulation = _zeroed(nn.Linear(num_condition, 6 * width))

    def forward(
        self,
        h: Float[Tensor, "batch tokens width"],
        condition: Float[Tensor, "#batch numbers"],
    ) -> Float[Tensor, "batch tokens width"]:
        """(B, T, width); the condition may have one row for the whole batch."""
        numbers: Tensor = self.modulation(functional.silu(condition)).unsqueeze(1)
        scale_1, shift_1, gate_1, scale_2, shift_2, gate_2 = numbers.chunk(6, dim=2)
        h = h + gate_1 * self.attention(modulate(_normalised(h), scale_1, shift_1))
        found: Tensor = h + gate_2 * self.mlp(modulate(_normalised(h), scale_2, shift_2))
        return found


class ModulatedTransformer(nn.Module):
    """From an event and a condition to something of the event's shape.

    Args:
        event_shape: (D,), (C, L) or (C, H, W).
        num_condition: Numbers of the condition.
        width: Features of a token, a multiple of the heads.
        num_layers: Blocks.
        num_heads: Of each attention.
        patch_size: Height and width of a picture's patches.

    Raises:
        ValueError: A number is out of range, the width cannot be shared out to the heads, or an
            event has too many axes.

    Example:
        >>> network = ModulatedTransformer((1, 7, 5), num_condition=4, width=8, num_heads=2)
        >>> network(torch.zeros(3, 1, 7, 5), torch.zeros(3, 4)).shape
        torch.Size([3, 1, 7, 5])
    """

    positions: Tensor

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        num_condition: int,
        width: int = 64,
        num_layers: int = 3,
        num_heads: int = 4,
        patch_size: int = 2,
    ) -> None:
        super().__init__()
        self._event_shape, self._patch_size = tuple(event_shape), patch_size
        if len(event_shape) not in (1, 2, 3) or min(num_condition, num_layers, patch_size) < 1:
            raise ValueError(
                f"expected events (D,), (C, L) or (C, H, W), and at least 1 number of the "
                f"condition, layer and entry of a patch's side, got {self._event_shape}, "
                f"{num_condition}, {num_layers} and {patch_size}"
            )
        tokens = as_tokens(torch.zeros(1, *event_shape), patch_size)
        num_tokens, size = tokens.shape[1:]
        self.first = nn.Linear(size, width)
        self.blocks = nn.ModuleList(
            ModulatedTransformerBlock(width, num_heads, num_condition) for _ in range(num_layers)
        )
        self.modulation = _zeroed(nn.Linear(num_condition, 2 * width))
        self.last = _zeroed(nn.Linear(width, size))
        self.register_buffer("positions", self._positions(num_tokens, width), persistent=False)

    def forward(
        self, x: Float[Tensor, "batch ..."], condition: Float[Tensor, "#batch numbers"]
    ) -> Float[Tensor, "batch ..."]:
        """(B, *event); the condition may have one row for the whole batch."""
        h = self.first(as_tokens(x, self._patch_size)) + self.positions
        for block in self.blocks:
            h = block(h, condition)
        numbers: Tensor = self.modulation(functional.silu(condition)).unsqueeze(1)
        scale, shift = numbers.chunk(2, dim=2)
        tokens = self.last(modulate(_normalised(h), scale, shift))
        return from_tokens(tokens, self._event_shape, self._patch_size)

    def _positions(self, num_tokens: int, width: int) -> Tensor:
        """(T, width) sines and cosines: of a patch's row in one half, of its column in another."""
        if len(self._event_shape) < 3:
            return sinusoidal_positions(num_tokens, width)
        columns = math.ceil(self._event_shape[2] / self._patch_size)
        rows = num_tokens // columns
        half = width // 2
        of_rows = sinusoidal_positions(rows, half).repeat_interleave(columns, dim=0)
        of_columns = sinusoidal_positions(columns, width - half).repeat(rows, 1)
        return torch.cat([of_rows, of_columns], dim=1)


def _normalised(h: Tensor) -> Tensor:
    return functional.layer_norm(h, h.shape[-1:])


def _zeroed(layer: nn.Linear) -> nn.Linear:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
