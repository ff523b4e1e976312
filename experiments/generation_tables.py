"""What a generator is worth, as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .generation_likelihood import OWN_LAW
from .generation_results import GenerationResults, LikelihoodRow, SampleRow
from .generation_samples import TRAINING
from .tables import format_number

__all__ = ["results_tables"]

_BOUND = "≤ "


def results_tables(results: GenerationResults) -> Group:
    """Likelihoods, samples, what was done, and what is not there."""
    return Group(*_parts(results))


def _parts(results: GenerationResults) -> Iterator[RenderableType]:
    if results.likelihoods:
        yield _likelihoods(results)
    if results.samples:
        yield _samples(results)
    for line in (*results.protocol, *results.notes):
        yield Text(line, style="dim")


def _likelihoods(results: GenerationResults) -> Table:
    has_levels = any(row.bits_per_dimension is not None for row in results.likelihoods)
    columns = ("nats", "s.e.", *(("bits/dim",) if has_levels else ()), "events")
    table = _table("likelihood", columns)
    for row in sorted(results.likelihoods, key=lambda row: row.nats):
        cells = _likelihood_cells(row, has_levels)
        table.add_row(*map(Text, cells), style=_style(row.name, results))
    return table


def _likelihood_cells(row: LikelihoodRow, has_levels: bool) -> Iterator[str]:
    sign = "" if row.kind == "exact" else _BOUND
    bits = row.bits_per_dimension
    yield row.name
    yield f"{sign}{format_number(row.nats, 2)}"
    yield "" if row.standard_error is None else format_number(row.standard_error, 2)
    if has_levels:
        yield "" if bits is None else f"{sign}{format_number(bits, 3)}"
    yield f"{row.num_events:,}"


def _samples(results: GenerationResults) -> Table:
    rows = results.samples
    of_features = any(row.kernel_distance is not None for row in rows)
    columns = ["dist.", "prec.", "recall", "dens.", "cover."]  # with names within 80
    if any(row.num_modes for row in rows):
        columns += ["modes", "near"]
    table = _table("samples", (*columns, "drawn"))
    for row in sorted(rows, key=lambda row: _distance(row, of_features)):
        cells = [row.name, format_number(_distance(row, of_features), 4)]
        shares = (row.precision, row.recall, row.density, row.coverage)
        cells += ["" if share is None else format_number(share, 2) for share in shares]
        if "modes" in columns:
            near = "" if row.share_near is None else format_number(row.share_near, 2)
            cells += [f"{row.modes_covered}/{row.num_modes}", near]
        cells.append(f"{row.num_samples:,}")
        table.add_row(*map(Text, cells), style=_style(row.name, results))
    return table


def _distance(row: SampleRow, of_features: bool) -> float:
    found = row.kernel_distance if of_features else row.mean_discrepancy
    return float("inf") if found is None else found


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column(title, justify="left", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _style(name: str, results: GenerationResults) -> str:
    if name.split(",")[0] == results.family:
        return "bold"
    return "green" if name in (OWN_LAW, TRAINING) else "dim"
