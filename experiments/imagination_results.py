"""What agents that learnt in a dream are worth in the real environment, beside their controls.

Conditions, each with several seeds:

- ``dream``: the agent learnt in the trained world model only;
- ``untrained``: the same in a world model that was not trained;
- ``real-few``: the same agent, on as many real steps as the world model learnt from;
- ``real-many``: the same agent, on as many as the others dreamt: what a perfect dream would give;
- ``random``: actions at random.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..generative.open_loop import OpenLoopErrors
from .intervals import Interval, mean_interval
from .tables import decimals_for, format_interval, format_number

__all__ = ["CONDITIONS", "Condition", "ImaginationResults", "ImaginationRun", "results_tables"]

Condition: TypeAlias = Literal["dream", "untrained", "real-few", "real-many", "random"]
CONDITIONS: tuple[Condition, ...] = ("dream", "untrained", "real-few", "real-many", "random")


@dataclass(frozen=True)
class ImaginationRun:
    """One condition with one seed.

    Attributes:
        condition: Which.
        seed: Of everything.
        real_return: Mean return of the trained agent's episodes in the real environment.
        real_returns: Of each of the episodes.
        imagined_return: Mean return of its episodes in the dream; None where it had none.
        model_error: Of one imagined step on held-out real ones, in deviations; None of no model.
        copying_error: Of copying the last observation.
        linear_error: Of a linear model.
        share_clipped: Of imagined steps, those that left the observation space or went far beyond
            the data, and were moved back.
        open_loop: Errors by horizon, of the trained world model.
        real_steps: Taken to learn from.
        imagined_steps: Imagined to learn from.
        seconds: On the wall, all in all.
    """

    condition: Condition
    seed: int
    real_return: float
    real_returns: tuple[float, ...]
    real_steps: int
    imagined_steps: int
    seconds: float
    imagined_return: float | None = None
    model_error: float | None = None
    copying_error: float | None = None
    linear_error: float | None = None
    share_clipped: float | None = None
    open_loop: OpenLoopErrors | None = None

    def to_json(self) -> dict[str, Any]:
        """What JSON can hold of it."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """What `to_json` wrote."""
        known = dict(value)
        known["real_returns"] = tuple(known["real_returns"])
        if known["open_loop"] is not None:
            errors: dict[str, Any] = {
                name: tuple(each) if isinstance(each, list) else each
                for name, each in known["open_loop"].items()
            }
            known["open_loop"] = OpenLoopErrors(**errors)
        return cls(**known)


@dataclass(frozen=True)
class ImaginationResults:
    """All runs.

    Attributes:
        title: Environment, generator and agent in words.
        runs: In any order.
    """

    title: str
    runs: tuple[ImaginationRun, ...]

    def of(self, condition: Condition) -> list[ImaginationRun]:
        """Those of one condition, by seed."""
        found = [run for run in self.runs if run.condition == condition]
        return sorted(found, key=lambda run: run.seed)

    def real(self, condition: Condition) -> Interval | None:
        """Of the mean return over seeds; None where there is none, without bounds of one seed."""
        runs = self.of(condition)
        if not runs:
            return None
        return mean_interval([run.real_return for run in runs])

    def imagined(self, condition: Condition) -> Interval | None:
        """Of the mean imagined return over seeds; None where nothing was imagined."""
        found = [run.imagined_return for run in self.of(condition)]
        known = [value for value in found if value is not None]
        return mean_interval(known) if known else None

    def open_loop(self) -> OpenLoopErrors | None:
        """The trained world models' errors by horizon, the mean over seeds."""
        found = [run.open_loop for run in self.of("dream") if run.open_loop is not None]
        if not found:
            return None
        num = min(len(each.horizons) for each in found)
        means: dict[str, Any] = {
            name: tuple(np.mean([getattr(each, name)[:num] for each in found], axis=0).tolist())
            for name in ("model", "copying", "linear")
        }
        starts = min(each.num_starts for each in found)
        return OpenLoopErrors(horizons=found[0].horizons[:num], num_starts=starts, **means)


def results_tables(results: ImaginationResults) -> Group:
    """Returns by condition, errors by horizon, and what it all rests on."""
    parts: list[RenderableType] = [_returns(results)]
    errors = results.open_loop()
    if errors is not None:
        parts.append(_errors(errors))
    parts += [Text(line, style="dim") for line in _protocol(results)]
    return Group(*parts)


def _returns(results: ImaginationResults) -> Table:
    table = _table("return", ("real", "imagined"), results.title)
    shown = [run.real_return for run in results.runs]
    decimals = max(0, decimals_for(shown) - 1)  # seeds differ by more than the fourth digit
    for condition in CONDITIONS:
        real = results.real(condition)
        if real is None:
            continue
        imagined = results.imagined(condition)
        table.add_row(
            condition_name(condition, results.of(condition)[0]),
            format_interval(real, decimals),
            "" if imagined is None else format_interval(imagined, decimals),
            style="bold" if condition == "dream" else "",
        )
    return table


def condition_name(condition: Condition, run: ImaginationRun) -> str:
    """What tables call a condition."""
    if condition.startswith("real"):
        return f"awake, {run.real_steps:,} steps"
    names = {"dream": "in the dream", "untrained": "in an untrained dream"}
    return names.get(condition, condition)


def _errors(errors: OpenLoopErrors) -> Table:
    names = [f"{length}" for length in errors.horizons]
    table = _table("error after so many steps", names)
    for title, values in (
        ("world model", errors.model),
        ("linear model", errors.linear),
        ("copying", errors.copying),
    ):
        cells = [format_number(value, 3) for value in values]
        table.add_row(title, *cells, style="bold" if title == "world model" else "")
    return table


def _table(head: str, columns: Sequence[str], title: str | None = None) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(head, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _protocol(results: ImaginationResults) -> list[str]:
    seeds = len(results.of("dream")) or max(len(results.of(each)) for each in CONDITIONS)
    episodes = len(results.runs[0].real_returns)
    lines = [
        f"mean over {seeds} seed{'s' * (seeds > 1)} [95 % interval over seeds], each of "
        f"{episodes} greedy episodes (random: as it acts)"
    ]
    dreams = results.of("dream") or results.of("untrained")
    if dreams:
        lines.append(
            f"dreams: {dreams[0].imagined_steps:,} imagined steps, from {dreams[0].real_steps:,} "
            "real ones"
        )
    errors = results.open_loop()
    if errors is not None:
        lines.append(
            f"errors: root mean square, in deviations of observations, from {errors.num_starts} "
            "places of held-out episodes"
        )
    clipped = [run.share_clipped for run in results.of("dream") if run.share_clipped is not None]
    if clipped and max(clipped) > 0:
        lines.append(f"{np.mean(clipped):.2%} of imagined steps were moved back into the space")
    return lines
