"""What several commands ask for in the same way."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypeAlias, TypeVar

import tyro

from ..environment_names import EnvironmentName

__all__ = [
    "Discount",
    "EnvOptions",
    "Environment",
    "Folder",
    "MaxSteps",
    "Run",
    "changed_fields",
    "find_run",
    "name_environment",
    "parse",
]

Options = TypeVar("Options")

Environment: TypeAlias = Annotated[
    str,
    tyro.conf.Positional,
    tyro.conf.arg(
        metavar="ENV",
        help="Id of a Gymnasium environment, such as FrozenLake-v1, with options after @: "
        "FrozenLake-v1@is_slippery=false,map_name=8x8. bins=10 cuts continuous observations.",
    ),
]
EnvOptions: TypeAlias = Annotated[
    tuple[str, ...],
    tyro.conf.arg(metavar="KEY=VALUE", help="What the environment is made with."),
]
Run: TypeAlias = Annotated[
    Path,
    tyro.conf.Positional,
    tyro.conf.arg(
        metavar="RUN", help="Folder of a run, or one above it, which means the latest run there."
    ),
]
Folder: TypeAlias = Annotated[Path, tyro.conf.arg(metavar="PATH", help="Where runs are kept.")]
Discount: TypeAlias = Annotated[
    float, tyro.conf.arg(help="Of the evaluated returns; the agent has its own.")
]
MaxSteps: TypeAlias = Annotated[
    int | None,
    tyro.conf.arg(
        metavar="INT",
        help="Cap on the steps of an evaluation episode; None is the environment's own time "
        "limit, or 1000 where it has none.",
    ),
]


def parse(options: type[Options], command: str, arguments: Sequence[str], **more: Any) -> Options:
    """The options of a command from its words; prints help or a usage error and exits."""
    parsed: Options = tyro.cli(options, prog=f"gymagine {command}", args=list(arguments), **more)
    return parsed


def name_environment(env: str, env_options: Sequence[str]) -> EnvironmentName:
    """The environment of ``ENV`` and ``--env-options``."""
    return EnvironmentName.parse(env, env_options)


def find_run(path: Path) -> Path:
    """The run that a path means: itself, or the latest below it.

    Raises:
        FileNotFoundError: There is none.
    """
    if (path / "config.json").is_file():
        return path
    runs = [config.parent for config in path.rglob("config.json")]
    if not runs:
        raise FileNotFoundError(f"expected a run at {path}, found none there or below")
    return max(runs, key=lambda run: (run / "config.json").stat().st_mtime)


def changed_fields(config: Any) -> dict[str, Any]:
    """The fields of a config that differ from their defaults, as JSON holds them."""
    from ..training import config_to_json

    chosen, default = config_to_json(config), config_to_json(type(config)())
    names = [field.name for field in dataclasses.fields(config)]
    return {name: chosen[name] for name in names if chosen[name] != default[name]}
