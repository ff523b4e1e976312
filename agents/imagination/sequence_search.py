"""The search for good sequences of actions: random shooting, cross-entropy method, path integrals.

All three draw K candidates in each of N iterations, and learn what they bring from a function.
The first candidate is always the most probable sequence of the current distribution, so that a
plan that goes on from the last one (see `AbstractActionSequences.following`) competes as it is,
and from the second iteration on the second is the best of the iteration before: its return is
imagined anew, as one that was best by chance in a noisy model is not worth keeping.

- ``random-shooting`` draws from all sequences alike and keeps the best.
- ``cem`` refits its distribution to the elites (`elite_weights`).
- ``mppi`` moves the centre of its distribution to the weighted mean (`exponential_weights`).

The plan is the centre at the end, where actions have means. Of categories, and with random
shooting, it is the best candidate of the last iteration.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from .action_sequences import (
    AbstractActionSequences,
    SequenceLaw,
    elite_weights,
    exponential_weights,
    weighted_moments,
)

__all__ = ["PlannerName", "Score", "SearchResult", "SearchSettings", "search"]

PlannerName = Literal["cem", "mppi", "random-shooting"]

Score: TypeAlias = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""(B, K) returns of (B, K, H, D) sequences."""

_SMALLEST = 1e-12  # deviation of returns that tells sequences apart


@dataclass(frozen=True)
class SearchSettings:
    """How to search.

    Attributes:
        planner: Which of the three.
        num_candidates: K of each iteration.
        num_elites: E of the cross-entropy method.
        num_iterations: N.
        temperature: λ of path integrals, in standard deviations of the candidates' returns.
        smoothing: Share of the distribution before in each refit of the cross-entropy method.
    """

    planner: PlannerName
    num_candidates: int
    num_elites: int
    num_iterations: int
    temperature: float
    smoothing: float


@dataclass(frozen=True)
class SearchResult:
    """What was found for B episodes.

    Attributes:
        plan: (B, H, D) sequences.
        law: Their distributions, from which the next search goes on.
        best_return: (B,) the best of the last iteration's candidates.
    """

    plan: Float64[np.ndarray, "batch horizon entries"]
    law: SequenceLaw
    best_return: Float64[np.ndarray, " batch"]


def search(
    sequences: AbstractActionSequences,
    law: SequenceLaw,
    score: Score,
    settings: SearchSettings,
    rng: np.random.Generator,
) -> SearchResult:
    """Find good sequences.

    Args:
        sequences: How they are drawn.
        law: From what distributions at first.
        score: What they bring; what is not finite counts as worst.
        settings: How to search.
        rng: Of the draws.

    Raises:
        ValueError: No candidate of an episode has a finite return.
    """
    best = None
    for _ in range(settings.num_iterations):
        drawn, returns = _candidates(sequences, law, best, score, settings, rng)
        law = _refitted(sequences, law, drawn, returns, settings)
        best = _best(drawn, returns)
    assert best is not None, "there is at least one iteration"
    uses_centre = sequences.has_means and settings.planner != "random-shooting"
    return SearchResult(law.centre if uses_centre else best, law, returns.max(axis=1))


def _candidates(
    sequences: AbstractActionSequences,
    law: SequenceLaw,
    best: NDArray[np.float64] | None,
    score: Score,
    settings: SearchSettings,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(B, K, H, D) sequences and (B, K) what they bring."""
    is_shooting = settings.planner == "random-shooting"
    draw = sequences.draw_uniform if is_shooting else sequences.draw
    drawn = draw(law, settings.num_candidates, rng)
    drawn[:, 0] = sequences.most_probable(law)
    if best is not None and settings.num_candidates > 1:
        drawn[:, 1] = best
    returns = score(drawn)
    finite = np.isfinite(returns)
    if not finite.any(axis=1).all():
        raise ValueError("expected imagined returns that are finite, got NaN or infinity in all")
    return drawn, np.where(finite, returns, -np.inf)


def _refitted(
    sequences: AbstractActionSequences,
    law: SequenceLaw,
    drawn: NDArray[np.float64],
    returns: NDArray[np.float64],
    settings: SearchSettings,
) -> SequenceLaw:
    if settings.planner == "random-shooting":
        best = SequenceLaw(_best(drawn, returns), law.deviation)
        # of categories what is possible stays so, for the next draws
        return best if sequences.has_means else best.mixed(law, 0.5)
    if settings.planner == "cem":
        weights = elite_weights(returns, min(settings.num_elites, drawn.shape[1]))
        return SequenceLaw(*weighted_moments(drawn, weights)).mixed(law, settings.smoothing)
    finite = np.where(np.isfinite(returns), returns, np.nan)
    deviation = np.maximum(np.nanstd(finite, axis=1, keepdims=True), _SMALLEST)
    weights = exponential_weights(returns, settings.temperature * deviation)
    return SequenceLaw(weighted_moments(drawn, weights)[0], law.deviation)


def _best(drawn: NDArray[np.float64], returns: NDArray[np.float64]) -> NDArray[np.float64]:
    chosen: NDArray[np.float64] = drawn[np.arange(len(drawn)), returns.argmax(axis=1)]
    return chosen
