"""What `gymagine imagine` was asked for, and the folder that it leaves behind."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from ..agents.imagination.dream_training import DreamSettings
from ..storage import write_json
from .catalogue import find_agent
from .environment_names import EnvironmentName, folder_name
from .imagination_results import CONDITIONS, Condition, ImaginationResults, ImaginationRun
from .provenance import provenance
from .records import new_folder
from .world_models import check_world_model

__all__ = ["ImaginationRecord", "ImaginationSettings"]

_FORMAT = "gymagine-imagination-1"


@dataclass(frozen=True)
class ImaginationSettings:
    """Everything that the result depends on.

    Attributes:
        environment: An id, with options after @.
        generator: A word of `world_models`.
        agent: Its name in the catalogue.
        seed: The first of the seeds.
        num_seeds: Of each condition.
        dream: How agents learn in the dream.
        history: Observations that the next one depends on.
        num_members: Of the world model's ensemble.
        num_updates: Of each member's training, in each round.
        head_updates: Of the model of the ends of episodes.
        presets: Whether agents have the settings that are known to work in the environment.
        hyperparameters: Of the agent, beside those.
        episodes: Of each evaluation.
        conditions: Which are measured.
    """

    environment: str
    generator: str = "gaussian"
    agent: str = "dqn"
    seed: int = 0
    num_seeds: int = 3
    dream: DreamSettings = field(default_factory=DreamSettings)
    history: int = 1
    num_members: int = 1
    num_updates: int = 4_000
    head_updates: int = 2_000
    presets: bool = True
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    episodes: int = 20
    conditions: tuple[Condition, ...] = CONDITIONS

    def __post_init__(self) -> None:
        check_world_model(self.generator)
        find_agent(self.agent)
        for name in ("num_seeds", "episodes", "num_updates", "head_updates"):
            if getattr(self, name) < 1:
                raise ValueError(f"expected {name} of at least 1, got {getattr(self, name)}")
        unknown = set(self.conditions) - set(CONDITIONS)
        if unknown or not self.conditions:
            raise ValueError(f"expected conditions among {CONDITIONS}, got {self.conditions}")

    @property
    def env_name(self) -> EnvironmentName:
        """The environment."""
        return EnvironmentName.parse(self.environment)

    @property
    def seeds(self) -> range:
        """Of each condition."""
        return range(self.seed, self.seed + self.num_seeds)


@dataclass(frozen=True)
class ImaginationRecord:
    """A folder.

    Attributes:
        folder: Where it lies.
        settings: What was asked for.
    """

    folder: Path
    settings: ImaginationSettings

    @classmethod
    def create(cls, root: str | os.PathLike[str], settings: ImaginationSettings) -> Self:
        """A new folder with the configuration."""
        name = f"imagine-{settings.generator}-{folder_name(settings.agent)}"
        parent = Path(root) / folder_name(settings.env_name.label) / name
        folder = new_folder(parent, str(settings.seed))
        started = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        config = {"format": _FORMAT, **asdict(settings), "started": started, **provenance()}
        write_json(folder / "config.json", config)
        return cls(folder, settings)

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Self:
        """Read a folder.

        Raises:
            FileNotFoundError: There is none.
            ValueError: Its configuration is damaged or foreign.
        """
        source = Path(folder) / "config.json"
        if not source.is_file():
            raise FileNotFoundError(f"expected a run of gymagine imagine at {folder}, found none")
        try:
            config = json.loads(source.read_text(encoding="utf-8"))
            if config["format"] != _FORMAT:
                raise ValueError(f"it is of format {config['format']!r}, not {_FORMAT!r}")
            known = {each.name: config[each.name] for each in fields(ImaginationSettings)}
            known["dream"] = DreamSettings(**known["dream"])
            known["conditions"] = tuple(known["conditions"])
            return cls(Path(folder), ImaginationSettings(**known))
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"expected the configuration of gymagine imagine, got {source}, which is damaged "
                f"or of another kind ({type(error).__name__}: {error})"
            ) from error

    def place(self, condition: Condition, seed: int) -> Path:
        """The folder of one condition and seed."""
        return self.folder / f"{condition}-{seed}"

    def run(self, condition: Condition, seed: int) -> ImaginationRun | None:
        """What came of it; None before it is there."""
        file = self.place(condition, seed) / "result.json"
        if not file.is_file():
            return None
        return ImaginationRun.from_json(json.loads(file.read_text(encoding="utf-8")))

    def results(self) -> ImaginationResults:
        """All that is there so far."""
        settings = self.settings
        title = f"{settings.environment}, {settings.generator}, {settings.agent}"
        found = (self.run(*job) for job in self.jobs())
        return ImaginationResults(title, tuple(run for run in found if run is not None))

    def jobs(self) -> Iterator[tuple[Condition, int]]:
        """Conditions and seeds."""
        for seed in self.settings.seeds:
            yield from ((condition, seed) for condition in self.settings.conditions)
