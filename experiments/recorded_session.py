"""The setting of a session: folders locked, loggers open, a progress bar, Ctrl-C between steps."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..agents.agent import AbstractAgent
from .evaluator import Evaluator
from .folder_lock import folder_lock
from .interruption import interruption
from .progress import session_progress
from .recording import Recording
from .records import EvaluationPoint, RunRecord, RunStatus
from .scalars import record_hyperparameters, run_logger
from .session import TrainingSession
from .trainees import AbstractTrainee

if TYPE_CHECKING:
    from stable_baselines3.common.logger import Logger

    from .episode_video import EpisodeVideo

__all__ = ["RunBeginning", "TrainResult", "run_session"]


@dataclass(frozen=True)
class TrainResult:
    """What a training run comes back with.

    Attributes:
        agent: The trained agent.
        record: The run's folder.
        evaluations: By step.
        status: ``finished``, or ``interrupted`` after Ctrl-C.
    """

    agent: AbstractAgent
    record: RunRecord
    evaluations: tuple[EvaluationPoint, ...]
    status: RunStatus


@dataclass(frozen=True)
class RunBeginning:
    """Where a run stands when a session takes it up.

    Attributes:
        record: Its folder.
        evaluator: Asks how good its agent is.
        points: Its evaluations so far.
        video: Films an episode in the end, or None.
    """

    record: RunRecord
    evaluator: Evaluator
    points: list[EvaluationPoint] = field(default_factory=list)
    video: EpisodeVideo | None = None


def run_session(
    trainee: AbstractTrainee,
    runs: Sequence[RunBeginning],
    *,
    is_new: bool,
    progress_bar: bool,
    console: bool,
) -> tuple[TrainResult, ...]:
    """Train to the end of the budget, or to a Ctrl-C.

    Args:
        trainee: What learns.
        runs: One for each of its agents.
        is_new: Whether the runs have never begun before.
        progress_bar: Show a bar.
        console: Print every dump of the (first) logger.

    Raises:
        FolderInUseError: Another process works on one of the runs.
        RunFailedError: Something raised during the run.
    """
    resumed_at = None if is_new else trainee.num_timesteps
    first = runs[0]
    seconds = first.points[-1].train_seconds if first.points else 0.0
    with ExitStack() as stack:
        for folder in dict.fromkeys([trainee.folder, *(run.record.folder for run in runs)]):
            stack.enter_context(folder_lock(folder))
        recordings = []
        for run, agent in zip(runs, trainee.agents, strict=True):
            stack.enter_context(closing(run.evaluator))
            shown = console and run is first
            logger = stack.enter_context(
                run_logger(run.record.folder, resumed_at=resumed_at, console=shown)
            )
            if is_new:
                _record_hyperparameters(logger, run.record)
            run.record.write_evaluations(run.points)
            agent.set_logger(logger)
            recording = Recording(
                run.record,
                run.evaluator,
                logger,
                points=run.points,
                first_step=trainee.num_timesteps,
                first_seconds=seconds,
                video=run.video,
            )
            recordings.append(recording)
        on_progress = stack.enter_context(
            session_progress(
                trainee.title,
                first.record.settings.total_timesteps * len(runs),
                trainee.num_timesteps * len(runs),
                shown=progress_bar,
            )
        )
        interrupted = stack.enter_context(interruption())
        session = TrainingSession(
            trainee, recordings, train_seconds=seconds, on_progress=on_progress
        )
        status = session.run(interrupted)
    return tuple(
        TrainResult(agent, recording.record, tuple(recording.points), status)
        for agent, recording in zip(trainee.agents, recordings, strict=True)
    )


def _record_hyperparameters(logger: Logger, record: RunRecord) -> None:
    shown = {
        "agent": record.settings.agent,
        "environment": record.settings.environment.label,
        "seed": record.settings.seed,
        **record.config["hyperparameters"],
    }
    record_hyperparameters(logger, shown)
