r"""Learning curves: evaluation returns over environment steps, of several seeds.

A curve is known at the steps where it was evaluated. Between two evaluations its value is the last
one: what an experimenter who stopped there would have had. Curves are resampled whole, one draw
per seed, so that the band respects the dependence along a curve; it is pointwise.

References:
    R. Agarwal et al. (2021), Deep Reinforcement Learning at the Edge of the Statistical Precipice,
    arXiv:2108.13264, section 4.3 and figure 7.
    A. Patterson et al. (2024), Empirical Design in Reinforcement Learning, JMLR 25, section 3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike, NDArray

from .aggregates import interquartile_mean
from .intervals import Statistic, as_scores, check_confidence, percentile_bounds

__all__ = ["common_grid", "curve_intervals", "learning_curve", "steps_to_threshold"]

Band: TypeAlias = Float64[NDArray[np.float64], " grid"]


def steps_to_threshold(steps: ArrayLike, values: ArrayLike, threshold: float) -> float:
    """The first evaluated step at which the return reached a threshold.

    A noisy evaluation may reach it by luck: compare seeds, not single curves.

    Args:
        steps: (P,) environment steps of the evaluations, strictly increasing.
        values: (P,) returns.
        threshold: The return to reach, finite.

    Returns:
        The step, or NaN where the curve never reached the threshold.

    Raises:
        ValueError: Steps and values are not as described.

    Example:
        >>> steps_to_threshold([0, 100, 200], [0.1, 0.6, 0.5], 0.5)
        100.0
    """
    x, y = _check_curve(steps, values)
    if not math.isfinite(threshold):
        raise ValueError(f"expected a finite threshold, got {threshold}")
    reached = np.flatnonzero(y >= threshold)
    return float(x[reached[0]]) if reached.size else math.nan


def learning_curve(
    steps: Sequence[ArrayLike], values: Sequence[ArrayLike], grid: ArrayLike
) -> Float64[NDArray[np.float64], "seeds grid"]:
    """The curves of several seeds on one grid of steps, by the last value known at each.

    Args:
        steps: N arrays (P_n,) of environment steps, strictly increasing.
        values: N arrays (P_n,) of returns.
        grid: (G,) steps, not before any seed's first evaluation. After its last evaluation a
            seed keeps its last value.

    Returns:
        (N, G) returns.

    Raises:
        ValueError: The grid begins before a seed's first evaluation, or arrays are not as
            described.

    Example:
        >>> learning_curve([[0, 10]], [[1.0, 2.0]], [0, 5, 10, 15]).tolist()
        [[1.0, 1.0, 2.0, 2.0]]
    """
    points = as_scores(grid, "grid")
    if len(steps) != len(values) or not steps:
        raise ValueError(
            "expected steps and values of the same seeds, at least one, got "
            f"{len(steps)} and {len(values)}"
        )
    curves = np.empty((len(steps), points.size))
    for n, (seed_steps, seed_values) in enumerate(zip(steps, values, strict=True)):
        x, y = _check_curve(seed_steps, seed_values)
        if points.min() < x[0]:
            raise ValueError(
                f"expected a grid from the first evaluation on, step {x[0]:g} of seed number {n}, "
                f"got {points.min():g}"
            )
        curves[n] = y[np.searchsorted(x, points, side="right") - 1]
    return curves


def common_grid(
    steps: Sequence[ArrayLike], *, max_points: int = 200
) -> Float64[NDArray[np.float64], " grid"]:
    """A grid for `learning_curve`: all evaluated steps from where every seed has a value.

    Args:
        steps: N arrays (P_n,) of environment steps.
        max_points: Thin out evenly to at most this many, at least 2, keeping both ends.

    Returns:
        (G,) increasing steps.
    """
    arrays = [as_scores(seed_steps, "steps") for seed_steps in steps]
    if not arrays:
        raise ValueError("expected the steps of at least one seed, got none")
    first = max(array[0] for array in arrays)
    grid: NDArray[np.float64] = np.unique(np.concatenate(arrays))
    grid = grid[grid >= first]
    if grid.size > max_points:
        grid = grid[np.linspace(0, grid.size - 1, max(2, max_points)).round().astype(np.int64)]
    return grid


def curve_intervals(
    curves: ArrayLike,
    *,
    rng: np.random.Generator,
    statistic: Statistic = interquartile_mean,
    num_resamples: int = 2000,
    confidence: float = 0.95,
) -> tuple[Band, Band, Band]:
    """A statistic over seeds at each step, with a pointwise percentile bootstrap band.

    Args:
        curves: (N, G) returns of N seeds, from `learning_curve`.
        rng: Draws the seeds again.
        statistic: The interquartile mean unless another is given.
        num_resamples: At least 1.
        confidence: In (0, 1), of each point, not of the band as a whole.

    Returns:
        Low, middle and high, each (G,); one seed gives NaN bounds.

    Raises:
        ValueError: The curves are empty, of another shape or not finite.
    """
    check_confidence(confidence)
    array = np.asarray(curves, dtype=np.float64)
    if array.ndim != 2 or array.size == 0 or not np.isfinite(array).all():
        raise ValueError(f"expected finite curves of shape (N, G), got shape {array.shape}")
    middle = np.asarray(statistic(array, axis=0), dtype=np.float64)
    low, high = np.full_like(middle, math.nan), np.full_like(middle, math.nan)
    if len(array) == 1:
        return low, middle, high
    seeds = rng.integers(len(array), size=(num_resamples, len(array)))
    # one step at a time: all of (B, N, G) at once would not fit for long curves
    for g, column in enumerate(array.T):
        values = np.asarray(statistic(column[seeds], axis=-1), dtype=np.float64)
        low[g], high[g] = percentile_bounds(values, confidence)
    return low, middle, high


def _check_curve(
    steps: ArrayLike, values: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = as_scores(steps, "steps"), as_scores(values, "values")
    if x.size != y.size:
        raise ValueError(f"expected one value per step, got {y.size} values and {x.size} steps")
    if (np.diff(x) <= 0).any():
        raise ValueError(f"expected strictly increasing steps, got {x}")
    return x, y
