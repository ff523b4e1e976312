r"""The variational autoencoder.

Training raises the evidence lower bound (see `latent_gaussian`),

.. math:: \ell(x, c) = -\log p(x \mid z, c) + \mathrm{KL}(q(z \mid x, c) \,\|\, N(0, I)),
    \qquad z \sim q(z \mid x, c),

or, with K > 1 importance samples, the importance-weighted bound. All of it is in nats, summed over
the entries of an event: a mean over the pixels would weigh the divergence D times as much.

References:
    D. P. Kingma, M. Welling (2014), Auto-encoding variational Bayes, arXiv:1312.6114, equation 10.
    K. Sohn, H. Lee, X. Yan (2015), Learning structured output representation using deep
        conditional generative models, NeurIPS (with a context).
    Y. Burda, R. Grosse, R. Salakhutdinov (2016), Importance weighted autoencoders,
        arXiv:1509.00519, equation 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...configuration import build_config
from .latent_gaussian import AbstractVariational, AbstractVariationalConfig

__all__ = ["VAE", "VAEConfig"]


@dataclass(frozen=True)
class VAEConfig(AbstractVariationalConfig):
    """Hyper-parameters of `VAE`.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    num_importance_samples: int = 1
    """K, draws of the bound that training raises: 1 is the evidence lower bound."""


class VAE(AbstractVariational):
    """Variational autoencoder (Kingma & Welling 2014), conditional where there is a context.

    The temperature of `sample` scales the latents, and the noise of the decoder: 0 gives the most
    probable event of the latent 0.

    Args:
        event_shape: Vectors (D,), pictures (C, H, W) or others, which are flattened.
        context_shape: Of a context that encoder and decoder are given, or None.
        hyperparameters: Fields of `VAEConfig`.

    Raises:
        TypeError: A hyper-parameter is unknown.
        ValueError: A hyper-parameter is out of range, or convolutions are asked for vectors.

    Example:
        >>> vae = VAE((64,), context_shape=(10,), decoder="bernoulli", latent_size=8)
        >>> labels = torch.eye(10)
        >>> vae.sample(5, labels).shape
        torch.Size([5, 10, 64])
        >>> vae.log_prob_bound(torch.ones(10, 64), labels).shape
        torch.Size([10])
    """

    Config = VAEConfig
    name = "vae"
    config: VAEConfig

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        context_shape: Sequence[int] | None = None,
        **hyperparameters: Any,
    ) -> None:
        config = build_config(VAEConfig, hyperparameters, type(self).__name__)
        super().__init__(event_shape, context_shape, config)

    def _loss(self, x: Tensor, context: Tensor | None, rng: torch.Generator | None) -> Tensor:
        num = self.config.num_importance_samples
        if num > 1:
            return -self.model.importance_weighted_bound(x, context, num, rng)
        log_likelihood, divergence = self.model.bound_parts(x, context, rng)
        return divergence - log_likelihood
