r"""What a decoder network's outputs say about events: distributions whose entries are independent.

A decoder gives P numbers for each entry of an event, and an object of this module reads them as

.. math:: \log p(x \mid z) = \sum_{d=1}^{D} \log p(x_d \mid o_d(z)), \qquad o_d \in \mathbb R^P .

=========================  ===  ==================================================================
`BernoulliDecoder`          1   :math:`p(x_d = 1) = \operatorname{sigmoid}(o_d)`
`GaussianDecoder`           1   :math:`x_d \sim N(o_d, \sigma^2)` with one learnt :math:`\sigma`
`CategoricalDecoder`        K   :math:`p(x_d = k) = \operatorname{softmax}(o_d)_k`
`DiscretisedLogistic...`    2   the mass of a logistic :math:`(\mu_d, s_d)` on the level
=========================  ===  ==================================================================

The K levels of the last lie at :math:`v_k = 2k/(K-1) - 1`, and the intervals end half way between
them, those of the first and the last level nowhere. With :math:`a, b` the standardised upper and
lower end the mass of an inner level is

.. math:: \operatorname{sigmoid}(a) - \operatorname{sigmoid}(b)
    = \operatorname{sigmoid}(a)\,\operatorname{sigmoid}(-b)\,(1 - e^{b-a}),

whose right side has no cancellation.

References:
    D. P. Kingma, M. Welling (2014), Auto-encoding variational Bayes, arXiv:1312.6114, appendix C.
    O. Rybkin, K. Daniilidis, S. Levine (2021), Simple and effective VAE training with calibrated
        decoders, arXiv:2006.13202, equation 5 (one learnt sigma).
    D. P. Kingma et al. (2016), Improving variational inference with inverse autoregressive flow,
        arXiv:1606.04934, appendix C.4 (discretised logistic).
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

__all__ = [
    "AbstractDecoder",
    "BernoulliDecoder",
    "CategoricalDecoder",
    "DecoderName",
    "DiscretisedLogisticDecoder",
    "GaussianDecoder",
    "decoder_named",
]

DecoderName = Literal["bernoulli", "gaussian", "categorical", "discretised-logistic"]

_VARIANCE_FLOOR = 1e-6  # data on a plane would let the density grow without end
_LOG_SCALES = (-7.0, 7.0)  # beyond them a level's mass is 0 or 1 to 32 bits


class AbstractDecoder(nn.Module, ABC):
    """A distribution of events of independent entries, given a network's outputs.

    Families call it; whoever adds one implements the five methods without a shared part.

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
        """(B, *event) expected entries: grey where the events are black and white."""

    @abstractmethod
    def mode(self, outputs: Float[Tensor, "batch ..."]) -> Shaped[Tensor, "batch ..."]:
        """(B, *event) the most probable events, in the support."""

    @abstractmethod
    def sample(
        self,
        outputs: Float[Tensor, "batch ..."],
        temperature: float,
        rng: torch.Generator | None,
    ) -> Shaped[Tensor, "batch ..."]:
        """(B, *event) draws.

        The temperature divides logits and multiplies sigma or scale: 0 gives the mode.
        """

    @abstractmethod
    def scaled(
        self, x: Shaped[Tensor, "batch ..."], dtype: torch.dtype
    ) -> Float[Tensor, "batch ..."]:
        """(B, *event) as networks take events: numbers of the size of 1."""

    def log_prob(
        self, outputs: Float[Tensor, "batch ..."], x: Shaped[Tensor, "batch ..."]
    ) -> Float[Tensor, " batch"]:
        """(B,) in nats, summed over the entries."""
        return self.entry_log_probs(outputs, x).flatten(1).sum(dim=1)


class BernoulliDecoder(AbstractDecoder):
    """Zeros and ones; P = 1, the logit.

    Example:
        >>> decoder = BernoulliDecoder()
        >>> decoder.log_prob(torch.zeros(1, 3, 1), torch.tensor([[0.0, 1.0, 1.0]])).exp()
        tensor([0.1250])
    """

    def __init__(self) -> None:
        super().__init__()
        self.num_outputs = 1
        self.support = constraints.boolean

    def entry_log_probs(
        self, outputs: Float[Tensor, "batch ..."], x: Shaped[Tensor, "batch ..."]
    ) -> Float[Tensor, "batch ..."]:
        """(B, *event) of each entry."""
        logits = outputs.squeeze(-1)
        return -functional.binary_cross_entropy_with_logits(logits, x, reduction="none")

    def mean(self, outputs: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """(B, *event) probabilities of a one."""
        return outputs.squeeze(-1).sigmoid()

    def mode(self, outputs: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """(B, *event) zeros and ones."""
        return (outputs.squeeze(-1) > 0).to(outputs.dtype)

    def sample(
        self,
        outputs: Float[Tensor, "batch ..."],
        temperature: float,
        rng: torch.Generator | None,
    ) -> Float[Tensor, "batch ..."]:
        """(B, *event) zeros and ones."""
        if temperature == 0:
            return self.mode(outputs)
        probabilities = (outputs.squeeze(-1) / temperature).sigmoid()
        return torch.bernoulli(probabilities, generator=rng)

    def scaled(
        self, x: Shaped[Tensor, "batch ..."], dtype: torch.dtype
    ) -> Float[Tensor, "batch ..."]:
        """(B, *event) as they are."""
        return x.to(dtype)


class GaussianDecoder(AbstractDecoder):
    """Real numbers; P = 1, the mean. One sigma for all entries is learnt with the network.

    A variance of 1e-6 is added, so that events on a plane cannot make the density infinite: scale
    events to about 1.

    Attributes:
        log_sigma: () the parameter, 0 at first.

    Example:
        >>> decoder = GaussianDecoder()
        >>> decoder.log_prob(torch.zeros(1, 2, 1), torch.zeros(1, 2))  # -log(2 pi)
        tensor([-1.8379], grad_fn=<SumBackward1>)
    """

    def __init__(self) -> None:
        super().__init__()
        self.num_outputs = 1
        self.support = constraints.real
        self.log_sigma = nn.Parameter(torch.zeros(()))

    @property
    def sigma(self) -> Tensor:
        """() standard deviation of every entry."""
        return (torch.exp(2 * self.log_sigma) + _VARIANCE_FLOOR).sqrt()

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

    def mode(self, outputs: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """(B, *event) means."""
        return outputs.squeeze(-1)

    def sample(
        self,
        outputs: Float[Tensor, "batch ..."],
        temperature: float,
        rng: torch.Generator | None,
    ) -> Float[Tensor, "batch ..."]:
        """(B, *event) draws around the means."""
        mean = outputs.squeeze(-1)
        noise = torch.randn(mean.shape, generator=rng, dtype=mean.dtype, device=mean.device)
        return mean + temperature * self.sigma * noise

    def scaled(
        self, x: Shaped[Tensor, "batch ..."], dtype: torch.dtype
    ) -> Float[Tensor, "batch ..."]:
        """(B, *event) as they are."""
        return x.to(dtype)


class CategoricalDecoder(AbstractDecoder):
    """K levels without an order; P = K, the logits.

    Args:
        num_levels: K.
    """

    def __init__(self, num_levels: int) -> None:
        super().__init__()
        self.num_outputs = num_levels
        self.support = constraints.integer_interval(0, num_levels - 1)

    def entry_log_probs(
        self, outputs: Float[Tensor, "batch ..."], x: Shaped[Tensor, "batch ..."]
    ) -> Float[Tensor, "batch ..."]:
        """(B, *event) of each entry."""
        log_probs = outputs.log_softmax(dim=-1)
        return log_probs.gather(-1, x.unsqueeze(-1)).squeeze(-1)

    def mean(self, outputs: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """(B, *event) expected levels."""
        levels = torch.arange(self.num_outputs, dtype=outputs.dtype, device=outputs.device)
        return outputs.softmax(dim=-1) @ levels

    def mode(self, outputs: Float[Tensor, "batch ..."]) -> Shaped[Tensor, "batch ..."]:
        """(B, *event) most probable levels."""
        return outputs.argmax(dim=-1)

    def sample(
        self,
        outputs: Float[Tensor, "batch ..."],
        temperature: float,
        rng: torch.Generator | None,
    ) -> Shaped[Tensor, "batch ..."]:
        """(B, *event) levels."""
        if temperature == 0:
            return self.mode(outputs)
        probabilities = (outputs / temperature).softmax(dim=-1)
        drawn = torch.multinomial(probabilities.flatten(0, -2), 1, generator=rng)
        return drawn.view(outputs.shape[:-1])

    def scaled(
        self, x: Shaped[Tensor, "batch ..."], dtype: torch.dtype
    ) -> Float[Tensor, "batch ..."]:
        """(B, *event) between -1 and 1."""
        return _scaled_levels(x, self.num_outputs, dtype)


class DiscretisedLogisticDecoder(AbstractDecoder):
    """K levels in their order; P = 2, mean and logarithm of the scale of a logistic on [-1, 1].

    Args:
        num_levels: K.
    """

    def __init__(self, num_levels: int) -> None:
        super().__init__()
        self.num_outputs = 2
        self.num_levels = num_levels
        self.support = constraints.integer_interval(0, num_levels - 1)

    def entry_log_probs(
        self, outputs: Float[Tensor, "batch ..."], x: Shaped[Tensor, "batch ..."]
    ) -> Float[Tensor, "batch ..."]:
        """(B, *event) of each entry."""
        mean, scale = self._logistic(outputs)
        centred = self.scaled(x, mean.dtype) - mean
        half = 1 / (self.num_levels - 1)
        above, below = (centred + half) / scale, (centred - half) / scale
        is_first, is_last = x == 0, x == self.num_levels - 1
        upper = functional.logsigmoid(above).masked_fill(is_last, 0)
        lower = functional.logsigmoid(-below).masked_fill(is_first, 0)
        width = torch.log(-torch.expm1(below - above)).masked_fill(is_first | is_last, 0)
        return upper + lower + width

    def mean(self, outputs: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """(B, *event) of the logistic, in levels."""
        return (outputs[..., 0].clamp(-1, 1) + 1) * (self.num_levels - 1) / 2

    def mode(self, outputs: Float[Tensor, "batch ..."]) -> Shaped[Tensor, "batch ..."]:
        """(B, *event) the levels that the logistic's mean falls into."""
        return self._level(outputs[..., 0])

    def sample(
        self,
        outputs: Float[Tensor, "batch ..."],
        temperature: float,
        rng: torch.Generator | None,
    ) -> Shaped[Tensor, "batch ..."]:
        """(B, *event) levels."""
        mean, scale = self._logistic(outputs)
        uniform = torch.rand(mean.shape, generator=rng, dtype=mean.dtype, device=mean.device)
        tiny = torch.finfo(mean.dtype).eps
        return self._level(mean + temperature * scale * uniform.clamp(tiny, 1 - tiny).logit())

    def scaled(
        self, x: Shaped[Tensor, "batch ..."], dtype: torch.dtype
    ) -> Float[Tensor, "batch ..."]:
        """(B, *event) between -1 and 1."""
        return _scaled_levels(x, self.num_levels, dtype)

    def _logistic(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        return outputs[..., 0], outputs[..., 1].clamp(*_LOG_SCALES).exp()

    def _level(self, value: Tensor) -> Tensor:
        last = self.num_levels - 1
        return ((value + 1) * last / 2).round().clamp(0, last).to(torch.int64)


def decoder_named(name: DecoderName, num_levels: int) -> AbstractDecoder:
    """A decoder distribution.

    Args:
        name: Which.
        num_levels: K, for those over levels.

    Raises:
        ValueError: There are fewer than 2 levels.
    """
    if name == "bernoulli":
        return BernoulliDecoder()
    if name == "gaussian":
        return GaussianDecoder()
    if num_levels < 2:
        raise ValueError(f"expected at least 2 levels of a {name} decoder, got {num_levels}")
    if name == "categorical":
        return CategoricalDecoder(num_levels)
    return DiscretisedLogisticDecoder(num_levels)


def _scaled_levels(x: Tensor, num_levels: int, dtype: torch.dtype) -> Tensor:
    return x.to(dtype) * (2 / (num_levels - 1)) - 1
