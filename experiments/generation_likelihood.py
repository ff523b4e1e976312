r"""Likelihoods of a trained generator beside those of baselines, all of the same events.

Pictures are levels, and all likelihoods of them are told as probabilities of levels, so that
models of levels and densities of dequantised ones can be compared: with K levels and D entries

.. math:: -\log P(k) \le -\mathrm{E}_u \log p\bigl(l + w (k + u) / K\bigr) + D \log (K / w),

an upper bound, with w the width of the interval from l on that levels are scaled to (see
`likelihood`). Baselines are fitted on all events to train on: independent
entries and the tree of Chow and Liu to the levels, a full Gaussian to dequantised ones. A density
of levels that are *not* dequantised bounds nothing, and is not told.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import torch

from ..generative.baselines.chow_liu import ChowLiu
from ..generative.baselines.full_gaussian import FullGaussian
from ..generative.baselines.independent import Independent
from ..generative.data.catalogue import TOYS
from ..generative.data.dataset import Dataset, Events, Preparation
from ..generative.data.preparation import AbstractPreparation, Dequantisation, Levels, Scaling
from ..generative.generator import AbstractBound, AbstractDensity, AbstractGenerator
from ..generative.metrics.likelihood import (
    ImportanceWeighted,
    Likelihood,
    negative_log_likelihood,
)
from .generation_data import preparation_of
from .generation_results import LikelihoodRow, Measuring

__all__ = ["OWN_LAW", "likelihoods", "unseen_events"]

OWN_LAW = "the data's own law"


def unseen_events(data: Dataset) -> tuple[str, Events]:
    """The name of the part of the data that generators are reported on, and its events."""
    for name, part in (("test", data.test), ("held-out", data.held_out)):
        if part is not None:
            return name, part
    return "training", data.train


def likelihoods(
    generator: AbstractGenerator, name: str, data: Dataset, measuring: Measuring, *, seed: int
) -> tuple[list[LikelihoodRow], list[str]]:
    """Rows of the generator's and the baselines' likelihoods, and notes on what is not there.

    Args:
        generator: A trained one.
        name: Of its family.
        data: As it takes them.
        measuring: How much to spend.
        seed: Of all that is drawn.
    """
    if not isinstance(generator, AbstractDensity | AbstractBound):
        return [], [f"no likelihood: {name} has neither a density nor a bound"]
    preparation = preparation_of(data)
    if isinstance(preparation, Scaling):
        return [], [
            "no likelihood: a density of levels that are not dequantised can be made as high as "
            "one likes; a dequantised --form has one"
        ]
    given = unseen_events(data)[1]
    events = given.take(slice(0, measuring.num_events))
    rows, notes = _own_rows(generator, name, events, data, measuring, seed)
    # the same events: differences are not those between events
    events = Events(events.x[: rows[0].num_events])
    rows += _baseline_rows(data, events, preparation, notes, seed)
    if generator.context_shape is not None:
        notes.append(f"{name} is told the classes of the events, and the baselines are not")
    return rows, notes


def _own_rows(
    generator: AbstractGenerator,
    name: str,
    events: Events,
    data: Dataset,
    measuring: Measuring,
    seed: int,
) -> tuple[list[LikelihoodRow], list[str]]:
    preparation, notes = preparation_of(data), []
    weights: list[int | None] = [None]
    if isinstance(generator, ImportanceWeighted):
        weights.append(measuring.num_importance_weights)
    rows = []
    for num in weights:
        found = negative_log_likelihood(
            generator,
            events,
            prepare=data.prepare,
            num_importance_weights=num,
            max_seconds=measuring.max_seconds,
            seed=seed,
        )
        title = name if num is None else f"{name}, {num} weights"
        rows.append(_row(title, found, preparation))
        if found.num_events < len(events):
            notes.append(
                f"{title}: of {found.num_events} events, more of which take longer than "
                f"{measuring.max_seconds:g} s"
            )
    return rows, notes


def _baseline_rows(
    data: Dataset,
    events: Events,
    preparation: AbstractPreparation | None,
    notes: list[str],
    seed: int,
) -> Iterator[LikelihoodRow]:
    own_law = TOYS[data.name].log_prob if data.name in TOYS else None
    if own_law is not None:
        nats = -own_law(events.x).double()
        error = float(nats.std() / math.sqrt(len(nats)))
        yield LikelihoodRow(OWN_LAW, "exact", float(nats.mean()), error, None, len(nats))
    for name, baseline, prepare in _baselines(data, preparation, notes, seed):
        found = negative_log_likelihood(baseline, events, prepare=prepare, seed=seed)
        used = prepare if isinstance(prepare, AbstractPreparation) else None
        yield _row(name, found, used)


def _baselines(
    data: Dataset, preparation: AbstractPreparation | None, notes: list[str], seed: int
) -> Iterator[tuple[str, AbstractDensity, Preparation | None]]:
    """Names, densities that are fitted to the events to train on, and how events come to them."""
    rng = torch.Generator().manual_seed(seed)
    if preparation is None:
        yield "independent", Independent.fitted(data.train.x), None
        yield "full-gaussian", FullGaussian.fitted(data.train.x), None
        notes.append("no chow-liu: entries have no finite set of values")
        return
    num_levels = preparation.num_levels
    finite = preparation if preparation.is_binary else Levels(num_levels)
    x = finite(data.train.x, rng)
    yield "independent", Independent.fitted(x, finite.support), finite
    try:
        yield "chow-liu", ChowLiu.fitted(x, finite.support), finite
    except ValueError as error:
        notes.append(f"no chow-liu: {error}")
    if not preparation.is_binary:
        dequantised = Dequantisation(num_levels)
        gaussian = FullGaussian.fitted(dequantised(data.train.x, rng))
        yield "full-gaussian", gaussian, dequantised
    else:
        notes.append("no full-gaussian: a density of zeros and ones can be made infinite")


def _row(name: str, found: Likelihood, preparation: AbstractPreparation | None) -> LikelihoodRow:
    """Of levels, where there are any."""
    row = LikelihoodRow(name, found.kind, found.nats, found.standard_error, None, found.num_events)
    if preparation is None:
        return row
    if not isinstance(preparation, Dequantisation):
        return replace(row, bits_per_dimension=found.bits_per_dimension())
    bits = found.bits_per_dimension(preparation.num_levels, width=preparation.width)
    nats = bits * found.num_entries * math.log(2)
    kind = "bound" if found.kind == "exact" else found.kind
    return replace(row, nats=nats, bits_per_dimension=bits, kind=kind)
