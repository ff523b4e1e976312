r"""The two stacks of a gated PixelCNN: a layer of both, and both pixel by pixel.

A layer has the equations of `gated_pixelcnn`. Over whole pictures it is four convolutions; over a
picture that is being drawn, nothing is computed twice: the vertical features of a row depend on
rows above alone, and the horizontal features of a pixel on those to its left.

References:
    A. van den Oord, N. Kalchbrenner, O. Vinyals, L. Espeholt, A. Graves and K. Kavukcuoglu (2016),
        Conditional image generation with PixelCNN decoders, arXiv:1606.05328, equation 2 and
        figure 2.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ..networks.masked import MaskedConv2d, raster_connections

__all__ = ["GatedLayer", "PixelScan", "dealt_channels", "gated", "pointwise_mask"]


def gated(gates: Tensor) -> Tensor:
    """(B, F, ...) of (B, 2F, ...): equation 2."""
    value, gate = gates.chunk(2, dim=1)
    return value.tanh() * gate.sigmoid()


def dealt_channels(num_features: int, channels: int) -> NDArray[np.int64]:
    """(F,) the picture's channels, each with as many features as any other but for one.

    Example:
        >>> dealt_channels(5, 3)
        array([0, 0, 1, 1, 2])
    """
    return np.arange(num_features) * channels // num_features


def pointwise_mask(inputs: NDArray[np.int64], outputs: NDArray[np.int64]) -> Tensor:
    """(out, in, 1, 1) the mask B of a kernel that sees its own pixel alone."""
    return raster_connections(inputs, outputs, (1, 1), (0, 0), strict=False)


class GatedLayer(nn.Module):
    """One layer of the vertical and the horizontal stack.

    Args:
        inputs: (in,) channels of the picture to which the channels of the input belong.
        outputs: (F,) the same of the layer's features.
        kernel_size: Odd.
        num_context: Of the context; 0 for none.
        is_first: Whether the input is the picture itself.
    """

    def __init__(
        self,
        inputs: NDArray[np.int64],
        outputs: NDArray[np.int64],
        kernel_size: int,
        num_context: int,
        *,
        is_first: bool,
    ) -> None:
        super().__init__()
        gates = np.tile(outputs, 2)
        self.is_first, self.reach = is_first, kernel_size // 2
        # rows above the pixel, and in later layers, which see only rows above, its own row too
        self.rows = self.reach if is_first else self.reach + 1
        self.vertical = nn.Conv2d(len(inputs), len(gates), (self.rows, kernel_size))
        kernel, centre = (1, self.reach + 1), (0, self.reach)
        self.horizontal = MaskedConv2d(
            raster_connections(inputs, gates, kernel, centre, strict=is_first)
        )
        self.across = nn.Conv2d(len(gates), len(gates), 1, bias=False)
        self.residual = MaskedConv2d(pointwise_mask(outputs, outputs))
        self.context = (
            nn.Conv2d(num_context, 2 * len(gates), 1, bias=False) if num_context else None
        )

    def forward(
        self,
        vertical: Float[Tensor, "batch inputs height width"],
        horizontal: Float[Tensor, "batch inputs height width"],
        context: Float[Tensor, "batch features _ _"] | None,
    ) -> tuple[Float[Tensor, "batch outputs height width"], ...]:
        """(B, F, H, W) features of both stacks, from those of the layer before."""
        reach, height = self.reach, vertical.shape[2]
        of_vertical, of_horizontal = self.biases(context)
        padded = functional.pad(vertical, (reach, reach, self.rows - (not self.is_first), 0))
        above = self.vertical(padded)[:, :, :height]
        beside = self.horizontal(functional.pad(horizontal, (reach, 0)))
        found: Tensor = self.residual(gated(beside + self.across(above) + of_horizontal))
        return gated(above + of_vertical), found if self.is_first else horizontal + found

    def biases(self, context: Tensor | None) -> tuple[Tensor | float, Tensor | float]:
        """(B, 2F, H or 1, W or 1) what the context adds to the gates of either stack."""
        if self.context is None or context is None:
            return 0.0, 0.0
        of_vertical, of_horizontal = self.context(context).chunk(2, dim=1)
        return of_vertical, of_horizontal


class PixelScan:
    """The features of pictures that become known pixel by pixel, each computed once.

    Args:
        layers: Of both stacks.
        heads: Kernels that see their own pixel alone: from the last layer's features to the
            parameters of all channels.
        event_shape: (C, H, W) of a picture.
        num: B, pictures at the same time.
        context: (B, F, H or 1, W or 1), where the layers take one.
    """

    def __init__(
        self,
        layers: Sequence[GatedLayer],
        heads: Sequence[MaskedConv2d],
        event_shape: tuple[int, ...],
        num: int,
        context: Tensor | None,
    ) -> None:
        self._layers = layers
        self._channels, height, self._width = event_shape
        weights = [layer.horizontal.masked_weight() for layer in self._layers]
        # taps first, as windows lie in memory
        self._beside = [w.squeeze(2).permute(2, 1, 0).flatten(0, 1) for w in weights]
        self._residual = [_matrix(layer.residual) for layer in self._layers]
        self._heads = [(_matrix(head), head.bias) for head in heads]
        self._of_context = [
            [
                bias if isinstance(bias, float) else bias.expand(-1, -1, height, self._width)
                for bias in layer.biases(context)
            ]
            for layer in self._layers
        ]
        # what each layer's kernels reach of its inputs: rows above, with padding ...
        new, reaches = weights[0].new_zeros, [layer.reach for layer in self._layers]
        sizes = [weight.shape[1] for weight in weights]
        self._rows = [
            new(num, size, layer.rows, self._width + 2 * reach)
            for layer, size, reach in zip(self._layers, sizes, reaches, strict=True)
        ]
        # ... and the row itself, channels last
        self._line = [
            new(num, self._width + reach, size) for size, reach in zip(sizes, reaches, strict=True)
        ]
        self._across: list[Tensor] = []

    def begin_row(self, row: int) -> None:
        """Compute the vertical stack of a row, all rows above which are known."""
        if row > 0:
            reach = self._layers[0].reach
            self._push(0, self._line[0][:, reach:].transpose(1, 2))
        self._across = []
        features = self._rows[0]  # of the layer below
        for i, layer in enumerate(self._layers):
            if i > 0:
                self._push(i, features)
            above = layer.vertical(self._rows[i]).squeeze(2)
            own = [
                bias if isinstance(bias, float) else bias[:, :, row]
                for bias in self._of_context[i]
            ]
            features = gated(above + own[0])
            across = functional.conv1d(above, layer.across.weight.squeeze(2))
            across = across + own[1] + layer.horizontal.bias[:, None]
            self._across.append(across.permute(2, 0, 1).contiguous())
        for line in self._line:
            line.zero_()

    def outputs(self, column: int) -> Float[Tensor, "batch channels outputs"]:
        """(B, C, P) the parameters of a pixel's channels, given what has been put."""
        h = self._line[0]
        for i, layer in enumerate(self._layers):
            window = self._line[i][:, column : column + layer.reach + 1].flatten(1)
            gates = torch.addmm(self._across[i][column], window, self._beside[i])
            weight, bias = self._residual[i], layer.residual.bias
            found = torch.addmm(bias, gated(gates), weight)
            h = found if i == 0 else h + found
            if i + 1 < len(self._layers):
                self._line[i + 1][:, column + self._layers[i + 1].reach] = h
        for weight, bias in self._heads:
            h = torch.addmm(bias, h.relu(), weight)
        return h.view(len(h), self._channels, -1)

    def put(self, column: int, channel: int, inputs: Float[Tensor, "batch inputs"]) -> None:
        """Make a channel of a pixel known: (B, I) what the network is told of it."""
        size = inputs.shape[1]
        own = slice(channel * size, (channel + 1) * size)
        self._line[0][:, column + self._layers[0].reach, own] = inputs

    def _push(self, layer: int, row: Tensor) -> None:
        """Let (B, in, W) be the lowest of the rows that a layer's vertical kernel sees."""
        rows, reach = self._rows[layer], self._layers[layer].reach
        rows[:, :, :-1] = rows[:, :, 1:].clone()
        rows[:, :, -1, reach : reach + self._width] = row


def _matrix(layer: MaskedConv2d) -> Tensor:
    """(in, out) of a kernel that sees its own pixel alone."""
    return layer.masked_weight()[:, :, 0, 0].T
