"""``gymagine list``: the names that other commands take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.table import Table

from ..catalogue import known_agents
from .options import parse

__all__ = ["run"]

_KINDS = {
    "planner": "planners: need the model, take no steps",
    "learner": "tabular learners",
    "prediction": "tabular learners of a given policy's values",
    "control": "to compare with",
    "peer": "Stable-Baselines3's, as they are",
}
_TABULAR = ("FrozenLake", "FrozenLake8x8", "CliffWalking", "CliffWalkingSlippery", "Taxi", "Blackjack")


@dataclass(frozen=True)
class Options:
    """List the agents and environments that other commands can name."""

    what: Annotated[
        Literal["agents", "environments", "all"],
        tyro.conf.Positional,
        tyro.conf.arg(metavar="WHAT", help="agents, environments or all."),
    ] = "all"


def run(arguments: Sequence[str]) -> int:
    """Print the tables."""
    options = parse(Options, "list", arguments)
    console = Console()
    if options.what in ("agents", "all"):
        console.print(_agents())
    if options.what in ("environments", "all"):
        console.print(_environments())
        console.print(
            "Any id that Gymnasium knows will do, module:Name-v0 of your own modules too.",
            style="dim",
        )
    return 0


def _table(title: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    return table


def _agents() -> Table:
    table = _table("Agents")
    shown = None
    for entry in known_agents():
        if entry.kind != shown:
            table.add_row()
            table.add_row(f"[dim]{_KINDS[entry.kind]}[/dim]")
            shown = entry.kind
        table.add_row(f"  {entry.name}", entry.summary)
    return table


def _environments() -> Table:
    import gymnasium

    table = _table("\nEnvironments")
    groups: dict[str, list[str]] = {"the model is known": [], "others of Gymnasium": []}
    for name, spec in sorted(gymnasium.registry.items()):
        tabular = spec.namespace == "gymagine" or spec.name in _TABULAR
        if tabular or spec.namespace is None:
            groups["the model is known" if tabular else "others of Gymnasium"].append(name)
    for title, names in groups.items():
        table.add_row()
        table.add_row(f"[dim]{title}[/dim]")
        for name in names:
            entry_point = gymnasium.registry[name].entry_point
            table.add_row(f"  {name}", _summary(entry_point))
    return table


def _summary(entry_point: object) -> str:
    return ""
