"""``gymagine matrix``: the table generator x role."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from ..catalogue import suggestion
from .options import parse

if TYPE_CHECKING:
    from ..matrix import MatrixRole

__all__ = ["run"]


@dataclass(frozen=True)
class Options:
    """Fill the table generator x role on small environments, each cell beside its controls.

    Roles: world-model, policy, planner, encoder, replay, novelty, reward. Every cell is run with
    several seeds, or refused by what it would be made of. Results are kept, one small file for
    each cell and seed: the command goes on where it stopped, and roles, generators and seeds can
    be added later. All cells take hours; a role takes minutes.

    Such as: gymagine matrix --roles policy planner --generators flow diffusion --seeds 3
    """

    roles: Annotated[
        tuple[str, ...],
        tyro.conf.arg(metavar="ROLE", help_behavior_hint="(default: all)"),
    ] = ()
    generators: Annotated[
        tuple[str, ...],
        tyro.conf.arg(
            metavar="WORD",
            help="Such as flow or diffusion, or a family of gymagine list generators.",
            help_behavior_hint="(default: eleven)",
        ),
    ] = ()
    seeds: Annotated[int, tyro.conf.arg(help="How many; 3 means 0 to 2.")] = 3
    folder: Annotated[
        Path, tyro.conf.arg(metavar="PATH", help="Where results are kept, and looked for.")
    ] = Path("runs/matrix")
    docs: Annotated[
        Path | None,
        tyro.conf.arg(
            metavar="PATH",
            help="Where matrix.md, matrix.png and matrix.json go, the last to go on from too; "
            "None is the folder.",
        ),
    ] = None
    report: Annotated[
        bool, tyro.conf.arg(help="Run nothing, write what there is.", name="report-only")
    ] = False
    jobs: Annotated[int, tyro.conf.arg(help="Processes; -1 is one per core.")] = 1


def run(arguments: Sequence[str]) -> int:
    """Fill the table, or go on filling it."""
    options = parse(Options, "matrix", arguments)
    from ..matrix import MatrixResults, merge_results, read_results, run_matrix
    from ..matrix_report import write_report
    from ..matrix_roles import MATRIX_GENERATORS, MATRIX_ROLES

    roles = _chosen(MATRIX_ROLES, options.roles)
    docs = options.docs or options.folder
    merge_results(docs / "matrix.json", options.folder)
    words = options.generators or MATRIX_GENERATORS
    if not options.report:
        run_matrix(
            roles,
            words,
            num_seeds=options.seeds,
            folder=options.folder,
            num_processes=options.jobs,
            tell=_say,
        )
    every = read_results(options.folder)
    more = (result.cell.contender for result in every if not result.cell.is_control)
    # the report is of all there is, whatever was asked for now
    known = tuple(dict.fromkeys((*MATRIX_GENERATORS, *more)))
    for path in write_report(MatrixResults(MATRIX_ROLES, known, tuple(every)), docs):
        _say(str(path))
    return 0


def _chosen(roles: Sequence[MatrixRole], names: Sequence[str]) -> list[MatrixRole]:
    by_name = {role.name: role for role in roles}
    for name in names:
        if name not in by_name:
            hint = suggestion(name, by_name) or f"; known: {', '.join(by_name)}"
            raise ValueError(f"unknown role {name!r}{hint}")
    return [role for role in roles if not names or role.name in names]


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
