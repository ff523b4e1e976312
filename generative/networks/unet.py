r"""A U-Net for pictures or sequences that is told a condition at every level.

On the way down maps are halved and kept; on the way up they are spread again and the kept map of
the same size is put beside them, so that what is fine need not pass through the narrowest place. A
residual block is

.. math:: h \leftarrow h + W_2 * a\bigl(\mathrm{GN}(W_1 * a(\mathrm{GN}(h))) \odot (1 + \gamma)
    + \beta\bigr), \qquad (\gamma, \beta) = U c,

with group normalisation GN, SiLU a and the condition c; :math:`W_2` starts at zero, so that the
block starts as the identity. Maps may have any size: up goes to the size that there was. A group
has at least two channels, for of a map of one place nothing would be left of a single one.

References:
    O. Ronneberger, P. Fischer, T. Brox (2015), U-Net: convolutional networks for biomedical image
        segmentation, arXiv:1505.04597.
    J. Ho, A. Jain, P. Abbeel (2020), Denoising diffusion probabilistic models, arXiv:2006.11239,
        appendix B.
    P. Dhariwal, A. Nichol (2021), Diffusion models beat GANs on image synthesis,
        arXiv:2105.05233, section 3 (scale and shift).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from .mlp import modulate

__all__ = ["ModulatedBlock", "UNet", "sinusoids"]

_LARGEST_GROUPS, _LEAST_CHANNELS = 8, 2  # groups, and channels of each


def sinusoids(
    positions: Float[Tensor, " batch"], num_features: int, *, longest: float = 10_000.0
) -> Float[Tensor, "batch features"]:
    """(B, F) sines and cosines of positions, with periods from 2 pi to 2 pi ``longest``.

    Args:
        positions: (B,) such as times from 0 to 1,000.
        num_features: F, even.
        longest: Of the periods.

    References:
        A. Vaswani et al. (2017), Attention is all you need, arXiv:1706.03762, section 3.5.
    """
    half = num_features // 2
    steps = torch.arange(half, dtype=positions.dtype, device=positions.device) / max(half - 1, 1)
    angles = positions[:, None] * longest**-steps
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class ModulatedBlock(nn.Module):
    """A residual block of two convolutions that a condition scales and shifts.

    Args:
        dims: 1 for sequences, 2 for pictures.
        num_inputs: Channels that come in.
        num_outputs: Channels that come out.
        num_condition: Numbers of the condition.
    """

    def __init__(self, dims: int, num_inputs: int, num_outputs: int, num_condition: int) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = _norm(num_inputs), _norm(num_outputs)
        self.conv_1 = _convolution(dims, num_inputs, num_outputs)
        self.conv_2 = _zeroed(_convolution(dims, num_outputs, num_outputs))
        self.modulation = nn.Linear(num_condition, 2 * num_outputs)
        self.skip: nn.Module = nn.Identity()
        if num_inputs != num_outputs:
            self.skip = _convolution(dims, num_inputs, num_outputs, size=1)

    def forward(
        self, x: Float[Tensor, "batch channels ..."], condition: Float[Tensor, "#batch numbers"]
    ) -> Float[Tensor, "batch outputs ..."]:
        """The map of the same size; the condition may have one row for the whole batch."""
        h = self.conv_1(functional.silu(self.norm_1(x)))
        scale, shift = (
            part.view(*part.shape, *[1] * (x.dim() - 2))
            for part in self.modulation(functional.silu(condition)).chunk(2, dim=1)
        )
        h = self.conv_2(functional.silu(modulate(self.norm_2(h), scale, shift)))
        out: Tensor = self.skip(x) + h
        return out


class UNet(nn.Module):
    """From a map and a condition to a map of the same size.

    Args:
        num_inputs: Channels that come in.
        num_outputs: Channels that come out.
        dims: 1 for sequences (C, L), 2 for pictures (C, H, W).
        num_condition: Numbers of the condition.
        channels: Of the finest level.
        multipliers: By which each level has more; one halving between two.
        num_blocks: Residual blocks of each level, down and up each.

    Raises:
        ValueError: A number is out of range, or a level has a single channel.

    Example:
        >>> network = UNet(1, 1, dims=2, num_condition=4, channels=8, multipliers=(1, 2))
        >>> network(torch.zeros(3, 1, 7, 5), torch.zeros(3, 4)).shape
        torch.Size([3, 1, 7, 5])
    """

    def __init__(
        self,
        num_inputs: int,
        num_outputs: int,
        *,
        dims: int,
        num_condition: int,
        channels: int = 32,
        multipliers: Sequence[int] = (1, 2),
        num_blocks: int = 1,
    ) -> None:
        super().__init__()
        if dims not in (1, 2) or min(channels, num_blocks, *multipliers) < 1 or not multipliers:
            raise ValueError(
                f"expected 1 or 2 dimensions and at least 1 channel, block and level, got {dims}, "
                f"{channels}, {num_blocks} and {tuple(multipliers)}"
            )
        widths = [channels * multiplier for multiplier in multipliers]
        if min(widths) < _LEAST_CHANNELS:
            raise ValueError(
                f"expected at least {_LEAST_CHANNELS} channels in each level, for a single one "
                f"cannot be normalised where a map has one place, got {widths}"
            )
        self.first = _convolution(dims, num_inputs, widths[0])
        self.down, self.halvings = nn.ModuleList(), nn.ModuleList()
        kept, width = [widths[0]], widths[0]
        for level, wanted in enumerate(widths):
            for _ in range(num_blocks):
                self.down.append(ModulatedBlock(dims, width, wanted, num_condition))
                width = wanted
                kept.append(width)
            if level < len(widths) - 1:
                self.halvings.append(_convolution(dims, width, width, stride=2))
                kept.append(width)
        self.middle = ModulatedBlock(dims, width, width, num_condition)
        self.up = nn.ModuleList()
        for level, wanted in reversed(list(enumerate(widths))):
            for _ in range(num_blocks + 1):
                self.up.append(ModulatedBlock(dims, width + kept.pop(), wanted, num_condition))
                width = wanted
            if level:
                self.up.append(_Spread(dims, width))
        self.norm = _norm(width)
        self.last = _zeroed(_convolution(dims, width, num_outputs))
        self._num_blocks = num_blocks

    def forward(
        self, x: Float[Tensor, "batch channels ..."], condition: Float[Tensor, "#batch numbers"]
    ) -> Float[Tensor, "batch outputs ..."]:
        """The map."""
        x = self.first(x)
        kept, halvings = [x], iter(self.halvings)
        for number, block in enumerate(self.down, 1):
            x = block(x, condition)
            kept.append(x)
            if number % self._num_blocks == 0 and number < len(self.down):
                x = next(halvings)(x)
                kept.append(x)
        x = self.middle(x, condition)
        for block in self.up:
            if isinstance(block, _Spread):
                x = block(x, kept[-1].shape[2:])
            else:
                x = block(torch.cat([x, kept.pop()], dim=1), condition)
        out: Tensor = self.last(functional.silu(self.norm(x)))
        return out


class _Spread(nn.Module):
    """A finer map: each place twice, then a convolution."""

    def __init__(self, dims: int, num_channels: int) -> None:
        super().__init__()
        self.convolution = _convolution(dims, num_channels, num_channels)

    def forward(self, x: Tensor, size: torch.Size) -> Tensor:
        spread = functional.interpolate(x, size=tuple(size), mode="nearest")
        out: Tensor = self.convolution(spread)
        return out


def _convolution(
    dims: int, num_inputs: int, num_outputs: int, *, size: int = 3, stride: int = 1
) -> nn.Conv1d | nn.Conv2d:
    kind = nn.Conv1d if dims == 1 else nn.Conv2d
    return kind(num_inputs, num_outputs, size, stride=stride, padding=size // 2)


def _norm(num_channels: int) -> nn.GroupNorm:
    most = max(1, min(_LARGEST_GROUPS, num_channels // _LEAST_CHANNELS))
    groups = next(g for g in range(most, 0, -1) if num_channels % g == 0)
    return nn.GroupNorm(groups, num_channels)


def _zeroed(layer: nn.Conv1d | nn.Conv2d) -> nn.Conv1d | nn.Conv2d:
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
