r"""A variational autoencoder that learns to classify from a few labels: M2.

An event has a label y of K, which is seen for some events only, and a normal latent z:

.. math:: p(x, y, z) = p(x \mid y, z)\, \tfrac1K\, N(z; 0, I), \qquad
    q(y, z \mid x) = q(y \mid x)\, q(z \mid x, y).

With a label the bound of :math:`\log p(x, y)` is

.. math:: -L(x, y) = \mathbb E_{q(z \mid x, y)} \log p(x \mid y, z) - \log K
    - \mathrm{KL}(q(z \mid x, y) \,\|\, N(0, I)),

and without one that of :math:`\log p(x)` is a sum over all labels, exactly,

.. math:: -U(x) = \sum_y q(y \mid x) \big(-L(x, y) - \log q(y \mid x)\big).

The loss is U of unlabelled events and :math:`L - \alpha \log q(y \mid x)` of labelled ones: the
bound alone would teach the classifier nothing from labels.

References:
    D. P. Kingma, D. J. Rezende, S. Mohamed, M. Welling (2014), Semi-supervised learning with deep
        generative models, arXiv:1406.5298, equations 6, 7 and 9.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional

from ...configuration import build_config
from ..decoders import decoder_named
from ..family import AbstractFamily
from ..generator import AbstractBound, AbstractLatent, AbstractMeanSampler
from ..networks.coders import Encoder
from .gaussian_posterior import kl_from_standard, reparametrised, standard_normal
from .latent_gaussian import AbstractVariationalConfig, LatentGaussian

__all__ = ["M2", "M2Config"]


@dataclass(frozen=True)
class M2Config(AbstractVariationalConfig):
    """Hyper-parameters of `M2`.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    classification_weight: float = 20.0
    """Alpha, of a labelled event's classification. The paper takes a tenth of the number of all
    events over that of the labelled ones, which is less where more than one of 200 has a label."""


class M2(AbstractFamily, AbstractBound, AbstractMeanSampler, AbstractLatent):
    """Semi-supervised variational autoencoder (Kingma et al. 2014).

    The context is the label: (B, K) rows with a single 1 or, where the label is not known, zeros.
    Each loss costs K passes of the networks, for the sum over labels is exact. Sampling without a
    label draws one; the temperature scales latents and the decoder's noise, not labels.

    A latent is z with the label's K numbers after it: `encode` takes the label from the context
    or, where that is not known, the most probable one, and `decode` from the latent.

    Args:
        event_shape: Vectors (D,), pictures (C, H, W) or others, which are flattened.
        context_shape: (K,).
        hyperparameters: Fields of `M2Config`.

    Raises:
        TypeError: A hyper-parameter is unknown.
        ValueError: The context's shape is not (K,) with at least 2 labels, or a hyper-parameter
            is out of range.

    Example:
        >>> m2 = M2((64,), context_shape=(10,), decoder="bernoulli")
        >>> unlabelled = torch.zeros(5, 10)
        >>> m2.loss(torch.zeros(5, 64), unlabelled).shape, m2.class_probs(torch.zeros(5, 64)).shape
        (torch.Size([5]), torch.Size([5, 10]))
    """

    Config = M2Config
    name = "m2"
    config: M2Config

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        context_shape: Sequence[int] | None = None,
        **hyperparameters: Any,
    ) -> None:
        config = build_config(M2Config, hyperparameters, type(self).__name__)
        if context_shape is None or len(context_shape) != 1 or context_shape[0] < 2:
            raise ValueError(
                f"expected labels as a context of shape (K,) with K of at least 2, got "
                f"{context_shape}"
            )
        likelihood = decoder_named(config.decoder, config.num_levels)
        super().__init__(
            event_shape, context_shape=context_shape, support=likelihood.support, config=config
        )
        self.num_labels = int(context_shape[0])
        self.model = LatentGaussian(self.event_shape, self.context_shape, likelihood, config)
        self.latent_shape = (self.model.latent_size + self.num_labels,)
        self.classifier = Encoder(self.event_shape, self.num_labels, config.coders)

    def check_events(self, x: Tensor, context: Tensor | None = None) -> None:
        """Make sure that events can be learnt from, and that contexts are labels.

        Raises:
            ValueError: A shape does not fit, an event is outside the support, or a context is
                neither a label nor zeros.
        """
        super().check_events(x, context)
        assert context is not None
        fits = ((context == 0) | (context == 1)).all(dim=1) & (context.sum(dim=1) <= 1)
        if not fits.all():
            place = int((~fits).nonzero()[0])
            raise ValueError(
                f"expected contexts with a single 1, or zeros where the label is not known, got "
                f"{context[place].tolist()} at {place}"
            )

    def class_probs(self, x: Shaped[Tensor, "batch ..."]) -> Float[Tensor, "batch labels"]:
        """(B, K) q(y | x), the classifier's probabilities."""
        return self._log_class_probs(x).exp()

    def encode(
        self,
        x: Shaped[Tensor, "batch ..."],
        context: Float[Tensor, "batch labels"] | None = None,
        *,
        rng: torch.Generator | None = None,
    ) -> Float[Tensor, "batch latents"]:
        """(B, L + K) latent and label: drawn from q with an ``rng``, else the most typical."""
        self._check_shapes(x, context)
        assert context is not None
        log_probs = self._log_class_probs(x)
        guess = log_probs.argmax(dim=1)
        if rng is not None:
            guess = torch.multinomial(log_probs.exp(), 1, generator=rng).squeeze(1)
        label = self._with_labels(context, guess)
        mean, log_variance = self.model.posterior(x, label)
        if rng is not None:
            noise = standard_normal(tuple(mean.shape), mean, rng)
            mean = reparametrised(mean, log_variance, noise)
        return torch.cat([mean, label], dim=1)

    def decode(
        self,
        z: Float[Tensor, "batch latents"],
        context: Float[Tensor, "batch labels"] | None = None,
    ) -> Shaped[Tensor, "batch ..."]:
        """(B, *event) the most probable events of latents and the labels in them."""
        if tuple(z.shape[1:]) != self.latent_shape:
            raise ValueError(
                f"expected latents of shape (B, {self.latent_shape[0]}), got {tuple(z.shape)}"
            )
        latent, label = z[:, : self.model.latent_size], z[:, self.model.latent_size :]
        return self.model.likelihood.mode(self.model.decoder(latent, label))

    # ---- bounds ---------------------------------------------------------------------------------

    def _joint_bounds(self, x: Tensor, rng: torch.Generator | None) -> Tensor:
        """(B, K) -L(x, y) of every label, all with the same noise."""
        labels = torch.eye(self.num_labels, dtype=self.model.example.dtype, device=x.device)
        given = labels.repeat(len(x), 1)
        spread = x.repeat_interleave(self.num_labels, dim=0)
        mean, log_variance = self.model.posterior(spread, given)
        noise = standard_normal((len(x), self.model.latent_size), mean, rng)
        z = reparametrised(mean, log_variance, noise.repeat_interleave(self.num_labels, dim=0))
        log_likelihood = self.model.log_likelihood(spread, z, given)
        bound = log_likelihood - kl_from_standard(mean, log_variance) - math.log(self.num_labels)
        return bound.view(len(x), self.num_labels)

    def _bounds(
        self, x: Tensor, context: Tensor, rng: torch.Generator | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(B,) bounds with the label and without one, and (B,) log q(y | x) of the label."""
        bounds, log_probs = self._joint_bounds(x, rng), self._log_class_probs(x)
        without = (log_probs.exp() * (bounds - log_probs)).sum(dim=1)
        return (context * bounds).sum(dim=1), without, (context * log_probs).sum(dim=1)

    def _loss(self, x: Tensor, context: Tensor | None, rng: torch.Generator | None) -> Tensor:
        assert context is not None
        joint, marginal, classified = self._bounds(x, context, rng)
        labelled = -joint - self.config.classification_weight * classified
        return torch.where(context.sum(dim=1) > 0, labelled, -marginal)

    def _log_prob_bound(
        self, x: Tensor, context: Tensor | None, rng: torch.Generator | None
    ) -> Tensor:
        """(B,) of log p(x | y) where the label is known, of log p(x) elsewhere."""
        assert context is not None
        joint, marginal, _ = self._bounds(x, context, rng)
        return torch.where(context.sum(dim=1) > 0, joint + math.log(self.num_labels), marginal)

    def _sample(
        self,
        num: int,
        context: Tensor | None,
        temperature: float,
        rng: torch.Generator | None,
    ) -> Tensor:
        return self.model.draw(num, self._labelled(num, context, rng), temperature, rng)

    def _sample_means(
        self,
        num: int,
        context: Tensor | None,
        temperature: float,
        rng: torch.Generator | None,
    ) -> Tensor:
        return self.model.draw_means(num, self._labelled(num, context, rng), temperature, rng)

    def _labelled(self, num: int, context: Tensor | None, rng: torch.Generator | None) -> Tensor:
        """(num, K) contexts, with a drawn label where there is none."""
        assert context is not None
        drawn = torch.randint(self.num_labels, (num,), generator=rng, device=context.device)
        return self._with_labels(context, drawn)

    def _log_class_probs(self, x: Tensor) -> Tensor:
        scaled = self.model.likelihood.scaled(x, self.model.example.dtype)
        logits: Tensor = self.classifier(scaled)
        return logits.log_softmax(dim=1)

    def _with_labels(self, context: Tensor, others: Tensor) -> Tensor:
        """(B, K) contexts, with (B,) other labels where they have none."""
        chosen = functional.one_hot(others, self.num_labels).to(self.model.example.dtype)
        return torch.where(context.sum(dim=1, keepdim=True) > 0, context, chosen)
