r"""Distributions over actions, as functions of a policy network's outputs.

.. math::
    \text{categorical} \quad & \pi(a) = e^{l_a} / \textstyle\sum_b e^{l_b},
        \text{ b over the actions that are allowed} \\
    \text{Gaussian} \quad & \log \pi(u) = \sum_d -\tfrac12 \Bigl(
        \frac{u_d - \mu_d}{\sigma_d} \Bigr)^2 - \log \sigma_d - \tfrac12 \log 2 \pi \\
    \text{squashed} \quad & a = \ell + \tfrac12 (h - \ell)(\tanh u + 1), \qquad
        \log \pi(a) = \log \pi(u) - \sum_d \log \frac{d a_d}{d u_d} \\
        & \log \frac{d a}{d u} = \log \frac{h - \ell}{2} + \log(1 - \tanh^2 u), \qquad
        \log(1 - \tanh^2 u) = 2 (\log 2 - u - \operatorname{softplus}(-2u))

for a Box from :math:`\ell` to h; the last form neither overflows nor cancels.

*Latents.* What a roll-out should store is the ``latent`` that was drawn: u for the squashed
Gaussian, the action itself for all others. Its log-probability is exact, while the u behind an
action near a bound is lost to rounding.

*Noise is an argument.* ``noise_kind`` and ``noise_shape`` say what `sample` takes: uniforms on
[0, 1), one for each choice among actions, or standard normals, one for each number.

*Masked actions* have the probability 0 exactly, and the lowest finite number as log-probability,
so that no gradient is NaN. Where nothing is allowed, as may be after an episode's end, everything
is.

References:
    S. Huang, S. Ontañón (2022), A closer look at invalid action masking in policy gradient
        algorithms, arXiv:2006.14171, section 2.
    T. Haarnoja et al. (2018), Soft actor-critic, arXiv:1801.01290, appendix C, equation 21.
    L. Devroye (1986), Non-uniform random variate generation, section III.2 (inversion).
    M. Abramowitz, I. Stegun (1964), Handbook of mathematical functions, 25.4.46 (Gauss-Hermite).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, Num
from torch import Tensor
from torch.nn import functional

from .action_value_targets import masked_values

__all__ = [
    "AbstractPolicyDistribution",
    "Categorical",
    "DiagonalGaussian",
    "MultiCategorical",
    "NoiseKind",
    "SquashedGaussian",
    "categorical",
    "log_tanh_slope",
    "multi_categorical",
]

NoiseKind = Literal["uniform", "normal"]

_QUADRATURE_POINTS = 32
_NODES, _WEIGHTS = (x.tolist() for x in np.polynomial.hermite.hermgauss(_QUADRATURE_POINTS))


def log_tanh_slope(u: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """(...) the logarithm of 1 - tanh(u)^2, exact to rounding for any u."""
    return 2 * (math.log(2) - u - functional.softplus(-2 * u))


class AbstractPolicyDistribution(ABC):
    """What a policy network returns and an agent draws actions from.

    Shapes are (M, B) for choices among actions, (M, B, K) for K choices and (M, B, D) for D
    numbers.
    """

    noise_kind: ClassVar[NoiseKind]

    @property
    @abstractmethod
    def noise_shape(self) -> tuple[int, ...]:
        """The shape of the noise that `sample` takes."""

    @abstractmethod
    def sample_latent(self, noise: Float[Tensor, " *any"]) -> Num[Tensor, " *any"]:
        """Draw what a roll-out stores.

        Args:
            noise: Of `noise_kind` and `noise_shape`.
        """

    @abstractmethod
    def action(self, latent: Num[Tensor, " *any"]) -> Num[Tensor, " *any"]:
        """The action that a latent stands for."""

    @abstractmethod
    def log_prob_of_latent(self, latent: Num[Tensor, " *any"]) -> Float[Tensor, " *any"]:
        """(M, B) the logarithm of the probability, or density, of a latent's *action*."""

    @abstractmethod
    def log_prob(self, action: Num[Tensor, " *any"]) -> Float[Tensor, " *any"]:
        """(M, B) the logarithm of the probability, or density, of an action."""

    @abstractmethod
    def entropy(self) -> Float[Tensor, " *any"]:
        """(M, B) the entropy of the actions, in nats."""

    @abstractmethod
    def mode(self) -> Num[Tensor, " *any"]:
        """The action without chance."""

    def sample(self, noise: Float[Tensor, " *any"]) -> Num[Tensor, " *any"]:
        """Draw an action; see `sample_latent`."""
        return self.action(self.sample_latent(noise))


# ---- choices --------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Categorical(AbstractPolicyDistribution):
    """A choice among A actions; build it with `categorical`.

    Attributes:
        log_p: (..., A) logarithms of probabilities, normalised; the lowest finite number, or
            less by a rounding error, for what is not allowed.
    """

    log_p: Float[Tensor, "*batch actions"]
    noise_kind: ClassVar[NoiseKind] = "uniform"

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """One uniform for each choice."""
        return tuple(self.log_p.shape[:-1])

    @property
    def probabilities(self) -> Float[Tensor, "*batch actions"]:
        """(..., A) exactly 0 for what is not allowed."""
        return self.log_p.exp()

    def sample_latent(self, noise: Float[Tensor, "*batch"]) -> Int64[Tensor, "*batch"]:
        """(...) the first action at which the cumulative probability exceeds the uniform."""
        p = self.probabilities
        cumulative = p.cumsum(dim=-1)
        # times the last: rounding leaves it short of 1, or beyond
        exceeds = cumulative > noise.unsqueeze(-1) * cumulative[..., -1:]
        return exceeds.to(torch.int8).masked_fill(p == 0, -1).argmax(dim=-1)

    def action(self, latent: Int64[Tensor, "*batch"]) -> Int64[Tensor, "*batch"]:
        """The latent itself."""
        return latent

    def log_prob_of_latent(self, latent: Int64[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """As `log_prob`."""
        return self.log_prob(latent)

    def log_prob(self, action: Int64[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """(...) of actions counted from 0."""
        return self.log_p.gather(-1, action.unsqueeze(-1)).squeeze(-1)

    def entropy(self) -> Float[Tensor, "*batch"]:
        """(...) from 0 to the logarithm of the number of actions allowed."""
        return -(self.probabilities * self.log_p).sum(dim=-1)

    def mode(self) -> Int64[Tensor, "*batch"]:
        """(...) the most probable action, the first among equals."""
        return self.log_p.argmax(dim=-1)


def categorical(
    logits: Float[Tensor, "*batch actions"],
    allowed: Bool[Tensor, "*batch actions"] | None = None,
) -> Categorical:
    """A choice among actions.

    Args:
        logits: (..., A) up to a constant, logarithms of probabilities.
        allowed: (..., A) which actions may be chosen; None for all.

    Example:
        >>> choice = categorical(torch.tensor([0.0, 9.0, 0.0]), torch.tensor([True, False, True]))
        >>> choice.probabilities
        tensor([0.5000, 0.0000, 0.5000])
    """
    return Categorical(masked_values(logits, allowed).log_softmax(dim=-1))


@dataclass(frozen=True, eq=False)
class MultiCategorical(AbstractPolicyDistribution):
    """K choices, independent of one another; build it with `multi_categorical`.

    Attributes:
        choices: K distributions of the same batch.
    """

    choices: tuple[Categorical, ...]
    noise_kind: ClassVar[NoiseKind] = "uniform"

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """(..., K) one uniform for each choice."""
        return (*self.choices[0].noise_shape, len(self.choices))

    def sample_latent(
        self, noise: Float[Tensor, "*batch choices"]
    ) -> Int64[Tensor, "*batch choices"]:
        """(..., K) actions counted from 0."""
        draws = zip(self.choices, noise.unbind(-1), strict=True)
        return torch.stack([choice.sample_latent(u) for choice, u in draws], dim=-1)

    def action(self, latent: Int64[Tensor, "*batch choices"]) -> Int64[Tensor, "*batch choices"]:
        """The latent itself."""
        return latent

    def log_prob_of_latent(
        self, latent: Int64[Tensor, "*batch choices"]
    ) -> Float[Tensor, "*batch"]:
        """As `log_prob`."""
        return self.log_prob(latent)

    def log_prob(self, action: Int64[Tensor, "*batch choices"]) -> Float[Tensor, "*batch"]:
        """(...) of (..., K) actions counted from 0."""
        parts = zip(self.choices, action.unbind(-1), strict=True)
        return torch.stack([choice.log_prob(a) for choice, a in parts]).sum(dim=0)

    def entropy(self) -> Float[Tensor, "*batch"]:
        """(...) the sum over the choices."""
        return torch.stack([choice.entropy() for choice in self.choices]).sum(dim=0)

    def mode(self) -> Int64[Tensor, "*batch choices"]:
        """(..., K) the most probable of each choice."""
        return torch.stack([choice.mode() for choice in self.choices], dim=-1)


def multi_categorical(
    logits: Float[Tensor, "*batch actions"],
    sizes: Sequence[int],
    allowed: Bool[Tensor, "*batch actions"] | None = None,
) -> MultiCategorical:
    """Several choices, whose logits lie one after another.

    Args:
        logits: (..., sum of sizes).
        sizes: How many actions each choice has.
        allowed: (..., sum of sizes) which actions may be chosen; None for all.
    """
    parts = torch.split_with_sizes(logits, list(sizes), dim=-1)
    masks: Sequence[Tensor | None] = [None] * len(sizes)
    if allowed is not None:
        masks = torch.split_with_sizes(allowed, list(sizes), dim=-1)
    return MultiCategorical(
        tuple(categorical(part, mask) for part, mask in zip(parts, masks, strict=True))
    )


# ---- numbers --------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class DiagonalGaussian(AbstractPolicyDistribution):
    """D independent normal numbers, not bound to the action space: acting clips them.

    Attributes:
        mean: (..., D).
        log_sigma: (..., D) logarithms of standard deviations; a free one, the same for every
            observation, may have 1 in place of an axis of the batch.
    """

    mean: Float[Tensor, "*batch numbers"]
    log_sigma: Float[Tensor, "*#batch numbers"]
    noise_kind: ClassVar[NoiseKind] = "normal"

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """(..., D)."""
        return tuple(self.mean.shape)

    def sample_latent(
        self, noise: Float[Tensor, "*batch numbers"]
    ) -> Float[Tensor, "*batch numbers"]:
        """(..., D) mean + sigma * noise."""
        return self.mean + self.log_sigma.exp() * noise

    def action(self, latent: Float[Tensor, "*batch numbers"]) -> Float[Tensor, "*batch numbers"]:
        """The latent itself."""
        return latent

    def log_prob_of_latent(
        self, latent: Float[Tensor, "*batch numbers"]
    ) -> Float[Tensor, "*batch"]:
        """As `log_prob`."""
        return self.log_prob(latent)

    def log_prob(self, action: Float[Tensor, "*batch numbers"]) -> Float[Tensor, "*batch"]:
        """(...) of actions as they were drawn, before clipping."""
        z = (action - self.mean) * (-self.log_sigma).exp()
        return (-0.5 * z.square() - self.log_sigma - 0.5 * math.log(2 * math.pi)).sum(dim=-1)

    def entropy(self) -> Float[Tensor, "*batch"]:
        """(...) may be negative, as the entropy of a density."""
        each = self.log_sigma + 0.5 * (1 + math.log(2 * math.pi))
        return each.expand_as(self.mean).sum(dim=-1)

    def mode(self) -> Float[Tensor, "*batch numbers"]:
        """(..., D) the mean."""
        return self.mean


@dataclass(frozen=True, eq=False)
class SquashedGaussian(AbstractPolicyDistribution):
    """D independent numbers between bounds: the tanh of normal ones, stretched.

    Attributes:
        gaussian: The numbers before squashing.
        low: (D,) finite lower bounds.
        high: (D,) finite upper bounds, above the lower.
    """

    gaussian: DiagonalGaussian
    low: Float[Tensor, " numbers"]
    high: Float[Tensor, " numbers"]
    noise_kind: ClassVar[NoiseKind] = "normal"

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """(..., D)."""
        return self.gaussian.noise_shape

    def sample_latent(
        self, noise: Float[Tensor, "*batch numbers"]
    ) -> Float[Tensor, "*batch numbers"]:
        """(..., D) the number before squashing."""
        return self.gaussian.sample_latent(noise)

    def action(self, latent: Float[Tensor, "*batch numbers"]) -> Float[Tensor, "*batch numbers"]:
        """(..., D) between the bounds, up to rounding."""
        return self.low + 0.5 * (self.high - self.low) * (latent.tanh() + 1)

    def log_prob_of_latent(
        self, latent: Float[Tensor, "*batch numbers"]
    ) -> Float[Tensor, "*batch"]:
        """(...) of the actions that the numbers before squashing stand for; exact."""
        slope = (0.5 * (self.high - self.low)).log() + log_tanh_slope(latent)
        return self.gaussian.log_prob(latent) - slope.sum(dim=-1)

    def log_prob(self, action: Float[Tensor, "*batch numbers"]) -> Float[Tensor, "*batch"]:
        """(...) of actions; an action at a bound counts as the nearest number inside.

        Near a bound the latent, and with it this, is only as good as the action's rounding.
        """
        nearest = 1 - torch.finfo(action.dtype).eps
        y = 2 * (action - self.low) / (self.high - self.low) - 1
        return self.log_prob_of_latent(y.clamp(-nearest, nearest).atanh())

    def entropy(self) -> Float[Tensor, "*batch"]:
        """(...) by Gauss-Hermite quadrature of each number: it has no closed form.

        With 32 points the error of a number's entropy is below 1e-6 for sigma up to 1, 2e-4 up
        to 2 and 0.1 up to e^2.
        """
        nodes = math.sqrt(2) * self.gaussian.mean.new_tensor(_NODES)
        weights = self.gaussian.mean.new_tensor(_WEIGHTS) / math.sqrt(math.pi)
        sigma = self.gaussian.log_sigma.exp()
        u = self.gaussian.mean.unsqueeze(-1) + sigma.unsqueeze(-1) * nodes
        slope = (0.5 * (self.high - self.low)).log() + (log_tanh_slope(u) * weights).sum(dim=-1)
        return self.gaussian.entropy() + slope.sum(dim=-1)

    def mode(self) -> Float[Tensor, "*batch numbers"]:
        """(..., D) the squashed mean, which is each number's median.

        The density itself may be highest elsewhere: with a wide sigma, at both bounds.
        """
        return self.action(self.gaussian.mode())
