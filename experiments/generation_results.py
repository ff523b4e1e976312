"""What a trained generator is worth, beside what anything must beat, and as a file.

``results.json`` in a run's folder holds

- *likelihoods*: mean negative log-probabilities of events that the generator has not seen, of its
  own and of baselines, of the same events in the same unit;
- *samples*: distances between what it draws and such events, of its own and of controls;
- *protocol*: how many events and samples, and what was done, in words;
- *notes*: what is not there and why, and which baselines are not beaten.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self, TypeVar

from ..generative.metrics.likelihood import LikelihoodKind
from ..storage import write_json

__all__ = ["GenerationResults", "LikelihoodRow", "Measuring", "SampleRow"]

_FORMAT = "gymagine-generation-results-1"

Row = TypeVar("Row")


@dataclass(frozen=True)
class Measuring:
    """How much is spent on measuring.

    Attributes:
        num_events: Most events of which likelihoods are taken.
        num_samples: Most samples that are drawn, and most events that they are compared with.
        num_importance_weights: Of each event, of generators that offer them.
        max_seconds: About how long each of the likelihood, the samples and the controls' samples
            may take; what does not fit is left out, and numbers say of how much they are.

    Raises:
        ValueError: A number is not positive.
    """

    num_events: int = 2_000
    num_samples: int = 1_000
    num_importance_weights: int = 100
    max_seconds: float = 15.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not value > 0:
                raise ValueError(f"expected {name} above 0, got {value}")


@dataclass(frozen=True)
class LikelihoodRow:
    """A mean negative log-probability.

    Attributes:
        name: Of the family, or of a baseline.
        kind: Whether it is exact, or an upper bound.
        nats: The mean; of the levels, where data have such.
        standard_error: Of the mean, over the events.
        bits_per_dimension: The same; None for data without levels.
        num_events: N.
    """

    name: str
    kind: LikelihoodKind
    nats: float
    standard_error: float | None
    bits_per_dimension: float | None
    num_events: int


@dataclass(frozen=True)
class SampleRow:
    """How samples compare with events; each number is None where it is not measured.

    Attributes:
        name: Of the family, or of a control.
        num_samples: N, and of the events that they are compared with.
        kernel_distance: With the cubic kernel, of features; 0 in the mean for the data's law.
        kernel_distance_error: Its standard error.
        mean_discrepancy: Squared maximum mean discrepancy with Gaussian kernels, from one as wide
            as the median distance of events down to a sixteenth; 0 in the mean for the data's law.
        precision: Share of samples among the events.
        recall: Share of events among the samples.
        density: Of samples around events; about 1 for the data's law.
        coverage: Share of events with a sample around.
        modes_covered: Modes, or classes, with a sample near.
        num_modes: Of the data; None where they have none that are known.
        share_near: Of samples near a mode, or surely of a class.
        mode_divergence: Kullback-Leibler divergence of their shares from equal ones, in nats.
    """

    name: str
    num_samples: int
    kernel_distance: float | None = None
    kernel_distance_error: float | None = None
    mean_discrepancy: float | None = None
    precision: float | None = None
    recall: float | None = None
    density: float | None = None
    coverage: float | None = None
    modes_covered: int | None = None
    num_modes: int | None = None
    share_near: float | None = None
    mode_divergence: float | None = None


@dataclass(frozen=True)
class GenerationResults:
    """All that was measured.

    Attributes:
        family: Name of the generator's family; its rows begin with it.
        num_updates: Of training.
        train_seconds: That training took; of a run that was cut, its last part.
        measure_seconds: That measuring took.
        num_parameters: Numbers that were learnt.
        likelihoods: The family's own first.
        samples: Likewise.
        protocol: How it was measured, a sentence each.
        notes: What is not there and why, and what is not beaten.
    """

    family: str
    num_updates: int
    train_seconds: float
    measure_seconds: float
    num_parameters: int
    likelihoods: tuple[LikelihoodRow, ...]
    samples: tuple[SampleRow, ...]
    protocol: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def own_likelihood(self) -> LikelihoodRow | None:
        """The family's tightest one, among those of most events."""
        own = [row for row in self.likelihoods if self._is_own(row.name)]
        return min(own, key=lambda row: (-row.num_events, row.nats), default=None)

    @property
    def own_samples(self) -> SampleRow | None:
        """The family's."""
        return next((row for row in self.samples if self._is_own(row.name)), None)

    def _is_own(self, name: str) -> bool:
        return name.split(",")[0] == self.family

    def scalars(self) -> dict[str, float]:
        """The family's own numbers by TensorBoard name."""
        likelihood, samples = self.own_likelihood, self.own_samples
        values: dict[str, Any] = {} if samples is None else asdict(samples)
        if likelihood is not None:
            values |= {
                "nats": likelihood.nats,
                "bits_per_dimension": likelihood.bits_per_dimension,
            }
        return {
            f"results/{name}": value for name, value in values.items() if isinstance(value, float)
        }

    def write(self, path: Path) -> None:
        """As JSON, whole or not at all; what is not finite is null."""
        write_json(path, {"format": _FORMAT, **_plain(asdict(self))})

    @classmethod
    def read(cls, path: Path) -> Self:
        """What `write` wrote.

        Raises:
            ValueError: The file is damaged or foreign.
        """
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
            if value.get("format") != _FORMAT:
                raise ValueError(f"its format is {value.get('format')}")
            return cls.from_json(value)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(
                f"expected the results of a generator, got {path}: {error}"
            ) from error

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """From the plain data of such a file."""
        given = {field.name: value[field.name] for field in fields(cls)}
        given["likelihoods"] = tuple(_row(LikelihoodRow, row) for row in given["likelihoods"])
        given["samples"] = tuple(_row(SampleRow, row) for row in given["samples"])
        given["protocol"], given["notes"] = tuple(given["protocol"]), tuple(given["notes"])
        return cls(**given)


def _row(kind: type[Row], value: Mapping[str, Any]) -> Row:
    """A row whose likelihood may have been infinite."""
    infinite = {"nats": math.inf} if value.get("nats", 0.0) is None else {}
    return kind(**{**value, **infinite})


def _plain(value: Any) -> Any:
    """Plain data for JSON, which knows neither NaN nor infinity."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
