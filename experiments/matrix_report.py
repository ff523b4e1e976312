"""What `gymagine matrix` found, as Markdown and as a picture.

Means over seeds have Student's 95 % intervals; one seed has none, and it shows. What a generator
cannot do is told by the error that putting it together raised. Bold is what lies, with its whole
interval, above the mean of the role's baseline, the control that must be beaten.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..storage import write_text, write_whole
from .intervals import Interval, mean_interval
from .matrix import CellResult, MatrixResults, MatrixRole, is_current
from .tables import format_interval, format_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["MatrixEntry", "draw_matrix", "entry_of", "matrix_markdown", "write_report"]

_NOT_RUN = "not run"
_DOT, _CONTROL = "#0072B2", "#6b6b6b"
_ROW = 0.2  # inches


@dataclass(frozen=True)
class MatrixEntry:
    """A generator or a control in a role, over seeds.

    Attributes:
        interval: Of the measure; None where nothing ran.
        values: Of the measure, by seed.
        others: Means of the other numbers.
        seconds: Of a run, in the mean.
        reason: ``cannot, because ...``, ``failed: ...`` or ``not run``; empty where it ran.
    """

    interval: Interval | None
    values: tuple[float, ...] = ()
    others: tuple[tuple[str, float], ...] = ()
    seconds: float = 0.0
    reason: str = ""


def entry_of(
    results: MatrixResults, role: MatrixRole, contender: str, is_control: bool = False
) -> MatrixEntry:
    """What is known of it with the role's present settings."""
    every = results.of(role.name, contender, is_control)
    found = [result for result in every if is_current(result, role)]
    ran = [result for result in found if result.status == "run"]
    if not ran:
        return MatrixEntry(None, reason=_reason(found))
    values = tuple(result.numbers[role.measure] for result in ran)
    others = {name: None for result in ran for name in result.numbers if name != role.measure}
    means = tuple((name, _mean(ran, name)) for name in others)
    seconds = float(np.mean([result.seconds for result in ran]))
    return MatrixEntry(mean_interval(np.array(values)), values, means, seconds)


def _mean(ran: list[CellResult], name: str) -> float:
    return float(np.mean([result.numbers[name] for result in ran if name in result.numbers]))


def _reason(found: list[CellResult]) -> str:
    for status, told in (("cannot", "cannot, because: "), ("failed", "failed: ")):
        for result in found:
            if result.status == status:
                return told + " ".join(result.message.split())
    return _NOT_RUN


def write_report(results: MatrixResults, folder: str | os.PathLike[str]) -> list[Path]:
    """Write ``matrix.md``, ``matrix.png`` and ``matrix.json``.

    Returns:
        The files.
    """
    place = Path(folder)
    text, picture, data = (place / f"matrix.{kind}" for kind in ("md", "png", "json"))
    write_whole(picture, draw_matrix(results))
    results.write(data)
    write_text(text, matrix_markdown(results))
    return [text, picture, data]


# ---- Markdown -----------------------------------------------------------------------------------


def matrix_markdown(results: MatrixResults, picture: str = "matrix.png") -> str:
    """The table, then each role with its protocol, its controls and what was refused.

    Args:
        results: What there is.
        picture: Link to the picture of `draw_matrix`.
    """
    lines = [
        "# Generators x roles",
        "",
        "Written by `gymagine matrix`, which goes on with the cells that are not run. Means over "
        "seeds with 95 % t intervals; more is better everywhere. **Bold**: the whole interval "
        "lies above the mean of the control that must be beaten, which is the first under each "
        "role. Budgets are small on purpose: a minute or so for a cell on one core.",
        "",
        f"![Every cell with its controls]({picture})",
        "",
        *_overview(results),
        "",
    ]
    for role in results.roles:
        lines += _section(results, role)
    return "\n".join(lines)


def _overview(results: MatrixResults) -> Iterator[str]:
    roles = results.roles
    yield _line(["generator", *(f"{role.name}: {role.measure}" for role in roles)])
    yield _line(["---", *["---:"] * len(roles)])
    for name in results.generators:
        yield _line([name, *(_cell(results, role, name) for role in roles)])
    yield _line(["*controls*", *(_controls(results, role) for role in roles)])


def _cell(results: MatrixResults, role: MatrixRole, name: str) -> str:
    entry = entry_of(results, role, name)
    if entry.interval is not None:
        return _shown(entry, role, _baseline(results, role))
    if entry.reason == _NOT_RUN:
        return _NOT_RUN
    word = "cannot, because" if entry.reason.startswith("cannot") else "failed"
    return f"[{word}](#{role.name})"


def _controls(results: MatrixResults, role: MatrixRole) -> str:
    parts = []
    for name in role.controls:
        entry = entry_of(results, role, name, is_control=True)
        parts.append(f"{name}: {entry.reason or _shown(entry, role, None)}")
    return "<br>".join(parts)


def _section(results: MatrixResults, role: MatrixRole) -> Iterator[str]:
    yield f"## {role.name}"
    yield ""
    about = role.about.format(**role.settings)
    yield f"{role.measure.capitalize()} in {role.environment}. {about}"
    yield ""
    rows = [
        (name, is_control, entry_of(results, role, name, is_control))
        for is_control, names in ((True, role.controls), (False, results.generators))
        for name in names
    ]
    titles = list(dict.fromkeys(title for _, _, entry in rows for title, _ in entry.others))
    yield _line(["", f"{role.measure} [95 %]", "by seed", *titles, "s"])
    yield _line(["---", "---:", "---", *["---:"] * (len(titles) + 1)])
    baseline = _baseline(results, role)
    for name, is_control, entry in rows:
        title = f"*{name}* (control)" if is_control else name
        if entry.interval is None:
            yield _line([title, "", _escaped(entry.reason), *[""] * (len(titles) + 1)])
            continue
        others = dict(entry.others)
        yield _line(
            [
                title,
                _shown(entry, role, None if is_control else baseline),
                " / ".join(format_number(value, role.decimals) for value in entry.values),
                *(f"{others[key]:.3g}" if key in others else "" for key in titles),
                f"{entry.seconds:.0f}",
            ]
        )
    yield ""


def _baseline(results: MatrixResults, role: MatrixRole) -> float | None:
    """Mean of the control that must be beaten: the role's first."""
    for name in role.controls:
        interval = entry_of(results, role, name, is_control=True).interval
        return None if interval is None else interval.estimate
    return None


def _shown(entry: MatrixEntry, role: MatrixRole, baseline: float | None) -> str:
    interval = entry.interval
    assert interval is not None
    if not interval.is_known:
        return f"{format_number(interval.estimate, role.decimals)} (1 seed)"
    text = format_interval(interval, role.decimals)
    return f"**{text}**" if baseline is not None and interval.low > baseline else text


def _short(entry: MatrixEntry) -> str:
    """One word or two; all of it stands under the role."""
    return entry.reason.partition(":")[0].partition(",")[0]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


# ---- the picture --------------------------------------------------------------------------------


def draw_matrix(results: MatrixResults) -> bytes:
    """A PNG: a panel for each role, a row for each generator and, in grey, each control."""
    from .plot_style import new_panels, tidy

    most = max(len(results.generators) + len(role.controls) for role in results.roles)
    figure, panels = new_panels(len(results.roles), width=4.4, height=0.8 + _ROW * most)
    for axes, role in zip(panels, results.roles, strict=True):
        tidy(axes, grid="x")
        _draw_role(axes, results, role)
    note = "dots: seeds; bars: 95 % of the mean; dashed: the control that must be beaten"
    figure.supxlabel(note, fontsize=8, color=_CONTROL)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=95, pil_kwargs={"optimize": True})
    return content.getvalue()


def _draw_role(axes: Axes, results: MatrixResults, role: MatrixRole) -> None:
    rows = [
        (name, is_control, entry_of(results, role, name, is_control))
        for is_control, names in ((False, results.generators), (True, role.controls))
        for name in names
    ]
    beside = axes.get_yaxis_transform()
    for height, (_, is_control, entry) in enumerate(rows):
        if entry.interval is None:
            text = _short(entry)
            axes.text(
                0.02,
                height,
                text,
                transform=beside,
                fontsize=7.5,
                color=_CONTROL,
                va="center",
                bbox={"facecolor": "white", "linewidth": 0, "pad": 1},
            )
        else:
            _draw_entry(axes, height, entry, _CONTROL if is_control else _DOT)
    baseline = _baseline(results, role)
    if baseline is not None:
        axes.axvline(baseline, color=_CONTROL, linewidth=1.0, linestyle="dashed", zorder=1)
    axes.axhline(len(results.generators) - 0.5, color="#d0d0d0", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [name for name, _, _ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0, labelsize=8)
    axes.tick_params(axis="x", labelsize=8)
    axes.set_title(f"{role.name}: {role.measure}, {role.environment}", fontsize=9, loc="left")
    _limit(axes, [value for _, _, entry in rows for value in entry.values])


def _limit(axes: Axes, values: list[float]) -> None:
    """Show all seeds; intervals of three may be far longer, and are cut."""
    from matplotlib.ticker import MaxNLocator

    if not values:
        return
    axes.xaxis.set_major_locator(MaxNLocator(5))
    low, high = min(values), max(values)
    low, high = min(low, 0.0), max(high, 0.0)
    margin = 0.08 * (high - low) or 0.5
    axes.set_xlim(low - margin, high + margin)


def _draw_entry(axes: Axes, height: int, entry: MatrixEntry, colour: str) -> None:
    interval = entry.interval
    assert interval is not None
    if interval.is_known:
        ends = [interval.low, interval.high]
        axes.plot(ends, [height, height], color=colour, linewidth=2.6, alpha=0.4)
    heights = [height] * len(entry.values)
    axes.scatter(entry.values, heights, s=9, color=colour, alpha=0.6, linewidths=0, zorder=4)
    axes.plot([interval.estimate], [height], "|", color=colour, markersize=9, markeredgewidth=2)
