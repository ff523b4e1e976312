"""A bar with the rate and the time left, on standard error, for anything that takes seconds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from .session import ProgressWatcher

if TYPE_CHECKING:
    from .comparison_runs import ComparisonRun
    from .results import RunResult

__all__ = ["comparison_progress", "session_progress"]


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


def _bar() -> Progress:
    """In a narrow terminal the description gives way, not the figures."""
    description = TextColumn(
        "{task.description}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")
    )
    columns: tuple[ProgressColumn, ...] = (
        description,
        BarColumn(bar_width=12),
        TaskProgressColumn(),
        _RateColumn("steps"),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), expand=True, speed_estimate_period=120)


@contextmanager
def session_progress(
    title: str, total: int, first_step: int, *, shown: bool
) -> Iterator[ProgressWatcher | None]:
    """A bar over the steps of a session, with the last evaluation beside it.

    Args:
        title: What is trained.
        total: Steps of all its agents.
        first_step: Where it begins; not 0 for a run that goes on.
        shown: Whether to show it at all.
    """
    if not shown:
        yield None
        return
    with _bar() as bar:
        task = bar.add_task(title, total=total, completed=first_step)

        def watch(steps: int, score: float | None) -> None:
            bar.update(task, completed=steps)
            if score is not None:
                bar.update(task, description=f"{title}: return {score:.4g}")

        yield watch


@contextmanager
def comparison_progress(
    runs: Sequence[ComparisonRun], *, shown: bool
) -> Iterator[Callable[[RunResult], None]]:
    """A bar over the environment steps of all runs of a comparison.

    Runs are in other processes; how far they are is read from their checkpoints.

    Args:
        runs: All of them.
        shown: Whether to show a bar at all.
    """
    if not shown:
        yield lambda result: None
        return
    ended: dict[str, RunResult] = {}
    total = sum(run.settings.total_timesteps for run in runs)

    def describe() -> str:
        failed = sum(result.status == "failed" for result in ended.values())
        tail = f", {failed} failed" if failed else ""
        return f"{len(ended)}/{len(runs)} runs{tail}"

    with _bar() as bar:
        task = bar.add_task(describe(), total=total)
        closed = threading.Event()

        def refresh() -> None:
            steps = 0
            for run in runs:
                over = run.relative_folder in ended
                steps += run.settings.total_timesteps if over else run.steps_taken()
            bar.update(task, completed=steps, description=describe())

        def poll() -> None:
            while not closed.wait(0.5):
                refresh()

        def advance(result: RunResult) -> None:
            ended[result.record] = result
            refresh()

        watcher = threading.Thread(target=poll, daemon=True)
        watcher.start()
        try:
            yield advance
        finally:
            closed.set()
            watcher.join()
