"""Networks that are asked what noisy events were before, at a time and perhaps in a context.

A vector goes through dense layers, a sequence (C, L) or a picture (C, H, W) through a U-Net, any
of them through a transformer if that is wanted. Time, as sines and cosines, and the context become
one condition, which scales and shifts the features of every layer. A context that is left out, as
classifier-free guidance does, is zeros and a flag.

While events are drawn all of them are at one time. What a network is told of it is then one row
for the whole batch, and a sampler makes the rows of all its times at once, before it begins:
`DenoisingNetwork.told` and `DenoisingNetwork.denoise` are the two halves of ``forward``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ..networks.mlp import MLP
from ..networks.modulated_transformer import ModulatedTransformer
from ..networks.unet import UNet, sinusoids

__all__ = [
    "NETWORK_CHOICES",
    "NETWORK_RANGES",
    "DenoisingNetwork",
    "NetworkSettings",
    "NetworkWord",
]

NetworkWord = Literal["auto", "mlp", "unet", "transformer"]

NETWORK_RANGES = {
    "hidden_sizes": (1, math.inf, True),
    "channels": (1, math.inf, True),
    "multipliers": (1, math.inf, True),
    "num_blocks": (1, math.inf, True),
    "width": (1, math.inf, True),
    "num_layers": (1, math.inf, True),
    "num_heads": (1, math.inf, True),
    "patch_size": (1, math.inf, True),
}
NETWORK_CHOICES = {"network": get_args(NetworkWord)}

_TIME_FEATURES = 64
_LONGEST = 10.0  # periods reach from 2 pi / scale to 10 times 2 pi


@dataclass(frozen=True)
class NetworkSettings:
    """How a network is made; every family's hyper-parameters begin with these."""

    network: NetworkWord = "auto"
    """``mlp``, ``unet`` or ``transformer``; ``auto`` takes a U-Net for sequences and pictures."""
    hidden_sizes: tuple[int, ...] = (256, 256, 256)
    """Units of the dense layers."""
    channels: int = 32
    """Of the U-Net's finest level."""
    multipliers: tuple[int, ...] = (1, 2)
    """By which each level of the U-Net has more."""
    num_blocks: int = 1
    """Residual blocks of each level."""
    width: int = 64
    """Features of a token of the transformer."""
    num_layers: int = 3
    """Blocks of the transformer."""
    num_heads: int = 4
    """Of its attention."""
    patch_size: int = 2
    """Height and width of the pieces of a picture that are its tokens."""


class DenoisingNetwork(nn.Module):
    """From noisy events to an event's shape.

    Args:
        event_shape: Of one event.
        context_shape: Of one context, or None.
        settings: Of the network.
        time_scale: The fastest sine has this many radians in a unit of time, the slowest a tenth.

    Raises:
        ValueError: A U-Net is wanted for events that are no map, or has no level.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        context_shape: Sequence[int] | None,
        settings: NetworkSettings,
        *,
        time_scale: float = 1000.0,
    ) -> None:
        super().__init__()
        self._event_shape, self._time_scale = tuple(event_shape), time_scale
        # of a context, the flag that says whether there is one included
        self._num_context = 0 if context_shape is None else math.prod(context_shape) + 1
        is_map = len(event_shape) in (2, 3)
        if settings.network == "unet" and not is_map:
            raise ValueError(
                f"expected events (C, L) or (C, H, W) for a U-Net, got {self._event_shape}"
            )
        if settings.network in ("auto", "unet") and not settings.multipliers:
            raise ValueError("expected multipliers of at least one level, got none")
        kind = settings.network
        if kind == "auto":
            kind = "unet" if is_map else "mlp"
        num_told = _TIME_FEATURES + self._num_context
        widths = {
            "mlp": settings.hidden_sizes[0] if settings.hidden_sizes else 64,
            "unet": 4 * settings.channels,
            "transformer": settings.width,
        }
        num_condition = widths[kind]
        self.condition = MLP(
            num_told, num_condition, hidden_sizes=(num_condition,), activation="silu"
        )
        self.unet: UNet | None = None
        self.transformer: ModulatedTransformer | None = None
        self.dense: MLP | None = None
        if kind == "unet":
            self.unet = UNet(
                event_shape[0],
                event_shape[0],
                dims=len(event_shape) - 1,
                num_condition=num_condition,
                channels=settings.channels,
                multipliers=settings.multipliers,
                num_blocks=settings.num_blocks,
            )
        elif kind == "transformer":
            self.transformer = ModulatedTransformer(
                event_shape,
                num_condition=num_condition,
                width=settings.width,
                num_layers=settings.num_layers,
                num_heads=settings.num_heads,
                patch_size=settings.patch_size,
            )
        else:
            size = math.prod(event_shape)
            self.dense = MLP(
                size,
                size,
                hidden_sizes=settings.hidden_sizes,
                num_context=num_condition,
                activation="silu",
                context_use="modulate",
            )

    def forward(
        self,
        x: Float[Tensor, "batch ..."],
        time: Float[Tensor, " batch"],
        context: Float[Tensor, "batch ..."] | None,
        present: Bool[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch ..."]:
        """(B, *event).

        Args:
            x: (B, *event) noisy events.
            time: (B,) between about -1 and 1.
            context: (B, *context), or None for a network without.
            present: (B,) whose context counts; None for all.
        """
        return self.denoise(x, self.told(time.to(x.dtype), context, present))

    def told(
        self,
        time: Float[Tensor, " times"],
        context: Float[Tensor, "batch ..."] | None = None,
        present: Bool[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "rows numbers"]:
        """(N, numbers) what times and contexts come to: what `denoise` takes beside events.

        Args:
            time: (N,), or (1,) for all contexts.
            context: (N, *context); None says that there is none, or that it is left out.
            present: (N,) whose context counts; None for all.
        """
        features = sinusoids(
            self._time_scale * time, _TIME_FEATURES, longest=_LONGEST * self._time_scale
        )
        if context is not None:
            flag = context.new_ones(len(context), 1)
            if present is not None:
                flag = present[:, None].to(context.dtype)
            rows = features.expand(len(context), -1)
            features = torch.cat([rows, context.flatten(1) * flag, flag], dim=1)
        elif self._num_context:
            absent = features.new_zeros(len(features), self._num_context)
            features = torch.cat([features, absent], dim=1)
        condition: Tensor = self.condition(features)
        if self.dense is not None and self.dense.modulation is not None:
            condition = self.dense.modulation(condition)
        return condition

    def denoise(
        self, x: Float[Tensor, "batch ..."], told: Float[Tensor, "#batch numbers"]
    ) -> Float[Tensor, "batch ..."]:
        """(B, *event).

        Args:
            x: (B, *event) noisy events.
            told: (B, numbers) from `told`, or (1, numbers) for all.
        """
        if self.dense is not None:
            flat = self.dense.modulated(x.flatten(1), told)
            return flat.view(-1, *self._event_shape)
        network = self.transformer if self.unet is None else self.unet
        assert network is not None, "it is one of the three"
        out: Tensor = network(x, told)
        return out
