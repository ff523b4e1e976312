"""A bar with the rate and the time left, on standard error, for anything that takes seconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from .records import EvaluationPoint, RunSettings
from .session import ProgressWatcher

__all__ = ["progress_columns", "session_progress"]


class _RateColumn(ProgressColumn):
    """Units per second, such as ``12.3k steps/s``."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        if not speed:
            return Text(f"- {self._unit}/s")
        for factor, letter in ((1e6, "M"), (1e3, "k"), (1.0, "")):
            if speed >= factor or not letter:
                return Text(f"{speed / factor:.3g}{letter} {self._unit}/s")
        raise AssertionError("the last factor fits every speed")


def progress_columns(unit: str) -> tuple[ProgressColumn, ...]:
    """The columns of every bar here."""
    return (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn() if unit == "runs" else TaskProgressColumn(),
        _RateColumn(unit),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )


@contextmanager
def session_progress(
    settings: RunSettings, first_step: int, *, shown: bool
) -> Iterator[ProgressWatcher | None]:
    """A bar over the steps of one run, with the last evaluation beside it.

    Args:
        settings: The run's.
        first_step: Where it begins; not 0 for a run that goes on.
        shown: Whether to show it at all.
    """
    if not shown:
        yield None
        return
    title = f"{settings.agent} on {settings.environment.label}"
    with Progress(*progress_columns("steps"), console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=settings.total_timesteps, completed=first_step)

        def watch(steps: int, point: EvaluationPoint | None) -> None:
            bar.update(task, completed=steps)
            if point is not None:
                bar.update(task, description=f"{title}: return {point.score:.4g}")

        yield watch
