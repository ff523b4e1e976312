"""The folder that every run leaves behind, and how to read it back.

``runs/<environment>/<agent>/<seed>-<time>/`` holds

- ``config.json``: agent, hyper-parameters, environment and its options, seed, budget, evaluation
  settings, simulator, package versions, git commit, command line;
- ``status.json``: running, finished, failed (and why) or interrupted, and the steps taken;
- ``metrics.csv`` and TensorBoard events: the agent's scalars (see `scalars`);
- ``evaluations.csv``: one line per evaluation;
- ``checkpoint/agent.safetensors``: the agent, with all that it needs to go on bit for bit.

The checkpoint is one file and says itself how many steps it has taken; evaluations depend on the
seed and the step only. A run that was killed between two files is therefore never torn: whatever
the other files say of later steps is dropped when it is resumed.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, cast, get_args

from ..storage import write_json, write_text
from ..version import __version__
from .environment_names import EnvironmentName, folder_name
from .provenance import provenance

if TYPE_CHECKING:
    from ..agents.agent import AbstractAgent
    from ..envs.environments import EnvLike

__all__ = [
    "EvaluationPoint",
    "RunRecord",
    "RunSettings",
    "RunStatus",
    "new_folder",
    "new_run_folder",
]

RunStatus: TypeAlias = Literal["running", "finished", "failed", "interrupted"]

_FORMAT = "gymagine-run-1"
_STATUS_KEYS = {"status", "message", "num_timesteps", "train_seconds"}


@dataclass(frozen=True)
class RunSettings:
    """Everything that a run's result depends on.

    Attributes:
        agent: Name in the catalogue, or ``module:Class``.
        environment: Its id and options.
        seed: All randomness of the run comes from it.
        total_timesteps: Environment steps of training.
        hyperparameters: All of the agent's, defaults included; what JSON can hold.
        evaluate_every: Environment steps between evaluations.
        evaluation_episodes: Episodes of each; 0 for exact evaluation only.
        final_episodes: Episodes of the last one, where any are played.
        exact: Evaluate through the model where it is known.
        checkpoint_every: Environment steps between checkpoints.
        discount: Of the evaluated returns, not of the agent.
        max_steps: Cap on the steps of an evaluation episode, or None for the environment's own.
        wrapped: Whether the environment was an object with wrappers that its id does not tell.
    """

    agent: str
    environment: EnvironmentName
    seed: int
    total_timesteps: int
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    evaluate_every: int = 5_000
    evaluation_episodes: int = 20
    final_episodes: int = 100
    exact: bool = True
    checkpoint_every: int = 5_000
    discount: float = 1.0
    max_steps: int | None = None
    wrapped: bool = False

    def __post_init__(self) -> None:
        counts = ("total_timesteps", "evaluate_every", "checkpoint_every", "final_episodes")
        for name in counts:
            if getattr(self, name) < 1:
                raise ValueError(f"expected {name} of at least 1, got {getattr(self, name)}")
        if self.evaluation_episodes < 0:
            raise ValueError(
                f"expected evaluation_episodes of at least 0, got {self.evaluation_episodes}"
            )
        if not 0.0 <= self.discount <= 1.0:
            raise ValueError(f"expected a discount in [0, 1], got {self.discount}")
        if self.max_steps is not None and self.max_steps < 1:
            raise ValueError(f"expected max_steps of at least 1, got {self.max_steps}")

    @property
    def fingerprint(self) -> str:
        """Ten hexadecimal digits that differ where any setting, or this package, differs."""
        text = json.dumps({**self.to_json(), "version": __version__}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    def to_json(self) -> dict[str, Any]:
        """What JSON can hold of it."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`; keys that are no settings are passed over.

        Raises:
            ValueError: A setting is missing.
        """
        names = [entry.name for entry in fields(cls)]
        missing = [name for name in names if name not in value]
        if missing:
            raise ValueError(f"expected the settings {', '.join(missing)}, which are missing")
        known = {name: value[name] for name in names}
        known["environment"] = EnvironmentName(**known["environment"])
        return cls(**known)


@dataclass(frozen=True)
class EvaluationPoint:
    """One line of ``evaluations.csv``.

    Attributes:
        timesteps: Environment steps that the agent had taken.
        mean_reward: Mean return of the episodes, or the exact one where none were played.
        low: Lower end of the mean's 95 % interval; equal to the mean where it is exact.
        high: Upper end.
        mean_ep_length: Mean steps of an episode, or None where none were played.
        num_episodes: Episodes played.
        num_capped: Of these, how many were stopped by the cap on their steps.
        exact_return: Expected return through the model, or None where it is not known.
        train_seconds: Wall time of training until here, evaluation not counted; of a member of a
            population its share, the whole divided by the number of members.
    """

    timesteps: int
    mean_reward: float
    low: float
    high: float
    mean_ep_length: float | None
    num_episodes: int
    num_capped: int
    exact_return: float | None
    train_seconds: float

    @property
    def score(self) -> float:
        """The exact return where there is one, the mean where there is not."""
        return self.mean_reward if self.exact_return is None else self.exact_return

    @classmethod
    def from_row(cls, row: Mapping[str, str]) -> Self:
        """The point of a line of the file."""
        return cls(
            timesteps=int(row["timesteps"]),
            mean_reward=float(row["mean_reward"]),
            low=float(row["low"]),
            high=float(row["high"]),
            mean_ep_length=float(row["mean_ep_length"]) if row["mean_ep_length"] else None,
            num_episodes=int(row["num_episodes"]),
            num_capped=int(row["num_capped"]),
            exact_return=float(row["exact_return"]) if row["exact_return"] else None,
            train_seconds=float(row["train_seconds"]),
        )


@dataclass(frozen=True)
class RunRecord:
    """A run's folder.

    Attributes:
        folder: Where it lies.
        settings: What the run was asked to do.
        config: All of ``config.json``: the settings and where the run comes from.
    """

    folder: Path
    settings: RunSettings
    config: Mapping[str, Any]

    @classmethod
    def create(cls, folder: Path, settings: RunSettings, facts: Mapping[str, Any]) -> Self:
        """Write the configuration of a run that begins."""
        config = {
            "format": _FORMAT,
            **replace(settings, hyperparameters={}).to_json(),
            **facts,
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            **provenance(),
        }
        write_json(folder / "config.json", config)
        record = cls(folder, settings, config)
        record.set_status("running", 0, 0.0)
        return record

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Self:
        """Read a run's folder.

        Raises:
            FileNotFoundError: There is no run.
            ValueError: Its configuration is damaged or foreign.
        """
        path = Path(folder)
        source = path / "config.json"
        if not source.is_file():
            raise FileNotFoundError(f"expected a run at {path}, found no config.json there")
        try:
            config = json.loads(source.read_text(encoding="utf-8"))
            if not isinstance(config, dict) or config.get("format") != _FORMAT:
                raise ValueError(f"expected format {_FORMAT!r}")
            return cls(path, RunSettings.from_json(config), config)
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"expected the configuration of a run, got {source}: {error}"
            ) from error

    def with_budget(self, total_timesteps: int) -> RunRecord:
        """The record with a larger budget, written down.

        Raises:
            ValueError: The budget is smaller than what the run has taken.
        """
        if total_timesteps < self.num_timesteps:
            raise ValueError(
                f"expected a budget of at least the {self.num_timesteps} steps that "
                f"{self.folder} has taken, got {total_timesteps}"
            )
        settings = replace(self.settings, total_timesteps=total_timesteps)
        config = {**self.config, "total_timesteps": total_timesteps}
        write_json(self.folder / "config.json", config)
        return RunRecord(self.folder, settings, config)

    @property
    def environment(self) -> EnvironmentName:
        """What the run learned in.

        Raises:
            ValueError: It was an object whose wrappers the record does not know.
        """
        if self.settings.wrapped:
            raise ValueError(
                f"the environment of {self.folder} was an object with wrappers of its own; "
                "expected it again as env=..."
            )
        return self.settings.environment

    @property
    def has_video(self) -> bool:
        """Whether an episode is filmed once the run is finished."""
        return bool(self.config.get("video", False))

    @property
    def checkpoint(self) -> Path:
        """The agent's file; it exists from the first checkpoint on."""
        return self.folder / "checkpoint" / "agent.safetensors"

    @property
    def status(self) -> RunStatus:
        """How the run stands; ``running`` also where it was killed."""
        status = self._status()["status"]
        if status not in get_args(RunStatus):
            raise ValueError(f"expected one of {get_args(RunStatus)}, got {status!r}")
        return cast(RunStatus, status)

    @property
    def message(self) -> str | None:
        """Why the run failed, or None."""
        return cast("str | None", self._status()["message"])

    @property
    def train_seconds(self) -> float:
        """Wall time of training, evaluation not counted."""
        return float(self._status()["train_seconds"])

    @property
    def num_timesteps(self) -> int:
        """Environment steps taken when the status was last written."""
        return int(self._status()["num_timesteps"])

    def _status(self) -> dict[str, Any]:
        source = self.folder / "status.json"
        with _readable(source, "the status of a run"):
            value: dict[str, Any] = json.loads(source.read_text(encoding="utf-8"))
            if missing := _STATUS_KEYS - set(value):
                raise ValueError(f"it lacks {', '.join(sorted(missing))}")
        return value

    def set_status(
        self,
        status: RunStatus,
        num_timesteps: int,
        train_seconds: float,
        message: str | None = None,
    ) -> None:
        """Write ``status.json``."""
        value = {
            "status": status,
            "message": message,
            "num_timesteps": num_timesteps,
            "train_seconds": round(train_seconds, 6),
            "process": os.getpid(),
        }
        write_json(self.folder / "status.json", value)

    def evaluations(self) -> list[EvaluationPoint]:
        """The evaluations so far, by step."""
        source = self.folder / "evaluations.csv"
        if not source.is_file():
            return []
        with (
            _readable(source, "the evaluations of a run"),
            open(source, encoding="utf-8", newline="") as file,
        ):
            return [EvaluationPoint.from_row(row) for row in csv.DictReader(file)]

    def evaluations_until(self, step: int) -> list[EvaluationPoint]:
        """Those that a checkpoint at this step knows of."""
        return [point for point in self.evaluations() if point.timesteps <= step]

    def write_evaluations(self, points: Iterable[EvaluationPoint]) -> None:
        """Write ``evaluations.csv`` anew, whole or not at all."""
        text = io.StringIO()
        names = [entry.name for entry in fields(EvaluationPoint)]
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(point) for point in points)
        write_text(self.folder / "evaluations.csv", text.getvalue())

    def metrics(self) -> list[dict[str, int | float]]:
        """The rows of ``metrics.csv``, without the columns that a row leaves empty."""
        from .scalars import read_rows

        return read_rows(self.folder / "metrics.csv")

    def load_agent(self, env: EnvLike | None = None) -> AbstractAgent:
        """The agent of the last checkpoint.

        Args:
            env: To go on learning in; None is a new environment of the run's kind.

        Raises:
            FileNotFoundError: The run has no checkpoint yet.
            ValueError: The checkpoint is damaged.
        """
        from .catalogue import agent_class

        source = self.environment.make() if env is None else env
        return agent_class(self.settings.agent).load(self.checkpoint, env=source)


@contextmanager
def _readable(source: Path, what: str) -> Iterator[None]:
    """Name the file in whatever its damage leads to."""
    try:
        yield
    except (ValueError, TypeError, KeyError, csv.Error) as error:
        raise ValueError(f"expected {what}, got {source}, which is damaged ({error})") from error


def new_run_folder(root: str | os.PathLike[str], settings: RunSettings) -> Path:
    """A new folder ``<root>/<environment>/<agent>/<seed>-<time>``, made and empty."""
    parent = Path(root) / folder_name(settings.environment.label) / folder_name(settings.agent)
    return new_folder(parent, str(settings.seed))


def new_folder(parent: Path, name: str) -> Path:
    """A new folder ``<parent>/<name>-<time>``, made and empty."""
    parent.mkdir(parents=True, exist_ok=True)
    base = f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    for attempt in range(1, 10_000):
        folder = parent / (base if attempt == 1 else f"{base}-{attempt}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise FileExistsError(f"expected room for a new run in {parent}, found {base} 9999 times")
