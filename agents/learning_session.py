"""One call of ``learn``: its budget, its callbacks, its scalars, its progress bar.

Without a callback the learner takes steps in chunks of about a tenth of a second, so that Ctrl-C
and the progress bar are served; with one, Stable-Baselines3's callbacks are called after every
environment step and find in ``locals`` what they look for there. The size of a chunk never changes
what is learnt.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .agent import Callback

if TYPE_CHECKING:
    from stable_baselines3.common.callbacks import BaseCallback

    from .learner import AbstractLearner

__all__ = ["LearningSession", "ScalarLog", "Step", "as_callback", "check_budget"]

_CHUNK_SECONDS = 0.1
_FIRST_CHUNK = 1 << 10


def check_budget(total_timesteps: Any) -> int:
    """The budget, if it is a positive integer.

    Raises:
        ValueError: It is not.
    """
    if isinstance(total_timesteps, bool) or not isinstance(total_timesteps, int | np.integer):
        raise ValueError(f"expected an integer number of timesteps, got {total_timesteps!r}")
    if total_timesteps < 1:
        raise ValueError(f"expected at least one timestep, got {total_timesteps}")
    return int(total_timesteps)


@dataclass(frozen=True)
class Step:
    """One step of one environment as callbacks see it, in the environment's own terms.

    Attributes:
        observation: What it led to.
        action: What was done.
        reward: What it brought.
        terminated: Whether it ended the episode.
        truncated: Whether a cap cut the episode.
        info: What the environment said.
        episode: (return, length) of the episode that it ended, or None.
    """

    observation: Any
    action: Any
    reward: float
    terminated: bool
    truncated: bool
    info: dict[str, Any]
    episode: tuple[float, int] | None = None


class LearningSession:
    """Runs one budget of steps on behalf of a learner.

    Args:
        agent: The learner; the session calls its ``_advance``.
        budget: Steps to take.
        callback: As given to ``learn``.
        log_interval: Episodes between two dumps of the logger.
        tb_log_name: Shown to callbacks.
        progress_bar: Whether to show one.
    """

    def __init__(
        self,
        agent: AbstractLearner,
        budget: int,
        callback: Callback,
        *,
        log_interval: int,
        tb_log_name: str,
        progress_bar: bool,
    ) -> None:
        self._agent = agent
        self._end = agent.num_timesteps + budget
        self._callback = None if callback is None else as_callback(callback)
        self._log = ScalarLog(agent, log_interval)
        self._locals: dict[str, Any] = {
            "self": agent,
            "total_timesteps": self._end,
            "tb_log_name": tb_log_name,
            "log_interval": log_interval,
            "progress_bar": progress_bar,
        }
        self._bar = _progress_bar(budget) if progress_bar else None
        self._started = time.perf_counter()

    def run(self) -> None:
        """Take the steps."""
        try:
            if self._callback is None:
                self._run_chunks()
            else:
                self._run_steps(self._callback)
        finally:
            if self._bar is not None:
                self._bar.close()

    def _run_chunks(self) -> None:
        agent = self._agent
        chunk = _FIRST_CHUNK
        while agent.num_timesteps < self._end:
            self._limit_log()
            before, moment = agent.num_timesteps, time.perf_counter()
            agent._advance(min(chunk, self._end - before))
            taken, seconds = agent.num_timesteps - before, time.perf_counter() - moment
            chunk = int(min(2 * chunk, max(1.0, taken * _CHUNK_SECONDS / max(seconds, 1e-9))))
            if self._bar is not None:
                self._bar.update(taken)
            self._log.dump_if_due()

    def _run_steps(self, callback: BaseCallback) -> None:
        agent = self._agent
        callback.init_callback(agent)  # type: ignore[arg-type]  # structurally what callbacks use
        callback.on_training_start(self._locals, globals())
        callback.on_rollout_start()
        going_on = True
        while going_on and agent.num_timesteps < self._end:
            self._limit_log()
            before = agent.num_timesteps
            agent._advance(1)
            self._show_steps()
            if self._bar is not None:
                self._bar.update(agent.num_timesteps - before)
            self._log.dump_if_due()
            going_on = callback.on_step()
        callback.on_rollout_end()
        callback.on_training_end()

    def _show_steps(self) -> None:
        """Tell callbacks of the last steps: all of them hold the dictionary that changes here."""
        steps = self._agent._last_steps()
        self._locals.update(
            new_obs=[step.observation for step in steps],
            actions=np.array([step.action for step in steps]),
            rewards=np.array([step.reward for step in steps]),
            dones=np.array([step.terminated or step.truncated for step in steps]),
            infos=[self._info_of(step) for step in steps],
        )

    def _info_of(self, step: Step) -> dict[str, Any]:
        info = dict(step.info)
        info["TimeLimit.truncated"] = step.truncated and not step.terminated
        if step.terminated or step.truncated:
            info["terminal_observation"] = step.observation
        if step.episode is not None:
            total, length = step.episode
            seconds = round(time.perf_counter() - self._started, 6)
            info["episode"] = {"r": total, "l": length, "t": seconds}
        return info

    def _limit_log(self) -> None:
        limit = self._log.episodes_to_go if self._log.is_read else None
        self._agent._limit_episodes(limit)


class ScalarLog:
    """Dumps of a learner's scalars, one every so many episodes.

    Args:
        agent: The learner.
        log_interval: Episodes between two dumps.
    """

    def __init__(self, agent: AbstractLearner, log_interval: int) -> None:
        self._agent = agent
        self._interval = max(1, int(log_interval))
        # counted over the agent's life, so that many short calls log as often as one long one
        self._logged = agent.num_episodes - agent.num_episodes % self._interval
        self._first_step = agent.num_timesteps
        self._started = time.perf_counter()

    @property
    def is_read(self) -> bool:
        """Whether anybody reads the logger."""
        return self._agent.has_log_outputs

    @property
    def episodes_to_go(self) -> int:
        """Until the next dump."""
        return max(1, self._logged + self._interval - self._agent.num_episodes)

    def dump_if_due(self) -> None:
        """Write the scalars if so many episodes have ended."""
        agent = self._agent
        if agent.num_episodes - self._logged < self._interval:
            return
        self._logged = agent.num_episodes
        if not self.is_read:
            return
        seconds = time.perf_counter() - self._started
        logger = agent.logger
        logger.record("rollout/ep_rew_mean", float(agent.episode_returns.mean()))
        logger.record("rollout/ep_len_mean", float(agent.episode_lengths.mean()))
        for name, value in agent._scalars().items():
            logger.record(name, value)
        fps = int((agent.num_timesteps - self._first_step) / max(seconds, 1e-9))
        logger.record("time/fps", fps)
        logger.record("time/episodes", agent.num_episodes)
        logger.record("time/time_elapsed", int(seconds), exclude="tensorboard")
        logger.record("time/total_timesteps", agent.num_timesteps, exclude="tensorboard")
        logger.dump(step=agent.num_timesteps)


def as_callback(callback: Callback) -> BaseCallback:
    """Stable-Baselines3's callback, from what ``learn`` takes.

    Raises:
        TypeError: It is none.
    """
    from stable_baselines3.common.callbacks import BaseCallback, CallbackList, ConvertCallback

    if isinstance(callback, list):
        return CallbackList(callback)
    if isinstance(callback, BaseCallback):
        return callback
    if callable(callback):
        return ConvertCallback(callback)
    raise TypeError(
        f"expected a callback, a list of callbacks or a function, got {type(callback).__name__}"
    )


def _progress_bar(budget: int) -> Any:
    from tqdm import tqdm

    return tqdm(total=budget, unit=" steps", unit_scale=True, dynamic_ncols=True)
