r"""Gated conditional PixelCNN: causal convolutions over pictures, without a blind spot.

A pixel is drawn given all pixels above it and those to its left, and its channels one after the
other. Two stacks of convolutions together see exactly that, which one stack of masked square
kernels does not: the pixels above to the right stay hidden from it. With layers l, pixels (r, c)
and :math:`n = (k - 1)/2` for kernels of size k,

.. math::
    a^l &= W_v * v^{l-1} \quad \text{over rows } r-n \dots r,\ \text{columns } c-n \dots c+n , \\
    v^l &= \operatorname{gate}(a^l + V_v c), \\
    b^l &= W_h * h^{l-1} + W_{vh} a^l \quad \text{over columns } c-n \dots c \text{ of row } r , \\
    h^l &= h^{l-1} + W_r \operatorname{gate}(b^l + V_h c) , \qquad
    \operatorname{gate}\big(\begin{smallmatrix} f \\ g \end{smallmatrix}\big)
        = \tanh(f) \odot \operatorname{sigmoid}(g) .

In the first layer, whose inputs are the pixels, the vertical kernel ends with the row above, and
the horizontal one has mask A at the pixel itself; later ones have mask B. Channels of features
are dealt out to those of the picture, and masks keep their order. With L layers and a first kernel
of size :math:`2 n_1 + 1` a pixel sees :math:`R = n_1 + (L-1) n` rows above, over R columns to both
sides, and R pixels to its left: choose R of at least the picture's side to let it see all.

The context c is a vector, the same everywhere, or a map (F, H, W), a part of which reaches the
pixels of its row and of the rows below.

*Sampling* computes each feature once: the vertical stack for a whole row when it begins, from the
last rows that are kept, and the horizontal stack pixel by pixel, from the features to the left.

References:
    A. van den Oord, N. Kalchbrenner, O. Vinyals, L. Espeholt, A. Graves and K. Kavukcuoglu (2016),
        Conditional image generation with PixelCNN decoders, arXiv:1606.05328, equations 2 to 5 and
        figures 1 and 2.
    A. van den Oord, N. Kalchbrenner and K. Kavukcuoglu (2016), Pixel recurrent neural networks,
        arXiv:1601.06759, section 3.4 (masks A and B, order of channels).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from ...configuration import build_config, check_fields
from ..networks.masked import MaskedConv2d
from .autoregressive import (
    CONDITIONAL_CHOICES,
    CONDITIONAL_RANGES,
    AbstractAutoregressive,
    AbstractConditionalConfig,
    KnownEntries,
    network_inputs,
    raster_event,
    raster_sequence,
)
from .gated_stacks import GatedLayer, PixelScan, dealt_channels, pointwise_mask

__all__ = ["GatedPixelCNN", "GatedPixelCNNConfig"]

_RANGES = CONDITIONAL_RANGES | {
    "num_features": (1, math.inf, True),
    "num_layers": (1, math.inf, True),
    "first_kernel_size": (3, math.inf, True),
    "kernel_size": (3, math.inf, True),
    "num_head_features": (1, math.inf, True),
}
_CHOICES = CONDITIONAL_CHOICES


@dataclass(frozen=True)
class GatedPixelCNNConfig(AbstractConditionalConfig):
    """Hyper-parameters of the gated PixelCNN; the sizes train on a CPU.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    one_hot: bool = False
    """Tell the network levels by an indicator each, in place of one number from -1 to 1: for
    levels without an order, such as codes."""
    num_features: int = 32
    """Of a pixel in each of the two stacks; at least the picture's channels."""
    num_layers: int = 6
    """Of both stacks."""
    first_kernel_size: int = 7
    """Of the layer on pixels; odd."""
    kernel_size: int = 5
    """Of the later layers; odd. With 3 a pixel depends on no others than those within 8 of it, and
    pictures of 28 x 28 do not hold together."""
    num_head_features: int = 64
    """Of the layer before the conditionals; at least the picture's channels."""

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, _CHOICES)
        for name in ("first_kernel_size", "kernel_size"):
            if getattr(self, name) % 2 == 0:
                raise ValueError(f"expected an odd {name}, got {getattr(self, name)}")


class GatedPixelCNN(AbstractAutoregressive):
    """A gated conditional PixelCNN.

    The *temperature* of samples is that of every conditional: see `conditionals`.

    Args:
        event_shape: (C, H, W) of a picture.
        context_shape: Of a context, which reaches every conditional; (F, H, W) with the picture's
            sides for a map; None for none.
        hyperparameters: Fields of `GatedPixelCNNConfig`.

    Attributes:
        conditional: What entries are drawn from.

    Raises:
        TypeError: A hyper-parameter is unknown.
        ValueError: A hyper-parameter is out of range, events are no pictures, or they have more
            channels than there are features.

    Example:
        >>> model = GatedPixelCNN((1, 5, 5), num_features=8, num_layers=2)
        >>> x = model.sample(2)
        >>> x.shape, model.log_prob(x).shape
        (torch.Size([2, 1, 5, 5]), torch.Size([2]))
    """

    Config = GatedPixelCNNConfig
    name = "gated-pixelcnn"
    # the batches of van den Oord et al. on MNIST; 128 pictures of 28 x 28 take more than a second
    fit_defaults: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "num_updates": 3_000,
            "batch_size": 16,
            "learning_rate": 2e-3,
            "step_sizes": "cosine",
            "evaluation_interval": 1_000,
        }
    )

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        context_shape: Sequence[int] | None = None,
        **hyperparameters: object,
    ) -> None:
        config = build_config(GatedPixelCNNConfig, hyperparameters, type(self).__name__)
        super().__init__(event_shape, context_shape=context_shape, config=config)
        if len(self.event_shape) != 3:
            raise ValueError(f"expected pictures of shape (C, H, W), got {self.event_shape}")
        conditional = self.conditional
        channels = self.event_shape[0]
        least = min(config.num_features, config.num_head_features)
        if least < channels:
            raise ValueError(f"expected features for each of {channels} channels, got {least}")
        inputs = (conditional.num_values if config.one_hot else None) or 1
        of_pixels = np.repeat(np.arange(channels), inputs)
        of_features = dealt_channels(config.num_features, channels)
        of_head = dealt_channels(config.num_head_features, channels)
        of_outputs = np.repeat(np.arange(channels), conditional.num_parameters)
        self._has_map = self.context_shape is not None and (
            len(self.context_shape) == 3 and self.context_shape[1:] == self.event_shape[1:]
        )
        num_context = 0
        if self.context_shape is not None:
            num_context = self.context_shape[0] if self._has_map else math.prod(self.context_shape)
        self.layers = nn.ModuleList(
            GatedLayer(
                of_pixels if i == 0 else of_features,
                of_features,
                config.first_kernel_size if i == 0 else config.kernel_size,
                num_context,
                is_first=i == 0,
            )
            for i in range(config.num_layers)
        )
        self.head_1 = MaskedConv2d(pointwise_mask(of_features, of_head))
        self.head_2 = MaskedConv2d(pointwise_mask(of_head, of_outputs))
        with torch.no_grad():
            self.head_2.bias.copy_(conditional.initial_parameters().repeat(channels))

    # ---- the network ----------------------------------------------------------------------------

    def conditional_parameters(
        self,
        x: Shaped[Tensor, "batch ..."],
        context: Float[Tensor, "batch ..."] | None = None,
    ) -> Float[Tensor, "batch ..."]:
        """(B, C, H, W, P) the parameters of every entry's conditional.

        Args:
            x: (B, C, H, W) pictures.
            context: (B, *context), if the generator takes one.
        """
        inputs = self._inputs(x).movedim(-1, 2).flatten(1, 2)
        place = self._context_map(context)
        vertical = horizontal = inputs
        for layer in self.layers:
            vertical, horizontal = layer(vertical, horizontal, place)
        outputs = self.head_2(self.head_1(horizontal.relu()).relu())
        outputs = outputs.to(inputs.dtype)  # likelihoods need more digits than bfloat16 has
        channels, *sides = self.event_shape
        found: Tensor = outputs.view(len(x), channels, -1, *sides).movedim(2, -1)
        return found

    def _inputs(self, x: Tensor) -> Tensor:
        """(B, ..., I) what the network is told of (B, ...) entries."""
        one_hot = self.config.one_hot
        return network_inputs(self.conditional, x, self.example.dtype, one_hot=one_hot)

    def _scan(self, num: int, context: Tensor | None) -> PixelScan:
        layers = [layer for layer in self.layers if isinstance(layer, GatedLayer)]
        heads = self.head_1, self.head_2
        return PixelScan(layers, heads, self.event_shape, num, self._context_map(context))

    def _context_map(self, context: Tensor | None) -> Tensor | None:
        """(B, F, H, W), or (B, F, 1, 1) where it is the same everywhere."""
        if context is None or self._has_map:
            return context
        return context.flatten(1)[..., None, None]

    # ---- the contract ---------------------------------------------------------------------------

    def _log_prob(self, x: Tensor, context: Tensor | None) -> Tensor:
        parameters = self.conditional_parameters(x, context)
        return self.conditional.log_prob(parameters, x).flatten(1).sum(dim=1)

    def _loss(self, x: Tensor, context: Tensor | None, rng: torch.Generator | None) -> Tensor:
        return -self._log_prob(x, context)

    def _complete(
        self,
        num: int,
        context: Tensor | None,
        temperature: float,
        rng: torch.Generator | None,
        given: KnownEntries | None,
    ) -> Tensor:
        known = None if given is None else given.arranged(raster_sequence)
        channels, height, width = self.event_shape
        scan = self._scan(num, context)
        drawn: list[Tensor] = []
        for row in range(height):
            scan.begin_row(row)
            for column in range(width):
                for channel in range(channels):
                    parameters = scan.outputs(column)[:, channel]
                    x = self.conditional.sample(parameters, temperature, rng)
                    drawn.append(x if known is None else known.over(x, len(drawn)))
                    scan.put(column, channel, self._inputs(drawn[-1]))
        return raster_event(torch.stack(drawn, dim=1), self.event_shape)
