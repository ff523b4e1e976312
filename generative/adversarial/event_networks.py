"""Generators and discriminators for events of any shape, without batch normalisation.

Vectors, and pictures below 16 by 16, go through dense layers, larger pictures through residual
convolutions (`networks.coders`). The context, flattened, reaches both networks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import constraints

from ...configuration import check_fields
from ..generator import checked_shape
from ..networks.coders import CoderSettings, Decoder, Encoder, NetworkName
from ..networks.mlp import Activation
from .adversary import interval

__all__ = [
    "AbstractNetworksConfig",
    "EventDiscriminator",
    "EventGenerator",
    "OutputWord",
    "players",
]

OutputWord = Literal["auto", "linear", "tanh"]

_RANGES = {
    "latent_size": (1, math.inf, True),
    "hidden_sizes": (1, math.inf, True),
    "channels": (1, math.inf, True),
    "critic_steps": (1, math.inf, True),
    "critic_step_factor": (0.0, math.inf, False),
    "penalty": (0.0, math.inf, True),
    "num_unrolled": (0, math.inf, True),
    "unrolled_learning_rate": (0.0, math.inf, False),
}
_CHOICES = {
    "network": get_args(NetworkName),
    "activation": get_args(Activation),
    "output": get_args(OutputWord),
}


@dataclass(frozen=True)
class AbstractNetworksConfig:
    """Hyper-parameters that adversarial generators share.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    latent_size: int = 64
    """L, numbers of the noise."""
    network: NetworkName = "auto"
    """``linear``, ``mlp`` or ``convolutional``; ``auto`` takes convolutions for pictures
    (C, H, W) of at least 16 by 16, and dense layers for all else."""
    hidden_sizes: tuple[int, ...] = (256, 256)
    """Units of the discriminator's dense layers; the generator has them in reverse."""
    channels: tuple[int, ...] = (32, 64)
    """Of a convolutional discriminator's maps after each halving; the generator has them in
    reverse."""
    activation: Activation = "leaky-relu"
    """Between the layers."""
    output: OutputWord = "auto"
    """Events are real (``linear``) or between -1 and 1 (``tanh``); ``auto`` takes tanh for
    pictures, which are expected in that form, ``centred``."""
    critic_steps: int = 1
    """Updates of the discriminator for each of the generator."""
    critic_step_factor: float = 1.0
    """The discriminator's learning rate as a multiple of the generator's."""

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, _CHOICES | self._words())

    @classmethod
    def _words(cls) -> dict[str, tuple[str, ...]]:
        """The choices of further fields."""
        return {}

    @property
    def coders(self) -> CoderSettings:
        """How the networks are made."""
        return CoderSettings(self.network, self.hidden_sizes, self.channels, self.activation)

    def has_tanh(self, event_shape: Sequence[int]) -> bool:
        """Whether events of that shape end in a hyperbolic tangent."""
        return self.output == "tanh" or (self.output == "auto" and len(event_shape) == 3)


class EventGenerator(nn.Module):
    """From noise to events.

    Args:
        event_shape: Of the events.
        context_shape: Of the context, or None.
        config: Sizes.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        context_shape: Sequence[int] | None,
        config: AbstractNetworksConfig,
    ) -> None:
        super().__init__()
        self.network = Decoder(
            config.latent_size, event_shape, 1, config.coders, context_shape=context_shape
        )
        self._has_tanh = config.has_tanh(event_shape)

    def forward(
        self, z: Float[Tensor, "batch latent"], context: Float[Tensor, "batch ..."] | None
    ) -> Float[Tensor, "batch ..."]:
        """(B, *event) of (B, L), given (B, *context)."""
        made: Tensor = self.network(z, context).squeeze(-1)
        return made.tanh() if self._has_tanh else made


class EventDiscriminator(nn.Module):
    """From events to a number each.

    Args:
        event_shape: Of the events.
        context_shape: Of the context, or None.
        config: Sizes.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        context_shape: Sequence[int] | None,
        config: AbstractNetworksConfig,
    ) -> None:
        super().__init__()
        self.network = Encoder(event_shape, 1, config.coders, context_shape=context_shape)

    def forward(
        self, x: Float[Tensor, "batch ..."], context: Float[Tensor, "batch ..."] | None
    ) -> Float[Tensor, " batch"]:
        """(B,) of (B, *event), given (B, *context)."""
        values: Tensor = self.network(x, context)
        return values[:, 0]


def players(
    event_shape: Sequence[int],
    context_shape: Sequence[int] | None,
    config: AbstractNetworksConfig,
) -> dict[str, Any]:
    """Both networks, and what else `AbstractAdversarial` is made of.

    Raises:
        TypeError: A shape is no tuple of integers.
        ValueError: An axis has no entries, or convolutions are asked for what is no picture.
    """
    event_shape = checked_shape(event_shape, "event_shape")
    if context_shape is not None:
        context_shape = checked_shape(context_shape, "context_shape")
    return {
        "context_shape": context_shape,
        "support": interval(-1, 1) if config.has_tanh(event_shape) else constraints.real,
        "config": config,
        "generator": EventGenerator(event_shape, context_shape, config),
        "discriminator": EventDiscriminator(event_shape, context_shape, config),
        "latent_size": config.latent_size,
        "critic_steps": config.critic_steps,
        "critic_step_factor": config.critic_step_factor,
    }
