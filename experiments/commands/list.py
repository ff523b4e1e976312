"""``gymagine list``: the names that other commands take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import tyro
from rich.columns import Columns
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from ..catalogue import known_agents
from .options import parse

__all__ = ["run"]

_KINDS = {
    "planner": "planners (need the model, take no steps)",
    "learner": "tabular learners",
    "prediction": "tabular learners of the values of a given policy",
    "deep": "deep learners (seeds learn together: train AGENT ENV --seeds 10)",
    "control": "control",
    "peer": "Stable-Baselines3 and its contrib package",
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
    """List the agents, environments, presets and generators that other commands can name."""

    what: Annotated[
        Literal["agents", "environments", "presets", "generators", "all"],
        tyro.conf.Positional,
        tyro.conf.arg(metavar="WHAT", help="agents, environments, presets, generators or all."),
    ] = "all"


def run(arguments: Sequence[str]) -> int:
    """Print the names."""
    options = parse(Options, "list", arguments)
    console = Console(highlight=False)
    if options.what in ("agents", "all"):
        _show_agents(console)
    if options.what in ("environments", "all"):
        _show_environments(console)
    if options.what in ("presets", "all"):
        _show_presets(console)
    if options.what in ("generators", "all"):
        _show_generators(console)
    return 0


def _show_agents(console: Console) -> None:
    entries = known_agents()
    width = max(len(entry.name) for entry in entries)
    for kind, title in _KINDS.items():
        console.print(Text(title, style="bold"))
        for entry in entries:
            if entry.kind == kind:
                line = Text(f"  {entry.name:<{width}}  {entry.summary}")
                console.print(line, soft_wrap=True)


def _show_environments(console: Console) -> None:
    names = _latest()
    for origin, title in _ORIGINS.items():
        here = sorted(name for name, place in names.items() if place.startswith(origin))
        if here:
            console.print(Text(title, style="bold"))
            console.print(Padding(Columns([Text(name) for name in here], padding=(0, 2)), (0, 2)))
    about = "and any other id that Gymnasium knows, module:Name-v0 of your own modules too"
    console.print(Text(about, style="dim"))


def _latest() -> dict[str, str]:
    """Where the newest version of each environment is made."""
    import gymnasium

    newest: dict[tuple[str | None, str], tuple[int, str, str]] = {}
    for name, spec in gymnasium.registry.items():
        if isinstance(spec.entry_point, str):
            key, version = (spec.namespace, spec.name), spec.version or 0
            newest[key] = max(newest.get(key, (-1, "", "")), (version, name, spec.entry_point))
    return {name: entry_point for _, name, entry_point in newest.values()}


def _show_presets(console: Console) -> None:
    from ...agents.deep.presets import PRESETS
    from ..environment_names import PREPROCESSINGS

    about = "settings known to work (train AGENT ENV --presets, compare ENV --presets)"
    console.print(Text(about, style="bold"), soft_wrap=True)
    agents, places = (
        max(len(getattr(one, name)) for one in PRESETS) for name in ("agent", "environment")
    )
    for one in PRESETS:
        line = f"  {one.agent:<{agents}}  {one.environment:<{places}}  "
        applied = f"@preprocessing={one.preprocessing}; " if one.preprocessing else ""
        console.print(
            Text(f"{line}{one.total_timesteps:>11,} steps  {applied}{one.source}"), soft_wrap=True
        )
    for kind in sorted({one.preprocessing for one in PRESETS} - {""}):
        console.print(Text(f"@preprocessing={kind}: {PREPROCESSINGS[kind]}"), soft_wrap=True)


def _show_generators(console: Console) -> None:
    from ...generative.data.catalogue import DATASETS
    from ..generator_catalogue import GENERATORS

    width = max(len(name) for name in GENERATORS)
    for kind in dict.fromkeys(entry.kind for entry in GENERATORS.values()):
        console.print(Text(kind, style="bold"))
        for entry in GENERATORS.values():
            if entry.kind == kind:
                console.print(Text(f"  {entry.name:<{width}}  {entry.summary}"), soft_wrap=True)
    console.print(Text("data", style="bold"))
    console.print(Padding(Columns([Text(name) for name in DATASETS], padding=(0, 2)), (0, 2)))
