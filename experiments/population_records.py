"""The folder of a population: one checkpoint for all members, beside a run's record for each.

``runs/<environment>/<agent>/population-<first seed>-<last seed>-<time>/`` holds

- ``population.json``: the members' folders, relative to this one;
- ``population.safetensors``: the whole population, with all that it needs to go on bit for bit.

Each member has a folder of its own like any run, whose ``config.json`` names the population's, and
whose ``checkpoint/agent.safetensors`` is a file as of an agent trained alone. At a checkpoint the
evaluations are written first, then the members' files, then the population's, which is therefore
the authority: it says how many steps were taken, and a process killed at any moment leaves it
whole, with nothing missing up to its step. What other files say of later steps is dropped or
written anew when the population goes on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ..storage import write_json
from .records import RunRecord, RunStatus

__all__ = ["PopulationRecord"]

_FORMAT = "gymagine-population-run-1"
_NAME = "population.json"


@dataclass(frozen=True)
class PopulationRecord:
    """Where a population is kept.

    Attributes:
        folder: Its own.
        members: The records of its members.
    """

    folder: Path
    members: tuple[RunRecord, ...]

    @classmethod
    def create(cls, folder: Path, members: Sequence[RunRecord]) -> Self:
        """Write down which runs belong together."""
        places = [Path(os.path.relpath(member.folder, folder)).as_posix() for member in members]
        write_json(folder / _NAME, {"format": _FORMAT, "members": places})
        return cls(folder, tuple(members))

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Self:
        """Read a population's folder.

        Raises:
            FileNotFoundError: There is no population, or a member is gone.
            ValueError: A file of it is damaged or foreign.
        """
        path = Path(folder)
        source = path / _NAME
        if not source.is_file():
            raise FileNotFoundError(f"expected a population at {path}, found no {_NAME} there")
        try:
            value = json.loads(source.read_text(encoding="utf-8"))
            if not isinstance(value, dict) or value.get("format") != _FORMAT:
                raise ValueError(f"expected format {_FORMAT!r}")
            places = [Path(place) for place in value["members"]]
            if not places:
                raise ValueError("it has no members")
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"expected a population, got {source}: {error}") from error
        folders = [Path(os.path.normpath(path / place)) for place in places]
        return cls(path, tuple(RunRecord.open(member) for member in folders))

    @classmethod
    def of(cls, record: RunRecord) -> Self | None:
        """The population of a run, or None where it has none (any more).

        Raises:
            FileNotFoundError: As in `open`.
            ValueError: As in `open`.
        """
        place = record.config.get("population")
        if place is None:
            return None
        folder = Path(os.path.normpath(record.folder / place))
        return cls.open(folder) if cls.is_at(folder) else None

    @classmethod
    def is_at(cls, folder: Path) -> bool:
        """Whether a folder is a population's."""
        return (folder / _NAME).is_file()

    @property
    def checkpoint(self) -> Path:
        """The population's file; it exists from the first checkpoint on."""
        return self.folder / "population.safetensors"

    @property
    def status(self) -> RunStatus:
        """How it stands: ``finished`` where all members have."""
        others = [member.status for member in self.members if member.status != "finished"]
        return others[0] if others else "finished"

    def with_budget(self, total_timesteps: int) -> PopulationRecord:
        """The record with a larger budget, written down for each member.

        Raises:
            ValueError: The budget is smaller than what a member has taken.
        """
        # first of all the member whose status is the latest, which may refuse
        latest_first = sorted(self.members, key=lambda member: -member.num_timesteps)
        changed = {member.folder: member.with_budget(total_timesteps) for member in latest_first}
        members = tuple(changed[member.folder] for member in self.members)
        return PopulationRecord(self.folder, members)

    def with_one_budget(self) -> PopulationRecord:
        """The record as `with_budget` would have left it, had no kill cut it short."""
        budgets = {member.settings.total_timesteps for member in self.members}
        return self if len(budgets) == 1 else self.with_budget(max(budgets))
