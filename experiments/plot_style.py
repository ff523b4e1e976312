"""How the pictures look: colours that colour-blind readers tell apart, panels, direct labels.

References:
    M. Okabe and K. Ito (2008), Color Universal Design, the palette; without its yellow, which is
    pale on white, and its black, which the optimum has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter
from numpy.typing import ArrayLike, NDArray

from .results import Comparison

__all__ = [
    "GREY",
    "AgentStyle",
    "agent_styles",
    "band_alpha",
    "criterion_label",
    "label_right",
    "new_panels",
    "spread",
    "steps_axis",
    "tidy",
]

GREY = "#6b6b6b"
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7A5195")
_DASHES: tuple[Any, ...] = ("solid", (0, (5, 1.6)))
_MARKERS = ("o", "s")


@dataclass(frozen=True)
class AgentStyle:
    """How one agent is drawn, in every picture of a comparison alike.

    Attributes:
        colour: Hexadecimal.
        dashes: A line style of matplotlib; solid for the first seven agents.
        marker: A marker of matplotlib; a circle for the first seven agents.
    """

    colour: str
    dashes: Any
    marker: str


def agent_styles(comparison: Comparison) -> dict[str, AgentStyle]:
    """A style per agent in the order of the runs; dashes and squares from the eighth on."""
    styles = {}
    for index, agent in enumerate(comparison.agents):
        group = (index // len(_COLOURS)) % len(_DASHES)
        colour = _COLOURS[index % len(_COLOURS)]
        styles[agent] = AgentStyle(colour, _DASHES[group], _MARKERS[group])
    return styles


def band_alpha(num_bands: int) -> float:
    """Opacity of bands of which so many may overlap."""
    return 0.18 if num_bands <= 4 else 0.12 if num_bands <= 7 else 0.07


def criterion_label(comparison: Comparison) -> str:
    """The criterion as an axis label, or just ``return`` where it is too long for one."""
    return comparison.criterion if len(comparison.criterion) <= 60 else "return"


def new_panels(
    count: int, *, width: float, height: float, share_y: bool = False
) -> tuple[Figure, list[Axes]]:
    """A figure of ``count`` panels in rows of at most three.

    Args:
        count: At least 1.
        width: Of one panel, in inches.
        height: Of one panel, in inches.
        share_y: Whether rows share their vertical axis.

    Returns:
        The figure and its panels, row by row.
    """
    columns = count if count <= 3 else 2 if count == 4 else 3
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(columns * width, rows * height), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharey="row" if share_y else False)
    axes: list[Axes] = list(panels.flat)
    for unused in axes[count:]:
        unused.remove()
    return figure, axes[:count]


def tidy(axes: Axes, *, grid: Literal["both", "x", "y"] = "both") -> None:
    """Take away what is not data: frame, heavy ticks, dark grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#b0b0b0")
    axes.tick_params(color="#b0b0b0", labelsize=9)
    axes.set_axisbelow(True)
    axes.grid(axis=grid, color="#e8e8e8", linewidth=0.8)


def steps_axis(axes: Axes) -> None:
    """Label a horizontal axis of environment steps, 20k rather than 20000."""
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlabel("environment steps", fontsize=9)


def spread(positions: ArrayLike, gap: float, low: float, high: float) -> NDArray[np.float64]:
    """Move positions as little as possible so that neighbours are at least ``gap`` apart.

    The least-squares solution: with the gaps taken off, positions must not decrease, and pools of
    violators share their mean.

    Args:
        positions: (K,) where labels would like to be.
        gap: Least distance of two labels.
        low: No label below, as long as all fit.
        high: No label above, as long as all fit.

    Returns:
        (K,) where labels go, in the same order as ``positions``.

    Example:
        >>> spread([0.5, 0.5], 0.2, 0.0, 1.0).round(6).tolist()
        [0.4, 0.6]
    """
    wanted = np.asarray(positions, dtype=np.float64)
    order = np.argsort(wanted, kind="stable")
    offsets = gap * np.arange(wanted.size)
    pools: list[tuple[float, int]] = []
    for value in wanted[order] - offsets:
        mean, size = float(value), 1
        while pools and pools[-1][0] > mean:
            before, count = pools.pop()
            mean, size = (before * count + mean * size) / (count + size), count + size
        pools.append((mean, size))
    flat = np.concatenate([np.full(size, mean) for mean, size in pools])
    room = high - gap * (wanted.size - 1)
    placed = np.empty_like(wanted)
    placed[order] = np.clip(flat, low, max(low, room)) + offsets
    return placed


def label_right(axes: Axes, labels: Sequence[tuple[str, float, str]], height: float) -> None:
    """Write labels right of the axes, at the heights of the lines they name.

    Args:
        axes: With its final limits.
        labels: Text, height in data units, and colour of each.
        height: Of the axes in inches, about; it says how near two labels may come.
    """
    left, within = axes.get_xlim()[0], axes.transScale + axes.transLimits  # log axes, too
    heights = [float(within.transform((left, y))[1]) for _, y, _ in labels]
    ends = [min(1.0, max(0.0, end)) for end in heights]
    places = spread(ends, 0.175 / height, 0.0, 1.0)
    for (text, _, colour), end, place in zip(labels, ends, places, strict=True):
        axes.plot(
            [1.0, 1.025, 1.035],
            [end, place, place],
            transform=axes.transAxes,
            color=colour,
            linewidth=0.8,
            alpha=0.7,
            clip_on=False,
        )
        axes.text(
            1.045,
            place,
            text,
            transform=axes.transAxes,
            color=colour,
            fontsize=9,
            va="center",
            ha="left",
        )
