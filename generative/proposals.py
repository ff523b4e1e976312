"""A law for importance sampling: near samples of what is to be integrated, and far around them.

Half of its mass are normal kernels on the samples, of Scott's width; the other half is a Cauchy
law along each axis, wide enough for tails that no sample has reached.

References:
    D. W. Scott (1992), Multivariate density estimation, Wiley, section 6.5 (the kernels' width).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["drawn_around", "log_density_around"]


def drawn_around(centres: Tensor, rng: torch.Generator) -> Tensor:
    """(2N, D) points, half near centres and half far around.

    Args:
        centres: (N, D) samples, in 64 bits.
        rng: Of the draws.
    """
    num, size = centres.shape
    middle, width, near = _scales(centres)
    own = centres[torch.randint(num, (num,), generator=rng)]
    noise = torch.randn(num, size, generator=rng, dtype=torch.float64)
    tails = (torch.rand(num, size, generator=rng, dtype=torch.float64) - 0.5) * math.pi
    return torch.cat([own + near * noise, middle + 2 * width * tails.tan()])


def log_density_around(y: Tensor, centres: Tensor) -> Tensor:
    """(M,) log-densities of the law that `drawn_around` draws points of.

    Args:
        y: (M, D) any points.
        centres: (N, D) samples.

    Example:
        >>> centres = torch.tensor([[-1.0], [0.0], [1.0]], dtype=torch.float64)
        >>> y = torch.linspace(-200, 200, 40_001, dtype=torch.float64)[:, None]
        >>> round(float(log_density_around(y, centres).exp().sum() * 0.01), 2)
        1.0
    """
    num, size = centres.shape
    middle, width, near = _scales(centres)
    squared = torch.cdist(y / near, centres / near).square()
    kernels = (-squared / 2).logsumexp(dim=1) - math.log(num)
    kernels -= near.log().sum() + size / 2 * math.log(2 * math.pi)
    scaled = (y - middle) / (2 * width)
    cauchy = -(math.pi * 2 * width * (1 + scaled.square())).log().sum(dim=1)
    return torch.logaddexp(kernels, cauchy) - math.log(2)


def _scales(centres: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(D,) the middle of (N, D) points, a deviation of theirs, and that of kernels on them."""
    num, size = centres.shape
    low, high = (centres.quantile(share, dim=0) for share in (0.16, 0.84))
    width = ((high - low) / 2).clamp(min=1e-6)  # heavy tails have no other deviation
    return centres.median(dim=0).values, width, width * num ** (-1 / (size + 4))  # Scott's rule
