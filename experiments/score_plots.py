"""Pictures with a row per agent: intervals of final returns, and who beats whom."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from .plot_style import GREY, agent_styles, criterion_label, new_panels, tidy
from .results import Comparison
from .statistics import Interval, mean_interval
from .summary import Aggregate, aggregate

__all__ = ["draw_final_returns", "draw_improvement", "draw_normalised_returns"]

_ROW = 0.34


def draw_final_returns(comparison: Comparison, rng: np.random.Generator) -> Figure:
    """Seeds, mean and interval of each agent, a panel per environment.

    Args:
        comparison: With at least one finished run.
        rng: Spreads the dots of seeds, so that equal returns do not hide each other.
    """
    order = _by_mean_rank(comparison)
    shown = [
        environment
        for environment in comparison.environments
        if any(comparison.scores(environment, agent).size for agent in order)
    ]
    alone = len(shown) == 1
    height = 1.25 + _ROW * len(order)
    figure, panels = new_panels(
        len(shown), width=6.4 if alone else 4.0, height=height, share_y=True
    )
    styles = agent_styles(comparison)
    for axes, environment in zip(panels, shown, strict=True):
        for row, agent in enumerate(order):
            scores = comparison.scores(environment, agent)
            if not scores.size:
                continue
            style = styles[agent]
            heights = row + rng.uniform(-0.16, 0.16, size=scores.size)
            axes.scatter(scores, heights, s=12, color=style.colour, alpha=0.35, linewidths=0)
            _draw_interval(axes, row, mean_interval(scores), style.colour, style.marker)
        _mark_references(axes, comparison, environment)
        _label_rows(axes, order)
        axes.set_title(environment, fontsize=11, loc="left", pad=18)
    figure.supxlabel(f"after training: {criterion_label(comparison)}", fontsize=9)
    return figure


def draw_normalised_returns(comparison: Comparison, rng: np.random.Generator) -> Figure:
    """Interquartile mean of the normalised returns over environments, a row per agent.

    Args:
        comparison: With at least two environments that have both references.
        rng: For the bootstrap.
    """
    overall = aggregate(comparison, rng=rng)
    order = sorted(overall.iqm, key=lambda agent: -overall.iqm[agent].estimate)
    figure, (axes,) = new_panels(1, width=6.4, height=1.25 + _ROW * max(1, len(order)))
    styles = agent_styles(comparison)
    for row, agent in enumerate(order):
        style = styles[agent]
        _draw_interval(axes, row, overall.iqm[agent], style.colour, style.marker)
    axes.axvline(1.0, color="black", linewidth=1.0, linestyle="dashed", zorder=1)
    _label_rows(axes, order)
    title = f"Interquartile mean over {len(overall.environments)} environments"
    axes.set_title(title, fontsize=11, loc="left")
    axes.set_xlabel("normalised return (0: random policy, 1: optimum)", fontsize=9)
    return figure


def draw_improvement(comparison: Comparison, rng: np.random.Generator) -> Figure:
    """Probability that a run of the row's agent beats one of the column's, as a heat map.

    Args:
        comparison: With finished runs of at least two agents.
        rng: For the bootstrap.
    """
    overall = aggregate(comparison, rng=rng)
    order = [
        a for a in _by_mean_rank(comparison) if any(a in pair for pair in overall.improvement)
    ]
    size = 1.6 + 0.5 * len(order)
    figure, (axes,) = new_panels(1, width=size + 1.6, height=size)
    values = np.full((len(order), len(order)), np.nan)
    for (x, y), interval in overall.improvement.items():
        values[order.index(x), order.index(y)] = interval.estimate
    image = axes.imshow(np.ma.masked_invalid(values), cmap="PuOr_r", vmin=0.0, vmax=1.0)
    _annotate(axes, order, overall, image)
    axes.set_xticks(range(len(order)), order, rotation=40, ha="left", rotation_mode="anchor")
    axes.set_yticks(range(len(order)), order)
    axes.xaxis.tick_top()
    axes.tick_params(length=0, labelsize=9)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, shrink=0.8, pad=0.03, ticks=[0.0, 0.5, 1.0])
    bar.set_label("P(row beats column)", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)
    return figure


def _annotate(axes: Axes, order: list[str], overall: Aggregate, image: AxesImage) -> None:
    for (x, y), interval in overall.improvement.items():
        red, green, blue, _ = image.to_rgba(np.array([interval.estimate]))[0]
        luminance = 0.299 * red + 0.587 * green + 0.114 * blue
        decided = interval.is_known and not interval.low <= 0.5 <= interval.high
        axes.text(
            order.index(y),
            order.index(x),
            f"{interval.estimate:.2f}",
            ha="center",
            va="center",
            fontsize=8.5,
            fontweight="bold" if decided else "normal",
            color="white" if luminance < 0.45 else "black",
        )


def _by_mean_rank(comparison: Comparison) -> list[str]:
    """Agents with finished runs, the best on average over environments first."""
    ranks: dict[str, list[int]] = {}
    for environment in comparison.environments:
        scored = [a for a in comparison.agents if comparison.scores(environment, a).size]
        scored.sort(key=lambda agent: -comparison.scores(environment, agent).mean())
        for rank, agent in enumerate(scored):
            ranks.setdefault(agent, []).append(rank)
    return sorted(ranks, key=lambda agent: float(np.mean(ranks[agent])))


def _draw_interval(axes: Axes, row: int, interval: Interval, colour: str, marker: str) -> None:
    if interval.is_known:
        axes.plot(
            [interval.low, interval.high],
            [row, row],
            color=colour,
            linewidth=3.2,
            alpha=0.55,
            solid_capstyle="round",
        )
    axes.plot(
        [interval.estimate],
        [row],
        marker=marker,
        markersize=7,
        color=colour,
        markeredgecolor="white",
        markeredgewidth=0.8,
        zorder=5,
    )


def _label_rows(axes: Axes, order: list[str]) -> None:
    tidy(axes, grid="x")
    axes.set_yticks(range(len(order)), order)
    axes.set_ylim(len(order) - 0.45, -0.55)
    axes.tick_params(axis="y", length=0)


def _mark_references(axes: Axes, comparison: Comparison, environment: str) -> None:
    """Lines for the optimum and, where it does not squash the rest, the random policy."""
    low, high = axes.get_xlim()
    optimum, control = comparison.optimum.get(environment), comparison.control.get(environment)
    if optimum is not None:
        axes.axvline(optimum, color="black", linewidth=1.0, linestyle="dashed", zorder=1)
        low, high = min(low, optimum), max(high, optimum)
        _name_line(axes, optimum, "optimum", "black")
    if control is None:
        return
    if low - control < 0.6 * (high - low):
        axes.axvline(control, color=GREY, linewidth=1.0, linestyle="dotted", zorder=1)
        _name_line(axes, control, "random", GREY)
    else:
        axes.text(
            0.0,
            1.02,
            f"random {control:,.4g}, left of here",
            transform=axes.transAxes,
            fontsize=8,
            color=GREY,
        )


def _name_line(axes: Axes, x: float, text: str, colour: str) -> None:
    axes.text(
        x,
        1.02,
        text,
        transform=axes.get_xaxis_transform(),
        fontsize=8,
        color=colour,
        ha="center",
    )
