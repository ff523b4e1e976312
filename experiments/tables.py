"""A comparison as a table: the same rows for the terminal and for the written report.

Per environment the agents are sorted by mean return, between the exact optimum on top and the
random policy, which stands where its return puts it. Failed runs are red, with the reason below.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .results import Comparison, RunResult
from .statistics import Interval
from .summary import AgentSummary, summarise

__all__ = [
    "COLUMNS",
    "ONE_RUN",
    "Failure",
    "Row",
    "comparison_rows",
    "comparison_table",
    "decimals_for",
    "failures",
    "format_interval",
    "format_number",
    "format_p_value",
]

COLUMNS = (
    "agent",
    "seeds",
    "mean return\n[95 %]",
    "IQM",
    "gap to\noptimum",
    "steps\nto 90 %",
    "time\n(s)",
    "p vs\nbest",
)
"""Two lines each where that saves width: a table of usual names fits 80 characters."""

ONE_RUN = "1 run"
"""In the place of the seeds, of an agent whose one result stands for all of them."""

_STYLES = {
    "environment": "bold underline",
    "optimum": "green",
    "best": "bold",
    "agent": "",
    "failed": "red",
    "interrupted": "yellow",
    "control": "dim",
}


@dataclass(frozen=True)
class Row:
    """One line of a comparison's table.

    Attributes:
        kind: ``environment`` (a heading), ``optimum``, ``control``, ``best``, ``agent``, or for
            an agent with unfinished runs ``failed`` or ``interrupted``.
        cells: One text for each of `COLUMNS`.
    """

    kind: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Failure:
    """Runs of one agent on one environment that ended alike.

    Attributes:
        environment: Id of the environment.
        agent: Name of the agent.
        seeds: Of the runs.
        status: ``failed`` or ``interrupted``.
        error: The full error, or a sentence about the interruption.
    """

    environment: str
    agent: str
    seeds: tuple[int, ...]
    status: str
    error: str

    @property
    def reason(self) -> str:
        """The last line of the error, which names it even where it is a whole traceback."""
        lines = [line.strip() for line in self.error.splitlines() if line.strip()]
        return lines[-1] if lines else self.error


def comparison_table(
    comparison: Comparison,
    *,
    environment: str | None = None,
    summaries: Sequence[AgentSummary] | None = None,
    seed: int = 0,
    width: int | None = None,
) -> Table:
    """The comparison for a terminal.

    Args:
        comparison: The runs.
        environment: Show this one only; None shows each environment as a section.
        summaries: What `summarise` gave, to save its time; None computes it.
        seed: Of the bootstrap and the permutation tests.
        width: Characters per line; where they are too few, intervals go on lines of their own.
            None asks the terminal.

    Raises:
        ValueError: The comparison has no such environment.
    """
    shown = comparison.environments if environment is None else [environment]
    if unknown := set(shown) - set(comparison.environments):
        known = ", ".join(comparison.environments)
        raise ValueError(f"expected one of {known}, got {unknown.pop()}")
    if summaries is None:
        summaries = summarise(comparison, rng=np.random.default_rng(seed))
    single = any(row.is_deterministic and row.environment in shown for row in summaries)
    table = Table(
        title=_title(comparison, shown),
        caption=_caption(comparison, shown, single),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
    )
    for index, column in enumerate(COLUMNS):
        table.add_column(column, justify="right" if index else "left", no_wrap=True)
    rows = []
    for name in shown:
        if len(shown) > 1:
            rows.append(Row("environment", (name, *[""] * (len(COLUMNS) - 1))))
        rows += comparison_rows(comparison, name, summaries)
    compact = not _fits(rows, Console().width if width is None else width)
    for row in rows:
        if row.kind == "environment":
            table.add_section()
        cells = (row.cells[0], *map(_broken if compact else str, row.cells[1:]))
        # texts, since a name in brackets would be read as markup
        table.add_row(*map(Text, cells), style=_STYLES[row.kind])
    return table


def comparison_rows(
    comparison: Comparison, environment: str, summaries: Sequence[AgentSummary]
) -> list[Row]:
    """The lines of one environment, best first.

    Args:
        comparison: The runs.
        environment: One of the comparison's.
        summaries: What `summarise` gave.
    """
    own = [summary for summary in summaries if summary.environment == environment]
    optimum, control = comparison.optimum.get(environment), comparison.control.get(environment)
    means = [summary.mean.estimate for summary in own if summary.mean is not None]
    decimals = decimals_for([*([] if optimum is None else [optimum]), *means])
    rows = [(_rank(summary), _agent_row(summary, decimals)) for summary in own]
    if control is not None:
        gap = "" if optimum is None else format_number(optimum - control, decimals)
        cells = ("random policy", "", format_number(control, decimals), "", gap, "", "", "")
        rows.append((control, Row("control", cells)))
    rows.sort(key=lambda ranked: -ranked[0])
    ordered = [row for _, row in rows]
    if optimum is not None:
        value = format_number(optimum, decimals)
        zero = format_number(0.0, decimals)
        ordered.insert(0, Row("optimum", ("exact optimum", "", value, "", zero, "", "", "")))
    return ordered


def failures(comparison: Comparison) -> list[Failure]:
    """The runs that did not finish, those of one agent that ended alike together."""
    groups: dict[tuple[str, str, str, str], list[RunResult]] = {}
    for run in comparison.runs:
        if run.status != "finished":
            error = run.error or "stopped from outside; a rerun goes on"
            groups.setdefault((run.environment, run.agent, run.status, error), []).append(run)
    return [
        Failure(environment, agent, tuple(sorted(run.seed for run in runs)), status, error)
        for (environment, agent, status, error), runs in groups.items()
    ]


def decimals_for(values: Sequence[float]) -> int:
    """Decimals that show the first value with four significant digits, from 0 to 6.

    Where it is 0, the largest of the others decides.

    Example:
        >>> decimals_for([0.7441]), decimals_for([-13.0]), decimals_for([500.0])
        (4, 2, 1)
    """
    sizes = [abs(value) for value in values]
    size = next((s for s in [*sizes[:1], max(sizes, default=0.0)] if s > 0), 1.0)
    return min(6, max(0, 3 - math.floor(math.log10(size))))


def format_number(value: float, decimals: int) -> str:
    """A number without a negative zero.

    Example:
        >>> format_number(-0.0001, 2)
        '0.00'
    """
    return f"{round(value, decimals) + 0.0:,.{decimals}f}"


def format_interval(interval: Interval | None, decimals: int) -> str:
    """``estimate [low, high]``; one seed has no interval, and it shows.

    Example:
        >>> format_interval(Interval(0.5, 0.4, 0.6), 2), format_interval(None, 2)
        ('0.50 [0.40, 0.60]', '')
    """
    if interval is None:
        return ""
    estimate = format_number(interval.estimate, decimals)
    if not interval.is_known:
        return f"{estimate} [no interval]"
    low, high = (format_number(end, decimals) for end in (interval.low, interval.high))
    return f"{estimate} [{low}, {high}]"


def format_p_value(p_value: float) -> str:
    """Three decimals, and never 0.

    Example:
        >>> format_p_value(0.0079), format_p_value(1e-5)
        ('0.008', '<0.001')
    """
    return "<0.001" if p_value < 0.001 else f"{p_value:.3f}"


def _fits(rows: Sequence[Row], width: int) -> bool:
    lines = [cells for row in rows for cells in (row.cells, *_headers())]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return sum(widths) + 2 * (len(widths) - 1) <= width


def _headers() -> tuple[tuple[str, ...], ...]:
    return tuple(zip(*(f"{column}\n".split("\n")[:2] for column in COLUMNS), strict=True))


def _broken(cell: str) -> str:
    """The cell on two lines: a column breaks before a bracket, and nowhere else."""
    return cell.replace(" [", "\n[").replace(" (", "\n(")


def _rank(summary: AgentSummary) -> float:
    return -math.inf if summary.mean is None else summary.mean.estimate


def _agent_row(summary: AgentSummary, decimals: int) -> Row:
    unfinished = summary.num_failed + summary.num_interrupted
    seeds = str(summary.num_seeds)
    if unfinished:
        seeds += f"/{summary.num_seeds + unfinished}"
    ended = "failed" if summary.num_failed else "interrupted"
    if summary.mean is None or summary.iqm is None or summary.wall_seconds is None:
        return Row(ended, (summary.agent, seeds, ended, "", "", "", "", ""))
    kind = ended if unfinished else "best" if summary.is_best else "agent"
    gap, p_value = summary.optimality_gap, summary.p_value_adjusted
    mean = format_interval(summary.mean, decimals)
    if summary.is_deterministic:
        seeds, mean = ONE_RUN, format_number(summary.mean.estimate, decimals)
    return Row(
        kind,
        (
            summary.agent,
            seeds,
            mean,
            format_number(summary.iqm.estimate, decimals),
            "" if gap is None else format_number(gap.estimate, decimals),
            _format_steps(summary),
            f"{summary.wall_seconds:,.{decimals_for([summary.wall_seconds]) // 2}f}",
            "best" if p_value is None else format_p_value(p_value),
        ),
    )


def _format_steps(summary: AgentSummary) -> str:
    threshold = summary.threshold
    if threshold is None:
        return ""
    steps = "never" if threshold.steps is None else f"{threshold.steps:,.0f}"
    if 0 < threshold.reached < threshold.num_curves:
        steps += f" ({threshold.reached}/{threshold.num_curves})"
    return steps


def _title(comparison: Comparison, shown: Sequence[str]) -> Text:
    seeds = f"{len(comparison.seeds)} seed{'s' if len(comparison.seeds) != 1 else ''}"
    budgets = sorted({comparison.budget_of(name) for name in shown})
    budget = " to ".join(f"{b:,}" for b in dict.fromkeys((budgets[0], budgets[-1])))
    name = shown[0] if len(shown) == 1 else f"{len(shown)} environments"
    return Text(f"{name}: {comparison.criterion}; {budget} steps, {seeds}", style="bold")


def _caption(comparison: Comparison, shown: Sequence[str], single: bool) -> Text:
    lines = [
        Text(
            "p: permutation test of the difference of means, adjusted by Holm's method",
            style="dim",
        )
    ]
    if single:
        about = f"{ONE_RUN}: a planner has no randomness; its result stands for every seed"
        lines.append(Text(about, style="dim"))
    for failure in failures(comparison):
        if failure.environment in shown:
            seeds = "seed" if len(failure.seeds) == 1 else "seeds"
            seeds += " " + ", ".join(map(str, failure.seeds))
            where = f" on {failure.environment}" if len(shown) > 1 else ""
            reason = failure.reason if len(failure.reason) <= 160 else failure.reason[:159] + "…"
            lines.append(
                Text(
                    f"{failure.agent}{where}, {seeds}: {failure.status}: {reason}",
                    style="red" if failure.status == "failed" else "yellow",
                )
            )
    return Text("\n").join(lines)
