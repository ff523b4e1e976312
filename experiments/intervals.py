r"""How far an estimate from a few runs may be from the truth.

For scores :math:`x_1 \dots x_N` of independent runs with mean :math:`\bar x` and standard
deviation :math:`s` (with :math:`N - 1` in the denominator), Student's interval for the mean is

.. math:: \bar x \pm t_{N-1,\,1-\alpha/2}\, s / \sqrt{N},

exact for normal scores. For other statistics the percentile bootstrap draws the runs again with
replacement, computes the statistic of each draw and takes the :math:`\alpha/2` and
:math:`1 - \alpha/2` quantiles. It is too narrow for few runs: of normal scores, a 95 % interval of
the mean of five covers the truth about 84 times in a hundred. Where scores come from several tasks
the bootstrap is stratified: each task's runs are drawn among themselves.

One score says nothing about its own spread: every interval of one score has NaN bounds.

References:
    B. Efron and R. J. Tibshirani (1993), An Introduction to the Bootstrap, sections 12.5 and 13.3.
    R. Agarwal et al. (2021), Deep Reinforcement Learning at the Edge of the Statistical Precipice,
    arXiv:2108.13264, section 4.1.
    A. Patterson et al. (2024), Empirical Design in Reinforcement Learning, JMLR 25, sections 3
    and 4.
    E. B. Wilson (1927), Probable inference, the law of succession, and statistical inference,
    JASA 22, pages 209-212.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtrit

__all__ = [
    "Interval",
    "Statistic",
    "as_scores",
    "bootstrap_interval",
    "check_confidence",
    "mean_interval",
    "percentile_bounds",
    "proportion_interval",
    "stratified_bootstrap_interval",
]

Statistic: TypeAlias = Callable[..., Any]
"""A reduction in numpy's manner: of a ``(B, N)`` array with ``axis=-1`` it gives ``(B,)``."""

_CHUNK = 1_000_000


@dataclass(frozen=True)
class Interval:
    """An estimate and the bounds that hold it with a stated confidence.

    Attributes:
        estimate: The statistic of the scores at hand.
        low: Lower bound, NaN where the scores cannot tell.
        high: Upper bound, NaN where the scores cannot tell.
        confidence: In (0, 1), such as 0.95.
    """

    estimate: float
    low: float
    high: float
    confidence: float = 0.95

    @property
    def is_known(self) -> bool:
        """Whether the scores sufficed for bounds."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    def to_json(self) -> dict[str, float | None]:
        """A dictionary for JSON, with None for bounds that are not known."""
        low, high = (self.low, self.high) if self.is_known else (None, None)
        return {
            "estimate": self.estimate,
            "low": low,
            "high": high,
            "confidence": self.confidence,
        }


def as_scores(scores: ArrayLike, name: str = "scores") -> NDArray[np.float64]:
    """The scores as a (N,) array of finite numbers, N at least 1.

    Raises:
        ValueError: They are empty, not one-dimensional, or not all finite.
    """
    array = np.asarray(scores, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"expected {name} of shape (N,) with N >= 1, got shape {array.shape}")
    if not np.isfinite(array).all():
        index = int(np.flatnonzero(~np.isfinite(array))[0])
        raise ValueError(f"expected finite {name}, got {array[index]} at index {index}")
    return array


def check_confidence(confidence: float) -> None:
    """Raise ValueError unless the confidence lies in (0, 1)."""
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"expected a confidence in (0, 1), got {confidence}")


def mean_interval(scores: ArrayLike, confidence: float = 0.95) -> Interval:
    """Student's interval for the mean of independent scores.

    Args:
        scores: (N,) one score per run or per episode.
        confidence: In (0, 1).

    Returns:
        The mean and its bounds; one score gives NaN bounds.

    Raises:
        ValueError: The scores are empty, of another shape or not finite.

    Example:
        >>> interval = mean_interval([1.0, 2.0, 3.0])
        >>> print(f"{interval.estimate:.1f} [{interval.low:.2f}, {interval.high:.2f}]")
        2.0 [-0.48, 4.48]
    """
    check_confidence(confidence)
    x = as_scores(scores)
    mean = float(x.mean())
    if x.size == 1:
        return Interval(mean, math.nan, math.nan, confidence)
    quantile = float(stdtrit(x.size - 1, 0.5 + confidence / 2))
    half_width = quantile * float(x.std(ddof=1)) / math.sqrt(x.size)
    return Interval(mean, mean - half_width, mean + half_width, confidence)


def proportion_interval(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """Wilson's interval for a probability, such as a success rate over episodes.

    Unlike the normal approximation it stays within [0, 1] and has a width after 0 or n successes.

    Args:
        successes: From 0 to ``trials``.
        trials: At least 1.
        confidence: In (0, 1).

    Raises:
        ValueError: A count is out of range.

    Example:
        >>> interval = proportion_interval(10, 10)
        >>> print(f"{interval.low:.3f} {interval.high:.3f}")
        0.722 1.000
    """
    check_confidence(confidence)
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(
            f"expected 0 <= successes <= trials and trials >= 1, got {successes} of {trials}"
        )
    z = float(ndtri(0.5 + confidence / 2))
    rate = successes / trials
    shrink = 1.0 + z * z / trials
    centre = (rate + z * z / (2 * trials)) / shrink
    spread = math.sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials))
    half_width = z / shrink * spread
    # at 0 and n successes the bound is 0 or 1 exactly, up to rounding
    low = 0.0 if successes == 0 else centre - half_width
    high = 1.0 if successes == trials else centre + half_width
    return Interval(rate, low, high, confidence)


def bootstrap_interval(
    scores: ArrayLike,
    statistic: Statistic,
    *,
    rng: np.random.Generator,
    num_resamples: int = 2000,
    confidence: float = 0.95,
) -> Interval:
    """Percentile bootstrap interval of a statistic of independent scores.

    Args:
        scores: (N,) one score per run.
        statistic: Such as ``np.mean``, ``np.median`` or `interquartile_mean`; see `Statistic`.
        rng: Draws the resamples.
        num_resamples: At least 1.
        confidence: In (0, 1).

    Returns:
        The statistic and its bounds; one score gives NaN bounds.

    Raises:
        ValueError: The scores are empty, of another shape or not finite.
    """
    return stratified_bootstrap_interval(
        [as_scores(scores)],
        statistic,
        rng=rng,
        num_resamples=num_resamples,
        confidence=confidence,
    )


def stratified_bootstrap_interval(
    scores_by_task: Sequence[ArrayLike],
    statistic: Statistic,
    *,
    rng: np.random.Generator,
    num_resamples: int = 2000,
    confidence: float = 0.95,
) -> Interval:
    """Percentile bootstrap interval of a statistic of all tasks' scores together.

    Each resample draws every task's runs among themselves, so that tasks keep their weights.

    Args:
        scores_by_task: T arrays of shape (N_t,), normalised so that tasks can be pooled.
        statistic: Of the pooled scores; see `Statistic`.
        rng: Draws the resamples.
        num_resamples: At least 1.
        confidence: In (0, 1).

    Returns:
        The statistic and its bounds; NaN bounds where a task has one run only, since nobody knows
        how that task's score varies.

    Raises:
        ValueError: There is no task, or a task's scores are empty, of another shape or not finite.
    """
    check_confidence(confidence)
    if num_resamples < 1:
        raise ValueError(f"expected num_resamples >= 1, got {num_resamples}")
    tasks = [as_scores(scores, f"scores of task {t}") for t, scores in enumerate(scores_by_task)]
    if not tasks:
        raise ValueError("expected the scores of at least one task, got none")
    estimate = float(statistic(np.concatenate(tasks), axis=-1))
    if min(task.size for task in tasks) == 1:
        return Interval(estimate, math.nan, math.nan, confidence)
    values = _resampled_statistics(tasks, statistic, rng, num_resamples)
    low, high = percentile_bounds(values, confidence)
    return Interval(estimate, float(low), float(high), confidence)


def percentile_bounds(
    values: NDArray[np.float64], confidence: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The central ``confidence`` of the values along the first axis.

    Args:
        values: (B, ...) the statistic of each resample.
        confidence: In (0, 1).

    Returns:
        Low and high bounds, each (...).
    """
    low, high = np.quantile(values, (0.5 - confidence / 2, 0.5 + confidence / 2), axis=0)
    return np.asarray(low), np.asarray(high)


def _resampled_statistics(
    tasks: list[NDArray[np.float64]],
    statistic: Statistic,
    rng: np.random.Generator,
    num_resamples: int,
) -> NDArray[np.float64]:
    rows = max(1, _CHUNK // sum(task.size for task in tasks))
    chunks = []
    for start in range(0, num_resamples, rows):
        count = min(rows, num_resamples - start)
        draws = [task[rng.integers(task.size, size=(count, task.size))] for task in tasks]
        chunks.append(np.asarray(statistic(np.concatenate(draws, axis=1), axis=-1)))
    return np.concatenate(chunks).astype(np.float64)
