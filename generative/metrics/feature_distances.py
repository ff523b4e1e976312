r"""Distances between two samples of feature vectors: Fréchet's, and those by kernels.

*Fréchet distance* of the Gaussians that have the samples' moments,

.. math:: d^2 = \|\mu_1 - \mu_2\|^2 + \operatorname{tr}(C_1 + C_2 - 2 (C_1 C_2)^{1/2}),

where the trace of the root is the sum of the roots of the eigenvalues of
:math:`C_1^{1/2} C_2 C_1^{1/2}`, which is symmetric. It is biased: it falls as samples grow.

*Maximum mean discrepancy*, with a kernel k, estimated without bias from n and m vectors:

.. math:: \frac{\sum_{i \ne j} k(x_i, x_j)}{n(n-1)} + \frac{\sum_{i \ne j} k(y_i, y_j)}{m(m-1)}
    - \frac{2 \sum_{i,j} k(x_i, y_j)}{nm}.

It is 0 in the mean where the distributions are the same, and so often negative. The *kernel
distance* is that with :math:`k(x, y) = (x^\top y / D + 1)^3`, as a mean over disjoint blocks,
which gives it a standard error.

Everything is computed in 64 bits: in 32, roots of covariances are wrong by more than differences
between models. On the features of `PictureClassifier` these are *not* the numbers called FID and
KID in papers, which are on features of the Inception network and cannot be compared with them.

References:
    M. Heusel et al. (2017), GANs trained by a two time-scale update rule converge to a local Nash
        equilibrium, arXiv:1706.08500, equation 6.
    M. Bińkowski et al. (2018), Demystifying MMD GANs, arXiv:1801.01401, section 4 (the kernel, the
        estimate and its blocks).
    A. Gretton et al. (2012), A kernel two-sample test, JMLR 13, equation 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = [
    "Kernel",
    "KernelDistance",
    "cubic_kernel",
    "frechet_distance",
    "frechet_distance_of_gaussians",
    "gaussian_kernel",
    "kernel_distance",
    "maximum_mean_discrepancy",
    "median_distance",
    "several_scales",
]

Kernel: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(N, M) of (N, D) and (M, D) vectors."""


@dataclass(frozen=True)
class KernelDistance:
    """The mean over blocks.

    Attributes:
        mean: Over the blocks; 0 in expectation where the distributions are the same.
        standard_error: Of the mean; NaN with a single block.
        num_blocks: How many.
    """

    mean: float
    standard_error: float
    num_blocks: int


def frechet_distance(x: Float[Tensor, "n features"], y: Float[Tensor, "m features"]) -> float:
    """The squared Fréchet distance of two samples.

    Args:
        x: (N, D) at least two vectors.
        y: (M, D) at least two vectors.

    Raises:
        ValueError: There are fewer, or they are of different lengths.

    Example:
        >>> x = torch.tensor([[0.0], [2.0]])
        >>> frechet_distance(x, x + 3)
        9.0
    """
    x, y = _checked(x, y)
    moments = [(z.mean(dim=0), torch.cov(z.T).reshape(z.shape[1], -1)) for z in (x, y)]
    return frechet_distance_of_gaussians(*moments[0], *moments[1])


def frechet_distance_of_gaussians(
    mean: Float[Tensor, " features"],
    covariance: Float[Tensor, "features features"],
    other_mean: Float[Tensor, " features"],
    other_covariance: Float[Tensor, "features features"],
) -> float:
    """The squared Fréchet (2-Wasserstein) distance of two Gaussians; covariances may be singular.

    Example:
        >>> one = torch.eye(2)
        >>> frechet_distance_of_gaussians(torch.zeros(2), one, torch.ones(2), 4 * one)
        4.0
    """
    first, second = covariance.double(), other_covariance.double()
    values, vectors = torch.linalg.eigh(first)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    product = torch.linalg.eigvalsh(root @ second @ root)
    roots = product.clamp(min=0).sqrt().sum()
    shift = (mean.double() - other_mean.double()).square().sum()
    return float((shift + first.trace() + second.trace() - 2 * roots).clamp(min=0))


def kernel_distance(
    x: Float[Tensor, "n features"],
    y: Float[Tensor, "m features"],
    *,
    block_size: int = 1_000,
    seed: int = 0,
) -> KernelDistance:
    """The kernel distance of two samples, with the cubic kernel.

    Args:
        x: (N, D) at least two vectors.
        y: (M, D) at least two vectors.
        block_size: Vectors of each sample in a block; fewer where there are fewer.
        seed: Of the order in which vectors go into blocks; the last ones may be left over.

    Raises:
        ValueError: There are fewer vectors, they are of different lengths, or blocks have fewer
            than two.
    """
    if block_size < 2:
        raise ValueError(f"expected blocks of at least 2 vectors, got {block_size}")
    x, y = _checked(x, y)
    rng = torch.Generator().manual_seed(seed)
    own, other = (z[torch.randperm(len(z), generator=rng).to(z.device)] for z in (x, y))
    size = min(block_size, len(x), len(y))
    num_blocks = min(len(x), len(y)) // size
    blocks = [slice(i * size, (i + 1) * size) for i in range(num_blocks)]
    estimates = [maximum_mean_discrepancy(own[block], other[block]) for block in blocks]
    found = torch.tensor(estimates, dtype=torch.float64)
    error = float(found.std() / math.sqrt(num_blocks)) if num_blocks > 1 else math.nan
    return KernelDistance(float(found.mean()), error, num_blocks)


def maximum_mean_discrepancy(
    x: Float[Tensor, "n features"], y: Float[Tensor, "m features"], kernel: Kernel | None = None
) -> float:
    """The squared discrepancy of two samples, estimated without bias.

    Args:
        x: (N, D) at least two vectors.
        y: (M, D) at least two vectors.
        kernel: None takes the cubic one.

    Raises:
        ValueError: There are fewer, or they are of different lengths.

    Example:
        >>> x = torch.tensor([[0.0], [1.0]])
        >>> maximum_mean_discrepancy(x, x, lambda a, b: a @ b.T)  # 0 + 0 - 2 (1 / 4)
        -0.5
    """
    x, y = _checked(x, y)
    own_kernel = cubic_kernel if kernel is None else kernel
    within = [_mean_off_diagonal(own_kernel(z, z)) for z in (x, y)]
    return float(within[0] + within[1] - 2 * own_kernel(x, y).mean())


def cubic_kernel(
    x: Float[Tensor, "n features"], y: Float[Tensor, "m features"]
) -> Float[Tensor, "n m"]:
    """(N, M) of the kernel distance."""
    products: Tensor = x @ y.T
    return (products / x.shape[1] + 1) ** 3


def gaussian_kernel(bandwidth: float) -> Kernel:
    r"""The kernel :math:`e^{-\|x - y\|^2 / (2 b^2)}`.

    Args:
        bandwidth: b; `median_distance` is a usual choice.

    Raises:
        ValueError: It is not positive.
    """
    if not bandwidth > 0:
        raise ValueError(f"expected a bandwidth above 0, got {bandwidth}")

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        return (torch.cdist(x, y).square() / (-2 * bandwidth**2)).exp()

    return kernel


def several_scales(bandwidth: float, *, num_scales: int = 5) -> Kernel:
    """The mean of Gaussian kernels that are each half as wide as the one before.

    With the median distance alone eight small Gaussians on a circle are as good as one large.

    Args:
        bandwidth: Of the widest.
        num_scales: How many.

    Raises:
        ValueError: The bandwidth is not positive, or there is no kernel.

    Example:
        >>> x = torch.tensor([[0.0], [2.0]])
        >>> several_scales(2.0, num_scales=2)(x, x)[0, 1]  # (exp(-1/2) + exp(-2)) / 2
        tensor(0.3709)
    """
    if num_scales < 1:
        raise ValueError(f"expected at least 1 kernel, got {num_scales}")
    kernels = [gaussian_kernel(bandwidth / 2**scale) for scale in range(num_scales)]

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        return torch.stack([one(x, y) for one in kernels]).mean(dim=0)

    return kernel


def median_distance(x: Float[Tensor, "n features"], *, most: int = 2_000) -> float:
    """The median distance of pairs among the first vectors."""
    return float(torch.nn.functional.pdist(x[:most].double()).median())


def _mean_off_diagonal(values: Tensor) -> Tensor:
    num = len(values)
    return (values.sum() - values.trace()) / (num * (num - 1))


def _checked(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    if x.dim() != 2 or y.dim() != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise ValueError(
            f"expected two samples (N, D) of at least 2 vectors with equal D, got shapes "
            f"{tuple(x.shape)} and {tuple(y.shape)}"
        )
    return x.double(), y.double()
