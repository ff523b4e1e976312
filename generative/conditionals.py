r"""Distributions of single entries, the numbers of which a network gives.

An autoregressive network gives P numbers for each entry of an event, from which an object of this
module reads the entry's distribution given those before it:

========================  ======  =================================================================
`BernoulliConditional`      1     :math:`p(x = 1) = \operatorname{sigmoid}(o)`
`CategoricalConditional`    K     :math:`p(x = k) = \operatorname{softmax}(o)_k`
`GaussianMixture`           3M    :math:`\sum_m \pi_m N(x; \mu_m, s_m^2)`
`DiscretisedLogistics`      3M    the mass of :math:`\sum_m \pi_m \text{logistic}(\mu_m, s_m)`
                                  between the ends of a level
========================  ======  =================================================================

The 3M numbers of a mixture are logits of :math:`\pi`, then :math:`\mu`, then :math:`\log s`, which
is cut off at -7 and 7. The K levels of the last lie at :math:`v_k = 2k/(K-1) - 1`; their intervals
end half way to the next level, those of the first and the last level nowhere. With a and b the
upper and lower end, less :math:`\mu` and divided by s, the mass of an inner level is

.. math:: \operatorname{sigmoid}(a) - \operatorname{sigmoid}(b)
    = \operatorname{sigmoid}(a)\, \operatorname{sigmoid}(-b)\, (1 - e^{b-a}),

whose right side loses no digits however far the level is from :math:`\mu`.

*Temperature* divides logits and multiplies s; at 0 a draw is the most probable value, or the
centre of the most probable component.

References:
    C. M. Bishop (1994), Mixture density networks, Aston University, NCRG/94/004, equations 18 to
        25.
    B. Uria, I. Murray and H. Larochelle (2013), RNADE: the real-valued neural autoregressive
        density-estimator, arXiv:1306.0186, section 3 (mixtures as conditionals, and their start).
    T. Salimans, A. Karpathy, X. Chen and D. P. Kingma (2017), PixelCNN++, arXiv:1701.05517,
        equations 1 and 2.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.distributions import constraints
from torch.nn import functional

__all__ = [
    "AbstractConditional",
    "BernoulliConditional",
    "CategoricalConditional",
    "ConditionalName",
    "DiscretisedLogistics",
    "GaussianMixture",
    "conditional_named",
]

ConditionalName = Literal["bernoulli", "categorical", "gaussian-mixture", "discretised-logistic"]

# PixelCNN++'s lowest: a component on a single point would be worth infinity. The highest keeps a
# network that reads its own wide draws, and answers with wider ones, from reaching infinity.
_LOG_SCALES = (-7.0, 7.0)


class AbstractConditional(ABC):
    """How P numbers are read as the distribution of one entry. It has no parameters itself.

    Implement all of it for a distribution of one's own; models call it on whole batches.

    Attributes:
        num_parameters: P.
        support: Where entries lie.
        num_values: K, values that an entry can have; None where they are no finite set.
    """

    num_parameters: int
    support: constraints.Constraint
    num_values: int | None

    @abstractmethod
    def initial_parameters(self) -> Float[Tensor, " parameters"]:
        """(P,) for an untrained network to begin with: broad, and components apart."""

    @abstractmethod
    def log_prob(
        self, parameters: Float[Tensor, "batch ... parameters"], x: Shaped[Tensor, "batch ..."]
    ) -> Float[Tensor, "batch ..."]:
        """(...) of each entry in nats, for (..., P) parameters and (...) entries."""

    @abstractmethod
    def sample(
        self,
        parameters: Float[Tensor, "batch ... parameters"],
        temperature: float,
        rng: torch.Generator | None,
    ) -> Shaped[Tensor, "batch ..."]:
        """(...) one draw for each (P,) parameters."""

    @abstractmethod
    def mean(
        self, parameters: Float[Tensor, "batch ... parameters"]
    ) -> Float[Tensor, "batch ..."]:
        """(...) expected entries."""

    @abstractmethod
    def scaled(
        self, x: Shaped[Tensor, "batch ..."], dtype: torch.dtype
    ) -> Float[Tensor, "batch ..."]:
        """(...) entries as a network takes them: where they are bounded, from -1 to 1."""


class BernoulliConditional(AbstractConditional):
    """Zeros and ones; P = 1, the logit of a one.

    Example:
        >>> BernoulliConditional().log_prob(torch.zeros(2, 1), torch.tensor([0.0, 1.0])).exp()
        tensor([0.5000, 0.5000])
    """

    def __init__(self) -> None:
        self.num_parameters, self.num_values = 1, 2
        self.support = constraints.boolean

    def initial_parameters(self) -> Float[Tensor, " parameters"]:
        """(1,) a probability of a half."""
        return torch.zeros(1)

    def log_prob(
        self, parameters: Float[Tensor, "batch ... parameters"], x: Shaped[Tensor, "batch ..."]
    ) -> Float[Tensor, "batch ..."]:
        """(...) of each entry."""
        logits = parameters.squeeze(-1)
        shape = torch.broadcast_shapes(  # type: ignore[no-untyped-call]  # PyTorch has no types
            logits.shape, x.shape
        )
        logits, x = logits.expand(shape), x.to(logits.dtype).expand(shape)
        # one kernel backwards, where products and logarithms have five
        return -functional.binary_cross_entropy_with_logits(logits, x, reduction="none")

    def sample(
        self,
        parameters: Float[Tensor, "batch ... parameters"],
        temperature: float,
        rng: torch.Generator | None,
    ) -> Shaped[Tensor, "batch ..."]:
        """(...) zeros and ones, in the parameters' dtype."""
        logits = parameters.squeeze(-1)
        if temperature == 0:
            return (logits > 0).to(logits.dtype)
        return torch.bernoulli((logits / temperature).sigmoid(), generator=rng)

    def mean(
        self, parameters: Float[Tensor, "batch ... parameters"]
    ) -> Float[Tensor, "batch ..."]:
        """(...) probabilities of a one."""
        return parameters.squeeze(-1).sigmoid()

    def scaled(
        self, x: Shaped[Tensor, "batch ..."], dtype: torch.dtype
    ) -> Float[Tensor, "batch ..."]:
        """(...) minus one and one."""
        return 2 * x.to(dtype) - 1


class CategoricalConditional(AbstractConditional):
    """Integers from 0 to K - 1 without an order; P = K, the logits.

    Args:
        num_values: K.

    Example:
        >>> conditional = CategoricalConditional(4)
        >>> conditional.log_prob(torch.zeros(1, 4), torch.tensor([3])).exp()
        tensor([0.2500])
    """

    num_values: int

    def __init__(self, num_values: int) -> None:
        self.num_parameters = self.num_values = num_values
        self.support = _levels(num_values)

    def initial_parameters(self) -> Float[Tensor, " parameters"]:
        """(K,) of a uniform distribution."""
        return torch.zeros(self.num_values)

    def log_prob(
        self, parameters: Float[Tensor, "batch ... parameters"], x: Shaped[Tensor, "batch ..."]
    ) -> Float[Tensor, "batch ..."]:
        """(...) of each entry."""
        return parameters.log_softmax(-1).gather(-1, x.long().unsqueeze(-1)).squeeze(-1)

    def sample(
        self,
        parameters: Float[Tensor, "batch ... parameters"],
        temperature: float,
        rng: torch.Generator | None,
    ) -> Shaped[Tensor, "batch ..."]:
        """(...) integers."""
        return _drawn_category(parameters, temperature, rng)

    def mean(
        self, parameters: Float[Tensor, "batch ... parameters"]
    ) -> Float[Tensor, "batch ..."]:
        """(...) expected integers."""
        values = torch.arange(self.num_values, dtype=parameters.dtype, device=parameters.device)
        return parameters.softmax(-1) @ values

    def scaled(
        self, x: Shaped[Tensor, "batch ..."], dtype: torch.dtype
    ) -> Float[Tensor, "batch ..."]:
        """(...) from -1 to 1."""
        return _scaled_levels(x, self.num_values, dtype)


class GaussianMixture(AbstractConditional):
    """Real numbers; P = 3M.

    Args:
        num_components: M; 1 gives a Gaussian.

    Example:
        >>> conditional = GaussianMixture(1)
        >>> conditional.log_prob(torch.zeros(1, 3), torch.zeros(1))  # -log(2 pi) / 2
        tensor([-0.9189])
    """

    def __init__(self, num_components: int) -> None:
        self.num_parameters, self.num_values = 3 * num_components, None
        self.num_components = num_components
        self.support = constraints.real

    def initial_parameters(self) -> Float[Tensor, " parameters"]:
        """(3M,) means on a grid from -2 to 2, as far apart as they are broad."""
        return _initial_mixture(self.num_components, 2.0)

    def log_prob(
        self, parameters: Float[Tensor, "batch ... parameters"], x: Shaped[Tensor, "batch ..."]
    ) -> Float[Tensor, "batch ..."]:
        """(...) of each entry: a log-density."""
        logits, means, log_scales = _mixture(parameters)
        z = (x.unsqueeze(-1) - means) * (-log_scales).exp()
        components = -0.5 * z**2 - log_scales - 0.5 * math.log(2 * math.pi)
        return torch.logsumexp(logits.log_softmax(-1) + components, -1)

    def sample(
        self,
        parameters: Float[Tensor, "batch ... parameters"],
        temperature: float,
        rng: torch.Generator | None,
    ) -> Shaped[Tensor, "batch ..."]:
        """(...) real numbers."""
        mean, scale = _drawn_component(parameters, temperature, rng)
        noise = torch.randn(mean.shape, generator=rng, dtype=mean.dtype, device=mean.device)
        return mean + temperature * scale * noise

    def mean(
        self, parameters: Float[Tensor, "batch ... parameters"]
    ) -> Float[Tensor, "batch ..."]:
        """(...) expected numbers."""
        logits, means, _ = _mixture(parameters)
        return (logits.softmax(-1) * means).sum(-1)

    def scaled(
        self, x: Shaped[Tensor, "batch ..."], dtype: torch.dtype
    ) -> Float[Tensor, "batch ..."]:
        """(...) as they are: scale data to about 1 beforehand."""
        return x.to(dtype)


class DiscretisedLogistics(AbstractConditional):
    """Integers from 0 to K - 1 in their order, such as grey levels; P = 3M.

    Args:
        num_values: K.
        num_components: M.

    Example:
        >>> conditional = DiscretisedLogistics(256, 5)
        >>> levels = torch.arange(256)
        >>> probabilities = conditional.log_prob(torch.randn(15).expand(256, 15), levels).exp()
        >>> round(float(probabilities.sum()), 4)
        1.0
    """

    num_values: int

    def __init__(self, num_values: int, num_components: int) -> None:
        self.num_parameters, self.num_values = 3 * num_components, num_values
        self.num_components = num_components
        self.support = _levels(num_values)

    def initial_parameters(self) -> Float[Tensor, " parameters"]:
        """(3M,) means on a grid from -1 to 1, as far apart as they are broad."""
        return _initial_mixture(self.num_components, 1.0)

    def log_prob(
        self, parameters: Float[Tensor, "batch ... parameters"], x: Shaped[Tensor, "batch ..."]
    ) -> Float[Tensor, "batch ..."]:
        """(...) of each entry."""
        logits, means, log_scales = _mixture(parameters)
        levels = x.unsqueeze(-1)
        centred = self.scaled(levels, means.dtype) - means
        half, inverse_scales = 1 / (self.num_values - 1), (-log_scales).exp()
        above, below = (centred + half) * inverse_scales, (centred - half) * inverse_scales
        is_first, is_last = levels == 0, levels == self.num_values - 1
        components = (
            functional.logsigmoid(above).masked_fill(is_last, 0)
            + functional.logsigmoid(-below).masked_fill(is_first, 0)
            # above - below in one piece: their difference would lose digits
            + torch.log(-torch.expm1(-2 * half * inverse_scales)).masked_fill(
                is_first | is_last, 0
            )
        )
        return torch.logsumexp(logits.log_softmax(-1) + components, -1)

    def sample(
        self,
        parameters: Float[Tensor, "batch ... parameters"],
        temperature: float,
        rng: torch.Generator | None,
    ) -> Shaped[Tensor, "batch ..."]:
        """(...) integers."""
        mean, scale = _drawn_component(parameters, temperature, rng)
        uniform = torch.rand(mean.shape, generator=rng, dtype=mean.dtype, device=mean.device)
        # 0 has an infinite logit, which temperature 0 would make NaN
        noise = uniform.clamp_min(torch.finfo(mean.dtype).tiny).logit()
        last = self.num_values - 1
        drawn = (mean + temperature * scale * noise + 1) * (last / 2)
        return drawn.round().clamp(0, last).to(torch.int64)

    def mean(
        self, parameters: Float[Tensor, "batch ... parameters"]
    ) -> Float[Tensor, "batch ..."]:
        """(...) expected integers, as the sum of the probabilities of reaching each level."""
        logits, means, log_scales = _mixture(parameters)
        values = torch.arange(1, self.num_values, dtype=means.dtype, device=means.device)
        ends = (2 * values - 1) / (self.num_values - 1) - 1
        weights, precisions = logits.softmax(-1), (-log_scales).exp()
        found = torch.zeros_like(means[..., 0])
        for weight, mean, precision in zip(
            weights.unbind(-1), means.unbind(-1), precisions.unbind(-1), strict=True
        ):
            reached = (precision.unsqueeze(-1) * (mean.unsqueeze(-1) - ends)).sigmoid()
            found = found + weight * reached.sum(-1)
        return found

    def scaled(
        self, x: Shaped[Tensor, "batch ..."], dtype: torch.dtype
    ) -> Float[Tensor, "batch ..."]:
        """(...) from -1 to 1."""
        return _scaled_levels(x, self.num_values, dtype)


def conditional_named(
    name: ConditionalName, *, num_levels: int, num_components: int
) -> AbstractConditional:
    """A conditional by the word that configs have for it.

    Args:
        name: The word.
        num_levels: K, where entries are integers.
        num_components: M, of mixtures.

    Raises:
        ValueError: The word is unknown, there are fewer than 2 levels, or no component.
    """
    if num_levels < 2 or num_components < 1:
        raise ValueError(
            f"expected at least 2 levels and 1 component, got {num_levels} and {num_components}"
        )
    if name == "bernoulli":
        return BernoulliConditional()
    if name == "categorical":
        return CategoricalConditional(num_levels)
    if name == "gaussian-mixture":
        return GaussianMixture(num_components)
    if name == "discretised-logistic":
        return DiscretisedLogistics(num_levels, num_components)
    raise ValueError(f"expected a conditional among {get_args(ConditionalName)}, got {name!r}")


def _mixture(parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(..., M) logits, means and logarithms of scales."""
    logits, means, log_scales = parameters.chunk(3, -1)
    return logits, means, log_scales.clamp(*_LOG_SCALES)


def _initial_mixture(num_components: int, reach: float) -> Tensor:
    if num_components == 1:
        return torch.tensor([0.0, 0.0, math.log(reach / 2)])
    means = torch.linspace(-reach, reach, num_components)
    log_scales = torch.full((num_components,), math.log(2 * reach / num_components))
    return torch.cat([torch.zeros(num_components), means, log_scales])


def _drawn_component(
    parameters: Tensor, temperature: float, rng: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """(...) mean and scale of a component that is drawn for each entry."""
    logits, means, log_scales = _mixture(parameters)
    which = _drawn_category(logits, temperature, rng).unsqueeze(-1)
    return means.gather(-1, which).squeeze(-1), log_scales.gather(-1, which).squeeze(-1).exp()


def _drawn_category(logits: Tensor, temperature: float, rng: torch.Generator | None) -> Tensor:
    """(...) integers: who wins a race of exponential clocks that run at the probabilities."""
    if temperature == 0:
        return logits.argmax(-1)
    times = torch.empty_like(logits).exponential_(generator=rng)
    return (logits / temperature - times.log()).argmax(-1)


def _levels(num_levels: int) -> constraints.Constraint:
    interval: Any = constraints.integer_interval  # PyTorch has no types here
    found: constraints.Constraint = interval(0, num_levels - 1)
    return found


def _scaled_levels(x: Tensor, num_levels: int, dtype: torch.dtype) -> Tensor:
    return x.to(dtype) * (2 / (num_levels - 1)) - 1
