"""The pictures of a comparison: which there are, and writing them as PNG and SVG.

Importing this module is cheap, so that a report may name the pictures; matplotlib is imported when
they are drawn. Drawing uses figure objects only, no global state of pyplot, and needs no display.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..storage import write_whole
from .results import Comparison

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PlannedPlot", "planned_plots", "write_plots"]


@dataclass(frozen=True)
class PlannedPlot:
    """A picture that `write_plots` makes.

    Attributes:
        stem: Name of its files without the suffix.
        title: A heading.
        caption: What it shows, for the report.
    """

    stem: str
    title: str
    caption: str


LEARNING_CURVES = PlannedPlot(
    "learning_curves",
    "Learning curves",
    "Interquartile mean over seeds of the evaluation return, with a pointwise 95 % percentile "
    "bootstrap band over seeds. Agents without a curve (planners) are horizontal lines.",
)
FINAL_RETURNS = PlannedPlot(
    "final_returns",
    "Final returns",
    "Return after training: each small dot is one seed, the large dot their mean, the line "
    "Student's 95 % interval of the mean.",
)
NORMALISED_RETURNS = PlannedPlot(
    "normalised_returns",
    "Normalised returns",
    "Interquartile mean of the normalised returns of all environments together (0: random policy, "
    "1: optimum), with a stratified 95 % bootstrap interval.",
)
IMPROVEMENT = PlannedPlot(
    "probability_of_improvement",
    "Probability of improvement",
    "How likely a run of the agent in the row scores above a run of the agent in the column, ties "
    "counting half, averaged over environments. Bold where the 95 % bootstrap interval leaves out "
    "one half.",
)
PROFILES = PlannedPlot(
    "performance_profiles",
    "Performance profiles",
    "The share of runs whose normalised return (0: random policy, 1: optimum) is above the value "
    "on the horizontal axis, with a pointwise 95 % bootstrap band. Higher is better.",
)


def planned_plots(comparison: Comparison) -> list[PlannedPlot]:
    """The pictures that the comparison has the numbers for.

    Example:
        The report links to ``f"{plot.stem}.png"`` of each.
    """
    finished = [run for run in comparison.runs if run.status == "finished"]
    scaled = [e for e in comparison.environments if comparison.scale_of(e) is not None]
    scaled = [e for e in scaled if any(run.environment == e for run in finished)]
    wanted = {
        LEARNING_CURVES: any(run.curve_steps for run in finished),
        FINAL_RETURNS: bool(finished),
        NORMALISED_RETURNS: len(scaled) > 1,
        PROFILES: bool(scaled),
        IMPROVEMENT: len({run.agent for run in finished}) > 1,
    }
    return [plot for plot, enough in wanted.items() if enough]


def write_plots(
    comparison: Comparison, folder: str | os.PathLike[str], *, seed: int = 0
) -> list[Path]:
    """Draw and write every picture of `planned_plots`, as PNG and as SVG.

    Equal comparisons and seeds give equal bytes under one version of matplotlib.

    Args:
        comparison: The runs.
        folder: Where the files go; made if missing.
        seed: Of the bootstrap.

    Returns:
        The files written.

    Raises:
        OSError: A file cannot be written; none is left half written.
    """
    drawings = _drawings()
    paths = []
    for plot in planned_plots(comparison):
        figure = drawings[plot](comparison, np.random.default_rng(seed))
        for suffix in ("png", "svg"):
            path = Path(folder) / f"{plot.stem}.{suffix}"
            paths.append(write_whole(path, _rendered(figure, suffix)))
    return paths


def _drawings() -> dict[PlannedPlot, Callable[[Comparison, np.random.Generator], Figure]]:
    from . import curve_plots, score_plots

    return {
        LEARNING_CURVES: curve_plots.draw_learning_curves,
        FINAL_RETURNS: score_plots.draw_final_returns,
        NORMALISED_RETURNS: score_plots.draw_normalised_returns,
        IMPROVEMENT: score_plots.draw_improvement,
        PROFILES: curve_plots.draw_profiles,
    }


def _rendered(figure: Figure, suffix: str) -> bytes:
    from matplotlib import rc_context

    # without date and random ids the same figure gives the same bytes
    metadata: dict[str, Any] = {"Date": None} if suffix == "svg" else {}
    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": "gymagine"}):
        figure.savefig(
            buffer,
            format=suffix,
            dpi=160,
            bbox_inches="tight",
            pad_inches=0.12,
            facecolor="white",
            metadata=metadata,
        )
    return buffer.getvalue()
