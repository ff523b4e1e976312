"""``gymagine monitor``: TensorBoard on the runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from .options import parse

__all__ = ["run"]


@dataclass(frozen=True)
class Options:
    """Open TensorBoard on a folder of runs; Ctrl-C closes it."""

    folder: Annotated[
        Path,
        tyro.conf.Positional,
        tyro.conf.arg(metavar="PATH", help="What to show: all runs, some of them or one."),
    ] = Path("runs")
    port: Annotated[int, tyro.conf.arg(help="0 takes any free one.")] = 6006
    host: Annotated[str, tyro.conf.arg(help="0.0.0.0 lets other machines see it.")] = "localhost"


def run(arguments: Sequence[str]) -> int:
    """Serve until interrupted."""
    options = parse(Options, "monitor", arguments)
    from ..monitoring import monitor

    monitor(options.folder, host=options.host, port=options.port)
    return 0
