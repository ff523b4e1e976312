r"""Whether two agents' scores could differ by chance alone.

If the labels of two groups of runs were exchangeable, every relabelling of the pooled scores would
be as likely as the one observed. The permutation test's p-value is the share of relabellings whose
absolute difference of means is at least the observed one:

.. math:: p = \frac{\#\{\pi : |\bar x_\pi - \bar y_\pi| \ge |\bar x - \bar y|\}}{\binom{N+M}{N}}.

It assumes nothing about the scores' distribution and is exact for few runs, where it is also
coarse: two groups of three cannot give less than 0.1, two of five not less than 0.0079.

References:
    B. Efron and R. J. Tibshirani (1993), An Introduction to the Bootstrap, chapter 15.
    B. Phipson and G. K. Smyth (2010), Permutation p-values should never be zero, arXiv:1603.05766.
    S. Holm (1979), A simple sequentially rejective multiple test procedure, Scandinavian Journal
    of Statistics 6, pages 65-70.
"""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike, NDArray

from .intervals import as_scores

__all__ = ["holm_adjust", "permutation_test", "smallest_p_value"]

_CHUNK = 1_000_000


def permutation_test(
    x: ArrayLike, y: ArrayLike, *, rng: np.random.Generator, num_permutations: int = 10_000
) -> float:
    """Two-sided p-value that two groups of scores have the same distribution.

    All relabellings are enumerated where there are at most ``num_permutations``; otherwise as many
    are drawn, and the observed one is counted among them, so that p is valid and never 0.

    Args:
        x: (N,) scores of one agent.
        y: (M,) scores of the other agent.
        rng: Draws relabellings; not used where all are enumerated.
        num_permutations: At least 1.

    Returns:
        The p-value in (0, 1].

    Raises:
        ValueError: Scores are empty, of another shape or not finite.

    Example:
        >>> permutation_test([1.0, 2.0, 3.0], [4.0, 5.0, 6.0], rng=np.random.default_rng(0))
        0.1
    """
    if num_permutations < 1:
        raise ValueError(f"expected num_permutations >= 1, got {num_permutations}")
    first, second = as_scores(x, "x"), as_scores(y, "y")
    pooled = np.concatenate([first, second])
    # centred and scaled, the difference of means is a multiple of the sum of the first group
    pooled = pooled - pooled.mean()
    scale = float(np.abs(pooled).max())
    if scale == 0.0:
        return 1.0
    pooled /= scale
    # relabellings of equal difference must count although their sums round differently
    least = abs(float(pooled[: first.size].sum())) - 1e-12 * pooled.size
    if math.comb(pooled.size, first.size) <= num_permutations:
        chosen = np.array(list(combinations(range(pooled.size), first.size)))
        return float(np.mean(np.abs(pooled[chosen].sum(axis=1)) >= least))
    extreme = _count_extreme(pooled, first.size, least, rng, num_permutations)
    return (extreme + 1) / (num_permutations + 1)


def smallest_p_value(num_x: int, num_y: int) -> float:
    """The least two-sided p-value that groups of these sizes can give.

    Example:
        >>> smallest_p_value(3, 3), round(smallest_p_value(5, 5), 4)
        (0.1, 0.0079)
    """
    extremes = 2 if num_x == num_y else 1
    return extremes / math.comb(num_x + num_y, num_x)


def holm_adjust(p_values: ArrayLike) -> Float64[NDArray[np.float64], " tests"]:
    """P-values adjusted for having made several tests, by Holm's step-down method.

    Rejecting where the adjusted value is at most α keeps the chance of any false rejection at α,
    however the tests depend on each other.

    Args:
        p_values: (K,) in [0, 1]; K may be 0.

    Returns:
        (K,) in the given order, each at least as large as before.

    Raises:
        ValueError: A value lies outside [0, 1].

    Example:
        >>> holm_adjust([0.01, 0.04, 0.03]).tolist()
        [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"expected p-values of shape (K,) in [0, 1], got {p}")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def _count_extreme(
    pooled: NDArray[np.float64],
    num_first: int,
    least: float,
    rng: np.random.Generator,
    num_permutations: int,
) -> int:
    rows = max(1, _CHUNK // pooled.size)
    extreme = 0
    for start in range(0, num_permutations, rows):
        count = min(rows, num_permutations - start)
        shuffled = rng.permuted(np.tile(pooled, (count, 1)), axis=1)
        extreme += int(np.sum(np.abs(shuffled[:, :num_first].sum(axis=1)) >= least))
    return extreme
