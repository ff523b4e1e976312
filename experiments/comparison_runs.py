"""One run of a comparison: done, gone on with, or read back from disk.

A run's folder is named after a fingerprint of its settings and of the agent's defaults, so that
the same command finds what it did before: a finished run is read, one that was cut goes on from
its checkpoint, and one of a library that keeps no full checkpoints is done again. Whatever goes
wrong is part of the result.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..configuration import build_config
from .catalogue import agent_class
from .environment_names import folder_name
from .population_records import PopulationRecord
from .preparation import from_json, prepare_run
from .records import RunRecord, RunSettings
from .results import RunResult, Status
from .training import TrainResult, agent_resumes, begin_run, continue_run

__all__ = ["UNREADABLE", "ComparisonRun"]

UNREADABLE = (FileNotFoundError, ValueError, KeyError, TypeError)
"""What a record raises that was cut early or is damaged."""


@dataclass(frozen=True)
class ComparisonRun:
    """One agent in one environment with one seed, as part of a comparison.

    Attributes:
        settings: What to do.
        root: The comparison's folder.
    """

    settings: RunSettings
    root: Path

    @property
    def folder(self) -> Path:
        """Where its record lies."""
        settings = self.settings
        return (
            self.root
            / "runs"
            / folder_name(settings.environment.label)
            / folder_name(settings.agent)
            / f"{settings.seed}-{self._fingerprint}"
        )

    @cached_property
    def _fingerprint(self) -> str:
        settings = self.settings
        chosen = dict(settings.hyperparameters)
        chosen.pop("simulator", None)  # how to learn, which is not the config's
        agent_type = agent_class(settings.agent)
        config = build_config(
            agent_type.Config, from_json(agent_type, chosen), agent_type.__name__
        )
        return hashlib.sha256(f"{settings.fingerprint} {config}".encode()).hexdigest()[:10]

    def finished(self) -> RunResult | None:
        """The result on disk, or None where the run has not finished."""
        try:
            finished = RunRecord.open(self.folder).status == "finished"
            return self.result() if finished else None
        except UNREADABLE:
            return None

    def steps_taken(self) -> int:
        """Environment steps so far, as its last checkpoint says."""
        try:
            return RunRecord.open(self.folder).num_timesteps
        except UNREADABLE:
            return 0

    def execute(self) -> RunResult:
        """Run, and return what came of it; only Ctrl-C a second time is raised."""
        done = self.finished()
        if done is not None:
            return done
        try:
            result = self._run()
            if result.status != "finished":
                return self.without_result("interrupted", None)
            return self.result()
        except Exception as error:  # of whatever library: it must not take the others with it
            message = " ".join(str(error).split()) or type(error).__name__
            return self.without_result("failed", message)

    def has_begun(self) -> bool:
        """Whether a process took it up, and did not come to an end with it."""
        try:
            return RunRecord.open(self.folder).status == "running"
        except (FileNotFoundError, ValueError):
            return self.folder.exists()

    def _run(self) -> TrainResult:
        record = self.record_to_go_on_with()
        if record is not None:
            return continue_run(record)
        self.clear()
        agent, evaluator = prepare_run(self.settings)
        self.folder.mkdir(parents=True)
        return begin_run(agent, evaluator, self.settings, self.folder)

    def record_to_go_on_with(self) -> RunRecord | None:
        """The record of a run that was cut; a damaged one is begun anew."""
        try:
            record = RunRecord.open(self.folder)
            record.evaluations()
            if record.status == "finished":  # its result would have been read
                return None
        except UNREADABLE:
            return None
        resumes = record.checkpoint.exists() and agent_resumes(self.settings.agent)
        return record if resumes else None

    def population(self) -> PopulationRecord | None:
        """The population of which the run is a member, or None.

        Raises:
            FileNotFoundError: A file of it is gone, as ValueError where one is damaged.
        """
        return PopulationRecord.of(RunRecord.open(self.folder))

    def clear(self) -> None:
        """Remove what is there of the run, and of a population that cannot go on without it."""
        try:
            population = self.population()
        except UNREADABLE:
            population = None
        if population is not None:
            shutil.rmtree(population.folder, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def result(self) -> RunResult:
        """What the record of a finished run says.

        Raises:
            ValueError: It is damaged.
        """
        record = RunRecord.open(self.folder)
        points = record.evaluations()
        if not points:
            raise ValueError(f"expected evaluations of a finished run in {record.folder}")
        last = points[-1]
        exact = last.exact_return is not None
        return RunResult(
            environment=self.settings.environment.label,
            agent=self.settings.agent,
            seed=self.settings.seed,
            status="finished",
            error=None,
            timesteps=record.num_timesteps,
            wall_seconds=record.train_seconds,
            simulator=record.config.get("simulator"),
            curve_steps=[point.timesteps for point in points],
            curve_returns=[point.score for point in points],
            final_return=last.score,
            final_episodes=0 if exact else last.num_episodes,
            exact=exact,
            record=self.relative_folder,
        )

    def without_result(self, status: Status, error: str | None) -> RunResult:
        """The result of a run that did not finish."""
        return RunResult(
            environment=self.settings.environment.label,
            agent=self.settings.agent,
            seed=self.settings.seed,
            status=status,
            error=error,
            timesteps=self.steps_taken(),
            wall_seconds=0.0,
            simulator=None,
            curve_steps=[],
            curve_returns=[],
            final_return=None,
            final_episodes=0,
            exact=False,
            record=self.relative_folder,
        )

    @property
    def relative_folder(self) -> str:
        """The folder as results name it."""
        return self.folder.relative_to(self.root).as_posix()
