r"""Which modes of a mixture with known centres, or which classes, samples have found.

A sample is *near* its closest centre if it lies within a few standard deviations :math:`\sigma`. A
sample of the mixture itself in the plane is so with probability :math:`1 - e^{-r^2 / 2}` within
:math:`r\sigma`, 0.989 for 3, and in each mode equally often. A picture is near a class if a
classifier is sure that it is of this class.

References:
    A. Srivastava et al. (2017), VEEGAN: reducing mode collapse in GANs using implicit variational
        learning, arXiv:1705.07761, section 4.1 (modes captured, high-quality samples within 3
        standard deviations).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["ModeCoverage", "class_coverage", "mode_coverage"]


@dataclass(frozen=True)
class ModeCoverage:
    """How samples fall on modes.

    Attributes:
        num_covered: Modes with a sample near them.
        num_modes: K.
        share_near: Of samples near some mode.
        divergence: Kullback-Leibler divergence, in nats, of the near samples' modes from equal
            shares: 0 if all are equally often, log K if there is but one; NaN if none is near.
        counts: Near samples of each mode.
    """

    num_covered: int
    num_modes: int
    share_near: float
    divergence: float
    counts: tuple[int, ...]


def mode_coverage(
    x: Float[Tensor, "batch entries"],
    centres: Float[Tensor, "modes entries"],
    deviation: float,
    *,
    reach: float = 3.0,
) -> ModeCoverage:
    """Count samples at modes that are equally likely.

    Args:
        x: (N, D) samples.
        centres: (K, D) of the modes.
        deviation: Standard deviation of each.
        reach: Deviations within which a sample is near.

    Raises:
        ValueError: There are no samples, or they are not of the centres' length.

    Example:
        >>> from gymagine.generative.data.toys import eight_gaussians, eight_gaussians_centres
        >>> found = mode_coverage(eight_gaussians(1_000, 0)[:, :], eight_gaussians_centres(), 0.2)
        >>> found.num_covered, round(found.share_near, 1), found.divergence < 0.01
        (8, 1.0, True)
    """
    if x.dim() != 2 or not len(x) or x.shape[1:] != centres.shape[1:]:
        raise ValueError(
            f"expected samples of shape (N, {centres.shape[1]}), got {tuple(x.shape)}"
        )
    nearest = torch.cdist(x.double(), centres.to(x.device).double()).min(dim=1)
    near = nearest.indices[nearest.values <= reach * deviation]
    return _coverage(near, len(x), len(centres))


def class_coverage(
    probabilities: Float[Tensor, "batch classes"], *, confidence: float = 0.9
) -> ModeCoverage:
    """Count samples in classes that are equally likely.

    Args:
        probabilities: (N, K) of a classifier, such as `PictureClassifier.predicted`.
        confidence: Least probability of its class with which a sample is near it.

    Raises:
        ValueError: There are no samples or no classes.

    Example:
        >>> found = class_coverage(torch.tensor([[1.0, 0.0], [0.95, 0.05], [0.5, 0.5]]))
        >>> found.num_covered, found.counts, round(found.divergence, 3)
        (1, (2, 0), 0.693)
    """
    if probabilities.dim() != 2 or not probabilities.numel():
        raise ValueError(
            f"expected probabilities of shape (N, K), got {tuple(probabilities.shape)}"
        )
    likeliest = probabilities.max(dim=1)
    near = likeliest.indices[likeliest.values >= confidence]
    return _coverage(near, *probabilities.shape)


def _coverage(near: Tensor, num_samples: int, num_modes: int) -> ModeCoverage:
    """Of the modes that the near ones of some samples are at."""
    counts = torch.bincount(near, minlength=num_modes)
    shares = counts.double() / max(len(near), 1)
    entropy = -float(torch.special.xlogy(shares, shares).sum())
    return ModeCoverage(
        num_covered=int((counts > 0).sum()),
        num_modes=num_modes,
        share_near=len(near) / num_samples,
        divergence=math.log(num_modes) - entropy if len(near) else math.nan,
        counts=tuple(counts.tolist()),
    )
