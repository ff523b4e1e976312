r"""Likelihoods, in nats and in bits per dimension.

The *only* function here that turns nats into bits is `bits_per_dimension`. With D entries in an
event:

===================================================  ============================================
:math:`P(x)` of levels: a probability                :math:`-\log P / (D \log 2)`
:math:`p(x)` of K dequantised levels in [0, 1]       :math:`-\log p / (D \log 2) + \log_2 K`
:math:`p(x)` of K such levels over a width of w      :math:`-\log p / (D \log 2) + \log_2 (K / w)`
===================================================  ============================================

since a level is a cell of volume :math:`(w / K)^D`, over which
:math:`\log P \ge \mathrm{E}_u \log p + D \log(w / K)` by Jensen's inequality. A density of data
that are *not* dequantised has no such bound: it may be made as high as one likes.

A generator without an exact log-probability has a lower bound of it, and so an upper bound of the
loss; the mean over importance weights, where it offers them, is a tighter one.

References:
    L. Theis, A. van den Oord, M. Bethge (2016), A note on the evaluation of generative models,
        arXiv:1511.01844, section 3.1.
    Y. Burda, R. Grosse, R. Salakhutdinov (2016), Importance weighted autoencoders,
        arXiv:1509.00519, section 3.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from ..data.dataset import Events, Preparation
from ..generator import AbstractBound, AbstractDensity, AbstractGenerator
from .time_limits import growing_parts

__all__ = [
    "ImportanceWeighted",
    "Likelihood",
    "LikelihoodKind",
    "bits_per_dimension",
    "negative_log_likelihood",
]

LikelihoodKind = Literal["exact", "bound", "importance-weighted bound"]


@runtime_checkable
class ImportanceWeighted(Protocol):
    """A generator whose bound gets tighter with the number of its importance weights."""

    def importance_weighted_bound(
        self,
        x: Tensor,
        context: Tensor | None = None,
        num: int = 50,
        rng: torch.Generator | None = None,
    ) -> Tensor:
        """(B,) unbiased estimates of a lower bound of log p(x | context)."""


@dataclass(frozen=True)
class Likelihood:
    """The mean negative log-probability of events.

    Attributes:
        nats: The mean.
        standard_error: Of the mean, over the events.
        kind: Whether it is exact, or an upper bound.
        num_events: N.
        num_entries: D.
    """

    nats: float
    standard_error: float
    kind: LikelihoodKind
    num_events: int
    num_entries: int

    def bits_per_dimension(self, num_levels: int | None = None, *, width: float = 1.0) -> float:
        """The same in bits per dimension (see the function of this name)."""
        return bits_per_dimension(-self.nats, self.num_entries, num_levels, width=width)

    def __str__(self) -> str:
        """As tables have it, such as ``≤ 84.9 ± 0.3 nats``."""
        sign = "" if self.kind == "exact" else "≤ "
        return f"{sign}{self.nats:.2f} ± {self.standard_error:.2f} nats"


def bits_per_dimension(
    log_prob: float, num_entries: int, num_levels: int | None = None, *, width: float = 1.0
) -> float:
    """What a log-probability, or log-density, is in bits per dimension.

    Args:
        log_prob: In nats, of whole events: a mean, usually.
        num_entries: D, numbers in an event.
        num_levels: K, where ``log_prob`` is of a density of dequantised levels (256 for bytes, 17
            for the digits); None where it is of a probability.
        width: Of the interval that dequantised levels were scaled to: 1 for [0, 1], 2 for [-1, 1].

    Raises:
        ValueError: A number is out of range.

    Example:
        >>> bits_per_dimension(-3 * math.log(256), 3)  # every byte equally likely
        8.0
        >>> bits_per_dimension(0.0, 3, 256)  # density 1 on [0, 1]: the same
        8.0
        >>> bits_per_dimension(-3 * math.log(2), 3, 256, width=2.0)  # 1/2 each on [-1, 1]
        8.0
    """
    if num_entries < 1 or (num_levels is not None and num_levels < 2) or not width > 0:
        raise ValueError(
            "expected at least 1 entry, at least 2 levels and a width above 0, got "
            f"{num_entries}, {num_levels} and {width}"
        )
    bits = -log_prob / (num_entries * math.log(2))
    return bits if num_levels is None else bits + math.log2(num_levels / width)


def negative_log_likelihood(
    generator: AbstractGenerator,
    events: Events | Tensor,
    *,
    prepare: Preparation | None = None,
    num_importance_weights: int | None = None,
    num_draws: int = 1,
    batch_size: int = 500,
    max_seconds: float | None = None,
    seed: int = 0,
) -> Likelihood:
    """The mean negative log-probability of events, exact where the generator has it.

    Args:
        generator: With a density or a bound; it is put into evaluation mode for the time.
        events: To measure on, with contexts if the generator takes them.
        prepare: Applied to each batch first, such as `Dataset.prepare`.
        num_importance_weights: Of each event, for a generator that offers them; None uses its
            density or its bound.
        num_draws: Over which an event's bound, and dequantisation, are averaged.
        batch_size: Events at a time.
        max_seconds: After which the rest of the events is left out, about; the result says of how
            many it is. None takes all.
        seed: Of all that is drawn.

    Raises:
        TypeError: The generator has neither density nor bound, or no importance weights that are
            asked for.
        ValueError: Shapes do not fit, or a number is out of range.

    Example:
        >>> from gymagine.generative.baselines.full_gaussian import FullGaussian
        >>> x = torch.randn(1_000, 2, generator=torch.Generator().manual_seed(0))
        >>> str(negative_log_likelihood(FullGaussian.fitted(x), x))
        '2.88 ± 0.03 nats'
    """
    kind = _kind(generator, num_importance_weights)
    if min(num_draws, batch_size) < 1:
        raise ValueError(f"expected at least 1 draw and event, got {num_draws} and {batch_size}")
    given = events if isinstance(events, Events) else Events(events)
    device = generator.example.device
    rng = torch.Generator(device=device).manual_seed(seed)
    found = []
    with _evaluated(generator):
        for rows in growing_parts(len(given), largest=batch_size, max_seconds=max_seconds):
            part = given.take(rows)
            context = None if part.context is None else part.context.to(device)
            total = torch.zeros(len(part), dtype=torch.float64, device=device)
            for _ in range(num_draws):
                x = part.x.to(device)
                x = x if prepare is None else prepare(x, rng)
                total += _log_probs(generator, x, context, num_importance_weights, rng).double()
            found.append(total / num_draws)
    return _summary(-torch.cat(found), kind, generator.num_entries)


def _kind(generator: AbstractGenerator, num_weights: int | None) -> LikelihoodKind:
    name = type(generator).__name__
    if num_weights is not None:
        if num_weights < 1:
            raise ValueError(f"expected at least 1 importance weight, got {num_weights}")
        if not isinstance(generator, ImportanceWeighted):
            raise TypeError(f"expected a generator with importance weights, got {name}")
        return "importance-weighted bound"
    if isinstance(generator, AbstractDensity):
        return "exact"
    if isinstance(generator, AbstractBound):
        return "bound"
    raise TypeError(
        f"expected a generator with a likelihood, an AbstractDensity or an AbstractBound, got "
        f"{name}, which has neither"
    )


def _log_probs(
    generator: AbstractGenerator,
    x: Tensor,
    context: Tensor | None,
    num_weights: int | None,
    rng: torch.Generator,
) -> Float[Tensor, " batch"]:
    if num_weights is not None:
        assert isinstance(generator, ImportanceWeighted)
        return generator.importance_weighted_bound(x, context, num_weights, rng)
    if isinstance(generator, AbstractDensity):
        return generator.log_prob(x, context)
    assert isinstance(generator, AbstractBound)
    return generator.log_prob_bound(x, context, rng=rng)


def _summary(nats: Tensor, kind: LikelihoodKind, num_entries: int) -> Likelihood:
    error = float(nats.std() / math.sqrt(len(nats))) if len(nats) > 1 else math.nan
    return Likelihood(float(nats.mean()), error, kind, len(nats), num_entries)


@contextmanager
def _evaluated(generator: AbstractGenerator) -> Iterator[None]:
    was_training = generator.training
    generator.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        generator.train(was_training)
