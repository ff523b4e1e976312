"""Where imagined episodes begin: at steps of data, or where a real environment is reset.

References:
    M. Janner, J. Fu, M. Zhang, S. Levine (2019), When to trust your model: model-based policy
        optimization, arXiv:1906.08253 (short branches from any step of the data).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, get_args

import gymnasium
import numpy as np
from gymnasium.vector.utils import concatenate, create_empty_array

from ..generative.abstract_world_model import AbstractWorldModel
from ..generative.data.environments import Transitions
from ..generative.world_model_data import episode_starts
from ..generative.world_model_state import AbstractWorldState

__all__ = ["DataStarts", "ResetStarts", "StartPlace", "Starts"]

Starts: TypeAlias = Callable[[int, np.random.Generator], AbstractWorldState]
"""What so many episodes remember at first, drawn by a generator."""

StartPlace = Literal["first", "any"]


class DataStarts:
    """Begins at steps of data, with what came before burnt in.

    Args:
        model: The world model.
        data: Steps of the environment, in the order in which they were taken.
        place: ``first`` steps of episodes, or ``any``.

    Attributes:
        steps: (K,) numbers of the steps that are drawn from, evenly.

    Raises:
        ValueError: There is no step, the data do not fit the model's spaces, or ``place`` is
            unknown.

    Example:
        >>> from gymnasium import spaces
        >>> from gymagine.generative import ConditionalGaussian, WorldModel, transitions
        >>> space = spaces.Box(-np.inf, np.inf, (4,))
        >>> model = WorldModel(space, spaces.Discrete(2), ConditionalGaussian)
        >>> starts = DataStarts(model, transitions("CartPole-v1", 100))
        >>> len(starts.steps), len(starts(3, np.random.default_rng(0)))
        (7, 3)
    """

    def __init__(
        self, model: AbstractWorldModel, data: Transitions, place: StartPlace = "first"
    ) -> None:
        if place not in get_args(StartPlace):
            raise ValueError(f"expected place among {get_args(StartPlace)}, got {place!r}")
        if not len(data):
            raise ValueError("expected at least one step to begin at, got none")
        self.steps = np.arange(len(data))
        if place == "first":
            self.steps = np.unique(episode_starts(data))
        self._states = model.recall(data, self.steps)

    def __call__(self, num: int, rng: np.random.Generator) -> AbstractWorldState:
        """States of ``num`` episodes."""
        found: AbstractWorldState = self._states.take(rng.integers(len(self.steps), size=num))
        return found


class ResetStarts:
    """Begins where a real environment does.

    Args:
        model: The world model.
        env: The environment, which is reset once for each episode, and never stepped.

    Raises:
        ValueError: The environment's observations are not the model's.
    """

    def __init__(self, model: AbstractWorldModel, env: gymnasium.Env[Any, Any]) -> None:
        if env.observation_space != model.observation_space:
            raise ValueError(
                f"expected an environment with observations of {model.observation_space}, got "
                f"{env.observation_space}"
            )
        self._model, self._env = model, env

    def __call__(self, num: int, rng: np.random.Generator) -> AbstractWorldState:
        """States of ``num`` episodes."""
        seeds = rng.integers(2**31, size=num).tolist()
        first = [self._env.reset(seed=seed)[0] for seed in seeds]
        out: Any = create_empty_array(self._env.observation_space, n=num)
        values = concatenate(self._env.observation_space, first, out)
        found: AbstractWorldState = self._model.begin(values)
        return found
