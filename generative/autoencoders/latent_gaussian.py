r"""Events made of a normal latent: what all variational autoencoders here are made of.

A latent :math:`z \sim N(0, I)` of L numbers is drawn, a decoder network turns it into the
parameters of a distribution of x (see `decoders`), and an encoder network guesses z from x, as a
normal distribution :math:`q(z \mid x, c)` with independent entries. Every network is given the
context c, where there is one. For each draw of z from q,

.. math::
    \log p(x \mid c) \ge \mathbb E_q \log p(x \mid z, c) - \mathrm{KL}(q \,\|\, N(0, I))

is the evidence lower bound, whose second part is computed, not drawn. With K draws the bound

.. math::
    \log p(x \mid c) \ge \mathbb E \log \frac1K \sum_{k=1}^K
        \frac{p(x \mid z_k, c)\, p(z_k)}{q(z_k \mid x, c)}

rises with K, to the log-probability itself.

References:
    D. P. Kingma, M. Welling (2014), Auto-encoding variational Bayes, arXiv:1312.6114, equation 10.
    D. J. Rezende, S. Mohamed, D. Wierstra (2014), Stochastic backpropagation and approximate
        inference in deep generative models, arXiv:1401.4082.
    Y. Burda, R. Grosse, R. Salakhutdinov (2016), Importance weighted autoencoders,
        arXiv:1509.00519, equation 8 and theorem 1.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from ...configuration import check_fields
from ..decoders import AbstractDecoder, decoder_named
from ..family import AbstractFamily
from ..generator import AbstractBound, AbstractLatent, AbstractMeanSampler
from ..networks.coders import Decoder, Encoder
from .coder_config import CODER_CHOICES, CODER_RANGES, AbstractDecoderConfig, usual_latent_size
from .gaussian_posterior import kl_from_standard, log_normal, reparametrised, standard_normal

__all__ = ["AbstractVariational", "AbstractVariationalConfig", "LatentGaussian"]

_ROWS_TOGETHER = 8192  # decoded at once by importance weighting

_RANGES = CODER_RANGES | {
    "num_importance_samples": (1, math.inf, True),
    "beta": (0.0, math.inf, True),
    "limit": (-math.inf, math.inf, False),
    "multiplier_step": (0.0, math.inf, False),
    "running_decay": (0.0, 1.0, True),
    "classification_weight": (0.0, math.inf, True),
}
_CHOICES = CODER_CHOICES


@dataclass(frozen=True)
class AbstractVariationalConfig(AbstractDecoderConfig):
    """Hyper-parameters that variational autoencoders share.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    latent_size: int | None = None
    """L, numbers of a latent; None is 16, or the number of an event's entries if that is less."""

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, _CHOICES | self._words())

    @classmethod
    def _words(cls) -> dict[str, tuple[str, ...]]:
        """The choices of further fields."""
        return {}


class LatentGaussian(nn.Module):
    """A decoder with a normal latent, and an encoder that guesses it.

    Args:
        event_shape: Of the events.
        context_shape: Of what both networks are given beside, or None.
        likelihood: Distribution of events given a latent.
        config: Sizes.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        context_shape: Sequence[int] | None,
        likelihood: AbstractDecoder,
        config: AbstractVariationalConfig,
    ) -> None:
        super().__init__()
        self.latent_size = config.latent_size or usual_latent_size(event_shape)
        self.likelihood = likelihood
        self.encoder = Encoder(
            event_shape, 2 * self.latent_size, config.coders, context_shape=context_shape
        )
        self.decoder = Decoder(
            self.latent_size,
            event_shape,
            likelihood.num_outputs,
            config.coders,
            context_shape=context_shape,
        )

    @property
    def example(self) -> Tensor:
        """A parameter, which tells device and dtype."""
        return next(self.encoder.parameters())

    def posterior(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """(B, L) mean and (B, L) log-variance of q(z | x, c)."""
        scaled = self.likelihood.scaled(x, self.example.dtype)
        mean, log_variance = self.encoder(scaled, context).chunk(2, dim=1)
        return mean, log_variance

    def log_likelihood(
        self, x: Shaped[Tensor, "batch ..."], z: Float[Tensor, "batch latents"], c: Tensor | None
    ) -> Float[Tensor, " batch"]:
        """(B,) log p(x | z, c)."""
        return self.likelihood.log_prob(self.decoder(z, c), x)

    def bound_parts(
        self,
        x: Tensor,
        context: Tensor | None,
        rng: torch.Generator | None,
    ) -> tuple[Tensor, Tensor]:
        """(B,) log p(x | z, c) at a draw of z, and (B,) the divergence from the prior."""
        mean, log_variance = self.posterior(x, context)
        z = reparametrised(mean, log_variance, standard_normal(tuple(mean.shape), mean, rng))
        return self.log_likelihood(x, z, context), kl_from_standard(mean, log_variance)

    def importance_weighted_bound(
        self, x: Tensor, context: Tensor | None, num: int, rng: torch.Generator | None
    ) -> Tensor:
        """(B,) the logarithms of the means of ``num`` importance weights."""
        mean, log_variance = self.posterior(x, context)
        together = max(1, _ROWS_TOGETHER // len(x))
        found = []
        for start in range(0, num, together):
            shape = (min(together, num - start), *mean.shape)
            z = reparametrised(mean, log_variance, standard_normal(shape, mean, rng))
            prior_ratio = log_normal(z) - log_normal(z, mean, log_variance)
            found.append(self._log_likelihoods(x, z, context) + prior_ratio)
        return torch.cat(found).logsumexp(dim=0) - math.log(num)

    def draw(
        self, num: int, context: Tensor | None, temperature: float, rng: torch.Generator | None
    ) -> Tensor:
        """(num, *event) samples; the temperature scales latents and the decoder's noise."""
        return self.likelihood.sample(
            self._drawn(num, context, temperature, rng), temperature, rng
        )

    def draw_means(
        self, num: int, context: Tensor | None, temperature: float, rng: torch.Generator | None
    ) -> Tensor:
        """(num, *event) means of drawn latents; the temperature scales the latents."""
        return self.likelihood.mean(self._drawn(num, context, temperature, rng))

    def _drawn(
        self, num: int, context: Tensor | None, temperature: float, rng: torch.Generator | None
    ) -> Tensor:
        """(num, *event, P) what the decoder makes of drawn latents."""
        z = temperature * standard_normal((num, self.latent_size), self.example, rng)
        outputs: Tensor = self.decoder(z, context)
        return outputs

    def _log_likelihoods(self, x: Tensor, z: Tensor, context: Tensor | None) -> Tensor:
        """(K, B) of (B, *event) at (K, B, L) latents."""
        num = len(z)
        spread = x.expand(num, *x.shape).flatten(0, 1)
        given = None if context is None else context.expand(num, *context.shape).flatten(0, 1)
        return self.log_likelihood(spread, z.flatten(0, 1), given).view(num, len(x))


class AbstractVariational(AbstractFamily, AbstractBound, AbstractMeanSampler, AbstractLatent):
    """A variational autoencoder; families differ in what training minimises.

    Args:
        event_shape: Of one event.
        context_shape: Of one context, or None.
        config: Its hyper-parameters.

    Attributes:
        model: The networks and their distributions.
    """

    config: AbstractVariationalConfig

    def __init__(
        self,
        event_shape: Sequence[int],
        context_shape: Sequence[int] | None,
        config: AbstractVariationalConfig,
    ) -> None:
        likelihood = decoder_named(config.decoder, config.num_levels)
        super().__init__(
            event_shape, context_shape=context_shape, support=likelihood.support, config=config
        )
        self.model = LatentGaussian(self.event_shape, self.context_shape, likelihood, config)
        self.latent_shape = (self.model.latent_size,)

    @abstractmethod
    def _loss(self, x: Tensor, context: Tensor | None, rng: torch.Generator | None) -> Tensor:
        """(B,) what training minimises the mean of."""

    def importance_weighted_bound(
        self,
        x: Shaped[Tensor, "batch ..."],
        context: Float[Tensor, "batch ..."] | None = None,
        num: int = 50,
        rng: torch.Generator | None = None,
    ) -> Float[Tensor, " batch"]:
        """(B,) an unbiased estimate of a bound that is tighter than that of `log_prob_bound`.

        Args:
            x: (B, *event) events.
            context: (B, *context), if it takes one.
            num: K, importance weights; 1 gives the evidence lower bound.
            rng: Of the latents.

        Raises:
            ValueError: A shape does not fit, or there is no weight.
        """
        self._check_shapes(x, context)
        if num < 1:
            raise ValueError(f"expected at least 1 importance weight, got {num}")
        return self.model.importance_weighted_bound(x, context, num, rng)

    def encode(
        self,
        x: Shaped[Tensor, "batch ..."],
        context: Float[Tensor, "batch ..."] | None = None,
        *,
        rng: torch.Generator | None = None,
    ) -> Float[Tensor, "batch latents"]:
        """(B, L) draws of q(z | x, c) with an ``rng``, else its means."""
        self._check_shapes(x, context)
        mean, log_variance = self.model.posterior(x, context)
        if rng is None:
            return mean
        return reparametrised(mean, log_variance, standard_normal(tuple(mean.shape), mean, rng))

    def decode(
        self,
        z: Float[Tensor, "batch latents"],
        context: Float[Tensor, "batch ..."] | None = None,
    ) -> Shaped[Tensor, "batch ..."]:
        """(B, *event) the most probable events of (B, L) latents."""
        return self.model.likelihood.mode(self._decoded(z, context))

    def decode_mean(
        self,
        z: Float[Tensor, "batch latents"],
        context: Float[Tensor, "batch ..."] | None = None,
    ) -> Float[Tensor, "batch ..."]:
        """(B, *event) the expected events, such as grey pixels where events are 0 and 1."""
        return self.model.likelihood.mean(self._decoded(z, context))

    def _decoded(self, z: Tensor, context: Tensor | None) -> Tensor:
        if tuple(z.shape[1:]) != self.latent_shape:
            raise ValueError(
                f"expected latents of shape (B, {self.latent_shape[0]}), got {tuple(z.shape)}"
            )
        self._check_context(context, len(z))
        outputs: Tensor = self.model.decoder(z, context)
        return outputs

    def _sample(
        self,
        num: int,
        context: Tensor | None,
        temperature: float,
        rng: torch.Generator | None,
    ) -> Tensor:
        return self.model.draw(num, context, temperature, rng)

    def _sample_means(
        self,
        num: int,
        context: Tensor | None,
        temperature: float,
        rng: torch.Generator | None,
    ) -> Tensor:
        return self.model.draw_means(num, context, temperature, rng)

    def _log_prob_bound(
        self, x: Tensor, context: Tensor | None, rng: torch.Generator | None
    ) -> Tensor:
        log_likelihood, divergence = self.model.bound_parts(x, context, rng)
        return log_likelihood - divergence
