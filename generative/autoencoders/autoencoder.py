r"""The autoencoder: events through a bottleneck and back, by least squares.

With an encoder e and a decoder d, linear, dense or convolutional, the loss is

.. math:: \ell(x) = \| d(e(\tilde x)) - x \|^2,

where :math:`\tilde x` is x itself or, for a *denoising* autoencoder, a corrupted copy. Two facts
say what the best of them do:

* linear maps with L latents find the plane of the L first principal components, and only that:
  the latents' axes are free (Baldi & Hornik);
* the best denoiser r of Gaussian noise is Tweedie's
  :math:`r(\tilde x) = \tilde x + \sigma^2 \nabla \log p_\sigma(\tilde x)`, so that
  :math:`(r(x) - x)/\sigma^2` is the score of the noisy data's density (Vincent).

*Sampling.* An autoencoder has no distribution of latents, so one is estimated afterwards: a normal
distribution with the running mean and the full covariance of the training events' latents (Ghosh
et al.), whose draws are decoded. It is as good as latents are normal, and no more: there is no
likelihood, and none is claimed.

References:
    P. Baldi, K. Hornik (1989), Neural networks and principal component analysis: learning from
        examples without local minima, Neural Networks 2(1).
    P. Vincent et al. (2010), Stacked denoising autoencoders, JMLR 11 (kinds of corruption).
    P. Vincent (2011), A connection between score matching and denoising autoencoders, Neural
        Computation 23(7).
    P. Ghosh et al. (2020), From variational to deterministic autoencoders, arXiv:1903.12436
        (a density of the latents, estimated afterwards).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import constraints

from ...configuration import build_config, check_fields
from ..family import AbstractFamily
from ..generator import AbstractLatent
from ..networks.coders import Decoder, Encoder
from ..parallel_training import average_numbers
from ..trainable import AbstractAdjusted
from .coder_config import CODER_CHOICES, CODER_RANGES, AbstractCoderConfig, usual_latent_size

__all__ = ["Autoencoder", "AutoencoderConfig", "Corruption", "corrupted"]

Corruption = Literal["none", "gaussian", "masking", "salt-and-pepper"]

_RANGES = CODER_RANGES | {
    "noise_level": (0.0, math.inf, False),
    "running_decay": (0.0, 1.0, True),
}
_CHOICES = CODER_CHOICES | {
    "corruption": get_args(Corruption),
}


@dataclass(frozen=True)
class AutoencoderConfig(AbstractCoderConfig):
    """Hyper-parameters of `Autoencoder`.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    latent_size: int | None = None
    """L, numbers of a latent; None is 16, or the number of an event's entries if that is less."""
    corruption: Corruption = "none"
    """Of what the encoder is given in training: nothing, ``gaussian`` noise, ``masking`` of
    entries by 0, or ``salt-and-pepper``, which replaces entries by 0 or 1."""
    noise_level: float = 0.25
    """Standard deviation of Gaussian noise; else the probability that an entry is replaced."""
    running_decay: float = 0.99
    """Of the running mean and covariance of the latents, over updates."""

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, _CHOICES)
        if self.corruption in ("masking", "salt-and-pepper") and self.noise_level > 1:
            raise ValueError(
                f"expected a probability as noise_level of {self.corruption}, got "
                f"{self.noise_level}"
            )


def corrupted(
    x: Float[Tensor, "batch ..."],
    corruption: Corruption,
    level: float,
    rng: torch.Generator | None = None,
) -> Float[Tensor, "batch ..."]:
    """(B, *event) corrupted events.

    Args:
        x: (B, *event) events.
        corruption: What is done to them.
        level: Standard deviation of Gaussian noise; else the probability of each entry.
        rng: Of the noise.

    Example:
        >>> corrupted(torch.full((1, 4), 7.0), "masking", 1.0)
        tensor([[0., 0., 0., 0.]])
    """
    if corruption == "none":
        return x
    if corruption == "gaussian":
        noise = torch.randn(x.shape, generator=rng, dtype=x.dtype, device=x.device)
        return x + level * noise
    uniform = torch.rand(x.shape, generator=rng, dtype=x.dtype, device=x.device)
    # of the replaced ones the lower half, which is uniform again, becomes 0 and the upper 1
    value = (uniform > level / 2).to(x.dtype) if corruption == "salt-and-pepper" else 0.0
    return torch.where(uniform < level, value, x)


class Autoencoder(AbstractFamily, AbstractLatent, AbstractAdjusted):
    """Autoencoder: plain, linear (principal components), convolutional or denoising.

    Samples are decoded draws of a normal distribution with the running moments of the latents,
    whose standard deviation the temperature scales; before training that is the standard normal
    distribution, and sampling warns. A context is given to encoder and decoder; latents are drawn
    without regard to it. The loss is a sum of squares, not a likelihood.

    Args:
        event_shape: Vectors (D,), pictures (C, H, W) or others, which are flattened.
        context_shape: Of a context, or None.
        hyperparameters: Fields of `AutoencoderConfig`.

    Attributes:
        latent_mean: (L,) running mean of the latents.
        latent_products: (L, L) running mean of their products.
        num_adjusted: () updates that these are means of.

    Raises:
        TypeError: A hyper-parameter is unknown.
        ValueError: A hyper-parameter is out of range, or convolutions are asked for vectors.

    Example:
        >>> denoiser = Autoencoder((8,), latent_size=3, corruption="gaussian", noise_level=0.1)
        >>> denoiser.reconstruct(torch.zeros(5, 8)).shape, denoiser.score(torch.zeros(5, 8)).shape
        (torch.Size([5, 8]), torch.Size([5, 8]))
    """

    Config = AutoencoderConfig
    name = "autoencoder"
    config: AutoencoderConfig
    latent_mean: Tensor
    latent_products: Tensor
    num_adjusted: Tensor

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        context_shape: Sequence[int] | None = None,
        **hyperparameters: Any,
    ) -> None:
        config = build_config(AutoencoderConfig, hyperparameters, type(self).__name__)
        super().__init__(
            event_shape, context_shape=context_shape, support=constraints.real, config=config
        )
        size = config.latent_size or usual_latent_size(self.event_shape)
        self.latent_shape = (size,)
        coders = config.coders
        self.encoder = Encoder(self.event_shape, size, coders, context_shape=self.context_shape)
        self.decoder = Decoder(size, self.event_shape, 1, coders, context_shape=self.context_shape)
        self.register_buffer("latent_mean", torch.zeros(size))
        self.register_buffer("latent_products", torch.eye(size))
        self.register_buffer("num_adjusted", torch.zeros((), dtype=torch.int64))

    def encode(
        self,
        x: Float[Tensor, "batch ..."],
        context: Float[Tensor, "batch ..."] | None = None,
        *,
        rng: torch.Generator | None = None,
    ) -> Float[Tensor, "batch latents"]:
        """(B, L) latents; nothing is drawn."""
        self._check_shapes(x, context)
        latents: Tensor = self.encoder(x, context)
        return latents

    def decode(
        self,
        z: Float[Tensor, "batch latents"],
        context: Float[Tensor, "batch ..."] | None = None,
    ) -> Float[Tensor, "batch ..."]:
        """(B, *event) events of (B, L) latents."""
        if tuple(z.shape[1:]) != self.latent_shape:
            raise ValueError(
                f"expected latents of shape (B, {self.latent_shape[0]}), got {tuple(z.shape)}"
            )
        self._check_context(context, len(z))
        return self._decoded(z, context)

    def reconstruct(
        self,
        x: Float[Tensor, "batch ..."],
        context: Float[Tensor, "batch ..."] | None = None,
    ) -> Float[Tensor, "batch ..."]:
        """(B, *event) what comes back; of noisy events, if it was trained so, clean ones."""
        return self._decoded(self.encode(x, context), context)

    def score(
        self,
        x: Float[Tensor, "batch ..."],
        context: Float[Tensor, "batch ..."] | None = None,
    ) -> Float[Tensor, "batch ..."]:
        """(B, *event) gradient of the log-density of events with noise, by Tweedie's formula.

        Raises:
            ValueError: It was not made to undo Gaussian noise.
        """
        if self.config.corruption != "gaussian":
            raise ValueError(
                "expected an autoencoder with corruption='gaussian', from which a score follows, "
                f"got corruption={self.config.corruption!r}"
            )
        return (self.reconstruct(x, context) - x) / self.config.noise_level**2

    @property
    def latent_covariance(self) -> Tensor:
        """(L, L) of the training events' latents."""
        return self.latent_products - torch.outer(self.latent_mean, self.latent_mean)

    def adjust(self, x: Tensor, context: Tensor | None, rng: torch.Generator | None) -> None:
        """Let the moments follow the latents of a batch, which is not corrupted here."""
        with torch.no_grad():
            z = self.encoder(x, context)
            # the first batch counts in full, and later ones by their share of an average since
            decay = torch.minimum(
                self.num_adjusted / (self.num_adjusted + 1),
                torch.full_like(self.num_adjusted, self.config.running_decay, dtype=z.dtype),
            )
            products = average_numbers(z.T @ z / len(z))
            self.latent_mean.lerp_(average_numbers(z.mean(dim=0)), 1 - decay)
            self.latent_products.lerp_(products, 1 - decay)
            self.num_adjusted.add_(1)

    def _loss(self, x: Tensor, context: Tensor | None, rng: torch.Generator | None) -> Tensor:
        given = corrupted(x, self.config.corruption, self.config.noise_level, rng)
        back = self._decoded(self.encoder(given, context), context)
        return ((back - x) ** 2).flatten(1).sum(dim=1)

    def _sample(
        self,
        num: int,
        context: Tensor | None,
        temperature: float,
        rng: torch.Generator | None,
    ) -> Tensor:
        if not self.num_adjusted:
            warnings.warn(
                "this Autoencoder was not trained: its latents' distribution is not known, and a "
                "standard normal one stands in for it",
                stacklevel=4,
            )
        mean = self.latent_mean
        noise = torch.randn(num, len(mean), generator=rng, dtype=mean.dtype, device=mean.device)
        # not Cholesky's factor: latents that are never used make the covariance singular
        variances, axes = torch.linalg.eigh(self.latent_covariance)
        spread = axes * variances.clamp(min=0).sqrt()
        return self._decoded(mean + temperature * noise @ spread.T, context)

    def _decoded(self, z: Tensor, context: Tensor | None) -> Tensor:
        back: Tensor = self.decoder(z, context)
        return back.squeeze(-1)
