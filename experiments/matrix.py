"""The table generator x role: every cell run, or refused by what it would be made of.

from gymagine.experiments.matrix import run_matrix
from gymagine.experiments.matrix_roles import MATRIX_ROLES
results = run_matrix(MATRIX_ROLES, ["flow", "diffusion"], num_seeds=3, folder="runs/matrix")
results.of("policy", "flow")                     # a result of each seed

A role is data (`MatrixRole`): an environment, a measure, settings, functions that make and score.
A cell is one generator, or one control, in one role with one seed. What came of it is written
whole to ``FOLDER/ROLE/NAME/SEED.json``: a command that was killed goes on, and does not run again
what is there, unless the role's settings are others by now. A generator that a role cannot take is
refused when it is put together, by an error that says why; that is asked anew each time.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from ..generative.arithmetic import acting_arithmetic
from ..storage import write_json
from .role_generators import RoleGenerator, role_generator

__all__ = [
    "Cell",
    "CellResult",
    "CellStatus",
    "MatrixResults",
    "MatrixRole",
    "Numbers",
    "cells_of",
    "is_current",
    "merge_results",
    "read_results",
    "run_cell",
    "run_matrix",
]

Numbers: TypeAlias = Mapping[str, float]
"""What a run measured, by name."""

CellStatus = Literal["run", "cannot", "failed"]


@dataclass(frozen=True)
class MatrixRole:
    """What generators are asked to do, and how it is measured.

    Attributes:
        name: Of the role, such as ``policy``.
        environment: Where.
        measure: Name of the number that counts, among those of ``score``; more is better.
        about: What is done, in a sentence or two; ``{name}`` stands for a setting.
        settings: Budgets and the like, as JSON has them.
        make: Puts the generator into the role, untrained; raises ValueError or TypeError where
            that cannot be.
        score: The numbers of a generator with a seed, given the settings.
        controls: The same for what stands beside the generators, by name; the first is the one
            that must be beaten.
        decimals: That are shown.
    """

    name: str
    environment: str
    measure: str
    about: str
    settings: Mapping[str, Any]
    make: Callable[[RoleGenerator, Mapping[str, Any]], object]
    score: Callable[[RoleGenerator, int, Mapping[str, Any]], Numbers]
    controls: Mapping[str, Callable[[int, Mapping[str, Any]], Numbers]]
    decimals: int = 2


@dataclass(frozen=True)
class Cell:
    """A generator or a control in a role, with a seed.

    Attributes:
        role: Its name.
        contender: Word of the generator, or name of the control.
        is_control: Which of them.
        seed: Of everything in it.

    Example:
        >>> Cell("policy", "flow", False, 0).place.as_posix()
        'policy/generators/flow/0.json'
    """

    role: str
    contender: str
    is_control: bool
    seed: int

    @property
    def place(self) -> Path:
        """Of its file, within the run's folder."""
        name = re.sub(r"[^\w.-]+", "-", self.contender)
        kind = "controls" if self.is_control else "generators"
        return Path(self.role) / kind / name / f"{self.seed}.json"


@dataclass(frozen=True)
class CellResult:
    """What came of a cell.

    Attributes:
        cell: Which.
        status: ``run``; ``cannot``, refused when it was made; ``failed`` on the way.
        numbers: By name; empty unless it ran.
        message: Why it did not.
        seconds: It took.
        settings: Of the role.
    """

    cell: Cell
    status: CellStatus
    numbers: Numbers = field(default_factory=dict)
    message: str = ""
    seconds: float = 0.0
    settings: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON."""
        own = {**asdict(self.cell), **asdict(self)}
        del own["cell"]
        return own

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> CellResult:
        """What `to_json` made.

        Raises:
            ValueError: It is something else.
        """
        try:
            place = {name: value[name] for name in ("role", "contender", "is_control", "seed")}
            rest = {name: value[name] for name in ("status", "numbers", "message", "seconds")}
            found = cls(Cell(**place), settings=value["settings"], **rest)
        except (KeyError, TypeError) as error:
            raise ValueError(f"expected the result of a cell, got {value!r}") from error
        if found.status not in get_args(CellStatus):
            raise ValueError(f"expected a status of {get_args(CellStatus)}, got {found.status!r}")
        return found


@dataclass(frozen=True)
class MatrixResults:
    """All that is known by now.

    Attributes:
        roles: That were asked for.
        generators: Words, in order.
        cells: Results, of any order.
    """

    roles: tuple[MatrixRole, ...]
    generators: tuple[str, ...]
    cells: tuple[CellResult, ...]

    def of(self, role: str, contender: str, is_control: bool = False) -> list[CellResult]:
        """Results of a generator or a control in a role, by seed."""
        found = [
            result
            for result in self.cells
            if (result.cell.role, result.cell.contender, result.cell.is_control)
            == (role, contender, is_control)
        ]
        return sorted(found, key=lambda result: result.cell.seed)

    def write(self, path: str | os.PathLike[str]) -> None:
        """All results as one JSON file, which `merge_results` takes."""
        ordered = sorted(self.cells, key=lambda result: result.cell.place.as_posix())
        write_json(path, {"cells": [result.to_json() for result in ordered]})


# ---- what to run --------------------------------------------------------------------------------


def cells_of(roles: Iterable[MatrixRole], generators: Sequence[str], num_seeds: int) -> list[Cell]:
    """All cells: the first seed of everything before the second of anything."""
    chosen = list(roles)
    return [
        Cell(role.name, name, is_control, seed)
        for seed in range(num_seeds)
        for role in chosen
        for is_control, names in ((True, role.controls), (False, generators))
        for name in names
    ]


def run_matrix(
    roles: Iterable[MatrixRole],
    generators: Iterable[str],
    *,
    num_seeds: int = 3,
    folder: str | os.PathLike[str] = "runs/matrix",
    num_processes: int = 1,
    tell: Callable[[str], None] = lambda line: None,
) -> MatrixResults:
    """Run what is not there yet.

    Args:
        roles: Which.
        generators: Words of `role_generators`.
        num_seeds: 3 means 0 to 2.
        folder: Where results are, and are kept.
        num_processes: That work at once; -1 is one per core.
        tell: Is given a line about each cell that is done.

    Raises:
        ValueError: A word is unknown, or there are no seeds.
    """
    if num_seeds < 1:
        raise ValueError(f"expected at least 1 seed, got {num_seeds}")
    chosen, words = tuple(roles), tuple(dict.fromkeys(generators))
    for word in words:
        role_generator(word)
    by_name = {role.name: role for role in chosen}
    known = {result.cell: result for result in read_results(folder)}
    left = [
        cell
        for cell in cells_of(chosen, words, num_seeds)
        if not _is_done(known.get(cell), by_name[cell.role])
    ]
    from joblib import Parallel, delayed

    calls = (delayed(run_cell)(by_name[cell.role], cell, folder) for cell in left)
    for result in Parallel(n_jobs=num_processes, return_as="generator_unordered")(calls):
        tell(_told(result))
    return MatrixResults(chosen, words, tuple(read_results(folder)))


def run_cell(role: MatrixRole, cell: Cell, folder: str | os.PathLike[str]) -> CellResult:
    """Run a cell, and write what came of it, whatever that was."""
    result = _result(role, cell)
    write_json(Path(folder) / cell.place, result.to_json())
    return result


def _result(role: MatrixRole, cell: Cell) -> CellResult:
    settings, begun = dict(role.settings), time.perf_counter()

    def found(status: CellStatus, numbers: Numbers, message: str = "") -> CellResult:
        seconds = time.perf_counter() - begun
        return CellResult(cell, status, numbers, message, seconds, settings)

    with acting_arithmetic(1):
        if not cell.is_control:
            try:
                role.make(role_generator(cell.contender), settings)
            except (TypeError, ValueError) as error:
                return found("cannot", {}, str(error))
        # an hour's work must not end with one cell, whatever went wrong in it; it is shown
        try:
            if cell.is_control:
                numbers = role.controls[cell.contender](cell.seed, settings)
            else:
                numbers = role.score(role_generator(cell.contender), cell.seed, settings)
            if role.measure not in numbers:
                raise KeyError(f"expected {role.measure!r} among {sorted(numbers)}")
        except Exception as error:
            return found("failed", {}, f"{type(error).__name__}: {error}")
    return found("run", {name: float(value) for name, value in numbers.items()})


def _is_done(result: CellResult | None, role: MatrixRole) -> bool:
    return result is not None and result.status == "run" and is_current(result, role)


def is_current(result: CellResult, role: MatrixRole) -> bool:
    """Whether a result is of the role's present settings."""
    # as JSON has them: what was a tuple is a list there
    own: bool = result.settings == json.loads(json.dumps(dict(role.settings)))
    return own


def _told(result: CellResult) -> str:
    cell = result.cell
    name = f"{cell.role} / {cell.contender} / seed {cell.seed}"
    if result.status != "run":
        return f"{name}: {result.status}, {result.message}"
    numbers = ", ".join(f"{title} {value:.4g}" for title, value in result.numbers.items())
    return f"{name}: {numbers} ({result.seconds:.0f} s)"


# ---- what there is ------------------------------------------------------------------------------


def read_results(folder: str | os.PathLike[str]) -> list[CellResult]:
    """All results in a folder.

    Raises:
        ValueError: A file in it is something else.
    """
    return [
        CellResult.from_json(_read_json(path))
        for path in sorted(Path(folder).glob("*/*/*/*.json"))
    ]


def merge_results(path: str | os.PathLike[str], folder: str | os.PathLike[str]) -> int:
    """Put into a folder what a file of `MatrixResults.write` has and the folder lacks.

    Returns:
        How many results those were; 0 where there is no such file.

    Raises:
        ValueError: The file is something else.
    """
    if not Path(path).is_file():
        return 0
    stored = _read_json(Path(path))
    if not isinstance(stored, dict) or "cells" not in stored:
        raise ValueError(f"expected results of a matrix, got {path}")
    num = 0
    for result in map(CellResult.from_json, stored["cells"]):
        target = Path(folder) / result.cell.place
        if not target.exists():
            write_json(target, result.to_json())
            num += 1
    return num


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"expected JSON, got {path}: {error}") from error
