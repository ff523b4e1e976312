"""``gymagine imagine ENV --generator NAME --agent NAME`` and ``gymagine imagine --resume RUN``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from .compare import hyperparameters_of
from .options import Environment, Folder, changed_fields, documented, parse

if TYPE_CHECKING:
    from ..imagination_records import ImaginationRecord, ImaginationSettings

__all__ = ["run"]

_ROUND = "in each round"


@dataclass(frozen=True)
class Options:
    """Let an agent learn in a dream, and see what it is worth awake.

    Takes real steps, trains a world model on them, lets the agent learn in imagined episodes only,
    and evaluates it in the real environment, with several seeds. Beside it: the same in an
    untrained model, the same agent on as many real steps as the model learnt from and on as many
    as were dreamt, and the random policy. Writes results.json, agents and models, TensorBoard
    files, the errors of imagined episodes by horizon, and a film of a real episode beside the
    same imagined. gymagine list generators tells of generators; gymagine imagine --resume RUN
    goes on with what was interrupted or killed.
    """

    env: Environment
    generator: Annotated[
        str,
        tyro.conf.arg(
            metavar="NAME",
            help="Of the world model: gaussian, vae, autoregressive, flow, flow-matching, gan, "
            "diffusion, tabular for finite spaces, or a family of gymagine list generators.",
        ),
    ] = "gaussian"
    agent: Annotated[
        str,
        tyro.conf.arg(metavar="AGENT", help="Such as dqn, a2c or sb3:ppo: gymagine list agents."),
    ] = "dqn"
    seeds: Annotated[int, tyro.conf.arg(help="How many; 3 means 0 to 2.")] = 3
    history: Annotated[int, tyro.conf.arg(help="Observations that the next depends on.")] = 1
    members: Annotated[int, tyro.conf.arg(help="Of the world model's ensemble.")] = 1
    updates: Annotated[int, tyro.conf.arg(help=f"Of each member, {_ROUND}.")] = 4_000
    head_updates: Annotated[
        int, tyro.conf.arg(help=f"Of the model of episodes' ends, {_ROUND}.")
    ] = 2_000
    episodes: Annotated[int, tyro.conf.arg(help="Of each evaluation.")] = 20
    set: Annotated[
        tuple[str, ...],
        tyro.conf.arg(
            metavar="NAME=VALUE",
            help="Hyper-parameters of the agent, such as discount=0.98.",
            help_behavior_hint="(default: nothing)",
        ),
    ] = ()
    presets: Annotated[
        bool, tyro.conf.arg(help="Give the agent the settings known for the environment.")
    ] = True
    controls: Annotated[bool, tyro.conf.arg(help="Run the controls, too.")] = True
    jobs: Annotated[int, tyro.conf.arg(help="Processes; -1 is one per core.")] = 1
    folder: Folder = Path("runs")
    progress_bar: Annotated[bool, tyro.conf.arg(help="Show a bar.")] = True


@dataclass(frozen=True)
class ResumeOptions:
    """Go on with what was interrupted or killed; runs that are there are not done again."""

    resume: Annotated[Path, tyro.conf.arg(metavar="RUN", help="Its folder.")]
    jobs: Annotated[int, tyro.conf.arg(help="Processes; -1 is one per core.")] = 1
    progress_bar: Annotated[bool, tyro.conf.arg(help="Show a bar.")] = True


def run(arguments: Sequence[str]) -> int:
    """Dream, or go on dreaming."""
    if any(word == "--resume" or word.startswith("--resume=") for word in arguments):
        resumed = parse(ResumeOptions, "imagine", arguments)
        from ..imagination_records import ImaginationRecord

        return _imagine(ImaginationRecord.open(resumed.resume), resumed)
    options: Any = parse(_options(), "imagine", arguments)
    return _imagine(_settings(options), options)


def _options() -> type[Any]:
    """The options with those of the dream, each with its help."""
    import dataclasses

    from ...agents.imagination.dream_training import DreamSettings

    kind: Any = documented(DreamSettings, {})
    shown = Annotated[kind, tyro.conf.OmitArgPrefixes, tyro.conf.arg(help="The dream.")]
    extra: list[Any] = [("dream", shown, field(default=kind()))]
    options = dataclasses.make_dataclass("Options", extra, bases=(Options,), frozen=True)
    options.__doc__ = Options.__doc__
    return options


def _settings(options: Any) -> ImaginationSettings:
    from ...agents.imagination.dream_training import DreamSettings
    from ..imagination_records import ImaginationSettings
    from ..imagination_results import CONDITIONS

    named = [f"{options.agent}.{text}" for text in options.set]
    hyperparameters = hyperparameters_of(named, [options.agent]).get(options.agent, {})
    return ImaginationSettings(
        environment=options.env,
        generator=options.generator,
        agent=options.agent,
        num_seeds=options.seeds,
        dream=DreamSettings(**changed_fields(options.dream)),
        history=options.history,
        num_members=options.members,
        num_updates=options.updates,
        head_updates=options.head_updates,
        presets=options.presets,
        hyperparameters=hyperparameters,
        episodes=options.episodes,
        conditions=CONDITIONS if options.controls else ("dream",),
    )


def _imagine(what: ImaginationSettings | ImaginationRecord, options: Any) -> int:
    from rich.console import Console

    from ..imagination import draw_pictures, imagine, new_record
    from ..imagination_records import ImaginationRecord
    from ..imagination_results import results_tables

    record = what if isinstance(what, ImaginationRecord) else new_record(what, options.folder)
    try:
        record, results = imagine(
            record, num_processes=options.jobs, progress_bar=options.progress_bar
        )
    except KeyboardInterrupt:
        sys.stderr.write(
            f"gymagine: interrupted; gymagine imagine --resume {record.folder} goes on\n"
        )
        return 130
    Console(highlight=False).print(results_tables(results))  # first: pictures may fail
    sys.stdout.write(f"{record.folder}\n")
    draw_pictures(record, results)
    files = [name for name in ("open_loop.png", "beside.gif") if (record.folder / name).exists()]
    if files:
        sys.stdout.write(f"pictures: {', '.join(files)}\n")
    return 0
