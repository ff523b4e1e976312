r"""Distributions of sequences of actions, from which planners draw and which they fit to the best.

A sequence is H vectors. Of a Box they are the actions, moved so that its bounds are -1 and 1, and
drawn from independent normal distributions that are cut at the bounds,
:math:`a_{hd} \sim N(\mu_{hd}, \sigma_{hd}^2)`. Of a Discrete space they are zeros with a single
one, drawn with probabilities :math:`\mu_{hd}`. With either kind a *refit* sets the centre μ to the
weighted mean of sequences, :math:`\mu = \sum_k w_k a_k`, where weights say how good they were:

- cross-entropy method: :math:`w_k = 1/E` of the E best, 0 of the others;
- model-predictive path integral: :math:`w_k \propto \exp(R_k / \lambda)`.

The cross-entropy method refits the deviations too,
:math:`\sigma^2 = \sum_k w_k (a_k - \mu)^2`; path integrals keep them. Path integrals are used as
they mostly are, without Williams et al.'s cost of controls, which their theory has and rewards
already contain.

References:
    R. Y. Rubinstein, D. P. Kroese (2004), The cross-entropy method, chapter 3.
    K. Chua, R. Calandra, R. McAllister, S. Levine (2018), Deep reinforcement learning in a handful
        of trials using probabilistic dynamics models, arXiv:1805.12114, appendix A.
    G. Williams et al. (2017), Information theoretic MPC for model-based reinforcement learning,
        ICRA, algorithms 1 and 2 (weights, shift to the next step).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from jaxtyping import Bool, Float64
from numpy.typing import NDArray

__all__ = [
    "AbstractActionSequences",
    "BoxSequences",
    "DiscreteSequences",
    "SequenceLaw",
    "action_sequences",
    "elite_weights",
    "exponential_weights",
    "weighted_moments",
]

_FIRST_DEVIATION = 0.5  # of a Box's half width: Chua et al.'s quarter of the width
_KEPT = 0.5  # of a plan's probabilities one step later, the rest is uniform


def elite_weights(
    returns: Float64[np.ndarray, "batch candidates"], num_elites: int
) -> Float64[np.ndarray, "batch candidates"]:
    """(B, K) weights of the cross-entropy method: the best share 1, the others have none.

    Args:
        returns: (B, K) of the sequences.
        num_elites: E, at most K.

    Example:
        >>> elite_weights(np.array([[3.0, 1.0, 2.0]]), 2)
        array([[0.5, 0. , 0.5]])
    """
    best = np.argsort(-returns, axis=1, kind="stable")[:, :num_elites]
    weights = np.zeros(returns.shape)
    np.put_along_axis(weights, best, 1 / num_elites, axis=1)
    return weights


def exponential_weights(
    returns: Float64[np.ndarray, "batch candidates"],
    temperature: float | Float64[np.ndarray, "batch 1"],
) -> Float64[np.ndarray, "batch candidates"]:
    """(B, K) weights of path integrals, proportional to exp(R / λ).

    Args:
        returns: (B, K) of the sequences.
        temperature: λ above 0, of all or (B, 1).

    Example:
        >>> exponential_weights(np.array([[0.0, np.log(3.0)]]), 1.0)
        array([[0.25, 0.75]])
    """
    weights = np.exp((returns - returns.max(axis=1, keepdims=True)) / temperature)
    shares: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return shares


def weighted_moments(
    sequences: Float64[np.ndarray, "batch candidates horizon entries"],
    weights: Float64[np.ndarray, "batch candidates"],
) -> tuple[
    Float64[np.ndarray, "batch horizon entries"], Float64[np.ndarray, "batch horizon entries"]
]:
    """(B, H, D) weighted means and (B, H, D) weighted deviations of sequences.

    Args:
        sequences: (B, K, H, D).
        weights: (B, K) that add to 1.

    Example:
        >>> two = np.array([[[[0.0]], [[4.0]]]])
        >>> mean, deviation = weighted_moments(two, np.array([[0.75, 0.25]]))
        >>> mean.item(), round(deviation.item() ** 2, 6)
        (1.0, 3.0)
    """
    mean = np.einsum("bk,bkhd->bhd", weights, sequences)
    square = np.einsum("bk,bkhd->bhd", weights, (sequences - mean[:, None]) ** 2)
    return mean, np.sqrt(square)


@dataclass(frozen=True)
class SequenceLaw:
    """A distribution of sequences for each of B episodes.

    Attributes:
        centre: (B, H, D) means, or probabilities of a Discrete space's actions.
        deviation: (B, H, D) of normal distributions; not used by probabilities.
    """

    centre: Float64[np.ndarray, "batch horizon entries"]
    deviation: Float64[np.ndarray, "batch horizon entries"]

    def put(self, rows: Any, others: SequenceLaw) -> SequenceLaw:
        """These with other rows in some places."""
        centre, deviation = self.centre.copy(), self.deviation.copy()
        centre[rows], deviation[rows] = others.centre, others.deviation
        return SequenceLaw(centre, deviation)

    def mixed(self, other: SequenceLaw, share: float) -> SequenceLaw:
        """This with a share of another."""
        return SequenceLaw(
            (1 - share) * self.centre + share * other.centre,
            (1 - share) * self.deviation + share * other.deviation,
        )


class AbstractActionSequences(ABC):
    """How sequences of a space's actions are drawn.

    Attributes:
        space: Of single actions.
        horizon: H.
        num_entries: D.
        has_means: Whether the mean of sequences is a sequence, as of numbers.
    """

    space: spaces.Space[Any]
    horizon: int
    num_entries: int
    has_means: bool

    @abstractmethod
    def first(self, num: int) -> SequenceLaw:
        """What is planned from where nothing is known: B = ``num`` wide distributions."""

    @abstractmethod
    def following(self, law: SequenceLaw) -> SequenceLaw:
        """What is planned from one step later: moved by a step, and wide again."""

    @abstractmethod
    def draw(
        self, law: SequenceLaw, num: int, rng: np.random.Generator
    ) -> Float64[np.ndarray, "batch candidates horizon entries"]:
        """(B, K, H, D) sequences, K = ``num`` from each distribution."""

    @abstractmethod
    def draw_uniform(
        self, law: SequenceLaw, num: int, rng: np.random.Generator
    ) -> Float64[np.ndarray, "batch candidates horizon entries"]:
        """(B, K, H, D) sequences of which all that the distribution allows are alike probable."""

    @abstractmethod
    def most_probable(self, law: SequenceLaw) -> Float64[np.ndarray, "batch horizon entries"]:
        """(B, H, D) a sequence of each distribution."""

    @abstractmethod
    def allowing(self, law: SequenceLaw, masks: Bool[np.ndarray, "batch choices"]) -> SequenceLaw:
        """The same with first actions among (B, A) allowed ones."""

    @abstractmethod
    def actions(self, sequences: Float64[np.ndarray, "... entries"]) -> NDArray[Any]:
        """(..., *action) the actions that (..., D) vectors stand for."""


class BoxSequences(AbstractActionSequences):
    """Sequences of a bounded Box's actions.

    Args:
        space: With finite bounds.
        horizon: H.

    Raises:
        ValueError: A bound is infinite, or the Box holds whole numbers.

    Example:
        >>> sequences = BoxSequences(spaces.Box(0, 10, (1,)), 2)
        >>> sequences.actions(sequences.first(1).centre).tolist()
        [[[5.0], [5.0]]]
    """

    has_means = True

    def __init__(self, space: spaces.Box, horizon: int) -> None:
        if not np.issubdtype(space.dtype, np.floating):
            raise ValueError(f"expected actions of floating-point numbers, got {space}")
        low, high = space.low.astype(np.float64), space.high.astype(np.float64)
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            raise ValueError(f"expected actions with finite bounds to plan between, got {space}")
        self.space, self.horizon = space, horizon
        self.num_entries = int(np.prod(space.shape, dtype=int))
        self._middle, self._half = (low + high) / 2, (high - low) / 2
        self._low, self._high = space.low, space.high

    def first(self, num: int) -> SequenceLaw:
        """Centres in the middle, and deviations of a quarter of the width."""
        shape = num, self.horizon, self.num_entries
        return SequenceLaw(np.zeros(shape), np.full(shape, _FIRST_DEVIATION))

    def following(self, law: SequenceLaw) -> SequenceLaw:
        """Centres moved by a step, with the middle behind the last."""
        fresh = self.first(len(law.centre))
        centre = np.concatenate([law.centre[:, 1:], fresh.centre[:, :1]], axis=1)
        return SequenceLaw(centre, fresh.deviation)

    def draw(
        self, law: SequenceLaw, num: int, rng: np.random.Generator
    ) -> Float64[np.ndarray, "batch candidates horizon entries"]:
        """Normal ones, cut at the bounds."""
        batch, horizon, entries = law.centre.shape
        noise = rng.standard_normal((batch, num, horizon, entries))
        return np.clip(law.centre[:, None] + law.deviation[:, None] * noise, -1.0, 1.0)

    def draw_uniform(
        self, law: SequenceLaw, num: int, rng: np.random.Generator
    ) -> Float64[np.ndarray, "batch candidates horizon entries"]:
        """Between the bounds."""
        batch, horizon, entries = law.centre.shape
        return rng.uniform(-1.0, 1.0, (batch, num, horizon, entries))

    def most_probable(self, law: SequenceLaw) -> Float64[np.ndarray, "batch horizon entries"]:
        """The centres."""
        return law.centre

    def allowing(self, law: SequenceLaw, masks: Bool[np.ndarray, "batch choices"]) -> SequenceLaw:
        """Not possible.

        Raises:
            ValueError: Always: masks are of choices.
        """
        raise ValueError(f"expected no action_mask for actions of {self.space}")

    def actions(self, sequences: Float64[np.ndarray, "... entries"]) -> NDArray[Any]:
        """Within the bounds, in the Box's dtype."""
        shaped = sequences.reshape(*sequences.shape[:-1], *self._middle.shape)
        found = (self._middle + self._half * shaped).astype(self._low.dtype)
        # rounding to the dtype may leave them
        clipped: NDArray[Any] = np.clip(found, self._low, self._high)
        return clipped


class DiscreteSequences(AbstractActionSequences):
    """Sequences of a Discrete space's actions.

    Args:
        space: Of single actions.
        horizon: H.

    Example:
        >>> sequences = DiscreteSequences(spaces.Discrete(2, start=5), 3)
        >>> drawn = sequences.draw(sequences.first(1), 4, np.random.default_rng(0))
        >>> drawn.shape, sequences.actions(drawn[0, 0]).tolist()
        ((1, 4, 3, 2), [6, 5, 5])
    """

    has_means = False

    def __init__(self, space: spaces.Discrete, horizon: int) -> None:
        self.space, self.horizon = space, horizon
        self.num_entries, self._start = int(space.n), int(space.start)

    def first(self, num: int) -> SequenceLaw:
        """All actions are alike probable."""
        shape = num, self.horizon, self.num_entries
        return SequenceLaw(np.full(shape, 1 / self.num_entries), np.zeros(shape))

    def following(self, law: SequenceLaw) -> SequenceLaw:
        """Probabilities moved by a step, and half way back to all alike."""
        fresh = self.first(len(law.centre))
        centre = np.concatenate([law.centre[:, 1:], fresh.centre[:, :1]], axis=1)
        return fresh.mixed(SequenceLaw(centre, fresh.deviation), _KEPT)

    def draw(
        self, law: SequenceLaw, num: int, rng: np.random.Generator
    ) -> Float64[np.ndarray, "batch candidates horizon entries"]:
        """By their probabilities."""
        batch, horizon, _ = law.centre.shape
        reached = np.cumsum(law.centre, axis=2)
        reached /= reached[:, :, -1:]
        keys = rng.random((batch, num, horizon, 1))
        return self._marked((keys >= reached[:, None]).sum(axis=3))

    def draw_uniform(
        self, law: SequenceLaw, num: int, rng: np.random.Generator
    ) -> Float64[np.ndarray, "batch candidates horizon entries"]:
        """All that are possible alike."""
        possible = (law.centre > 0).astype(np.float64)
        shares = possible / possible.sum(axis=2, keepdims=True)
        return self.draw(SequenceLaw(shares, law.deviation), num, rng)

    def most_probable(self, law: SequenceLaw) -> Float64[np.ndarray, "batch horizon entries"]:
        """Each step's most probable action."""
        return self._marked(law.centre.argmax(axis=2))

    def allowing(self, law: SequenceLaw, masks: Bool[np.ndarray, "batch choices"]) -> SequenceLaw:
        """The others have no probability."""
        centre = law.centre.copy()
        first = centre[:, 0] * masks
        lost = first.sum(axis=1, keepdims=True) == 0
        first = np.where(lost, masks.astype(np.float64), first)
        centre[:, 0] = first / first.sum(axis=1, keepdims=True)
        return SequenceLaw(centre, law.deviation)

    def actions(self, sequences: Float64[np.ndarray, "... entries"]) -> NDArray[Any]:
        """The numbers of the actions."""
        numbers: NDArray[Any] = self._start + sequences.argmax(axis=-1).astype(np.int64)
        return numbers

    def _marked(self, numbers: NDArray[np.int64]) -> NDArray[np.float64]:
        """Zeros with a one at each number."""
        return np.eye(self.num_entries)[numbers]


def action_sequences(space: spaces.Space[Any], horizon: int) -> AbstractActionSequences:
    """How sequences of a space's actions are drawn.

    Raises:
        ValueError: The space is neither a bounded Box nor Discrete.
    """
    if isinstance(space, spaces.Box):
        return BoxSequences(space, horizon)
    if isinstance(space, spaces.Discrete):
        return DiscreteSequences(space, horizon)
    raise ValueError(f"expected actions of a Box or a Discrete space to plan, got {space}")
