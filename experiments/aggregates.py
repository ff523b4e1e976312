r"""Numbers that sum up many runs, and that a few lucky runs cannot move far.

For scores :math:`x_1 \dots x_N` of one agent and :math:`y_1 \dots y_M` of another:

* the interquartile mean is the mean of the middle half, after the
  :math:`\lfloor N/4 \rfloor` lowest and as many highest scores are cut off;
* the probability of improvement is
  :math:`P(X > Y) = \frac{1}{NM} \sum_{i,j} [x_i > y_j] + \tfrac12 [x_i = y_j]`, the Mann-Whitney
  statistic over :math:`NM`; over tasks it is averaged;
* the performance profile is the tail :math:`F(\tau) = \frac1N \sum_i [x_i > \tau]`.

References:
    R. Agarwal et al. (2021), Deep Reinforcement Learning at the Edge of the Statistical Precipice,
    arXiv:2108.13264, section 4: equation 1 (profiles), section 4.3 (interquartile mean,
    probability of improvement).
    H. B. Mann and D. R. Whitney (1947), On a test of whether one of two random variables is
    stochastically larger than the other, Annals of Mathematical Statistics 18, pages 50-60.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import overload

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike, NDArray

from .intervals import Interval, as_scores, check_confidence, percentile_bounds

__all__ = [
    "interquartile_mean",
    "performance_profile",
    "probability_of_improvement",
    "probability_of_improvement_interval",
    "profile_intervals",
]


@overload
def interquartile_mean(scores: ArrayLike, *, axis: None = None) -> float: ...
@overload
def interquartile_mean(scores: ArrayLike, *, axis: int) -> NDArray[np.float64]: ...
def interquartile_mean(
    scores: ArrayLike, *, axis: int | None = None
) -> float | NDArray[np.float64]:
    """The mean of the middle half of the scores.

    A quarter is cut off at each end, rounded down to whole scores: of three nothing is cut (so
    that it is their mean), of five one at each end, of eight two.

    Args:
        scores: (N,) or (..., N, ...), finite.
        axis: The axis to reduce; None pools all scores into one number.

    Returns:
        A number, or an array without the reduced axis.

    Raises:
        ValueError: There are no scores or they are not finite.

    Example:
        >>> interquartile_mean([0.0, 0.5, 0.6, 0.7, 100.0])
        0.6
    """
    array = np.asarray(scores, dtype=np.float64)
    array = array.reshape(-1) if axis is None else np.moveaxis(array, axis, -1)
    if array.size == 0 or not np.isfinite(array).all():
        raise ValueError(f"expected finite scores, got {array}")
    cut = array.shape[-1] // 4
    middle = np.sort(array, axis=-1)[..., cut : array.shape[-1] - cut]
    means = middle.mean(axis=-1)
    return float(means) if axis is None else np.asarray(means)


def probability_of_improvement(x: ArrayLike, y: ArrayLike) -> float:
    """How likely a run of the first agent scores above a run of the second; ties count half.

    Args:
        x: (N,) scores of the first agent.
        y: (M,) scores of the second agent.

    Returns:
        In [0, 1]; 0.5 where neither is better.

    Raises:
        ValueError: Scores are empty, of another shape or not finite.

    Example:
        >>> probability_of_improvement([1.0, 3.0], [2.0, 3.0])
        0.375
    """
    return float(_wins(as_scores(x, "x"), as_scores(y, "y")).mean())


def probability_of_improvement_interval(
    x_by_task: Sequence[ArrayLike],
    y_by_task: Sequence[ArrayLike],
    *,
    rng: np.random.Generator,
    num_resamples: int = 2000,
    confidence: float = 0.95,
) -> Interval:
    """The probability of improvement averaged over tasks, with a stratified bootstrap interval.

    Args:
        x_by_task: T arrays of the first agent's scores, (N_t,).
        y_by_task: T arrays of the second agent's scores, (M_t,), of the same tasks in the same
            order. The scores of one task must share a scale; tasks need not.
        rng: Draws the resamples, both agents' runs independently.
        num_resamples: At least 1.
        confidence: In (0, 1).

    Returns:
        The probability and its bounds; NaN bounds where an agent has one run only in a task.

    Raises:
        ValueError: The numbers of tasks differ or are 0, or scores are not as described.
    """
    check_confidence(confidence)
    if len(x_by_task) != len(y_by_task) or not x_by_task:
        raise ValueError(
            "expected the scores of both agents on the same tasks, at least one, got "
            f"{len(x_by_task)} and {len(y_by_task)} tasks"
        )
    pairs = [
        (as_scores(x, f"x of task {t}"), as_scores(y, f"y of task {t}"))
        for t, (x, y) in enumerate(zip(x_by_task, y_by_task, strict=True))
    ]
    estimate = float(np.mean([_wins(x, y).mean() for x, y in pairs]))
    if min(min(x.size, y.size) for x, y in pairs) == 1:
        return Interval(estimate, math.nan, math.nan, confidence)
    total = np.zeros(num_resamples)
    for x, y in pairs:
        # a resample enters only through how often it drew each run
        x_counts = rng.multinomial(x.size, np.full(x.size, 1 / x.size), size=num_resamples)
        y_counts = rng.multinomial(y.size, np.full(y.size, 1 / y.size), size=num_resamples)
        total += ((x_counts @ _wins(x, y)) * y_counts).sum(axis=1) / (x.size * y.size)
    low, high = percentile_bounds(total / len(pairs), confidence)
    return Interval(estimate, float(low), float(high), confidence)


def performance_profile(
    scores: ArrayLike, thresholds: ArrayLike
) -> Float64[NDArray[np.float64], " thresholds"]:
    """The share of runs that score above each threshold.

    Args:
        scores: (N,) normalised scores, of one task or pooled over tasks.
        thresholds: (T,) in the scores' unit.

    Returns:
        (T,) in [0, 1], not increasing where the thresholds increase.

    Raises:
        ValueError: Scores or thresholds are empty, of another shape or not finite.

    Example:
        >>> performance_profile([0.2, 0.5, 0.9], [0.0, 0.5, 1.0]).round(2).tolist()
        [1.0, 0.33, 0.0]
    """
    above = np.sort(as_scores(scores))
    below = np.searchsorted(above, as_scores(thresholds, "thresholds"), side="right")
    return (above.size - below) / above.size


def profile_intervals(
    scores_by_task: Sequence[ArrayLike],
    thresholds: ArrayLike,
    *,
    rng: np.random.Generator,
    num_resamples: int = 2000,
    confidence: float = 0.95,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The performance profile over tasks with a pointwise stratified bootstrap band.

    Args:
        scores_by_task: T arrays of normalised scores, (N_t,); each task weighs the same.
        thresholds: (H,) in the scores' unit.
        rng: Draws the resamples.
        num_resamples: At least 1.
        confidence: In (0, 1), of each point, not of the band as a whole.

    Returns:
        Low, profile and high, each (H,). A task with one run contributes no width.

    Raises:
        ValueError: There is no task, or scores or thresholds are not as described.
    """
    check_confidence(confidence)
    taus = as_scores(thresholds, "thresholds")
    tasks = [as_scores(scores, f"scores of task {t}") for t, scores in enumerate(scores_by_task)]
    if not tasks:
        raise ValueError("expected the scores of at least one task, got none")
    middle = np.mean([performance_profile(task, taus) for task in tasks], axis=0)
    total = np.zeros((num_resamples, taus.size))
    for task in tasks:
        counts = rng.multinomial(task.size, np.full(task.size, 1 / task.size), size=num_resamples)
        total += counts @ (task[:, None] > taus) / task.size
    low, high = percentile_bounds(total / len(tasks), confidence)
    return low, middle, high


def _wins(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, M) 1 where x is above y, 0.5 where they are equal, 0 below."""
    return np.asarray((np.sign(x[:, None] - y) + 1) / 2)
