"""A session of training: learn, evaluate, save, and stop only where everything fits together.

A run evaluates at the steps 0, E, 2E, ..., and saves at C, 2C, ..., and both at the end. At one
step the evaluation is written before the checkpoint, so that a checkpoint at step t means that
all evaluations up to t are on disk; what is on disk of later steps is dropped when the run goes on
from there. The members of a population do all this in step, in one session.

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
import statistics
import threading
import time
from collections.abc import Callable, Sequence

from stable_baselines3.common.callbacks import BaseCallback

from ..agents.planning.planner import AbstractPlanner
from .peers import AbstractPeer
from .recording import Recording
from .records import RunStatus
from .trainees import AbstractTrainee

__all__ = ["ProgressWatcher", "RunFailedError", "TrainingSession"]

ProgressWatcher = Callable[[int, float | None], None]
"""Called with the steps that all agents took together and, after an evaluation, the mean score."""

_log = logging.getLogger(__name__)
_CHUNK_SECONDS = 0.25
_LINES = 500


class RunFailedError(RuntimeError):
    """A run ended by an error of its environment, its agent or the disk; the record says why."""


class TrainingSession:
    """Drives one agent through its run, or the members of a population through theirs.

    Args:
        trainee: What learns, new or as its checkpoint left it.
        recordings: Of each agent, with one budget and one rhythm.
        train_seconds: Wall time of an earlier part, of each agent.
        on_progress: Called with what `ProgressWatcher` says.

    Attributes:
        trainee: What learns.
        train_seconds: Wall time of learning, evaluation not counted; of a population its members'
            equal shares.
        total_timesteps: The budget.
    """

    def __init__(
        self,
        trainee: AbstractTrainee,
        recordings: Sequence[Recording],
        *,
        train_seconds: float = 0.0,
        on_progress: ProgressWatcher | None = None,
    ) -> None:
        self.trainee = trainee
        self.train_seconds = train_seconds
        self._recordings = recordings
        self._settings = recordings[0].record.settings
        self.total_timesteps = self._settings.total_timesteps
        self._on_progress = on_progress
        self._chunk = 1_000

    def run(self, interrupted: threading.Event) -> RunStatus:
        """Go on to the end of the budget.

        Args:
            interrupted: Once it is set the session saves and stops.

        Returns:
            ``finished`` or ``interrupted``.

        Raises:
            RunFailedError: Something raised; the last checkpoint is kept and the records say why.
        """
        try:
            finished = self._drive(interrupted)
            if finished:
                self._film()
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
        agent = self.trainee.agents[0]
        if isinstance(agent, AbstractPlanner):
            return self._plan(agent)
        if isinstance(agent, AbstractPeer):
            return self._learn_in_one_call(agent, interrupted)
        return self._learn_in_chunks(interrupted)

    def _plan(self, agent: AbstractPlanner) -> bool:
        begun = time.perf_counter()
        agent.learn(1)
        self.train_seconds += time.perf_counter() - begun
        self._evaluate(0)
        self._save()
        return True

    def _learn_in_chunks(self, interrupted: threading.Event) -> bool:
        if self.trainee.num_timesteps == 0:
            self._evaluate(0)
        while self.trainee.num_timesteps < self.total_timesteps:
            step = self._next_point()
            self._learn_to(step, interrupted)
            if self.trainee.num_timesteps >= step:
                self.visit(step)
            if interrupted.is_set() and self.trainee.num_timesteps < self.total_timesteps:
                self._save()
                return False
        return True

    def _learn_in_one_call(self, agent: AbstractPeer, interrupted: threading.Event) -> bool:
        self._evaluate(0)
        watcher = _PointWatcher(self, agent, interrupted)
        agent.learn(self.total_timesteps, callback=watcher)
        watcher.stop_clock()
        if agent.num_timesteps < self.total_timesteps:
            self._save()
            return False
        self.visit(self.total_timesteps)
        return True

    # ---- points ---------------------------------------------------------------------------------

    def _next_point(self) -> int:
        """The next step at which there is something to do besides learning."""
        settings, now = self._settings, self.trainee.num_timesteps
        evaluate = (now // settings.evaluate_every + 1) * settings.evaluate_every
        save = (now // settings.checkpoint_every + 1) * settings.checkpoint_every
        return min(evaluate, save, self.total_timesteps)

    def _learn_to(self, step: int, interrupted: threading.Event) -> None:
        trainee = self.trainee
        while trainee.num_timesteps < step and not interrupted.is_set():
            wanted = min(self._chunk, step - trainee.num_timesteps)
            begun = time.perf_counter()
            trainee.learn(wanted, log_interval=self._log_interval())
            seconds = time.perf_counter() - begun
            self.train_seconds += seconds / len(self._recordings)
            if wanted == self._chunk and seconds < _CHUNK_SECONDS / 2:
                self._chunk *= 2
            elif seconds > 2 * _CHUNK_SECONDS:
                self._chunk = max(1, self._chunk // 2)
            self.report()

    def _log_interval(self) -> int:
        """Episodes between two lines of scalars: at least four, and some 500 lines in all."""
        agents = self.trainee.agents
        episodes = statistics.fmean(getattr(agent, "num_episodes", 0) for agent in agents)
        steps = max(1, self.trainee.num_timesteps)
        return max(4, round(episodes / steps * self.total_timesteps / _LINES))

    def is_point(self, step: int) -> bool:
        """Whether there is something to do at a step."""
        settings = self._settings
        return step % settings.evaluate_every == 0 or step % settings.checkpoint_every == 0

    def visit(self, step: int) -> None:
        """Do what is to be done at a step, if anything: evaluate, then save."""
        last = step >= self.total_timesteps
        if last or step % self._settings.evaluate_every == 0:
            self._evaluate(step)
        if last or step % self._settings.checkpoint_every == 0:
            self._save()
            if not last and not self.trainee.tells_its_state:
                self.trainee.reload()

    def _evaluate(self, step: int) -> None:
        agents = self.trainee.agents
        points = [
            recording.evaluate(agent, step, self.train_seconds)
            for recording, agent in zip(self._recordings, agents, strict=True)
        ]
        self.report(statistics.fmean(point.score for point in points))

    def _film(self) -> None:
        # only after the last checkpoint, whose bytes an agent that acts once more might change
        for recording, agent in zip(self._recordings, self.trainee.agents, strict=True):
            recording.film(agent)

    def _save(self) -> None:
        checkpoint = self.trainee.checkpoint
        try:
            self.trainee.save()
        except OSError as error:
            kept = f", the one before it is kept in {checkpoint}" if checkpoint.exists() else ""
            raise OSError(
                f"the checkpoint at step {self.trainee.num_timesteps} could not be saved{kept}: "
                f"{error}"
            ) from error
        self._set_status("running")

    # ---- what it tells --------------------------------------------------------------------------

    def report(self, score: float | None = None) -> None:
        """Tell whoever watches how far it is."""
        if self._on_progress is not None:
            self._on_progress(self.trainee.num_timesteps * len(self._recordings), score)

    def _set_status(self, status: RunStatus, message: str | None = None) -> None:
        steps, seconds = self.trainee.num_timesteps, self.train_seconds
        for recording in self._recordings:
            recording.record.set_status(status, steps, seconds, message)

    def _failure(self, error: Exception) -> RunFailedError:
        trainee, reason = self.trainee, f"{type(error).__name__}: {error}"
        try:
            self._set_status("failed", reason)
        except OSError as second:  # the disk that failed the run may be full for this as well
            _log.warning("the status of %s could not be written: %s", trainee.folder, second)
        kept = "; the last checkpoint is kept" if trainee.checkpoint.exists() else ""
        return RunFailedError(
            f"{trainee.title} failed after {trainee.num_timesteps} steps: {reason}{kept} "
            f"({trainee.folder})"
        )


class _PointWatcher(BaseCallback):
    """Visits a session's points while another library's loop runs, and times that loop alone."""

    def __init__(
        self, session: TrainingSession, agent: AbstractPeer, interrupted: threading.Event
    ) -> None:
        super().__init__()
        self._session = session
        self._agent = agent
        self._interrupted = interrupted
        self._resumed = time.perf_counter()
        self._next_report = 0.0

    def _on_step(self) -> bool:
        session = self._session
        self._agent.num_timesteps = self.num_timesteps
        if self.num_timesteps < session.total_timesteps and session.is_point(self.num_timesteps):
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
