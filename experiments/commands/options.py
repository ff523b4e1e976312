"""What several commands ask for in the same way."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import io
import itertools
import sys
import textwrap
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr
from pathlib import Path
from typing import Annotated, Any, TypeAlias, TypeVar, get_type_hints

import tyro

from ..environment_names import EnvironmentName
from ..population_records import PopulationRecord

__all__ = [
    "Discount",
    "EnvOptions",
    "Environment",
    "Folder",
    "MaxSteps",
    "Run",
    "changed_fields",
    "documented",
    "find_run",
    "name_environment",
    "parse",
    "usage_error",
]

Options = TypeVar("Options")
_HELP_INDENT = 8  # of the options' help texts in tyro's boxes, one more for the frame

Environment: TypeAlias = Annotated[
    str,
    tyro.conf.Positional,
    tyro.conf.arg(
        metavar="ENV",
        help="Id of a Gymnasium environment, such as FrozenLake-v1, with options after @: "
        "FrozenLake-v1@is_slippery=false,map_name=8x8. bins=10 cuts continuous observations, "
        "preprocessing=atari makes games what deep agents want.",
    ),
]
EnvOptions: TypeAlias = Annotated[
    tuple[str, ...],
    tyro.conf.arg(
        metavar="KEY=VALUE",
        help="What the environment is made with, such as is_slippery=false.",
        help_behavior_hint="(default: nothing)",
    ),
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
    """The options of a command from its words; prints help and exits where that is asked for.

    Raises:
        ValueError: A word is no option of the command, lacks its value, or has a wrong one.
    """
    program = f"gymagine {command}"
    told = io.StringIO()
    try:
        with redirect_stderr(told):
            parsed: Options = tyro.cli(options, prog=program, args=list(arguments), **more)
    except SystemExit as stop:
        if not stop.code:
            raise
        raise ValueError(usage_error(told.getvalue(), program)) from stop
    sys.stderr.write(told.getvalue())
    return parsed


def usage_error(box: str, program: str) -> str:
    """The one line that tyro's box of several says.

    Args:
        box: What tyro prints: a title, the mistake, then sections between rules.
        program: Whose help tells more.
    """
    sections: list[list[str]] = [[]]
    for line in box.splitlines()[1:]:
        text = line.strip("│╰╯").rstrip()  # a plain ASCII terminal gets rules, but no frame
        if not text.strip("─- "):
            sections.append([])
        elif len(text) - len(text.lstrip()) < _HELP_INDENT:
            sections[-1].append(text.strip())
    sections = [section for section in sections if section] or [[box]]
    mistake = " ".join(sections[0]).removeprefix("Error parsing hyperparameters: ")
    near = [
        line.split()[0]
        for section in sections[1:]
        for line in section
        if section[0].startswith("Perhaps you meant") and line.startswith("--")
    ]
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{mistake}{hint} (see {program} --help)"


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
    if PopulationRecord.is_at(path):
        members = [str(member.folder) for member in PopulationRecord.open(path).members]
        raise FileNotFoundError(
            f"expected one run, got {path}, the population of {', '.join(members)}"
        )
    runs = [config.parent for config in path.rglob("config.json")]
    if not runs:
        raise FileNotFoundError(f"expected a run at {path}, found none there or below")
    return max(runs, key=lambda run: (run / "config.json").stat().st_mtime)


def documented(config: type[Any], defaults: Mapping[str, Any] | None = None) -> type[Any]:
    """The fields of a config, unchecked, with their docstrings as plain text for each option.

    tyro shows a docstring as it stands in the source, with its marks of reStructuredText, and
    breaks its lines where the source does.

    Args:
        config: A dataclass.
        defaults: Of fields, where they are others than the config's.
    """
    texts: dict[str, str] = {}
    for owner in reversed([base for base in config.__mro__ if dataclasses.is_dataclass(base)]):
        texts |= _docstrings_of_fields(owner)
    hints = get_type_hints(config, include_extras=True)
    shown: list[Any] = []
    for field in dataclasses.fields(config):
        kind: Any = hints[field.name]
        if field.name in texts:
            kind = Annotated[kind, tyro.conf.arg(help=texts[field.name])]
        default = (defaults or {}).get(field.name, field.default)
        shown.append((field.name, kind, dataclasses.field(default=default)))
    return dataclasses.make_dataclass(config.__name__, shown, frozen=True)


def _docstrings_of_fields(owner: type[Any]) -> dict[str, str]:
    try:
        source = inspect.getsource(owner)
    except OSError:  # it was made, not written: the algorithms of other libraries
        return {}
    (body,) = ast.parse(textwrap.dedent(source)).body
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, text in itertools.pairwise(body.body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            match text:
                case ast.Expr(value=ast.Constant(value=str(told))):
                    found[field.target.id] = " ".join(told.replace("`", "").split())
    return found


def changed_fields(config: Any) -> dict[str, Any]:
    """The fields of a config that differ from their defaults, as JSON holds them."""
    from ..preparation import config_to_json

    chosen, default = config_to_json(config), config_to_json(type(config)())
    names = [field.name for field in dataclasses.fields(config)]
    return {name: chosen[name] for name in names if chosen[name] != default[name]}
