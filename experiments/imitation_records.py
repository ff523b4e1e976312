"""The folder that imitation leaves behind.

``runs/<environment>/imitate/<seed>-<time>/`` holds

- ``config.json``: what was asked for, package versions, git commit, command line;
- ``status.json``: running, finished, failed (and why) or interrupted;
- ``demonstrations.safetensors``: what was imitated;
- ``results.json`` and ``results.md``: the table;
- a folder of each policy, which is a run like those of ``train``: the policy in
  ``checkpoint/agent.safetensors``, ``metrics.csv`` and TensorBoard events, so that ``gymagine
  evaluate`` and ``gymagine watch`` take it. The environment it names is the one of the unseen
  goals, where the environment has such.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from ..storage import write_json
from .demonstration_sources import DEMONSTRATIONS_FILE
from .environment_names import EnvironmentName, folder_name
from .provenance import provenance
from .records import RunRecord, RunSettings, RunStatus, new_folder

__all__ = ["POLICY_DEFAULTS", "ImitationRecord", "ImitationSettings"]

POLICY_DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {"observation_horizon": 1, "prediction_horizon": 8, "action_horizon": 4}
)
"""Of policies here, where they are not the config's own: scripted experts have no memory, and
actions that are played unseen are soon out of place."""

_FORMAT = "gymagine-imitation-1"
_AGENT = "gymagine.agents.imagination.generative_policy:GenerativePolicy"


@dataclass(frozen=True)
class ImitationSettings:
    """Everything that the result depends on.

    Attributes:
        environment: Where it is demonstrated.
        generators: Names of `role_generators`, each of which becomes a policy.
        demonstrations: Where they come from (see `demonstration_sources`).
        episodes: Demonstrations, at most.
        success_only: Leave out those that fail.
        seed: Of all randomness.
        evaluation_episodes: Of each policy.
        max_steps: Of an episode; None is the environment's own limit.
        num_updates: Of each generator.
        policy: Fields of the policies' config, where they are not `POLICY_DEFAULTS`.
        fit: Further settings of training.

    Raises:
        ValueError: A number is out of range.
    """

    environment: EnvironmentName
    generators: tuple[str, ...]
    demonstrations: str = "expert"
    episodes: int = 50
    success_only: bool = True
    seed: int = 0
    evaluation_episodes: int = 50
    max_steps: int | None = None
    num_updates: int = 3_000
    policy: Mapping[str, Any] = field(default_factory=dict)
    fit: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.generators:
            raise ValueError("expected at least one generator, got none")
        for name in ("episodes", "evaluation_episodes", "num_updates", "max_steps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"expected {name} of at least 1, got {value}")
        if self.seed < 0:
            raise ValueError(f"expected a seed of at least 0, got {self.seed}")

    @property
    def unseen(self) -> EnvironmentName:
        """Where policies are evaluated: on the other goals of an environment that has two sets."""
        import gymnasium

        options = self.environment.options
        spec = gymnasium.registry.get(self.environment.id)
        is_split = spec is not None and "MetaWorld" in spec.name
        if not is_split or options.get("goals", "train") != "train":
            return self.environment
        return replace(self.environment, options={**options, "goals": "test"})


@dataclass(frozen=True)
class ImitationRecord:
    """A folder.

    Attributes:
        folder: Where it lies.
        settings: What was asked for.
    """

    folder: Path
    settings: ImitationSettings

    @classmethod
    def create(cls, root: str | os.PathLike[str], settings: ImitationSettings) -> Self:
        """A new folder with the configuration of what begins."""
        parent = Path(root) / folder_name(settings.environment.label) / "imitate"
        folder = new_folder(parent, str(settings.seed))
        config = {
            "format": _FORMAT,
            **asdict(settings),
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            **provenance(),
        }
        write_json(folder / "config.json", config)
        record = cls(folder, settings)
        record.set_status("running")
        return record

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Self:
        """Read a folder.

        Raises:
            FileNotFoundError: There is none.
            ValueError: Its configuration is damaged or foreign.
        """
        source = Path(folder) / "config.json"
        if not source.is_file():
            raise FileNotFoundError(f"expected a run of imitate at {folder}, found none")
        try:
            config = json.loads(source.read_text(encoding="utf-8"))
            if config["format"] != _FORMAT:
                raise ValueError(f"it is of format {config['format']!r}, not {_FORMAT!r}")
            known = {entry.name: config[entry.name] for entry in fields(ImitationSettings)}
            known["environment"] = EnvironmentName(**known["environment"])
            known["generators"] = tuple(known["generators"])
            return cls(Path(folder), ImitationSettings(**known))
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"expected the configuration of a run of imitate, got {source} "
                f"({type(error).__name__}: {error})"
            ) from error

    @property
    def demonstrations_file(self) -> Path:
        """What was imitated."""
        return self.folder / DEMONSTRATIONS_FILE

    @property
    def results_file(self) -> Path:
        """The scores; it exists in the end."""
        return self.folder / "results.json"

    @property
    def table_file(self) -> Path:
        """The same as a table."""
        return self.folder / "results.md"

    def policy_record(self, name: str, num_steps: int, facts: Mapping[str, Any]) -> RunRecord:
        """The run of one policy, which begins.

        Args:
            name: Of its generator.
            num_steps: Of demonstrations.
            facts: What its record says besides: hyper-parameters.
        """
        settings = self.settings
        own = RunSettings(
            agent=_AGENT,
            environment=settings.unseen,
            seed=settings.seed,
            total_timesteps=num_steps,
            final_episodes=settings.evaluation_episodes,
            max_steps=settings.max_steps,
        )
        return RunRecord.create(self.folder / folder_name(name), own, facts)

    def set_status(self, status: RunStatus, message: str | None = None) -> None:
        """Write ``status.json``."""
        value = {"status": status, "message": message, "process": os.getpid()}
        write_json(self.folder / "status.json", value)
