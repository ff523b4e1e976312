"""The written report of a comparison: for programs, for spreadsheets and for people.

``results.json`` gives back the comparison (`load_comparison`) and holds the summaries beside it;
``results.csv`` has a line per environment and agent, ``runs.csv`` one per run; ``report.md`` says
how the comparison was made, what came out, and what failed. Every file is written whole or not at
all.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..storage import write_text
from .plots import planned_plots
from .results import Comparison
from .statistics import Interval, smallest_p_value
from .summary import AgentSummary, Aggregate, aggregate, summarise
from .tables import (
    COLUMNS,
    ONE_RUN,
    comparison_rows,
    comparison_table,
    failures,
    format_interval,
)

__all__ = ["comparison_table", "markdown_report", "write_report"]


def write_report(
    comparison: Comparison, folder: str | os.PathLike[str], *, seed: int = 0
) -> list[Path]:
    """Write ``results.json``, ``results.csv``, ``runs.csv`` and ``report.md``.

    The report links to the pictures that `write_plots` makes in the same folder. Equal comparisons
    and seeds give equal bytes.

    Args:
        comparison: The runs.
        folder: Where the files go; made if missing.
        seed: Of the bootstrap and the permutation tests.

    Returns:
        The files written.

    Raises:
        OSError: A file cannot be written; none is left half written.
    """
    rng = np.random.default_rng(seed)
    summaries, overall = summarise(comparison, rng=rng), aggregate(comparison, rng=rng)
    value = {
        **comparison.to_json(),
        "summaries": [summary.to_json() for summary in summaries],
        "aggregate": overall.to_json(),
    }
    # NaN is no JSON: every number here is finite or null
    text = json.dumps(value, indent=2, allow_nan=False) + "\n"
    target = Path(folder)
    return [
        write_text(target / "results.json", text),
        write_text(target / "results.csv", _summaries_csv(comparison, summaries)),
        write_text(target / "runs.csv", _runs_csv(comparison)),
        write_text(target / "report.md", markdown_report(comparison, summaries, overall)),
    ]


def markdown_report(
    comparison: Comparison, summaries: Sequence[AgentSummary], overall: Aggregate
) -> str:
    """The report as Markdown.

    Args:
        comparison: The runs.
        summaries: What `summarise` gave.
        overall: What `aggregate` gave.
    """
    sections = [
        _heading(comparison),
        *(_environment_section(comparison, name, summaries) for name in comparison.environments),
        _overall_section(comparison, overall),
        _failures_section(comparison),
        _protocol_section(comparison),
        _reproduction_section(comparison),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _heading(comparison: Comparison) -> str:
    agents, environments = comparison.agents, comparison.environments
    where = (
        f"`{environments[0]}`" if len(environments) == 1 else f"{len(environments)} environments"
    )
    budgets = {name: comparison.budget_of(name) for name in environments}
    if len(set(budgets.values())) == 1:
        budget = f"{budgets[environments[0]]:,}"
    else:
        budget = ", ".join(f"{steps:,} on `{name}`" for name, steps in budgets.items())
    rows = [
        ("return", comparison.criterion),
        ("discount of the return", f"{comparison.discount:g}"),
        ("training budget, environment steps", budget),
        ("seeds", ", ".join(map(str, comparison.seeds))),
        ("evaluation", _evaluation(comparison)),
        ("agents", ", ".join(f"`{agent}`" for agent in agents)),
    ]
    if len(environments) > 1:
        rows.append(("environments", ", ".join(f"`{name}`" for name in environments)))
    title = f"# Comparison of {len(agents)} agent{'s' * (len(agents) != 1)} on {where}"
    return title + "\n\n" + _table(("", ""), rows, right_from=2)


def _evaluation(comparison: Comparison) -> str:
    finished = [run for run in comparison.runs if run.status == "finished"]
    ways = []
    if any(run.exact for run in finished):
        ways.append("exactly, through the model")
    episodes = sorted({run.final_episodes for run in finished if not run.exact})
    if episodes:
        ends = " to ".join(f"{n:,}" for n in dict.fromkeys((episodes[0], episodes[-1])))
        agents = dict.fromkeys(f"`{run.agent}`" for run in finished if not run.exact)
        which = f" ({', '.join(agents)})" if len(ways) == 1 else ""
        ways.append(f"by {ends} episodes per run{which}")
    return "; ".join(ways) or "no run finished"


def _environment_section(
    comparison: Comparison, environment: str, summaries: Sequence[AgentSummary]
) -> str:
    rows = []
    for row in comparison_rows(comparison, environment, summaries):
        if row.kind in ("optimum", "control"):
            rows.append((f"*{row.cells[0]}*", *row.cells[1:]))
        else:
            name = f"`{row.cells[0]}`"
            rows.append((f"**{name}**" if row.kind == "best" else name, *row.cells[1:]))
    header = [column.replace("\n", " ") for column in COLUMNS]
    parts = [f"## `{environment}`", _table(header, rows)]
    own = [s for s in summaries if s.environment == environment and s.threshold is not None]
    if own and own[0].threshold is not None:
        top = "best agent's mean" if comparison.optimum.get(environment) is None else "optimum"
        parts.append(
            "*Steps to 90 %*: median over seeds of the steps to a return of "
            f"{own[0].threshold.threshold:.4g}, 90 % of the way from the random policy to the "
            f"{top}; in brackets how many seeds got there, where not all did."
        )
    return "\n\n".join(parts)


def _overall_section(comparison: Comparison, overall: Aggregate) -> str:
    parts = []
    if len(overall.environments) > 1:
        ordered = sorted(overall.iqm.items(), key=lambda item: -item[1].estimate)
        rows = [(f"`{agent}`", format_interval(interval, 3)) for agent, interval in ordered]
        names = ", ".join(f"`{name}`" for name in overall.environments)
        parts += [
            "## Over environments",
            f"Normalised returns (0: random policy, 1: optimum) of {names} together.",
            _table(("agent", "interquartile mean [95 %]"), rows),
        ]
        parts += [
            f"`{agent}` is not ranked here: it has no finished run on "
            + ", ".join(f"`{name}`" for name in lacking)
            + "."
            for agent, lacking in overall.left_out.items()
        ]
    for plot in planned_plots(comparison):
        parts += [f"## {plot.title}", f"![{plot.title}]({plot.stem}.png)", f"*{plot.caption}*"]
    return "\n\n".join(parts)


def _failures_section(comparison: Comparison) -> str:
    parts = []
    for failure in failures(comparison):
        word = "seed" if len(failure.seeds) == 1 else "seeds"
        seeds = f"{word} {', '.join(map(str, failure.seeds))}"
        # indented, since an error may itself contain a fence
        error = "\n".join(f"    {line}" for line in failure.error.splitlines())
        parts.append(
            f"`{failure.agent}` on `{failure.environment}`, {seeds}: {failure.status}\n\n{error}"
        )
    return "\n\n".join(["## Runs that did not finish", *parts]) if parts else ""


def _protocol_section(comparison: Comparison) -> str:
    num_seeds = len(comparison.seeds)
    lines = [
        "Numbers are of finished runs only; a run that failed is counted beside the seeds.",
        "Mean return: Student's 95 % interval over seeds. It says how the mean would vary with "
        "other seeds, not how one run varies.",
        f"{ONE_RUN}: a planner has no randomness. It ran once, and its result stands for every "
        "seed, in the tests and in the intervals over environments too.",
        "IQM: interquartile mean, a quarter of the seeds cut off at each end; its intervals are "
        "percentile bootstraps of 2,000 resamples"
        + (", too narrow at so few seeds." if num_seeds < 10 else "."),
        "p vs best: two-sided permutation test of the difference of means against the agent with "
        "the highest mean, adjusted for the number of agents by Holm's method."
        + (
            f" With {num_seeds} seeds each it cannot be below "
            f"{smallest_p_value(num_seeds, num_seeds):.2g} before the adjustment."
            if num_seeds < 8
            else ""
        ),
        "Gap to optimum: the exact optimum of the same criterion, minus the mean return.",
        "Time: mean wall time of a run in seconds.",
    ]
    return "## How to read this\n\n" + "\n".join(f"- {line}" for line in lines)


def _reproduction_section(comparison: Comparison) -> str:
    rows = [(f"`{name}`", version) for name, version in comparison.versions.items()]
    settings = json.dumps(comparison.settings, indent=2)
    indented = "\n".join(f"    {line}" for line in settings.splitlines())
    parts = ["## To reproduce", _table(("package", "version"), rows, right_from=2)]
    if comparison.settings:
        parts += ["Settings:", indented]
    return "\n\n".join(parts)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], *, right_from: int = 1) -> str:
    alignment = ["---" if index < right_from else "---:" for index in range(len(header))]
    lines = [header, alignment, *rows]
    return "\n".join("| " + " | ".join(map(_escaped, line)) + " |" for line in lines)


def _escaped(cell: str) -> str:
    return " ".join(cell.replace("|", "\\|").split())


def _summaries_csv(comparison: Comparison, summaries: Sequence[AgentSummary]) -> str:
    rows = []
    for summary in summaries:
        threshold = summary.threshold
        row: dict[str, Any] = {
            "environment": summary.environment,
            "agent": summary.agent,
            "seeds": summary.num_seeds,
            "failed": summary.num_failed,
            "interrupted": summary.num_interrupted,
            **_interval_columns("mean", summary.mean),
            **_interval_columns("iqm", summary.iqm),
            **_interval_columns("gap", summary.optimality_gap),
            **_interval_columns("normalised", summary.normalised),
            "threshold": threshold and threshold.threshold,
            "steps_to_threshold": threshold and threshold.steps,
            "seeds_at_threshold": threshold and threshold.reached,
            "wall_seconds": summary.wall_seconds,
            "best": int(summary.is_best),
            "p_value": summary.p_value,
            "p_value_adjusted": summary.p_value_adjusted,
            "optimum": comparison.optimum.get(summary.environment),
            "random_policy": comparison.control.get(summary.environment),
        }
        rows.append(row)
    return _csv(rows)


def _runs_csv(comparison: Comparison) -> str:
    curves = {"curve_steps", "curve_returns"}
    return _csv(
        [
            {name: value for name, value in run.to_json().items() if name not in curves}
            for run in comparison.runs
        ]
    )


def _interval_columns(name: str, interval: Interval | None) -> dict[str, float | None]:
    if interval is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: interval.estimate, f"{name}_low": interval.low, f"{name}_high": interval.high}


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _csv_cell(value) for name, value in row.items()} for row in rows)
    return buffer.getvalue()


def _csv_cell(value: Any) -> Any:
    """What is not known is an empty cell: NaN reads differently in every program."""
    return "" if isinstance(value, float) and not math.isfinite(value) else value
