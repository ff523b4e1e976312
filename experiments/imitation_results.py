"""How policies that imitate did, beside what they imitate and what they must beat, as a file.

``results.json`` in a run's folder holds a score of each policy and how it was measured.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from ..generative.data.demonstrations import Demonstrations
from ..storage import write_json
from .intervals import Interval, mean_interval, proportion_interval
from .tables import decimals_for, format_interval, format_number

__all__ = ["ImitationResults", "PolicyScore", "ScoreKind", "results_markdown", "results_table"]

ScoreKind: TypeAlias = Literal["generator", "control", "expert", "random", "demonstrations"]

_FORMAT = "gymagine-imitation-results-1"
_STYLES = {"generator": "bold", "expert": "green", "demonstrations": "green"}


@dataclass(frozen=True)
class PolicyScore:
    """Episodes of one policy.

    Attributes:
        name: Of the policy.
        kind: What it is in the table: asked for, a control, the expert, random actions, or the
            demonstrations as they are.
        success: Share of episodes that succeeded, with Wilson's interval; None where nobody says.
        mean_return: With Student's interval.
        mean_length: Steps.
        num_episodes: N.
        milliseconds: To answer with an action, in the mean over all of them; None where it was
            not measured.
        train_seconds: Of learning; None where nothing was learnt.
        num_parameters: That were learnt; likewise.
        error: Of the mean of its actions on held-out demonstrations, in the demonstrators'
            deviations; likewise.
        linear_error: Of a linear function of the observations.
    """

    name: str
    kind: ScoreKind
    success: Interval | None
    mean_return: Interval
    mean_length: float
    num_episodes: int
    milliseconds: float | None = None
    train_seconds: float | None = None
    num_parameters: int | None = None
    error: float | None = None
    linear_error: float | None = None

    @classmethod
    def of(cls, name: str, kind: ScoreKind, played: Demonstrations, **learnt: Any) -> Self:
        """Of episodes that were played."""
        success = None
        if played.success is not None:
            success = proportion_interval(int(played.success.sum()), played.num_episodes)
        return cls(
            name,
            kind,
            success,
            mean_interval(played.returns),
            float(played.lengths.mean()),
            played.num_episodes,
            **learnt,
        )


@dataclass(frozen=True)
class ImitationResults:
    """All scores, and how they came about.

    Attributes:
        scores: The generators first, then controls, and the expert last.
        protocol: What was done, a sentence each.
        notes: What is not beaten, and what is not known.
    """

    scores: tuple[PolicyScore, ...]
    protocol: tuple[str, ...]
    notes: tuple[str, ...]

    def score(self, name: str) -> PolicyScore:
        """That of a policy.

        Raises:
            KeyError: There is none of that name.
        """
        return {score.name: score for score in self.scores}[name]

    def write(self, path: Path) -> None:
        """As JSON, whole or not at all; bounds that are not known are null."""
        write_json(path, {"format": _FORMAT, **_plain(asdict(self))})

    @classmethod
    def read(cls, path: Path) -> Self:
        """What `write` wrote.

        Raises:
            ValueError: The file is damaged or foreign.
        """
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
            if value["format"] != _FORMAT:
                raise ValueError(f"its format is {value['format']}")
            scores = tuple(_score(row) for row in value["scores"])
            return cls(scores, tuple(value["protocol"]), tuple(value["notes"]))
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"expected results of imitation, got {path}: {error}") from error


def results_table(results: ImitationResults) -> Table:
    """For a terminal."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    header, *rows = _cells(results)
    for i, title in enumerate(header):
        table.add_column(title, justify="right" if i else "left", no_wrap=True)
    for score, row in zip(results.scores, rows, strict=True):
        table.add_row(*map(Text, row), style=_STYLES.get(score.kind, "dim"))
    return table


def results_markdown(results: ImitationResults, title: str) -> str:
    """For a file, with how it was measured."""
    header, *rows = _cells(results)
    rule = ["---", *["---:"] * (len(header) - 1)]
    lines = [f"| {' | '.join(row)} |" for row in (header, rule, *rows)]
    told = [f"- {line}" for line in (*results.protocol, *results.notes)]
    return "\n".join([f"# {title}", "", *lines, "", *told, ""])


def _cells(results: ImitationResults) -> list[list[str]]:
    scores = results.scores
    knows = any(score.success is not None for score in scores)
    # three digits of the first, two places at most: lines are no longer than a terminal's
    usual = decimals_for([score.mean_return.estimate for score in scores])
    decimals = min(2, max(0, usual - 1))
    columns = ["policy", *(["success [95 %]"] if knows else []), "return [95 %]", "steps"]
    found = [[*columns, "ms", "error", "fit s"]]
    for score in scores:
        row = [score.name]
        if knows:
            row.append(format_interval(score.success, 2))
        row += [format_interval(score.mean_return, decimals), format_number(score.mean_length, 1)]
        for value, places in ((score.milliseconds, 2), (score.error, 3), (score.train_seconds, 0)):
            row.append("" if value is None else format_number(value, places))
        found.append(row)
    return found


def _score(row: dict[str, Any]) -> PolicyScore:
    known = {name: _interval(row[name]) for name in ("success", "mean_return")}
    return PolicyScore(**{**row, **known})


def _interval(value: dict[str, Any] | None) -> Interval | None:
    if value is None:
        return None
    return Interval(**{key: math.nan if part is None else part for key, part in value.items()})


def _plain(value: Any) -> Any:
    """Plain data for JSON, which knows neither NaN nor infinity."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, np.generic):
        return value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
