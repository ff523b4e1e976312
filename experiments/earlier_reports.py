"""Reports of earlier comparisons in the same folder, kept where a new one would write over them.

Comparisons of one environment share a folder, so that they share its runs. A comparison that asks
more of the same (further seeds or agents) takes the place of the earlier report; one that asks
something else, or was interrupted before it had as many results, must not wipe it out.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from .results import Comparison, load_comparison

__all__ = ["set_earlier_report_aside"]

_SUFFIXES = (".json", ".csv", ".md", ".png", ".svg")


def set_earlier_report_aside(comparison: Comparison, root: Path) -> Path | None:
    """Move the report that lies there to ``earlier/<time>/``, unless the new one contains it.

    Args:
        comparison: What is about to be written.
        root: The comparison's folder.

    Returns:
        Where the earlier report lies now, or None where nothing was moved.
    """
    old = root / "results.json"
    if not old.exists() or _contains(comparison, old):
        return None
    written = datetime.fromtimestamp(old.stat().st_mtime, UTC)
    target = root / "earlier" / written.strftime("%Y%m%d-%H%M%S")
    while (target / old.name).exists():  # one without it was left by a move that was cut
        target = target.with_name(target.name + "-2")
    target.mkdir(parents=True, exist_ok=True)
    # results.json last: a move that was cut is gone on with
    for path in sorted(root.iterdir(), key=lambda path: path == old):
        if path.is_file() and path.suffix in _SUFFIXES:
            os.replace(path, target / path.name)
    return target


def _contains(comparison: Comparison, path: Path) -> bool:
    try:
        earlier = load_comparison(path)
        asked, answered = _questions(earlier), _questions(earlier, "finished")
    except (ValueError, KeyError, TypeError, AttributeError):  # of another version, or foreign
        return False
    if (earlier.criterion, earlier.budget) != (comparison.criterion, comparison.budget):
        return False
    return asked <= _questions(comparison) and answered <= _questions(comparison, "finished")


def _questions(
    comparison: Comparison, status: str | None = None
) -> set[tuple[str, str, int, str]]:
    """What was asked, or what has this status: environment, agent, seed, hyper-parameters."""
    given = comparison.settings.get("agents", {})
    return {
        (run.environment, run.agent, run.seed, repr(given.get(run.agent)))
        for run in comparison.runs
        if status in (None, run.status)
    }
