"""How far imagined episodes stray from real ones, drawn."""

from __future__ import annotations

import io
import math

from ..generative.open_loop import OpenLoopErrors
from .plot_style import GREY, label_right, new_panels, tidy

__all__ = ["draw_errors"]

_COLOURS = {"world model": "#0072B2", "linear model": "#D55E00", "copying": GREY}


def draw_errors(title: str, errors: OpenLoopErrors) -> bytes:
    """A PNG of errors by horizon, beside those of the controls.

    Args:
        title: Above it.
        errors: What to draw.
    """
    from matplotlib.ticker import NullLocator

    figure, (axes,) = new_panels(1, width=6.4, height=4.0)
    curves = {
        "world model": errors.model,
        "linear model": errors.linear,
        "copying": errors.copying,
    }
    known = [value for values in curves.values() for value in values if 0 < value < math.inf]
    for name, values in curves.items():
        axes.plot(errors.horizons, values, "o-", color=_COLOURS[name], markersize=4)
    axes.set_xscale("log")
    if known:
        axes.set_yscale("log")
        axes.set_ylim(min(known) / 1.5, max(known) * 1.5)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(errors.horizons, [str(length) for length in errors.horizons])
    axes.set_xlabel("steps ahead")
    axes.set_ylabel("error, in deviations of observations")
    axes.set_title(title, loc="left", fontsize=10)
    tidy(axes)
    label_right(axes, [(name, values[-1], _COLOURS[name]) for name, values in curves.items()], 3.2)
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()
