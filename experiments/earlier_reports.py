"""Reports of earlier comparisons in the same folder, kept where a new one would write over them.

Comparisons of one environment share a folder, so that they share its runs. A comparison that asks
more of the same (further seeds or agents) takes the place of the earlier report; one that asks
something else must not wipe it out.
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
    while target.exists():
        target = target.with_name(target.name + "-2")
    target.mkdir(parents=True)
    for path in sorted(root.iterdir()):
        if path.is_file() and path.suffix in _SUFFIXES:
            os.replace(path, target / path.name)
    return target


def _contains(comparison: Comparison, path: Path) -> bool:
    try:
        earlier = load_comparison(path)
    except (ValueError, KeyError):  # of another version, or no comparison: it is kept
        return False
    if (earlier.criterion, earlier.budget) != (comparison.criterion, comparison.budget):
        return False
    return set(_questions(earlier)) <= set(_questions(comparison))


def _questions(comparison: Comparison) -> list[tuple[str, str, int, str]]:
    """What was asked: environment, agent, seed and hyper-parameters."""
    given = comparison.settings.get("agents", {})
    return [
        (run.environment, run.agent, run.seed, repr(given.get(run.agent)))
        for run in comparison.runs
    ]
