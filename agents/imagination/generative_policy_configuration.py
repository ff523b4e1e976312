"""Hyper-parameters of generative policies."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import get_args

from ...configuration import check_fields
from ...generative.chunk_coding import ChunkLayout
from ...generative.chunks import CutEpisodes
from ...generative.normalisers import NormaliserName

__all__ = ["GenerativePolicyConfig"]

_RANGES = {
    "observation_horizon": (1, math.inf, True),
    "prediction_horizon": (1, math.inf, True),
    "action_horizon": (1, math.inf, True),
    "sampler_steps": (1, math.inf, True),
    "temperature": (0.0, math.inf, True),
    "ensembling": (0.0, math.inf, True),
    "noise": (0.0, 1.0, True),
    "observation_limit": (0.0, math.inf, False),
    "num_threads": (1, math.inf, True),
    "return_temperature": (0.0, math.inf, False),
    "refit_episodes": (1, math.inf, True),
    "memory_episodes": (1, math.inf, True),
    "refit_updates": (1, math.inf, True),
    "refit_learning_rate": (0.0, math.inf, False),
}
_CHOICES = {
    "layout": get_args(ChunkLayout),
    "observation_normaliser": get_args(NormaliserName),
    "action_normaliser": get_args(NormaliserName),
    "cut_episodes": get_args(CutEpisodes),
}


@dataclass(frozen=True)
class GenerativePolicyConfig:
    """Hyper-parameters of `GenerativePolicy`.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    observation_horizon: int = 2
    """To, observations that a chunk is drawn by."""
    prediction_horizon: int = 16
    """Tp, actions in a chunk."""
    action_horizon: int = 8
    """Ta, actions of a chunk that are executed before the next one is drawn."""
    sampler_steps: int | None = None
    """Of families that draw in steps: diffusion, flow matching. None leaves it to the family."""
    temperature: float = 1.0
    """Of the draws."""
    ensembling: float | None = None
    """m of temporal ensembling: a chunk at every step, and the mean of all by exp(-m i); None
    executes each chunk alone."""
    layout: ChunkLayout = "vector"
    """A chunk of real numbers as one vector, or as a sequence over time for networks of the
    families that take some: convolutional, unet, transformer."""
    noise: float = 0.01
    """On real actions while they are learnt, in normalised units; categories have ten times as
    much."""
    observation_normaliser: NormaliserName = "z-score"
    """Scales of observations."""
    observation_limit: float | None = 5.0
    """What normalised observations are kept within: an entry that hardly varies in demonstrations
    may be hundreds of their deviations away elsewhere. None leaves them."""
    action_normaliser: NormaliserName = "min-max"
    """Scales of actions; levels need min-max."""
    cut_episodes: CutEpisodes = "leave-out"
    """Windows over the end of an episode that did not terminate: left out, or with its last action
    repeated."""
    num_threads: int | None = 1
    """Of torch while it acts; None leaves them."""
    return_temperature: float = 0.5
    """Tau of reward-weighted regression, in deviations of the returns: the lower, the more the
    best episodes count."""
    refit_episodes: int = 20
    """Episodes of its own after which `learn` refits the generator."""
    memory_episodes: int = 60
    """Episodes of its own that a refit learns from, the last ones."""
    refit_updates: int = 200
    """Updates of a refit."""
    refit_learning_rate: float = 3e-4
    """Of these updates."""

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, _CHOICES)
        if self.action_horizon > self.prediction_horizon:
            raise ValueError(
                f"expected an action_horizon of at most prediction_horizon, "
                f"{self.prediction_horizon}, got {self.action_horizon}"
            )
        if self.memory_episodes < self.refit_episodes:
            raise ValueError(
                f"expected memory_episodes of at least refit_episodes, {self.refit_episodes}, got "
                f"{self.memory_episodes}"
            )
