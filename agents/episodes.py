"""The episodes that a learner has finished: the last hundred, and whoever wants to hear of all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

__all__ = ["EpisodeWatcher", "FinishedEpisodes", "RecentEpisodes"]

_KEPT = 100  # as in Stable-Baselines3's rollout/ep_rew_mean


@dataclass(frozen=True)
class FinishedEpisodes:
    """Episodes in the order in which they ended.

    Attributes:
        timesteps: (E,) environment steps taken when each ended, the step that ended it included.
        returns: (E,) undiscounted returns.
        lengths: (E,) lengths in steps.
    """

    timesteps: Int64[NDArray[np.int64], " episodes"]
    returns: Float64[NDArray[np.float64], " episodes"]
    lengths: Int64[NDArray[np.int64], " episodes"]

    @classmethod
    def of_log(cls, log: list[tuple[int, float, int]]) -> FinishedEpisodes:
        """From (time step, return, length) of each."""
        return cls(
            timesteps=np.array([end for end, _, _ in log], dtype=np.int64),
            returns=np.array([total for _, total, _ in log], dtype=np.float64),
            lengths=np.array([length for _, _, length in log], dtype=np.int64),
        )

    def __len__(self) -> int:
        return len(self.returns)


EpisodeWatcher: TypeAlias = Callable[[FinishedEpisodes], None]


class RecentEpisodes:
    """The last hundred episodes and the number of all."""

    def __init__(self) -> None:
        self.num_episodes = 0
        self.returns: NDArray[np.float64] = np.zeros(0)
        self.lengths: NDArray[np.int64] = np.zeros(0, dtype=np.int64)

    def restore(self, num_episodes: Any, returns: NDArray[Any], lengths: NDArray[Any]) -> None:
        """Take over what a checkpoint holds.

        Raises:
            ValueError: It is no number of episodes, or not the last of so many.
        """
        kept = (min(_KEPT, num_episodes),) if type(num_episodes) is int else None
        if kept != returns.shape or kept != lengths.shape:
            raise ValueError(
                f"expected the last of {num_episodes!r} episodes, got returns of shape "
                f"{returns.shape} and lengths of shape {lengths.shape}: the file is damaged"
            )
        self.num_episodes = num_episodes
        self.returns = returns.astype(np.float64)
        self.lengths = lengths.astype(np.int64)

    def add(self, episodes: FinishedEpisodes) -> None:
        """Append finished episodes."""
        self.num_episodes += len(episodes)
        self.returns = np.concatenate((self.returns, episodes.returns[-_KEPT:]))[-_KEPT:]
        self.lengths = np.concatenate((self.lengths, episodes.lengths[-_KEPT:]))[-_KEPT:]
