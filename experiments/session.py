"""One run in progress: learn, evaluate, save, and stop only where everything fits together.

A run evaluates at the steps 0, E, 2E, ..., and saves at C, 2C, ..., and both at the end. At one
step the evaluation is written before the checkpoint, so that a checkpoint at step t means that
all evaluations up to t are on disk; what is on disk of later steps is dropped when the run goes on
from there.

Between these points our own agents learn in chunks of a fraction of a second (`learn` of n steps
and n more is `learn` of 2n), so that Ctrl-C, the progress bar and the clock need no callback after
every step. The algorithms of other libraries learn in one call, watched by a callback, and
planners need no steps at all.

Some environments cannot tell their state (a physics engine, a window). A learner that goes on from
a checkpoint then begins a new episode, and so that this changes nothing of the result, a run in
such an environment does the same at every regular checkpoint, whether it was killed or not.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gymnasium.vector import VectorEnv
from stable_baselines3.common.callbacks import BaseCallback

from ..agents.agent import AbstractAgent
from ..agents.learner import AbstractLearner
from ..agents.planning.planner import AbstractPlanner
from .evaluator import Evaluator
from .peers import AbstractPeer
from .records import EvaluationPoint, RunRecord, RunStatus

if TYPE_CHECKING:
    from stable_baselines3.common.logger import Logger

__all__ = ["ProgressWatcher", "RunFailedError", "TrainingSession"]

ProgressWatcher = Callable[[int, EvaluationPoint | None], None]

_log = logging.getLogger(__name__)
_CHUNK_SECONDS = 0.25
_LINES = 500


class RunFailedError(RuntimeError):
    """A run ended by an error of its environment, its agent or the disk; the record says why."""


class TrainingSession:
    """Drives one agent through one run.

    Args:
        agent: The agent, new or as its checkpoint left it.
        record: Where to write.
        evaluator: Asks how good the agent is.
        logger: For scalars.
        points: The evaluations of an earlier part of the run.
        train_seconds: Wall time of an earlier part.
        on_progress: Called with the steps taken, and the evaluation if there was one.

    Attributes:
        agent: The agent as it is now.
        points: All evaluations so far.
        train_seconds: Wall time of learning, evaluation not counted.
    """

    def __init__(
        self,
        agent: AbstractAgent,
        record: RunRecord,
        evaluator: Evaluator,
        logger: Logger,
        *,
        points: list[EvaluationPoint],
        train_seconds: float = 0.0,
        on_progress: ProgressWatcher | None = None,
    ) -> None:
        self.agent = agent
        self.record = record
        self.points = points
        self.train_seconds = train_seconds
        self._evaluator = evaluator
        self._logger = logger
        self._on_progress = on_progress
        self._chunk = 1_000
        self._first_step = agent.num_timesteps
        self._first_seconds = train_seconds

    def run(self, interrupted: threading.Event) -> RunStatus:
        """Go on to the end of the budget.

        Args:
            interrupted: Once it is set the session saves and stops.

        Returns:
            ``finished`` or ``interrupted``.

        Raises:
            RunFailedError: Something raised; the last checkpoint is kept and the record says why.
        """
        try:
            finished = self._drive(interrupted)
        except KeyboardInterrupt:  # a second Ctrl-C: the agent may be in the middle of a step
            self._set_status("interrupted")
            raise
        except Exception as error:
            raise self._failure(error) from error
        status: RunStatus = "finished" if finished else "interrupted"
        self._set_status(status)
        return status

    # ---- three ways through a run; each says whether the budget was used up ---------------------

    def _drive(self, interrupted: threading.Event) -> bool:
        if isinstance(self.agent, AbstractPlanner):
            return self._plan()
        if isinstance(self.agent, AbstractPeer):
            return self._learn_in_one_call(self.agent, interrupted)
        return self._learn_in_chunks(interrupted)

    def _plan(self) -> bool:
        begun = time.perf_counter()
        self.agent.learn(1)
        self.train_seconds += time.perf_counter() - begun
        self._evaluate(0)
        self._save()
        return True

    def _learn_in_chunks(self, interrupted: threading.Event) -> bool:
        if self.agent.num_timesteps == 0:
            self._evaluate(0)
        while self.agent.num_timesteps < self._total:
            step = self._next_point()
            self._learn_to(step, interrupted)
            if interrupted.is_set() and self.agent.num_timesteps < self._total:
                self._save()
                return False
            self.visit(step)
        return True

    def _learn_in_one_call(self, agent: AbstractPeer, interrupted: threading.Event) -> bool:
        self._evaluate(0)
        watcher = _PointWatcher(self, interrupted)
        agent.learn(self._total, callback=watcher)
        watcher.stop_clock()
        if agent.num_timesteps < self._total:
            self._save()
            return False
        self.visit(self._total)
        return True

    # ---- points ---------------------------------------------------------------------------------

    @property
    def _total(self) -> int:
        return self.record.settings.total_timesteps

    def _next_point(self) -> int:
        """The next step at which there is something to do besides learning."""
        settings, now = self.record.settings, self.agent.num_timesteps
        evaluate = (now // settings.evaluate_every + 1) * settings.evaluate_every
        save = (now // settings.checkpoint_every + 1) * settings.checkpoint_every
        return min(evaluate, save, self._total)

    def _learn_to(self, step: int, interrupted: threading.Event) -> None:
        agent = self.agent
        while agent.num_timesteps < step and not interrupted.is_set():
            wanted = min(self._chunk, step - agent.num_timesteps)
            begun = time.perf_counter()
            agent.learn(wanted, log_interval=self._log_interval())
            seconds = time.perf_counter() - begun
            self.train_seconds += seconds
            if wanted == self._chunk and seconds < _CHUNK_SECONDS / 2:
                self._chunk *= 2
            elif seconds > 2 * _CHUNK_SECONDS:
                self._chunk = max(1, self._chunk // 2)
            self.report()

    def _log_interval(self) -> int:
        """Episodes between two lines of scalars: at least four, and some 500 lines in all."""
        episodes = getattr(self.agent, "num_episodes", 0)
        steps = max(1, self.agent.num_timesteps)
        return max(4, round(episodes / steps * self._total / _LINES))

    def visit(self, step: int) -> None:
        """Do what is to be done at a step, if anything: evaluate, then save."""
        settings = self.record.settings
        last = step >= self._total
        if last or step % settings.evaluate_every == 0:
            self._evaluate(step)
        if last or step % settings.checkpoint_every == 0:
            self._save()
            if not last and not _tells_its_state(self.agent):
                self._begin_as_if_resumed()

    def _evaluate(self, step: int) -> None:
        point = self._evaluator(self.agent, step, self.train_seconds)
        self.points.append(point)
        self.record.write_evaluations(self.points)
        self._log_point(point)
        self.report(point)

    def _save(self) -> None:
        checkpoint = self.record.checkpoint
        try:
            self.agent.save(checkpoint)
        except OSError as error:
            kept = f", the one before it is kept in {checkpoint}" if checkpoint.exists() else ""
            raise OSError(
                f"the checkpoint at step {self.agent.num_timesteps} could not be saved{kept}: "
                f"{error}"
            ) from error
        self._set_status("running")

    def _begin_as_if_resumed(self) -> None:
        logger = self.agent.logger
        with _expected("the environment's state could not be restored"):
            env = self.agent.env
            assert not isinstance(env, VectorEnv)  # a run has one environment
            self.agent = type(self.agent).load(self.record.checkpoint, env=env)
        self.agent.set_logger(logger)

    # ---- what it tells --------------------------------------------------------------------------

    def report(self, point: EvaluationPoint | None = None) -> None:
        """Tell whoever watches how far it is."""
        if self._on_progress is not None:
            self._on_progress(self.agent.num_timesteps, point)

    def _log_point(self, point: EvaluationPoint) -> None:
        logger = self._logger
        logger.record("eval/mean_reward", point.mean_reward)
        if point.mean_ep_length is not None:
            logger.record("eval/mean_ep_length", point.mean_ep_length)
        if point.exact_return is not None:
            logger.record("eval/exact_return", point.exact_return)
        if point.num_episodes:
            logger.record("eval/interval_low", point.low)
            logger.record("eval/interval_high", point.high)
            logger.record("eval/num_capped", point.num_capped)
        logger.record("time/total_timesteps", point.timesteps, exclude="tensorboard")
        logger.record("time/train_seconds", self.train_seconds)
        steps = self.agent.num_timesteps - self._first_step
        seconds = self.train_seconds - self._first_seconds
        if steps and seconds > 0:
            logger.record("time/fps", int(steps / seconds))
        self._draw_values()
        logger.dump(point.timesteps)

    def _draw_values(self) -> None:
        model = self._evaluator.model
        if model is None or model.layout is None:
            return
        from .value_images import value_image

        image = value_image(self.agent, model)
        if image is not None:
            excluded = ("stdout", "log", "json", "csv")
            self._logger.record("values/heat_map", image, exclude=excluded)

    def _set_status(self, status: RunStatus, message: str | None = None) -> None:
        steps, seconds = self.agent.num_timesteps, self.train_seconds
        self.record.set_status(status, steps, seconds, message)

    def _failure(self, error: Exception) -> RunFailedError:
        reason = f"{type(error).__name__}: {error}"
        try:
            self._set_status("failed", reason)
        except OSError as second:  # the disk that failed the run may be full for this as well
            _log.warning("the status of %s could not be written: %s", self.record.folder, second)
        kept = "; the last checkpoint is kept" if self.record.checkpoint.exists() else ""
        return RunFailedError(
            f"{self.record.settings.agent} on {self.record.settings.environment.label} failed "
            f"after {self.agent.num_timesteps} steps: {reason}{kept} ({self.record.folder})"
        )


class _PointWatcher(BaseCallback):
    """Visits a session's points while another library's loop runs, and times that loop alone."""

    def __init__(self, session: TrainingSession, interrupted: threading.Event) -> None:
        super().__init__()
        self._session = session
        self._interrupted = interrupted
        self._resumed = time.perf_counter()
        self._next_report = 0.0

    def _on_step(self) -> bool:
        session = self._session
        session.agent.num_timesteps = self.num_timesteps
        settings = session.record.settings
        steps = (settings.evaluate_every, settings.checkpoint_every)
        if self.num_timesteps < settings.total_timesteps and any(
            self.num_timesteps % every == 0 for every in steps
        ):
            self.stop_clock()
            session.visit(self.num_timesteps)
            self._resumed = time.perf_counter()
        elif time.perf_counter() > self._next_report:
            session.report()
            self._next_report = time.perf_counter() + _CHUNK_SECONDS
        return not self._interrupted.is_set()

    def stop_clock(self) -> None:
        """Add what has passed to the session's training time."""
        now = time.perf_counter()
        self._session.train_seconds += now - self._resumed
        self._resumed = now


@contextmanager
def _expected(message: str) -> Iterator[None]:
    """Leave one warning of the learner unsaid: here it is no surprise, but what is wanted."""
    learner_log = logging.getLogger(AbstractLearner.__module__)

    def is_other(record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(message)

    learner_log.addFilter(is_other)
    try:
        yield
    finally:
        learner_log.removeFilter(is_other)


def _tells_its_state(agent: AbstractAgent) -> bool:
    return not isinstance(agent, AbstractLearner) or agent.tells_its_state
