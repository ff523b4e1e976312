"""Networks that are asked what noisy events were before, at a time and perhaps in a context.

A vector goes through dense layers, a sequence (C, L) or a picture (C, H, W) through a U-Net. Time,
as sines and cosines, and the context become one condition, which scales and shifts the features of
every layer. A context that is left out, as classifier-free guidance does, is zeros and a flag.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ..networks.mlp import MLP
from ..networks.unet import UNet, sinusoids

__all__ = ["DenoisingNetwork", "NetworkSettings", "NetworkWord"]

NetworkWord = Literal["auto", "mlp", "unet"]

_TIME_FEATURES = 64
_TIME_SCALE = 1000.0  # sines tell times between 0 and about this apart


@dataclass(frozen=True)
class NetworkSettings:
    """How a network is made.

    Attributes:
        network: ``mlp`` or ``unet``; ``auto`` takes a U-Net for sequences and pictures.
        hidden_sizes: Units of the dense layers.
        channels: Of the U-Net's finest level.
        multipliers: Of its levels.
        num_blocks: Of each level.
    """

    network: NetworkWord = "auto"
    hidden_sizes: tuple[int, ...] = (256, 256, 256)
    channels: int = 32
    multipliers: tuple[int, ...] = (1, 2)
    num_blocks: int = 1


class DenoisingNetwork(nn.Module):
    """From noisy events to an event's shape.

    Args:
        event_shape: Of one event.
        context_shape: Of one context, or None.
        settings: Of the network.

    Raises:
        ValueError: A U-Net is wanted for events that are no map.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        context_shape: Sequence[int] | None,
        settings: NetworkSettings,
    ) -> None:
        super().__init__()
        self._event_shape = tuple(event_shape)
        is_map = len(event_shape) in (2, 3)
        if settings.network == "unet" and not is_map:
            raise ValueError(
                f"expected events (C, L) or (C, H, W) for a U-Net, got {self._event_shape}"
            )
        num_context = 0 if context_shape is None else math.prod(context_shape) + 1
        width = settings.hidden_sizes[0] if settings.hidden_sizes else 64
        uses_unet = settings.network == "unet" or (settings.network == "auto" and is_map)
        num_condition = 4 * settings.channels if uses_unet else width
        self.condition = MLP(
            _TIME_FEATURES + num_context,
            num_condition,
            hidden_sizes=(num_condition,),
            activation="silu",
        )
        self.unet: UNet | None = None
        self.dense: MLP | None = None
        if uses_unet:
            self.unet = UNet(
                event_shape[0],
                event_shape[0],
                dims=len(event_shape) - 1,
                num_condition=num_condition,
                channels=settings.channels,
                multipliers=settings.multipliers,
                num_blocks=settings.num_blocks,
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
        features = [sinusoids(_TIME_SCALE * time.to(x.dtype), _TIME_FEATURES)]
        if context is not None:
            flag = torch.ones(len(x), 1, dtype=x.dtype, device=x.device)
            if present is not None:
                flag = present[:, None].to(x.dtype)
            features += [context.flatten(1) * flag, flag]
        condition = self.condition(torch.cat(features, dim=1))
        if self.unet is not None:
            out: Tensor = self.unet(x, condition)
            return out
        assert self.dense is not None, "it is one or the other"
        flat: Tensor = self.dense(x.flatten(1), condition)
        return flat.view(-1, *self._event_shape)
