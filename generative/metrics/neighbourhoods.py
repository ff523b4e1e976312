r"""What share of samples lies among the data, and of data among the samples.

The ball of a vector reaches to its k-th nearest neighbour in its own sample. With N real vectors
:math:`x_i` and M generated ones :math:`y_j`:

.. math::
    \text{precision} = \tfrac1M \#\{j : y_j \in \textstyle\bigcup_i B(x_i)\}, \qquad
    \text{recall} = \tfrac1N \#\{i : x_i \in \textstyle\bigcup_j B(y_j)\},

.. math::
    \text{density} = \tfrac1{kM} \sum_{j,i} [y_j \in B(x_i)], \qquad
    \text{coverage} = \tfrac1N \#\{i : \exists j,\ y_j \in B(x_i)\}.

Density and coverage use the balls of real vectors alone, which a single outlier among the
generated ones cannot spoil. Two samples of one distribution have an expected density of 1 and,
where they are large and of one size, an expected coverage of :math:`1 - 2^{-k}`, to all but
:math:`O(1/N)`.

References:
    T. Kynkäänniemi, T. Karras, S. Laine, J. Lehtinen, T. Aila (2019), Improved precision and
        recall metric for assessing generative models, arXiv:1904.06991, equations 1 and 2.
    M. F. Naeem, S. J. Oh, Y. Uh, Y. Choi, J. Yoo (2020), Reliable fidelity and diversity metrics
        for generative models, arXiv:2002.09797, equations 4, 5, 9 and 11.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["DensityCoverage", "PrecisionRecall", "density_coverage", "precision_recall"]

_TOGETHER = 1_000  # rows of distances


@dataclass(frozen=True)
class PrecisionRecall:
    """Shares in [0, 1].

    Attributes:
        precision: Of generated vectors among the real ones.
        recall: Of real vectors among the generated ones.
    """

    precision: float
    recall: float


@dataclass(frozen=True)
class DensityCoverage:
    """How densely real vectors are surrounded by generated ones, and how many of them.

    Attributes:
        density: At least 0, and about 1 for a second sample of the data.
        coverage: In [0, 1].
    """

    density: float
    coverage: float


def precision_recall(
    real: Float[Tensor, "n features"],
    generated: Float[Tensor, "m features"],
    *,
    num_neighbours: int = 3,
) -> PrecisionRecall:
    """Precision and recall by nearest neighbours.

    Args:
        real: (N, D) features of data.
        generated: (M, D) features of samples.
        num_neighbours: k.

    Raises:
        ValueError: There are not more than k vectors, or they are of different lengths.

    Example:
        >>> real = torch.tensor([[0.0], [1.0], [2.0], [10.0]])
        >>> precision_recall(real, real[:3] + 0.5, num_neighbours=1)
        PrecisionRecall(precision=1.0, recall=0.75)
    """
    real, generated = _checked(real, generated, num_neighbours)
    return PrecisionRecall(
        precision=_share_inside(generated, real, num_neighbours),
        recall=_share_inside(real, generated, num_neighbours),
    )


def density_coverage(
    real: Float[Tensor, "n features"],
    generated: Float[Tensor, "m features"],
    *,
    num_neighbours: int = 5,
) -> DensityCoverage:
    """Density and coverage by nearest neighbours.

    Args:
        real: (N, D) features of data.
        generated: (M, D) features of samples.
        num_neighbours: k.

    Raises:
        ValueError: There are not more than k vectors, or they are of different lengths.

    Example:
        >>> real = torch.tensor([[0.0], [1.0], [2.0], [10.0]])
        >>> density_coverage(real, torch.tensor([[0.5], [0.6]]), num_neighbours=1)
        DensityCoverage(density=2.0, coverage=0.5)
    """
    real, generated = _checked(real, generated, num_neighbours)
    radii = _radii(real, num_neighbours)
    inside, covered = 0, 0
    for start in range(0, len(real), _TOGETHER):
        rows = slice(start, start + _TOGETHER)
        hits = torch.cdist(real[rows], generated) <= radii[rows].unsqueeze(1)
        inside += int(hits.sum())
        covered += int(hits.any(dim=1).sum())
    return DensityCoverage(
        density=inside / (num_neighbours * len(generated)), coverage=covered / len(real)
    )


def _share_inside(points: Tensor, others: Tensor, num_neighbours: int) -> float:
    """Share of points that lie in the ball of any of the others."""
    radii, found = _radii(others, num_neighbours), 0
    for start in range(0, len(points), _TOGETHER):
        hits = torch.cdist(points[start : start + _TOGETHER], others) <= radii
        found += int(hits.any(dim=1).sum())
    return found / len(points)


def _radii(points: Tensor, num_neighbours: int) -> Tensor:
    """(N,) distances to the k-th nearest neighbour, the point itself left out."""
    found = []
    for start in range(0, len(points), _TOGETHER):
        distances = torch.cdist(points[start : start + _TOGETHER], points)
        own = torch.arange(len(distances), device=points.device)
        distances[own, start + own] = torch.inf  # rounding may put the point beside itself
        found.append(distances.kthvalue(num_neighbours, dim=1).values)
    return torch.cat(found)


def _checked(real: Tensor, generated: Tensor, num_neighbours: int) -> tuple[Tensor, Tensor]:
    fits = real.dim() == generated.dim() == 2 and real.shape[1] == generated.shape[1]
    if not fits or num_neighbours < 1 or min(len(real), len(generated)) <= num_neighbours:
        raise ValueError(
            f"expected two samples (N, D) of more than k >= 1 vectors with equal D, got shapes "
            f"{tuple(real.shape)} and {tuple(generated.shape)} with k = {num_neighbours}"
        )
    return real.double(), generated.double()
