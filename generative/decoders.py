r"""What a decoder network's outputs say about events: distributions whose entries are independent.

A decoder gives P numbers for each entry of an event, and an object of this module reads them as

.. math:: \log p(x \mid z) = \sum_{d=1}^{D} \log p(x_d \mid o_d(z)), \qquad o_d \in \mathbb R^P .

=========================  ===  ==================================================================
``bernoulli``               1   :math:`p(x_d = 1) = \operatorname{sigmoid}(o_d)`
``gaussian``                1   :math:`x_d \sim N(o_d, \sigma^2)` with one learnt :math:`\sigma`
``categorical``             K   :math:`p(x_d = k) = \operatorname{softmax}(o_d)_k`
``discretised-logistic``    2   the mass of a logistic :math:`(\mu_d, s_d)` on the level k
=========================  ===  ==================================================================

All but the Gaussian are those of `conditionals`, which has the equations.

References:
    D. P. Kingma, M. Welling (2014), Auto-encoding variational Bayes, arXiv:1312.6114, appendix C.
    O. Rybkin, K. Daniilidis, S. Levine (2021), Simple and effective VAE training with calibrated
        decoders, arXiv:2006.13202 (one learnt sigma).
    D. P. Kingma et al. (2016), Improving variational inference with inverse autoregressive flow,
        arXiv:1606.04934 (discretised logistic).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Literal

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.distributions import constraints
from torch.nn import functional

from .conditionals import (
    AbstractConditional,
    BernoulliConditional,
    CategoricalConditional,
    DiscretisedLogistics,
)

__all__ = [
    "AbstractDecoder",
    "DecoderName",
    "GaussianDecoder",
    "IndependentDecoder",
    "decoder_named",
]

DecoderName = Literal["bernoulli", "gaussian", "categorical", "discretised-logistic"]

_VARIANCE_FLOOR = 1e-6
_FIRST_SIGMA = 0.5
_HASTE = 10  # Adam moves every parameter by the same step, too small a one for log sigma


class AbstractDecoder(nn.Module, ABC):
    """A distribution of events of independent entries, given a network's outputs.

    Families call it; whoever adds one implements the four methods that are abstract.

    Attributes:
        num_outputs: P, numbers that the network gives for each entry.
        support: Of the events.
    """

    num_outputs: int
    support: constraints.Constraint

    @abstractmethod
    def entry_log_probs(
        self, outputs: Float[Tensor, "batch ..."], x: Shaped[Tensor, "batch ..."]
    ) -> Float[Tensor, "batch ..."]:
        """(B, *event) of each entry in nats, for (B, *event, P) outputs and (B, *event)."""

    @abstractmethod
    def mean(self, outputs: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """(B, *event) expected entries: grey where events are black and white."""

    @abstractmethod
    def sample(
        self,
        outputs: Float[Tensor, "batch ..."],
        temperature: float = 1.0,
        rng: torch.Generator | None = None,
    ) -> Shaped[Tensor, "batch ..."]:
        """(B, *event) draws.

        The temperature divides logits, and multiplies sigma or scale: 0 gives the mode.
        """

    @abstractmethod
    def scaled(
        self, x: Shaped[Tensor, "batch ..."], dtype: torch.dtype
    ) -> Float[Tensor, "batch ..."]:
        """(B, *event) as networks take events: from -1 to 1 where they are bounded."""

    def mode(self, outputs: Float[Tensor, "batch ..."]) -> Shaped[Tensor, "batch ..."]:
        """(B, *event) the most probable events; differentiable where events are real."""
        # at temperature 0 noise does not matter, but PyTorch's own must stay untouched
        unused = torch.Generator(device=outputs.device)
        return self.sample(outputs, temperature=0.0, rng=unused)

    def log_prob(
        self, outputs: Float[Tensor, "batch ..."], x: Shaped[Tensor, "batch ..."]
    ) -> Float[Tensor, " batch"]:
        """(B,) in nats, summed over the entries."""
        return self.entry_log_probs(outputs, x).flatten(1).sum(dim=1)


class IndependentDecoder(AbstractDecoder):
    """Entries that follow one of the `conditionals` each.

    Args:
        conditional: How an entry's numbers are read.
        num_known: Of these, how many are 0 always and come first, so that no network gives them,
            such as the logit of a mixture's only component.

    Example:
        >>> decoder = IndependentDecoder(BernoulliConditional())
        >>> decoder.log_prob(torch.zeros(1, 3, 1), torch.tensor([[0.0, 1.0, 1.0]])).exp()
        tensor([0.1250])
    """

    def __init__(self, conditional: AbstractConditional, num_known: int = 0) -> None:
        super().__init__()
        self.conditional = conditional
        self.num_outputs = conditional.num_parameters - num_known
        self.support = conditional.support
        self._num_known = num_known

    def entry_log_probs(
        self, outputs: Float[Tensor, "batch ..."], x: Shaped[Tensor, "batch ..."]
    ) -> Float[Tensor, "batch ..."]:
        """(B, *event) of each entry."""
        return self.conditional.log_prob(self._all(outputs), x)

    def mean(self, outputs: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """(B, *event) expected entries."""
        return self.conditional.mean(self._all(outputs))

    def sample(
        self,
        outputs: Float[Tensor, "batch ..."],
        temperature: float = 1.0,
        rng: torch.Generator | None = None,
    ) -> Shaped[Tensor, "batch ..."]:
        """(B, *event) draws."""
        return self.conditional.sample(self._all(outputs), temperature, rng)

    def scaled(
        self, x: Shaped[Tensor, "batch ..."], dtype: torch.dtype
    ) -> Float[Tensor, "batch ..."]:
        """(B, *event) from -1 to 1 where they are bounded."""
        return self.conditional.scaled(x, dtype)

    def _all(self, outputs: Tensor) -> Tensor:
        return functional.pad(outputs, (self._num_known, 0)) if self._num_known else outputs


class GaussianDecoder(AbstractDecoder):
    """Real numbers; P = 1, the mean. One sigma for all entries is learnt with the network.

    A variance of 1e-6 is added: events on a plane would let the density grow without end. Scale
    events to about 1.

    Sigma is 0.5 at first: with 1 a mean that differs from event to event pays so little that many
    a seed leaves its latents unused. For one that stays as it is, set it and call
    ``requires_grad_(False)``.

    Attributes:
        raw: () the parameter, a tenth of the logarithm of sigma.

    Example:
        >>> decoder = GaussianDecoder()
        >>> decoder.log_prob(torch.zeros(1, 2, 1), torch.zeros(1, 2))  # -log(2 pi / 4)
        tensor([-0.4516], grad_fn=<SumBackward1>)
    """

    def __init__(self) -> None:
        super().__init__()
        self.num_outputs = 1
        self.support = constraints.real
        self.raw = nn.Parameter(torch.zeros(()))
        self.set_sigma(_FIRST_SIGMA)

    @property
    def sigma(self) -> Tensor:
        """() standard deviation of every entry."""
        return (torch.exp(2 * _HASTE * self.raw) + _VARIANCE_FLOOR).sqrt()

    def set_sigma(self, sigma: float) -> None:
        """Set the standard deviation.

        Raises:
            ValueError: It is not above a thousandth.
        """
        if not _VARIANCE_FLOOR < sigma**2 < math.inf:
            raise ValueError(f"expected a sigma above 0.001, got {sigma}")
        with torch.no_grad():
            self.raw.fill_(math.log(sigma**2 - _VARIANCE_FLOOR) / 2 / _HASTE)

    def entry_log_probs(
        self, outputs: Float[Tensor, "batch ..."], x: Shaped[Tensor, "batch ..."]
    ) -> Float[Tensor, "batch ..."]:
        """(B, *event) of each entry: log-densities."""
        sigma = self.sigma
        normaliser = sigma.log() + 0.5 * math.log(2 * math.pi)
        return -0.5 * ((x - outputs.squeeze(-1)) / sigma) ** 2 - normaliser

    def mean(self, outputs: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """(B, *event) means."""
        return outputs.squeeze(-1)

    def sample(
        self,
        outputs: Float[Tensor, "batch ..."],
        temperature: float = 1.0,
        rng: torch.Generator | None = None,
    ) -> Float[Tensor, "batch ..."]:
        """(B, *event) draws around the means."""
        mean = outputs.squeeze(-1)
        if temperature == 0:
            return mean
        noise = torch.randn(mean.shape, generator=rng, dtype=mean.dtype, device=mean.device)
        return mean + temperature * self.sigma * noise

    def scaled(
        self, x: Shaped[Tensor, "batch ..."], dtype: torch.dtype
    ) -> Float[Tensor, "batch ..."]:
        """(B, *event) as they are."""
        return x.to(dtype)


def decoder_named(name: DecoderName, num_levels: int = 256) -> AbstractDecoder:
    """A decoder distribution by the word that configs have for it.

    Args:
        name: The word.
        num_levels: K, for those over levels.

    Raises:
        ValueError: The word is unknown.

    Example:
        >>> decoder_named("discretised-logistic").num_outputs
        2
    """
    if name == "bernoulli":
        return IndependentDecoder(BernoulliConditional())
    if name == "gaussian":
        return GaussianDecoder()
    if name == "categorical":
        return IndependentDecoder(CategoricalConditional(num_levels))
    if name == "discretised-logistic":
        return IndependentDecoder(DiscretisedLogistics(num_levels, 1), num_known=1)
    raise ValueError(f"expected a decoder among {DecoderName}, got {name!r}")
