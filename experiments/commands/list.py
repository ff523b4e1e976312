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
_ORIGINS = {
    "gymagine": "the model is known",
    "gymnasium.envs.toy_text": "the model is known (Gymnasium)",
    "gymnasium.envs.classic_control": "classic control",
    "gymnasium.envs.box2d": "Box2D (extra: box2d)",
    "gymnasium.envs.mujoco": "MuJoCo (extra: mujoco)",
    "minigrid": "MiniGrid (extra: minigrid)",
    "ale_py": "Atari (extra: atari)",
}


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
    table = _table("\nEnvironments")
    table.add_row()
    groups: dict[str, list[str]] = {title: [] for title in _ORIGINS.values()}
    for name, entry_point in _latest().items():
        for origin, title in _ORIGINS.items():
            if entry_point.startswith(origin):
                groups[title].append(name)
    for title, names in groups.items():
        if names:
            table.add_row(f"[dim]{title}[/dim]", "  ".join(sorted(names)))
    return table


def _latest() -> dict[str, str]:
    """Where the newest version of each environment is made."""
    import gymnasium

    newest: dict[tuple[str | None, str], tuple[int, str, str]] = {}
    for name, spec in gymnasium.registry.items():
        if isinstance(spec.entry_point, str):
            key, version = (spec.namespace, spec.name), spec.version or 0
            newest[key] = max(newest.get(key, (-1, "", "")), (version, name, spec.entry_point))
    return {name: entry_point for _, name, entry_point in newest.values()}
