"""A run's record while it is written: its evaluations, and the scalars beside them.

One agent has one recording, whether it is trained alone or as a member of a population.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from ..agents.agent import AbstractAgent
from .evaluator import Evaluator
from .records import EvaluationPoint, RunRecord
from .scalars import record_film

if TYPE_CHECKING:
    from stable_baselines3.common.logger import Logger

    from .episode_video import EpisodeVideo

__all__ = ["Recording"]

_STREAM = 0xF11A  # keeps the seed of the filmed episode apart from those of evaluation

_log = logging.getLogger(__name__)


class Recording:
    """Writes down what one agent does in a session.

    Args:
        record: Where to write.
        evaluator: Asks how good the agent is.
        logger: For scalars.
        points: The evaluations of an earlier part of the run.
        first_step: Steps that the agent had taken before this session.
        first_seconds: Wall time of training before this session.
        video: Films an episode in the end, or None.

    Attributes:
        record: Where it writes.
        evaluator: What asks.
        points: All evaluations so far.
    """

    def __init__(
        self,
        record: RunRecord,
        evaluator: Evaluator,
        logger: Logger,
        *,
        points: list[EvaluationPoint],
        first_step: int = 0,
        first_seconds: float = 0.0,
        video: EpisodeVideo | None = None,
    ) -> None:
        self.record = record
        self.evaluator = evaluator
        self.points = points
        self._logger = logger
        self._first_step = first_step
        self._first_seconds = first_seconds
        self._video = video

    def evaluate(self, agent: AbstractAgent, step: int, train_seconds: float) -> EvaluationPoint:
        """Evaluate the agent after so many steps of training, and write that down."""
        point = self.evaluator(agent, step, train_seconds)
        self.points.append(point)
        self.record.write_evaluations(self.points)
        self._log(agent, point)
        return point

    def film(self, agent: AbstractAgent) -> None:
        """Film an episode of the trained agent, where that was asked for.

        What goes wrong with it is told and does not fail a run that has learned what it should.
        """
        if self._video is None:
            return
        step = agent.num_timesteps
        words = np.random.SeedSequence((self.record.settings.seed, _STREAM, step))
        try:
            film = self._video.play(agent, seed=int(words.generate_state(1)[0]))
        except Exception as error:  # of the environment's own library
            _log.warning(
                "%s has no video: %s: %s", self.record.folder, type(error).__name__, error
            )
            return
        record_film(self._logger, "video/episode", film, step=step)

    def _log(self, agent: AbstractAgent, point: EvaluationPoint) -> None:
        logger = self._logger
        logger.record("eval/mean_reward", point.mean_reward)
        if point.mean_ep_length is not None:
            logger.record("eval/mean_ep_length", point.mean_ep_length)
        if point.exact_return is not None:
            logger.record("eval/exact_return", point.exact_return)
        if point.num_episodes:
            logger.record("eval/mean_reward_low", point.low)
            logger.record("eval/mean_reward_high", point.high)
            logger.record("eval/num_capped", point.num_capped)
        logger.record("time/total_timesteps", point.timesteps, exclude="tensorboard")
        logger.record("time/train_seconds", point.train_seconds)
        steps = agent.num_timesteps - self._first_step
        seconds = point.train_seconds - self._first_seconds
        if steps and seconds > 0:
            logger.record("time/fps", int(steps / seconds))
        self._draw_values(agent)
        logger.dump(point.timesteps)

    def _draw_values(self, agent: AbstractAgent) -> None:
        model = self.evaluator.model
        if model is None or model.layout is None:
            return
        from .value_images import value_image

        image = value_image(agent, model)
        if image is not None:
            excluded = ("stdout", "log", "json", "csv")
            self._logger.record("values/heat_map", image, exclude=excluded)
