r"""What flows turn events into: distributions of D numbers that are easy to draw from.

========================  ======================================================================
`Normal`                  :math:`\mathcal N(0, I)`
`Logistic`                :math:`\log p = \sum_i -\operatorname{softplus}(z_i) -
                          \operatorname{softplus}(-z_i)`
`StudentT`                independent t-distributions, each with learned degrees of freedom
                          :math:`\nu_i`: a flow that stretches boundedly keeps a Gaussian's light
                          tails, and needs heavy ones here for data that have them
`GaussianMixture`         :math:`\sum_k \pi_k \mathcal N(\mu_k, \operatorname{diag} \sigma_k^2)`,
                          learned; a context of classes selects a mixture of its own for each
========================  ======================================================================

A continuous map keeps a connected set connected: a flow from one Gaussian leaves bridges between
the modes of its data, and one from a mixture need not.

References:
    L. Dinh, D. Krueger, Y. Bengio (2014), NICE, arXiv:1410.8516, section 3.4 (logistic).
    P. Jaini, I. Kobyzev, Y. Yu, M. Brubaker (2020), Tails of Lipschitz triangular flows,
        arXiv:1907.04481, section 4 (Student-t).
    P. Izmailov, P. Kirichenko, M. Finzi, A. G. Wilson (2020), Semi-supervised learning with
        normalizing flows, arXiv:1912.13025, equation 3 (a Gaussian for each class).
    R. W. Bailey (1994), Polar generation of random variates with the t-distribution, Mathematics
        of Computation 62(206) (the sampler).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["AbstractBase", "BaseName", "GaussianMixture", "Logistic", "Normal", "StudentT"]

BaseName = Literal["normal", "logistic", "student-t", "mixture", "class-mixture"]

_LOG_2PI = math.log(2 * math.pi)
_FIRST_DEGREES = 10.0  # of freedom
_FIRST_SPREAD, _FIRST_DEVIATION = 2.0, 0.5  # of a mixture's means, and of each component


class AbstractBase(nn.Module, ABC):
    """A distribution of D numbers, given a context or not."""

    like: Tensor

    def __init__(self, num_entries: int) -> None:
        super().__init__()
        self.num_entries = num_entries
        # tells device and dtype
        self.register_buffer("like", torch.zeros(()), persistent=False)

    @abstractmethod
    def log_prob(
        self, z: Float[Tensor, "batch entries"], context: Float[Tensor, "batch context"] | None
    ) -> Float[Tensor, " batch"]:
        """(B,) log-densities of (B, D)."""

    @abstractmethod
    def sample(
        self,
        num: int,
        context: Float[Tensor, "batch context"] | None,
        temperature: float,
        rng: torch.Generator | None,
    ) -> Float[Tensor, "num entries"]:
        """(num, D) draws, whose deviations from their centres are scaled by the temperature."""


class Normal(AbstractBase):
    """The standard normal distribution.

    Example:
        >>> Normal(2).log_prob(torch.zeros(1, 2), None)
        tensor([-1.8379])
    """

    def log_prob(
        self, z: Float[Tensor, "batch entries"], context: Float[Tensor, "batch context"] | None
    ) -> Float[Tensor, " batch"]:
        """(B,) log-densities."""
        # a power's gradient is another power, which takes ten times as long as a product
        return -0.5 * ((z * z).sum(dim=1) + self.num_entries * _LOG_2PI)

    def sample(
        self,
        num: int,
        context: Float[Tensor, "batch context"] | None,
        temperature: float,
        rng: torch.Generator | None,
    ) -> Float[Tensor, "num entries"]:
        """(num, D) draws."""
        return temperature * _normals(self, num, rng)


class Logistic(AbstractBase):
    """Independent standard logistic distributions.

    Example:
        >>> Logistic(1).log_prob(torch.zeros(1, 1), None)  # the logarithm of 1/4
        tensor([-1.3863])
    """

    def log_prob(
        self, z: Float[Tensor, "batch entries"], context: Float[Tensor, "batch context"] | None
    ) -> Float[Tensor, " batch"]:
        """(B,) log-densities."""
        return -(functional.softplus(z) + functional.softplus(-z)).sum(dim=1)

    def sample(
        self,
        num: int,
        context: Float[Tensor, "batch context"] | None,
        temperature: float,
        rng: torch.Generator | None,
    ) -> Float[Tensor, "num entries"]:
        """(num, D) draws."""
        return temperature * _uniforms(self, num, rng).logit()


class StudentT(AbstractBase):
    """Independent t-distributions with learned degrees of freedom, 10 at first.

    Example:
        >>> StudentT(1).log_prob(torch.tensor([[20.0]]), None) > Normal(1).log_prob(
        ...     torch.tensor([[20.0]]), None)
        tensor([True])
    """

    def __init__(self, num_entries: int) -> None:
        super().__init__(num_entries)
        self.log_degrees = nn.Parameter(torch.full((num_entries,), math.log(_FIRST_DEGREES)))

    @property
    def degrees(self) -> Float[Tensor, " entries"]:
        """(D,) degrees of freedom."""
        return self.log_degrees.exp()

    def log_prob(
        self, z: Float[Tensor, "batch entries"], context: Float[Tensor, "batch context"] | None
    ) -> Float[Tensor, " batch"]:
        """(B,) log-densities."""
        nu = self.degrees
        half = (nu + 1) / 2
        constant = torch.lgamma(half) - torch.lgamma(nu / 2) - 0.5 * (nu * math.pi).log()
        return (constant - half * torch.log1p(z * z / nu)).sum(dim=1)

    def sample(
        self,
        num: int,
        context: Float[Tensor, "batch context"] | None,
        temperature: float,
        rng: torch.Generator | None,
    ) -> Float[Tensor, "num entries"]:
        """(num, D) draws, by Bailey's polar method."""
        nu = self.degrees.detach()
        u, v = _uniforms(self, num, rng), _uniforms(self, num, rng)
        radius = (nu * torch.expm1(-2 / nu * u.log())).sqrt()
        return temperature * radius * torch.cos(2 * math.pi * v)


class GaussianMixture(AbstractBase):
    """Learned Gaussians with diagonal covariances.

    Args:
        num_entries: D.
        num_components: K, of each class.
        num_classes: G; a context is then the (B, G) probabilities of the classes, such as a
            one-hot label. 0 for a mixture without a context.

    Attributes:
        logits: (G or 1, K) of the weights.
        means: (G or 1, K, D).
        log_deviations: (G or 1, K, D).

    Example:
        >>> labels = torch.eye(3)
        >>> GaussianMixture(2, 1, num_classes=3).log_prob(torch.zeros(3, 2), labels).shape
        torch.Size([3])
    """

    def __init__(self, num_entries: int, num_components: int, *, num_classes: int = 0) -> None:
        super().__init__(num_entries)
        if num_components < 1 or num_classes < 0:
            raise ValueError(
                f"expected at least 1 component and no fewer than 0 classes, got "
                f"{num_components} and {num_classes}"
            )
        shape = (max(num_classes, 1), num_components)
        self._takes_classes = num_classes > 0
        self.logits = nn.Parameter(torch.zeros(shape))
        # components that start in one heap are used as one Gaussian, bridges and all
        self.means = nn.Parameter(_FIRST_SPREAD * torch.randn(*shape, num_entries))
        first = torch.full((*shape, num_entries), math.log(_FIRST_DEVIATION))
        self.log_deviations = nn.Parameter(first)

    def log_prob(
        self, z: Float[Tensor, "batch entries"], context: Float[Tensor, "batch context"] | None
    ) -> Float[Tensor, " batch"]:
        """(B,) log-densities; of the mixture over the classes where these are not certain."""
        standard = (z[:, None, None] - self.means) * (-self.log_deviations).exp()
        log_joint = -0.5 * ((standard * standard).sum(dim=3) + self.num_entries * _LOG_2PI)
        log_joint = log_joint - self.log_deviations.sum(dim=2) + self.logits.log_softmax(dim=1)
        return (log_joint + self._log_classes(context).unsqueeze(2)).flatten(1).logsumexp(dim=1)

    def sample(
        self,
        num: int,
        context: Float[Tensor, "batch context"] | None,
        temperature: float,
        rng: torch.Generator | None,
    ) -> Float[Tensor, "num entries"]:
        """(num, D) draws; at a temperature of 0 the components' means."""
        weights = self.logits.softmax(dim=1) * self._log_classes(context).exp().unsqueeze(2)
        weights = weights.flatten(1).expand(num, -1)
        chosen = torch.multinomial(weights, 1, generator=rng)[:, 0]
        mean = self.means.flatten(0, 1)[chosen]
        deviation = self.log_deviations.flatten(0, 1)[chosen].exp()
        return mean + temperature * deviation * _normals(self, num, rng)

    def _log_classes(self, context: Tensor | None) -> Tensor:
        """(B or 1, G or 1) log-probabilities of the classes."""
        if not self._takes_classes:
            return self.logits.new_zeros(1, 1)
        assert context is not None
        # 0 gives a class no part, and a finite logarithm keeps gradients finite
        return context.clamp(min=torch.finfo(context.dtype).tiny).log()


def _normals(base: AbstractBase, num: int, rng: torch.Generator | None) -> Tensor:
    like = base.like
    return torch.randn(num, base.num_entries, generator=rng, dtype=like.dtype, device=like.device)


def _uniforms(base: AbstractBase, num: int, rng: torch.Generator | None) -> Tensor:
    """On the open interval: neither end has a logarithm."""
    like = base.like
    drawn = torch.rand(num, base.num_entries, generator=rng, dtype=like.dtype, device=like.device)
    least = torch.finfo(drawn.dtype).eps / 2
    return drawn.clamp(least, 1 - least)
