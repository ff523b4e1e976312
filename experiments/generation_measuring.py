"""Measuring a trained generator on events that it has not seen, for the record of its run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from ..generative.data.dataset import Dataset
from ..generative.data.preparation import Dequantisation
from ..generative.generator import AbstractGenerator
from ..generative.training import FitResult
from .generation_data import preparation_of
from .generation_likelihood import OWN_LAW, likelihoods, unseen_events
from .generation_results import GenerationResults, LikelihoodRow, Measuring, SampleRow
from .generation_samples import GAUSSIAN, UNTRAINED, SampleComparison, comparison_for, sample_rows
from .generator_catalogue import find_generator

__all__ = ["measure", "unbeaten_baselines", "unbeaten_controls"]


def measure(
    generator: AbstractGenerator,
    untrained: AbstractGenerator,
    data: Dataset,
    trained: FitResult,
    *,
    family: str,
    form: str | None = None,
    seed: int = 0,
    measuring: Measuring | None = None,
    folder: Path | None = None,
) -> GenerationResults:
    """Take a generator's likelihood and compare its samples, beside baselines and controls.

    Args:
        generator: A trained one.
        untrained: The same with its first parameters.
        data: As it takes them.
        trained: How training went.
        family: Its name.
        form: Of pictures; None is the family's usual one.
        seed: Of all that is drawn.
        measuring: How much to spend; None is the usual.
        folder: Where classifiers are kept; None keeps none.
    """
    begun = time.perf_counter()
    given = Measuring() if measuring is None else measuring
    rows, notes = likelihoods(generator, family, data, given, seed=seed)
    form = form or find_generator(family).forms[0]
    comparison = comparison_for(data, form, given, seed=seed, folder=folder)
    compared, more = sample_rows(generator, untrained, family, data, comparison, given, seed=seed)
    notes += [*more, *_not_beaten(family, rows, compared)]
    return GenerationResults(
        family=family,
        num_updates=trained.num_updates,
        train_seconds=trained.seconds,
        measure_seconds=time.perf_counter() - begun,
        num_parameters=sum(parameter.numel() for parameter in generator.parameters()),
        likelihoods=tuple(rows),
        samples=tuple(compared),
        protocol=tuple(_protocol(data, rows, comparison, seed)),
        notes=tuple(notes),
    )


def unbeaten_baselines(family: str, rows: Sequence[LikelihoodRow]) -> list[str]:
    """Names of baselines that make the events at least as probable as the family does."""
    mine = [row for row in rows if row.name.split(",")[0] == family]
    if not mine:
        return []
    most = max(row.num_events for row in mine)
    best = min(row.nats for row in mine if row.num_events == most)
    others = [row for row in rows if row.name.split(",")[0] not in (family, OWN_LAW)]
    return [row.name for row in others if row.nats <= best]


def unbeaten_controls(family: str, rows: Sequence[SampleRow]) -> list[str]:
    """Names of bad controls whose samples are at most as far from the events as the family's."""
    own = next((_distance(row) for row in rows if row.name == family), None)
    others = [row for row in rows if row.name in (UNTRAINED, GAUSSIAN)]
    return [row.name for row in others if own is not None and _distance(row) <= own]


def _distance(row: SampleRow) -> float:
    if row.kernel_distance is not None:
        return row.kernel_distance
    return 0.0 if row.mean_discrepancy is None else row.mean_discrepancy


def _not_beaten(
    family: str, rows: Sequence[LikelihoodRow], compared: Sequence[SampleRow]
) -> list[str]:
    found = []
    if names := unbeaten_baselines(family, rows):
        found.append(f"{family} does not beat {', '.join(names)} in likelihood")
    if names := unbeaten_controls(family, compared):
        found.append(f"{family} does not beat {', '.join(names)} in the distance of its samples")
    return found


def _protocol(
    data: Dataset, rows: Sequence[LikelihoodRow], comparison: SampleComparison, seed: int
) -> list[str]:
    part, events = unseen_events(data)
    preparation = preparation_of(data)
    found = []
    if rows:
        unit = "nats"
        if preparation is not None:
            levels = f"{preparation.num_levels} levels"
            unit = f"nats of {'zeros and ones' if preparation.is_binary else levels}"
        found.append(
            f"likelihoods: {unit}, of the first {rows[0].num_events:,} of {len(events):,} {part} "
            f"events; baselines are fitted on the {len(data.train):,} "
            "events to train on"
        )
        if isinstance(preparation, Dequantisation):
            found.append("densities of dequantised levels bound the probabilities of levels")
    where, distance = "as they are", "squared maximum mean discrepancy, Gaussian kernels"
    if comparison.classifier is not None:
        where = (
            f"in the {comparison.classifier.num_features} features of a classifier that is "
            "trained here: no FID or KID of papers"
        )
        distance = "kernel distance, cubic"
    found.append(
        f"samples: compared with the first {len(comparison.real):,} {part} events, {where}; "
        f"dist. is the {distance}, about 0 for the data's own law; all noise from seed {seed}"
    )
    return found
