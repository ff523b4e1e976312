"""Pictures with a line per agent: learning curves and performance profiles."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from .plot_style import (
    GREY,
    AgentStyle,
    agent_styles,
    band_alpha,
    criterion_label,
    label_right,
    new_panels,
    steps_axis,
    tidy,
)
from .results import Comparison
from .statistics import (
    common_grid,
    curve_intervals,
    interquartile_mean,
    learning_curve,
    profile_intervals,
)
from .summary import normalised_scores

__all__ = ["draw_learning_curves", "draw_profiles"]

_HEIGHT = 3.6
_LEVEL = "dashdot"
_FLATTENED = 25.0


@dataclass(frozen=True)
class _Band:
    """An agent's curve: steps (G,), and low, middle, high (G,); a planner has one level twice."""

    agent: str
    steps: NDArray[np.float64]
    low: NDArray[np.float64]
    middle: NDArray[np.float64]
    high: NDArray[np.float64]
    is_level: bool


def draw_learning_curves(comparison: Comparison, rng: np.random.Generator) -> Figure:
    """Evaluation return over environment steps, a panel per environment.

    Args:
        comparison: With at least one finished run that has a curve.
        rng: For the bootstrap bands.
    """
    finished = [run for run in comparison.runs if run.status == "finished"]
    shown = [
        environment
        for environment in comparison.environments
        if any(run.curve_steps for run in finished if run.environment == environment)
    ]
    alone = len(shown) == 1
    figure, panels = new_panels(len(shown), width=6.4 if alone else 4.2, height=_HEIGHT)
    styles = agent_styles(comparison)
    for axes, environment in zip(panels, shown, strict=True):
        bands = _bands(comparison, environment, rng)
        _draw_bands(axes, bands, styles)
        _limit(axes, bands, comparison, environment)
        references = _draw_references(axes, comparison, environment)
        tidy(axes)
        steps_axis(axes)
        axes.set_title(environment, fontsize=11, loc="left")
        if alone:
            ends = [(b.agent, float(b.middle[-1]), styles[b.agent].colour) for b in bands]
            label_right(axes, [*references, *ends], _HEIGHT * 0.8)
    figure.supylabel(criterion_label(comparison), fontsize=9)
    if not alone:
        with_curve = {run.agent for run in finished if run.curve_steps}
        levels = {a: replace(s, dashes=_LEVEL) for a, s in styles.items() if a not in with_curve}
        _legend(figure, comparison, {**styles, **levels}, references=True)
    return figure


def draw_profiles(comparison: Comparison, rng: np.random.Generator) -> Figure:
    """Share of runs above each normalised return, one line per agent.

    Args:
        comparison: With at least one environment that has both references and a finished run.
        rng: For the bootstrap bands.
    """
    figure, (axes,) = new_panels(1, width=6.4, height=_HEIGHT)
    styles = agent_styles(comparison)
    environments = [e for e in comparison.environments if comparison.scale_of(e) is not None]
    scores = {}
    for agent in comparison.agents:
        by_task = normalised_scores(comparison, agent, environments)
        if all(task.size for task in by_task):
            scores[agent] = by_task
    lowest = min((float(task.min()) for tasks in scores.values() for task in tasks), default=0.0)
    # every profile is 1 below the lowest score: that part of the axis would show nothing
    thresholds = np.linspace(max(-0.25, min(0.95, lowest - 0.1 * abs(1.0 - lowest))), 1.0, 401)
    order = sorted(scores, key=lambda a: -interquartile_mean(np.concatenate(scores[a])))
    for agent in order:
        tasks = scores[agent]
        low, middle, high = profile_intervals(tasks, thresholds, rng=rng)
        style = styles[agent]
        axes.plot(thresholds, middle, color=style.colour, linestyle=style.dashes, linewidth=1.8)
        alpha = band_alpha(len(order))
        axes.fill_between(thresholds, low, high, color=style.colour, alpha=alpha, linewidth=0)
    tidy(axes)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlim(thresholds[0], thresholds[-1])
    axes.set_xlabel("normalised return τ (0: random policy, 1: optimum)", fontsize=9)
    axes.set_ylabel("share of runs above τ", fontsize=9)
    _legend(figure, comparison, {a: styles[a] for a in order}, references=False)
    return figure


def _bands(comparison: Comparison, environment: str, rng: np.random.Generator) -> list[_Band]:
    bands, levels = [], []
    for agent in comparison.agents:
        runs = comparison.runs_of(environment, agent)
        finished = [run for run in runs if run.status == "finished"]
        curves = [run for run in finished if run.curve_steps]
        if curves:
            steps = [run.curve_steps for run in curves]
            grid = common_grid(steps)
            values = learning_curve(steps, [run.curve_returns for run in curves], grid)
            bands.append(_Band(agent, grid, *curve_intervals(values, rng=rng), is_level=False))
        elif finished:
            levels.append((agent, interquartile_mean(comparison.scores(environment, agent))))
    first = min(float(band.steps[0]) for band in bands)
    last = max(float(band.steps[-1]) for band in bands)
    for agent, level in levels:
        flat = np.full(2, level)
        bands.append(_Band(agent, np.array([first, last]), flat, flat, flat, is_level=True))
    return bands


def _draw_bands(axes: Axes, bands: list[_Band], styles: dict[str, AgentStyle]) -> None:
    for band in bands:
        style = styles[band.agent]
        axes.plot(
            band.steps,
            band.middle,
            color=style.colour,
            linestyle=_LEVEL if band.is_level else style.dashes,
            linewidth=1.4 if band.is_level else 1.8,
        )
        if not band.is_level and np.isfinite(band.low).all():
            alpha = band_alpha(len(bands))
            axes.fill_between(
                band.steps, band.low, band.high, color=style.colour, alpha=alpha, linewidth=0
            )
    first, last = min(b.steps[0] for b in bands), max(b.steps[-1] for b in bands)
    if last > first:  # planners alone have one point each
        axes.set_xlim(first, last)


def _limit(axes: Axes, bands: list[_Band], comparison: Comparison, environment: str) -> None:
    """Show all curves, unless a bad start would flatten what comes after it."""
    ends = [np.nanmin(np.minimum(b.middle, np.nan_to_num(b.low, nan=np.inf))) for b in bands]
    tops = [np.nanmax(np.maximum(b.middle, np.nan_to_num(b.high, nan=-np.inf))) for b in bands]
    late = [float(b.middle[len(b.middle) // 5 :].min()) for b in bands]
    optimum = comparison.optimum.get(environment)
    high = max([*map(float, tops), *([] if optimum is None else [optimum])])
    low, settled = min(map(float, ends)), min(late)
    if high - low > _FLATTENED * (high - settled) > 0:
        low = high - 1.3 * (high - settled)
    control = comparison.control.get(environment)
    if control is not None and control < low and high - control < 1.5 * (high - low):
        low = control
    margin = 0.04 * (high - low or abs(high) or 1.0)
    axes.set_ylim(low - margin, high + margin)


def _draw_references(
    axes: Axes, comparison: Comparison, environment: str
) -> list[tuple[str, float, str]]:
    labels = []
    bottom, _ = axes.get_ylim()
    optimum, control = comparison.optimum.get(environment), comparison.control.get(environment)
    if optimum is not None:
        axes.axhline(optimum, color="black", linewidth=1.0, linestyle="dashed", zorder=1)
        labels.append(("exact optimum", optimum, "black"))
    if control is not None and control >= bottom:
        axes.axhline(control, color=GREY, linewidth=1.0, linestyle="dotted", zorder=1)
        labels.append(("random policy", control, GREY))
    elif control is not None:
        axes.text(
            0.985,
            0.025,
            f"random policy {control:,.4g}, below",
            transform=axes.transAxes,
            fontsize=8,
            color=GREY,
            ha="right",
        )
    return labels


def _legend(
    figure: Figure, comparison: Comparison, styles: dict[str, AgentStyle], *, references: bool
) -> None:
    handles = [
        Line2D([], [], color=s.colour, linestyle=s.dashes, linewidth=2, label=agent)
        for agent, s in styles.items()
    ]
    if references and any(v is not None for v in comparison.optimum.values()):
        handles.append(Line2D([], [], color="black", linestyle="dashed", label="exact optimum"))
    if references and any(v is not None for v in comparison.control.values()):
        handles.append(Line2D([], [], color=GREY, linestyle="dotted", label="random policy"))
    figure.legend(handles=handles, loc="outside right center", frameon=False, fontsize=9)
