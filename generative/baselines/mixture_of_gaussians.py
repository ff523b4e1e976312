r"""A mixture of Gaussians, fitted by expectation and maximisation.

.. math:: p(x) = \sum_k \pi_k N(x; \mu_k, \Sigma_k + \epsilon I).

A sweep takes each component's share in each event, and then the weights, means and covariances of
the events so shared out:

.. math:: r_{nk} = \frac{\pi_k N(x_n; \mu_k, \Sigma_k)}{\sum_j \pi_j N(x_n; \mu_j, \Sigma_j)},
    \qquad \pi_k = \tfrac1N \sum_n r_{nk}, \quad
    \mu_k = \frac{\sum_n r_{nk} x_n}{\sum_n r_{nk}}, \quad
    \Sigma_k = \frac{\sum_n r_{nk} (x_n - \mu_k)(x_n - \mu_k)^\top}{\sum_n r_{nk}}.

Without the ridge :math:`\epsilon` no sweep lowers the likelihood. Sweeps end when the mean
log-density rises by less than a tolerance. The first means are events far from each other, by
k-means++.

References:
    A. P. Dempster, N. M. Laird, D. B. Rubin (1977), Maximum likelihood from incomplete data via
        the EM algorithm, Journal of the Royal Statistical Society B 39(1), section 4.3.
    D. Arthur, S. Vassilvitskii (2007), k-means++: the advantages of careful seeding, SODA, section
        2.2.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from ..conditionals import CategoricalConditional
from ..generator import AbstractDensity
from .full_gaussian import factor_of, gaussian_log_prob, lower_triangle

__all__ = ["EMResult", "MixtureOfGaussians"]


@dataclass(frozen=True)
class EMResult:
    """How fitting went.

    Attributes:
        sweeps: That were taken.
        converged: Whether the last one rose by less than the tolerance.
        log_prob: Mean log-density of the events before each sweep, and after the last.
    """

    sweeps: int
    converged: bool
    log_prob: tuple[float, ...]


class MixtureOfGaussians(AbstractDensity):
    """A mixture of Gaussians with full covariances.

    The temperature divides the logits of the components and scales their deviations.

    Args:
        event_shape: Of one event.
        num_components: K.

    Attributes:
        result: How fitting went; None where it was not `fitted`.

    Raises:
        ValueError: There is no component.

    Example:
        >>> x = torch.cat([torch.randn(200, 1) - 5, torch.randn(200, 1) + 5])
        >>> mixture = MixtureOfGaussians.fitted(x, num_components=2)
        >>> mixture.result.converged, mixture.means.flatten().detach().sort().values.round()
        (True, tensor([-5.,  5.]))
    """

    def __init__(self, event_shape: Sequence[int], num_components: int) -> None:
        super().__init__(event_shape)
        if num_components < 1:
            raise ValueError(f"expected at least 1 component, got {num_components}")
        size = self.num_entries
        self.logits = nn.Parameter(torch.zeros(num_components))
        self.means = nn.Parameter(torch.zeros(num_components, size))
        self.factors = nn.Parameter(torch.zeros(num_components, size, size))
        self.result: EMResult | None = None

    @classmethod
    def fitted(
        cls,
        x: Float[Tensor, "batch ..."],
        *,
        num_components: int = 8,
        ridge: float = 1e-6,
        tolerance: float = 1e-6,
        max_sweeps: int = 500,
        seed: int = 0,
    ) -> Self:
        """One that makes events probable: the likelihood has many local maxima.

        Args:
            x: (N, *event) at least as many events as components.
            num_components: K.
            ridge: Added to all variances.
            tolerance: Nats by which the mean log-density must rise for another sweep.
            max_sweeps: After which fitting ends at the latest, with a warning.
            seed: Of the first means.

        Raises:
            ValueError: There are fewer events than components, or a covariance is singular.
        """
        if len(x) < num_components:
            raise ValueError(f"expected at least {num_components} events, got {len(x)}")
        rows = x.flatten(1).double().cpu()
        mixture = cls(x.shape[1:], num_components).double()
        _start(mixture, rows, ridge, torch.Generator().manual_seed(seed))
        found: list[float] = []
        converged = False
        with torch.no_grad():
            while not converged and len(found) <= max_sweeps:
                joint = mixture._joint(rows)
                total = joint.logsumexp(dim=1)
                found.append(float(total.mean()))
                converged = len(found) > 1 and found[-1] - found[-2] < tolerance
                if not converged and len(found) <= max_sweeps:
                    _maximise(mixture, rows, (joint - total.unsqueeze(1)).exp(), ridge)
        mixture.result = EMResult(len(found) - 1, converged, tuple(found))
        if not converged:
            warnings.warn(
                f"expectation-maximisation has not converged in {max_sweeps} sweeps: the last one "
                f"raised the mean log-density by {found[-1] - found[-2]:.2g}",
                RuntimeWarning,
                stacklevel=2,
            )
        return mixture.to(torch.get_default_dtype()).eval()

    def _joint(self, rows: Float[Tensor, "batch entries"]) -> Float[Tensor, "batch components"]:
        """(N, K) log-densities of events together with components."""
        parts = zip(self.means, lower_triangle(self.factors), strict=True)
        found = torch.stack([gaussian_log_prob(rows, mean, lower) for mean, lower in parts], dim=1)
        return found + self.logits.log_softmax(dim=0)

    def _log_prob(self, x: Tensor, context: Tensor | None) -> Tensor:
        return self._joint(x.flatten(1)).logsumexp(dim=1)

    def _loss(self, x: Tensor, context: Tensor | None, rng: torch.Generator | None) -> Tensor:
        return -self._log_prob(x, context)

    def _sample(
        self,
        num: int,
        context: Tensor | None,
        temperature: float,
        rng: torch.Generator | None,
    ) -> Tensor:
        like = self.means
        choice = CategoricalConditional(len(self.logits))
        which = choice.sample(self.logits.expand(num, -1), temperature, rng)
        shape = num, self.num_entries, 1
        noise = torch.randn(shape, generator=rng, dtype=like.dtype, device=like.device)
        spread = (lower_triangle(self.factors)[which] @ noise).squeeze(2)
        return (self.means[which] + temperature * spread).view(num, *self.event_shape)


def _start(
    mixture: MixtureOfGaussians,
    rows: Float64[Tensor, "batch entries"],
    ridge: float,
    rng: torch.Generator,
) -> None:
    """Means on events far from each other; the covariance of all events divided by K."""
    chosen = [int(torch.randint(len(rows), (), generator=rng))]
    while len(chosen) < len(mixture.logits):
        nearest = torch.cdist(rows, rows[chosen]).amin(dim=1).square()
        if not nearest.any():  # fewer different events than components
            nearest = torch.ones_like(nearest)
        chosen.append(int(torch.multinomial(nearest, 1, generator=rng)))
    covariance = torch.cov(rows.T, correction=0).view(rows.shape[1], -1) / len(chosen)
    with torch.no_grad():
        mixture.means.copy_(rows[chosen])
        mixture.factors.copy_(factor_of(covariance, ridge).expand_as(mixture.factors))


def _maximise(
    mixture: MixtureOfGaussians,
    rows: Float64[Tensor, "batch entries"],
    shares: Float64[Tensor, "batch components"],
    ridge: float,
) -> None:
    """Weights, means and covariances of events that belong to components in part."""
    sizes = shares.sum(dim=0)
    mixture.logits.copy_((sizes / len(rows)).log())
    mixture.means.copy_(shares.T @ rows / sizes.unsqueeze(1))
    for k in range(len(sizes)):
        centred = rows - mixture.means[k]
        covariance = (shares[:, k : k + 1] * centred).T @ centred / sizes[k]
        mixture.factors[k].copy_(factor_of(covariance, ridge))
