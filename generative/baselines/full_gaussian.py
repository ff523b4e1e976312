r"""A Gaussian with a full covariance, fitted in closed form.

.. math:: \log p(x) = -\tfrac12 \|L^{-1}(x - \mu)\|^2 - \sum_d \log L_{dd}
    - \tfrac D2 \log 2\pi, \qquad \Sigma = L L^\top + \epsilon I.

Maximum likelihood takes the mean and the covariance of the events, over N; the ridge
:math:`\epsilon` keeps directions in which they do not vary from infinite densities. Every flow on
dequantised pictures should beat it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..generator import AbstractDensity

__all__ = ["FullGaussian", "factor_of", "gaussian_log_prob", "lower_triangle"]


class FullGaussian(AbstractDensity):
    """A Gaussian with a full covariance. The temperature scales the deviations.

    Args:
        event_shape: Of one event.

    Example:
        >>> x = torch.tensor([[0.0, 1.0], [2.0, 1.0], [1.0, 0.0], [1.0, 2.0]])
        >>> FullGaussian.fitted(x, ridge=0.0).covariance
        tensor([[0.5000, 0.0000],
                [0.0000, 0.5000]], grad_fn=<MmBackward0>)
    """

    def __init__(self, event_shape: Sequence[int]) -> None:
        super().__init__(event_shape)
        self.mean = nn.Parameter(torch.zeros(self.num_entries))
        self.factor = nn.Parameter(torch.zeros(self.num_entries, self.num_entries))

    @classmethod
    def fitted(cls, x: Float[Tensor, "batch ..."], *, ridge: float = 1e-6) -> Self:
        """The one that makes events most probable.

        Args:
            x: (N, *event) events.
            ridge: Added to all variances.

        Raises:
            ValueError: There are no events, or the covariance is singular.
        """
        if not len(x):
            raise ValueError("expected at least one event, got none")
        rows = x.flatten(1).double()
        density = cls(x.shape[1:])
        with torch.no_grad():
            density.mean.copy_(rows.mean(dim=0))
            covariance = torch.cov(rows.T, correction=0).reshape(density.factor.shape)
            density.factor.copy_(factor_of(covariance, ridge))
        return density.eval()

    @property
    def covariance(self) -> Float[Tensor, "entries entries"]:
        """(D, D)."""
        lower = lower_triangle(self.factor)
        return lower @ lower.T

    def _log_prob(self, x: Tensor, context: Tensor | None) -> Tensor:
        return gaussian_log_prob(x.flatten(1), self.mean, lower_triangle(self.factor))

    def _loss(self, x: Tensor, context: Tensor | None, rng: torch.Generator | None) -> Tensor:
        return -self._log_prob(x, context)

    def _sample(
        self,
        num: int,
        context: Tensor | None,
        temperature: float,
        rng: torch.Generator | None,
    ) -> Tensor:
        like = self.mean
        shape = num, self.num_entries
        noise = torch.randn(shape, generator=rng, dtype=like.dtype, device=like.device)
        drawn: Tensor = self.mean + temperature * noise @ lower_triangle(self.factor).T
        return drawn.view(num, *self.event_shape)


def factor_of(
    covariance: Float[Tensor, "entries entries"], ridge: float
) -> Float[Tensor, "entries entries"]:
    """(D, D) a covariance's Cholesky factor, with the logarithm of its diagonal.

    Raises:
        ValueError: The covariance is singular.
    """
    eye = torch.eye(len(covariance), dtype=covariance.dtype, device=covariance.device)
    lower: Tensor
    lower, failed = torch.linalg.cholesky_ex(covariance + ridge * eye)
    if int(failed):
        raise ValueError(
            f"expected events that vary in every direction, got a singular covariance: a ridge "
            f"above {ridge} helps"
        )
    return lower.tril(-1) + lower.diagonal().log().diag()


def lower_triangle(
    factor: Float[Tensor, "... entries entries"],
) -> Float[Tensor, "... entries entries"]:
    """(..., D, D) Cholesky factors, of what `factor_of` gives; the upper triangle is not read."""
    return factor.tril(-1) + torch.diag_embed(factor.diagonal(dim1=-2, dim2=-1).exp())


def gaussian_log_prob(
    x: Float[Tensor, "batch entries"],
    mean: Float[Tensor, " entries"],
    lower: Float[Tensor, "entries entries"],
) -> Float[Tensor, " batch"]:
    """(N,) log-densities of (N, D) events, by a Cholesky factor of the covariance."""
    whitened: Tensor = torch.linalg.solve_triangular(lower, (x - mean).T, upper=False)
    log_determinant = lower.diagonal().log().sum()
    constant = len(mean) / 2 * math.log(math.tau)
    return -whitened.square().sum(dim=0) / 2 - log_determinant - constant
