"""Networks between events and grids of vectors, one for each code of a vector-quantised latent."""

from __future__ import annotations

import math
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from ..networks.coders import CoderSettings, Decoder, Encoder, is_convolutional
from ..networks.mlp import activation_function
from ..networks.residual_conv import ConvDown, ConvUp, map_sizes

__all__ = ["GridDecoder", "GridEncoder", "grid_shape"]


def grid_shape(
    event_shape: Sequence[int], settings: CoderSettings, num_positions: int
) -> tuple[int, ...]:
    """(h, w) of a picture's codes where convolutions make them, else (num_positions,).

    Example:
        >>> grid_shape((1, 28, 28), CoderSettings(), 4), grid_shape((64,), CoderSettings(), 4)
        ((7, 7), (4,))
    """
    if is_convolutional(settings.network, event_shape):
        return map_sizes(event_shape[1], event_shape[2], len(settings.channels))[-1]
    return (num_positions,)


class GridEncoder(nn.Module):
    """From events to a grid of vectors.

    Args:
        event_shape: Of the events.
        grid: Its shape, by `grid_shape`.
        size: d, numbers of a vector.
        settings: What the network is made of.
        context_shape: Of the context, or None.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        grid: Sequence[int],
        size: int,
        settings: CoderSettings,
        *,
        context_shape: Sequence[int] | None,
    ) -> None:
        super().__init__()
        self._size = size
        self.network: ConvDown | Encoder
        if is_convolutional(settings.network, event_shape):
            self.network = ConvDown(
                event_shape[0],
                settings.channels,
                size,
                context_size=0 if context_shape is None else math.prod(context_shape),
                activation=activation_function(settings.activation),
            )
        else:
            outputs = math.prod(grid) * size
            self.network = Encoder(event_shape, outputs, settings, context_shape=context_shape)

    def forward(
        self, x: Float[Tensor, "batch ..."], context: Float[Tensor, "batch ..."] | None
    ) -> Float[Tensor, "batch positions size"]:
        """(B, n, d) vectors of (B, *event), the grid row by row."""
        given = None if context is None else context.flatten(1)
        found: Tensor = self.network(x, given)
        if isinstance(self.network, ConvDown):
            return found.flatten(2).transpose(1, 2)
        return found.view(len(x), -1, self._size)


class GridDecoder(nn.Module):
    """From a grid of vectors to P numbers for each entry of an event.

    Args:
        grid: Its shape, by `grid_shape`.
        size: d, numbers of a vector.
        event_shape: Of the events.
        num_outputs: P.
        settings: What the network is made of.
        context_shape: Of the context, or None.
    """

    def __init__(
        self,
        grid: Sequence[int],
        size: int,
        event_shape: Sequence[int],
        num_outputs: int,
        settings: CoderSettings,
        *,
        context_shape: Sequence[int] | None,
    ) -> None:
        super().__init__()
        self._grid, self._event, self._num_outputs = tuple(grid), tuple(event_shape), num_outputs
        self.network: ConvUp | Decoder
        if is_convolutional(settings.network, event_shape):
            self.network = ConvUp(
                size,
                settings.channels,
                event_shape[0] * num_outputs,
                sizes=map_sizes(event_shape[1], event_shape[2], len(settings.channels)),
                context_size=0 if context_shape is None else math.prod(context_shape),
                activation=activation_function(settings.activation),
            )
        else:
            inputs = math.prod(grid) * size
            self.network = Decoder(
                inputs, event_shape, num_outputs, settings, context_shape=context_shape
            )

    def forward(
        self,
        z: Float[Tensor, "batch positions size"],
        context: Float[Tensor, "batch ..."] | None,
    ) -> Float[Tensor, "batch ..."]:
        """(B, *event, P) of (B, n, d) vectors."""
        given = None if context is None else context.flatten(1)
        if isinstance(self.network, Decoder):
            dense: Tensor = self.network(z.flatten(1), given)
            return dense
        maps: Tensor = self.network(
            z.transpose(1, 2).reshape(len(z), z.shape[2], *self._grid), given
        )
        channels, rows, columns = self._event
        return maps.view(len(z), channels, self._num_outputs, rows, columns).movedim(2, -1)
