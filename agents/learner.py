"""What all agents share that learn from steps: sessions of learning, and the episodes seen.

`AbstractLearner.learn` runs a `LearningSession`, which keeps the budget, calls callbacks, writes
scalars and shows progress; the learner itself only takes steps.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from typing import Self

import numpy as np
from numpy.typing import NDArray

from .agent import AbstractAgent, Callback
from .episodes import EpisodeWatcher, FinishedEpisodes, RecentEpisodes
from .learning_session import LearningSession, Step, check_budget

__all__ = ["AbstractLearner", "Step"]

_LOG = logging.getLogger(__name__)


class AbstractLearner(AbstractAgent):
    """An agent that learns from environment steps. Learners implement the abstract members.

    Attributes:
        episode_watcher: Called with every batch of `FinishedEpisodes`, or None.
        environment_restored: False after loading a checkpoint whose environment could not be put
            back into its state, so that the next step begins an episode.
    """

    episode_watcher: EpisodeWatcher | None
    environment_restored: bool
    _episodes: RecentEpisodes

    # ---- what a learner implements --------------------------------------------------------------

    @abstractmethod
    def _advance(self, num_steps: int) -> None:
        """Take up to ``num_steps`` steps, and hand the episodes that ended to `_hear_of`."""

    @abstractmethod
    def _last_steps(self) -> list[Step]:
        """The last step of every copy of the environment that took one."""

    @abstractmethod
    def _begin_session(self) -> None:
        """Called before steps are taken.

        Raises:
            ValueError: There is no environment.
        """

    @abstractmethod
    def _end_session(self) -> None:
        """Called when no more steps are taken, also after an error."""

    @abstractmethod
    def _limit_episodes(self, num_episodes: int | None) -> None:
        """Let `_advance` return when so many episodes have ended; None when it likes."""

    @abstractmethod
    def _scalars(self) -> dict[str, float]:
        """Scalars to log at the ends of episodes, by their TensorBoard names."""

    @property
    @abstractmethod
    def tells_its_state(self) -> bool:
        """Whether a checkpoint holds the environment's own state, so that nothing is lost."""

    # ---- learning -------------------------------------------------------------------------------

    def learn(
        self,
        total_timesteps: int,
        callback: Callback = None,
        *,
        log_interval: int = 4,
        tb_log_name: str = "run",
        reset_num_timesteps: bool = False,
        progress_bar: bool = False,
    ) -> Self:
        """Learn for ``total_timesteps`` more environment steps (see `AbstractAgent`).

        Raises:
            ValueError: The budget is no positive integer, there is no environment, or the
                environment gives a reward that is not finite or an observation outside its space;
                what was learnt before stays and can be saved.
        """
        budget = check_budget(total_timesteps)
        self._begin_session()
        try:
            if reset_num_timesteps:
                self.num_timesteps = 0
                self._episodes = RecentEpisodes()
            LearningSession(
                self,
                budget,
                callback,
                log_interval=log_interval,
                tb_log_name=tb_log_name,
                progress_bar=progress_bar,
            ).run()
        finally:
            self._limit_episodes(None)
            self._end_session()
        return self

    def _hear_of(self, episodes: FinishedEpisodes) -> None:
        """Keep the episodes that ended, and tell whoever watches."""
        if len(episodes):
            self._episodes.add(episodes)
            if self.episode_watcher is not None:
                self.episode_watcher(episodes)

    def _say_what_was_not_restored(self) -> None:
        """Warn, after loading, where the environment could not be put back into its state."""
        if not self.environment_restored:
            _LOG.warning(
                "the environment's state could not be restored: learning goes on with a new "
                "episode, seeded from the agent's seed"
            )

    # ---- what is known of the episodes ----------------------------------------------------------

    @property
    def num_episodes(self) -> int:
        """Episodes finished so far."""
        return self._episodes.num_episodes

    @property
    def episode_returns(self) -> NDArray[np.float64]:
        """Undiscounted returns of the last hundred episodes at most."""
        return self._episodes.returns

    @property
    def episode_lengths(self) -> NDArray[np.int64]:
        """Lengths of the last hundred episodes at most."""
        return self._episodes.lengths

    @property
    def has_log_outputs(self) -> bool:
        """Whether anybody reads the logger."""
        return self._logger is not None and bool(self._logger.output_formats)
