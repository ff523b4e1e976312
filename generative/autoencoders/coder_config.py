"""Hyper-parameters that autoencoders share; each is declared and documented once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from ..decoders import DecoderName
from ..networks.coders import CoderSettings, NetworkName
from ..networks.mlp import Activation

__all__ = [
    "CODER_CHOICES",
    "CODER_RANGES",
    "AbstractCoderConfig",
    "AbstractDecoderConfig",
    "usual_latent_size",
]

_USUAL_LATENTS = 16

CODER_RANGES = {
    "latent_size": (1, math.inf, True),
    "num_levels": (2, math.inf, True),
    "hidden_sizes": (1, math.inf, True),
    "channels": (1, math.inf, True),
}
CODER_CHOICES = {
    "decoder": get_args(DecoderName),
    "network": get_args(NetworkName),
    "activation": get_args(Activation),
}


@dataclass(frozen=True)
class AbstractCoderConfig:
    """How encoder and decoder are made."""

    network: NetworkName = "auto"
    """``linear``, ``mlp`` or ``convolutional``; ``auto`` takes convolutions for pictures
    (C, H, W) of at least 16 by 16, and dense layers for all else."""
    hidden_sizes: tuple[int, ...] = (256,)
    """Units of the encoder's dense layers; the decoder has them in reverse."""
    channels: tuple[int, ...] = (32, 64)
    """Of a convolutional encoder's maps after each halving; the decoder has them in reverse."""
    activation: Activation = "relu"
    """Between the layers."""

    @property
    def coders(self) -> CoderSettings:
        """The same for the networks."""
        return CoderSettings(self.network, self.hidden_sizes, self.channels, self.activation)


@dataclass(frozen=True)
class AbstractDecoderConfig(AbstractCoderConfig):
    """How they are made, and what the decoder's output is the distribution of."""

    decoder: DecoderName = "gaussian"
    """Distribution of events, and so their support: ``bernoulli`` (zeros, ones), ``gaussian``
    (real; one learnt sigma), ``categorical`` or ``discretised-logistic`` (levels 0 to K-1)."""
    num_levels: int = 256
    """K, levels of an entry for the latter two; the digits of scikit-learn have 17."""


def usual_latent_size(event_shape: Sequence[int]) -> int:
    """16, but no more than an event has entries.

    Superfluous numbers of a latent cost more than their time: of two moons a variational
    autoencoder with 16 learns little more than a Gaussian, with 2 the moons.

    Example:
        >>> usual_latent_size((2,)), usual_latent_size((1, 28, 28))
        (2, 16)
    """
    return min(_USUAL_LATENTS, math.prod(event_shape))
