"""How what a generator draws compares with events that it has not seen, beside controls.

Pictures are compared between features of a classifier that is trained on the data here (see
`features`), in grey levels, so that generators of different forms can be compared; those of zeros
and ones have a classifier of their own form. Points and sequences are compared as they are.

The controls say what the numbers mean: the events to train on stand for a perfect generator, the
generator with its first parameters and a full Gaussian for bad ones. All draw as many samples as
there are events to compare with, since most of these numbers depend on that.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..generative.baselines.full_gaussian import FullGaussian
from ..generative.data.catalogue import dataset_named
from ..generative.data.dataset import Dataset, Events
from ..generative.data.preparation import Dequantisation
from ..generative.data.toys import eight_gaussians_centres
from ..generative.generator import AbstractGenerator
from ..generative.metrics.feature_distances import (
    kernel_distance,
    maximum_mean_discrepancy,
    median_distance,
    several_scales,
)
from ..generative.metrics.features import PictureClassifier, picture_classifier
from ..generative.metrics.mode_coverage import ModeCoverage, class_coverage, mode_coverage
from ..generative.metrics.neighbourhoods import density_coverage, precision_recall
from ..generative.metrics.time_limits import growing_parts
from .generation_data import has_forms, preparation_of
from .generation_likelihood import unseen_events
from .generation_results import Measuring, SampleRow

__all__ = [
    "GAUSSIAN",
    "TRAINING",
    "UNTRAINED",
    "SampleComparison",
    "comparison_for",
    "drawn",
    "sample_rows",
    "viewed",
]

TRAINING, UNTRAINED, GAUSSIAN = "training events", "untrained", "full-gaussian"
"""Names of the controls."""

_TOGETHER = 500  # samples
_FEWEST = 50  # samples that say something
_NUM_BLOCKS = 5  # of the kernel distance
_LARGE_SIDE = 16  # pixels, from which on pictures have fewer and smaller updates of a classifier
_EIGHT_GAUSSIANS, _DEVIATION = "eight-gaussians", 0.2


@dataclass(frozen=True)
class SampleComparison:
    """What samples are compared with, and in which space.

    Attributes:
        real: (M, *event) events that were not learnt from, for viewing: pictures in [0, 1].
        train: (M, *event) of those to train on, likewise.
        classifier: Of whose features the space is; None for events as they are.
        modes: Tells which modes or classes (N, *event) samples are at; None where none are known.
    """

    real: Tensor
    train: Tensor
    classifier: PictureClassifier | None = None
    modes: Callable[[Tensor], ModeCoverage] | None = None

    def features(self, x: Tensor) -> Tensor:
        """(N, F) of (N, *event) events."""
        return x.flatten(1).double() if self.classifier is None else self.classifier.features(x)

    def row(self, name: str, x: Tensor) -> SampleRow:
        """Of (N, *event) samples, with as many real events."""
        features, real = self.features(x), self.features(self.real[: len(x)])
        distance = None
        if self.classifier is not None:
            distance = kernel_distance(
                real, features, block_size=max(2, min(len(real), len(x)) // _NUM_BLOCKS)
            )
        kernel = several_scales(median_distance(real))
        neighbours = precision_recall(real, features)
        dense = density_coverage(real, features)
        modes = None if self.modes is None else self.modes(x)
        return SampleRow(
            name=name,
            num_samples=len(x),
            kernel_distance=None if distance is None else distance.mean,
            kernel_distance_error=None if distance is None else distance.standard_error,
            mean_discrepancy=maximum_mean_discrepancy(real, features, kernel),
            precision=neighbours.precision,
            recall=neighbours.recall,
            density=dense.density,
            coverage=dense.coverage,
            modes_covered=None if modes is None else modes.num_covered,
            num_modes=None if modes is None else modes.num_modes,
            share_near=None if modes is None else modes.share_near,
            mode_divergence=None if modes is None else modes.divergence,
        )


def sample_rows(
    generator: AbstractGenerator,
    untrained: AbstractGenerator,
    name: str,
    data: Dataset,
    comparison: SampleComparison,
    measuring: Measuring,
    *,
    seed: int,
) -> tuple[list[SampleRow], list[str]]:
    """Rows of the generator's samples and of the controls', and notes on what is not there.

    Args:
        generator: A trained one.
        untrained: The same with its first parameters.
        name: Of its family.
        data: As it takes them.
        comparison: What to compare with.
        measuring: How much to spend.
        seed: Of all that is drawn.
    """
    rows, notes = [], []
    num = len(comparison.real)
    for title, model in ((name, generator), (UNTRAINED, untrained)):
        with warnings.catch_warnings(record=True):  # that the latter is untrained is known
            x = drawn(model, data, num, max_seconds=measuring.max_seconds, seed=seed)
        if len(x) < num:
            notes.append(
                f"{title}: {len(x)} samples, more of which take longer than "
                f"{measuring.max_seconds:g} s"
            )
        x = viewed(x, data)
        finite = x.flatten(1).isfinite().all(dim=1)
        if not finite.all():
            notes.append(f"{title}: {int((~finite).sum())} samples are not finite, and left out")
        if int(finite.sum()) >= min(_FEWEST, num):
            rows.append(comparison.row(title, x[finite]))
        else:
            notes.append(f"{title}: too few samples to compare")
    rows.append(comparison.row(TRAINING, comparison.train[:num]))
    rows.append(comparison.row(GAUSSIAN, _gaussian_samples(data, num, seed)))
    return rows, notes


def comparison_for(
    data: Dataset, form: str, measuring: Measuring, *, seed: int, folder: Path | None
) -> SampleComparison:
    """What samples of generators of such data are compared with.

    Args:
        data: As generators take them.
        form: Of pictures.
        measuring: How much to spend.
        seed: Of the noise, if pictures are binarised with some; the classifier has its own.
        folder: Where classifiers are kept; None keeps none.
    """
    if not has_forms(data.name):
        x = unseen_events(data)[1].x[: measuring.num_samples]
        modes = _eight_gaussians if data.name == _EIGHT_GAUSSIANS else None
        return SampleComparison(x, data.train.x[: measuring.num_samples], modes=modes)
    preparation = preparation_of(data)
    is_binary = preparation is not None and preparation.is_binary
    with_classes = dataset_named(data.name, form=form if is_binary else "levels", labels=True)
    classifier = _classifier(with_classes, folder)
    rng = torch.Generator().manual_seed(seed)

    def grey(events: Events) -> Tensor:
        x = with_classes.prepared(events.x[: measuring.num_samples], rng)
        return viewed(x, with_classes)

    return SampleComparison(
        grey(unseen_events(with_classes)[1]),
        grey(with_classes.train),
        classifier,
        lambda x: class_coverage(classifier.predicted(x)),
    )


def drawn(
    generator: AbstractGenerator,
    data: Dataset,
    num: int,
    *,
    max_seconds: float | None = None,
    seed: int = 0,
) -> Tensor:
    """(N, *event) samples; where contexts are taken, in those of events that were not learnt from.

    Args:
        generator: To draw from.
        data: As it takes them.
        num: How many at most.
        max_seconds: After which no more are drawn, about.
        seed: Of the draws.
    """
    rng = torch.Generator(device=generator.example.device).manual_seed(seed)
    contexts = unseen_events(data)[1].context
    found = []
    for rows in growing_parts(num, largest=_TOGETHER, max_seconds=max_seconds):
        if contexts is None:
            found.append(generator.sample(rows.stop - rows.start, rng=rng))
        else:
            own = contexts[torch.arange(rows.start, rows.stop) % len(contexts)]
            found.append(generator.sample(1, own.to(generator.example), rng=rng).squeeze(0))
    return torch.cat(found)


def viewed(x: Tensor, data: Dataset) -> Tensor:
    """(N, *event) of the data's shape, for viewing: pictures in [0, 1]."""
    x = x.detach().cpu().reshape(len(x), *data.train.x.shape[1:])
    preparation = preparation_of(data)
    return x if preparation is None else preparation.grey(x)


def _gaussian_samples(data: Dataset, num: int, seed: int) -> Tensor:
    """(N, *event) for viewing, of a full Gaussian that is fitted to the events to train on."""
    rng = torch.Generator().manual_seed(seed)
    preparation = preparation_of(data)
    if preparation is None:
        return FullGaussian.fitted(data.train.x).sample(num, rng=rng)
    used = preparation if preparation.is_binary else Dequantisation(preparation.num_levels)
    gaussian = FullGaussian.fitted(used(data.train.x, rng))
    return used.grey(gaussian.sample(num, rng=rng))


def _classifier(data: Dataset, folder: Path | None) -> PictureClassifier:
    """Ten seconds of small pictures, twenty of larger ones, if it is not there yet."""
    is_large = max(data.train.x.shape[2:]) >= _LARGE_SIDE
    settings: dict[str, Any] = {"num_updates": 1_000}
    if is_large:
        settings = {"num_updates": 1_500, "batch_size": 64, "learning_rate": 6e-3}
    return picture_classifier(data, folder=folder, **settings)


def _eight_gaussians(x: Tensor) -> ModeCoverage:
    return mode_coverage(x, eight_gaussians_centres(), _DEVIATION)
