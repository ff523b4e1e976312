"""Networks from events to numbers and from numbers to events: dense or convolutional.

Both take the context, flattened, if there is one: dense networks beside their input, convolutional
ones in every residual block.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from .mlp import MLP, Activation, activation_function
from .residual_conv import ConvDown, ConvUp, map_sizes

__all__ = ["CoderSettings", "Decoder", "Encoder", "NetworkName", "is_convolutional"]

NetworkName = Literal["auto", "linear", "mlp", "convolutional"]

_LEAST_PICTURE = 16  # rows and columns from which convolutions pay


@dataclass(frozen=True)
class CoderSettings:
    """How encoders and decoders are made.

    Attributes:
        network: ``linear``, ``mlp`` or ``convolutional``; ``auto`` takes convolutions for pictures
            (C, H, W) of at least 16 by 16, and dense layers for all else.
        hidden_sizes: Units of an encoder's dense layers; a decoder has them in reverse.
        channels: Of the maps after each halving of a picture.
        activation: Between the layers.
    """

    network: NetworkName = "auto"
    hidden_sizes: tuple[int, ...] = (256,)
    channels: tuple[int, ...] = (32, 64)
    activation: Activation = "relu"

    def are_convolutional(self, event_shape: Sequence[int]) -> bool:
        """Whether events of this shape go through convolutions: as `is_convolutional`.

        Raises:
            ValueError: As there, or there are no channels for them.
        """
        found = is_convolutional(self.network, event_shape)
        if found and not self.channels:
            raise ValueError("expected channels of at least one halving, got none")
        return found


def is_convolutional(network: NetworkName, event_shape: Sequence[int]) -> bool:
    """Whether events of this shape go through convolutions.

    Raises:
        ValueError: They are told to, and are no pictures; or events have no axis.
    """
    if not event_shape:
        raise ValueError("expected events with at least one axis, got single numbers: use (1,)")
    if network == "convolutional" and len(event_shape) != 3:
        raise ValueError(
            "expected pictures of shape (channels, height, width) for convolutions, got events "
            f"of shape {tuple(event_shape)}: choose another network"
        )
    large = len(event_shape) == 3 and min(event_shape[1:]) >= _LEAST_PICTURE
    return network == "convolutional" or (network == "auto" and large)


class Encoder(nn.Module):
    """From events to numbers.

    Args:
        event_shape: Of the events.
        num_outputs: Numbers for each.
        settings: What it is made of.
        context_shape: Of the context, or None.

    Raises:
        ValueError: Convolutions are asked for what is no picture.

    Example:
        >>> import torch
        >>> encoder = Encoder((1, 28, 28), 10, CoderSettings(), context_shape=(3,))
        >>> encoder(torch.zeros(5, 1, 28, 28), torch.zeros(5, 3)).shape
        torch.Size([5, 10])
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        num_outputs: int,
        settings: CoderSettings,
        *,
        context_shape: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        context_size = 0 if context_shape is None else math.prod(context_shape)
        self.maps: ConvDown | None = None
        num_inputs, hidden = math.prod(event_shape), settings.hidden_sizes
        self._activation = activation_function(settings.activation)
        if settings.are_convolutional(event_shape):
            depth, (height, width) = len(settings.channels), event_shape[1:]
            self.maps = ConvDown(
                event_shape[0],
                settings.channels,
                settings.channels[-1],
                context_size=context_size,
                activation=self._activation,
            )
            rows, columns = map_sizes(height, width, depth)[-1]
            num_inputs, hidden = settings.channels[-1] * rows * columns, ()
            context_size = 0
        if settings.network == "linear":
            hidden = ()
        self.dense = MLP(
            num_inputs,
            num_outputs,
            hidden_sizes=hidden,
            num_context=context_size,
            activation=settings.activation,
        )

    def forward(
        self, x: Float[Tensor, "batch ..."], context: Float[Tensor, "batch ..."] | None = None
    ) -> Float[Tensor, "batch outputs"]:
        """(B, num_outputs) of (B, *event), given (B, *context)."""
        given = None if context is None else context.flatten(1)
        if self.maps is not None:
            x = self._activation(self.maps(x, given))
            given = None
        result: Tensor = self.dense(x.flatten(1), given)
        return result


class Decoder(nn.Module):
    """From numbers to as many numbers for each entry of an event as a distribution takes.

    Args:
        num_inputs: Numbers that come in.
        event_shape: Of the events.
        num_outputs: P, numbers for each entry.
        settings: What it is made of.
        context_shape: Of the context, or None.

    Raises:
        ValueError: Convolutions are asked for what is no picture.

    Example:
        >>> import torch
        >>> decoder = Decoder(10, (3, 20, 28), 2, CoderSettings())
        >>> decoder(torch.zeros(5, 10)).shape
        torch.Size([5, 3, 20, 28, 2])
    """

    def __init__(
        self,
        num_inputs: int,
        event_shape: Sequence[int],
        num_outputs: int,
        settings: CoderSettings,
        *,
        context_shape: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        context_size = 0 if context_shape is None else math.prod(context_shape)
        self._event, self._num_outputs = tuple(event_shape), num_outputs
        self.maps: ConvUp | None = None
        first_size, hidden = math.prod(event_shape) * num_outputs, settings.hidden_sizes[::-1]
        if settings.are_convolutional(event_shape):
            sizes = map_sizes(event_shape[1], event_shape[2], len(settings.channels))
            self.maps = ConvUp(
                settings.channels[-1],
                settings.channels,
                event_shape[0] * num_outputs,
                sizes=sizes,
                context_size=context_size,
                activation=activation_function(settings.activation),
            )
            self._map = (settings.channels[-1], *sizes[-1])
            first_size, hidden, context_size = math.prod(self._map), (), 0
        if settings.network == "linear":
            hidden = ()
        self.dense = MLP(
            num_inputs,
            first_size,
            hidden_sizes=hidden,
            num_context=context_size,
            activation=settings.activation,
        )

    def forward(
        self, z: Float[Tensor, "batch inputs"], context: Float[Tensor, "batch ..."] | None = None
    ) -> Float[Tensor, "batch ..."]:
        """(B, *event, P) of (B, num_inputs), given (B, *context)."""
        given = None if context is None else context.flatten(1)
        if self.maps is None:
            dense: Tensor = self.dense(z, given)
            return dense.view(len(z), *self._event, self._num_outputs)
        maps: Tensor = self.maps(self.dense(z).view(len(z), *self._map), given)
        channels, rows, columns = self._event
        return maps.view(len(z), channels, self._num_outputs, rows, columns).movedim(2, -1)
