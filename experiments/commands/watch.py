"""``gymagine watch RUN``: the agent of a run, in a window or as a video."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from .options import Run, find_run, parse

__all__ = ["run"]


@dataclass(frozen=True)
class Options:
    """See the agent of a run act."""

    run: Run = Path("runs")
    video: Annotated[
        Path | None,
        tyro.conf.arg(
            metavar="FILE",
            help="Write a .gif or .mp4 instead of opening a window (.mp4 needs the extra: video).",
        ),
    ] = None
    episodes: Annotated[int, tyro.conf.arg(help="How many to play.")] = 3
    seed: Annotated[int, tyro.conf.arg(help="Of the episodes, one for each from this one.")] = 0
    max_steps: Annotated[
        int | None, tyro.conf.arg(metavar="INT", help="Cap on the steps of an episode.")
    ] = None
    fps: Annotated[
        float | None,
        tyro.conf.arg(metavar="FLOAT", help="Frames per second; None is the environment's own."),
    ] = None


def run(arguments: Sequence[str]) -> int:
    """Show the agent."""
    options = parse(Options, "watch", arguments)
    if options.video is not None:  # pictures need no display, and none may be there
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    from ..watching import watch

    returns = watch(
        find_run(options.run),
        video=options.video,
        num_episodes=options.episodes,
        seed=options.seed,
        max_steps=options.max_steps,
        fps=options.fps,
    )
    told = ", ".join(f"{value:.6g}" for value in returns)
    where = f"; written to {options.video}" if options.video is not None else ""
    sys.stdout.write(f"returns: {told}{where}\n")
    return 0
