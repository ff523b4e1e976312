"""``gymagine sample RUN``: pictures of what a trained generator draws."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from .options import parse

__all__ = ["run"]


@dataclass(frozen=True)
class Options:
    """Draw from a trained generator and write a picture.

    A generator that was trained with classes for a context draws a row of each class.
    """

    run: Annotated[
        Path,
        tyro.conf.Positional,
        tyro.conf.arg(
            metavar="RUN", help="Folder of a run, or one above it, which means the latest there."
        ),
    ]
    kind: Annotated[
        Literal["samples", "interpolations", "reconstructions", "completions"],
        tyro.conf.arg(
            help="samples; lines between the latents of real events; real events and what comes "
            "back from their latents; or real events, their upper halves, and what is drawn for "
            "the rest."
        ),
    ] = "samples"
    num: Annotated[
        int | None,
        tyro.conf.arg(metavar="INT", help="Samples, of each class; None is as many as look well."),
    ] = None
    temperature: Annotated[
        float, tyro.conf.arg(help="1 draws from the model, less closer to its modes.")
    ] = 1.0
    seed: Annotated[int, tyro.conf.arg(help="Of the draws.")] = 0
    output: Annotated[
        Path | None,
        tyro.conf.arg(metavar="PATH", help="PNG file; None is one in the run's folder."),
    ] = None


def run(arguments: Sequence[str]) -> int:
    """Draw and write."""
    options = parse(Options, "sample", arguments)
    if options.num is not None and options.num < 1:
        raise ValueError(f"expected --num of at least 1, got {options.num}")
    from ...generative.generator import AbstractLatent
    from ..generation_pictures import Picture, write_picture
    from ..generation_records import GenerationRecord
    from ..generation_watching import completions, interpolations, reconstructions, samples

    record = GenerationRecord.open(options.run)
    generator, data = record.load_generator(), record.load_data()
    picture: Picture
    if options.kind == "samples":
        picture = samples(
            generator,
            data,
            num=options.num,
            temperature=options.temperature,
            seed=options.seed,
        )
    elif options.kind == "completions":
        picture = completions(generator, data, temperature=options.temperature, seed=options.seed)
    elif isinstance(generator, AbstractLatent):
        draw = interpolations if options.kind == "interpolations" else reconstructions
        picture = draw(generator, data, seed=options.seed)
    else:
        raise ValueError(
            f"expected a generator with latents for {options.kind}, got "
            f"{record.settings.family}, which has none"
        )
    path = options.output or record.folder / f"{options.kind}.png"
    write_picture(path, picture)
    sys.stdout.write(f"{path}\n")
    return 0
