"""``gymagine generate FAMILY DATA`` and ``gymagine generate --resume RUN``."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import tyro

from ..generator_catalogue import GENERATORS, find_generator, generator_class
from .options import Folder, changed_fields, documented, parse

if TYPE_CHECKING:
    from ..generation import GenerationResult

__all__ = ["run"]

Measure: TypeAlias = Annotated[
    bool,
    tyro.conf.arg(
        help="In the end, compare likelihood and samples with events that were not learnt from, "
        "beside baselines: a minute at most."
    ),
]


@dataclass(frozen=True)
class Options:
    """Train a generator on data and record the run.

    gymagine generate FAMILY --help tells a family's hyper-parameters; gymagine list generators the
    families and the data. gymagine generate --resume RUN goes on with a run that was interrupted.
    """

    data: Annotated[
        str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA", help="Such as moons or digits.")
    ]
    seed: Annotated[int, tyro.conf.arg(help="All of the run's randomness comes from it.")] = 0
    form: Annotated[
        str | None,
        tyro.conf.arg(
            metavar="WORD",
            help="What is made of pictures: levels, scaled, centred, dequantised, "
            "dequantised-centred, thresholded, drawn-once or redrawn; None is the family's usual "
            "one.",
        ),
    ] = None
    classes: Annotated[bool, tyro.conf.arg(help="Take the classes as context.")] = False
    checkpoint_every: Annotated[int, tyro.conf.arg(help="Updates between checkpoints.")] = 500
    measure: Measure = True
    folder: Folder = Path("runs")
    console: Annotated[bool, tyro.conf.arg(help="Print the logger's tables.")] = False
    progress_bar: Annotated[bool, tyro.conf.arg(help="Show a bar.")] = True


@dataclass(frozen=True)
class ResumeOptions:
    """Go on with a run that was interrupted or killed, from its last checkpoint."""

    resume: Annotated[
        Path,
        tyro.conf.arg(metavar="RUN", help="Its folder, or one above it: the latest run there."),
    ]
    checkpoint_every: Annotated[int, tyro.conf.arg(help="Updates between checkpoints.")] = 500
    measure: Measure = True
    console: Annotated[bool, tyro.conf.arg(help="Print the logger's tables.")] = False
    progress_bar: Annotated[bool, tyro.conf.arg(help="Show a bar.")] = True


def run(arguments: Sequence[str]) -> int:
    """Train, or go on training."""
    if any(word == "--resume" or word.startswith("--resume=") for word in arguments):
        return _resume(parse(ResumeOptions, "generate", arguments))
    words = [word for word in arguments if not word.startswith("-")]
    if not words:
        if {"-h", "--help"} & set(arguments):
            parse(Options, "generate FAMILY", arguments)  # prints help and exits
        raise ValueError("expected the name of a family; gymagine list generators shows them")
    family = find_generator(words[0]).name
    rest = list(arguments)
    rest.remove(family)
    return _generate(family, rest)


def _generate(family: str, arguments: Sequence[str]) -> int:
    options: Any = parse(_options_of(family), f"generate {family}", arguments)
    from ...generative.parallel_training import launched_group
    from ..generation import generate
    from ..generation_results import Measuring

    with launched_group():
        result = generate(
            family,
            options.data,
            seed=options.seed,
            form=options.form,
            conditional=options.classes,
            hyperparameters=changed_fields(options.hyperparameters),
            folder=options.folder,
            measuring=Measuring() if options.measure else None,
            checkpoint_interval=options.checkpoint_every,
            progress_bar=options.progress_bar,
            console=options.console,
            **changed_fields(options.training),
        )
        return _tell(result)


def _resume(options: ResumeOptions) -> int:
    from ...generative.parallel_training import launched_group
    from ..generation import resume_generation
    from ..generation_records import GenerationRecord
    from ..generation_results import Measuring

    with launched_group():
        result = resume_generation(
            GenerationRecord.open(options.resume),
            measuring=Measuring() if options.measure else None,
            checkpoint_interval=options.checkpoint_every,
            progress_bar=options.progress_bar,
            console=options.console,
        )
        return _tell(result)


def _options_of(family: str) -> type[Any]:
    """The options of the command with a family's hyper-parameters, each with its help."""
    from ...generative.fit_settings import FitSettings

    extra: list[Any] = []
    own = generator_class(family)
    for name, config, defaults, about in (
        ("hyperparameters", own.Config, {}, f"Of {family}: {GENERATORS[family].summary}."),
        ("training", FitSettings, own.fit_defaults, "How it is trained."),
    ):
        kind: Any = documented(config, defaults)
        shown = Annotated[kind, tyro.conf.OmitArgPrefixes, tyro.conf.arg(help=about)]
        extra.append((name, shown, dataclasses.field(default=kind())))
    options = dataclasses.make_dataclass("Options", extra, bases=(Options,), frozen=True)
    options.__doc__ = f"Train {family} on data and record the run."
    return options


def _tell(result: GenerationResult) -> int:
    """Print what came of it, once where several processes trained together."""
    from ...generative.parallel_training import is_first_process

    if not is_first_process():
        return 0
    settings, trained = result.record.settings, result.fit
    losses = ", ".join(f"{name} {value:.6g}" for name, value in trained.losses.items())
    held_out = "" if trained.held_out_loss is None else f", held out {trained.held_out_loss:.6g}"
    sys.stdout.write(
        f"{settings.family} on {settings.data}, {trained.num_updates:,} updates in "
        f"{trained.seconds:.0f} s: {losses}{held_out}\n{result.record.folder}\n"
    )
    if result.results is not None:
        from rich.console import Console

        from ..generation_tables import results_tables

        Console(highlight=False).print(results_tables(result.results))
    return 0
