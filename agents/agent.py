"""What every agent is, be it a planner, a tabular or deep learner, or a policy that a model plays.

The interface is structurally the one that Stable-Baselines3's tools expect, so that
``evaluate_policy``, ``EvalCallback``, ``CheckpointCallback`` and the others run on any agent here.
Agents implement the abstract methods; training, evaluation and comparison call them.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias

import gymnasium
import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from ..envs.environments import EnvLike, make_env
from .action_masks import ActionMask

if TYPE_CHECKING:
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.logger import Logger
    from stable_baselines3.common.vec_env import VecEnv

__all__ = ["AbstractAgent", "Callback", "EnvLike", "make_env"]

Callback: TypeAlias = (
    "BaseCallback | list[BaseCallback] | Callable[[dict[str, Any], dict[str, Any]], bool] | None"
)


class AbstractAgent(ABC):
    """The contract of every agent.

    Attributes:
        Config: The frozen dataclass of the agent's hyper-parameters. Each is declared there once,
            with its default and a one-line docstring below it; keyword arguments of the agent, the
            command line's options, the saved JSON and TensorBoard's HParams come from it.
        name: What the command line calls the agent, such as ``q-learning``.
        config: This agent's hyper-parameters.
        env: The environment it learns in, or None for an agent loaded without one.
        observation_space: Of the environment; kept when there is none.
        action_space: Of the environment; kept when there is none.
        seed: What all of the agent's randomness comes from.
        num_timesteps: Environment steps taken so far.
        reads_masks: Whether whoever plays the agent is to hand `predict` the ``action_mask`` of
            each info. False where it learnt without, or knows otherwise what is allowed.
    """

    Config: ClassVar[type[Any]]
    name: ClassVar[str]

    config: Any
    env: gymnasium.Env[Any, Any] | VectorEnv[Any, Any, Any] | None
    observation_space: gymnasium.Space[Any]
    action_space: gymnasium.Space[Any]
    seed: int
    num_timesteps: int
    reads_masks: bool = True

    @abstractmethod
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
        """Learn for exactly ``total_timesteps`` more environment steps.

        Args:
            total_timesteps: The budget, at least 1. Planners need none and ignore it.
            callback: Stable-Baselines3 callbacks, called after every environment step.
            log_interval: Episodes between two dumps of the logger.
            tb_log_name: Accepted for compatibility; `set_logger` says where scalars go.
            reset_num_timesteps: Count from 0 again. Unlike in Stable-Baselines3 the default is to
                count on, so that two calls of n steps equal one of 2n, schedules included.
            progress_bar: Show a bar with the rate and the time left.

        Raises:
            ValueError: The budget is not positive, or there is no environment.
        """

    @abstractmethod
    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = True,
        *,
        action_mask: ActionMask | None = None,
    ) -> tuple[Any, Any]:
        """The action for one observation, or a batch of actions for a batch of observations.

        Args:
            observation: An element of the observation space, or a batch as vector environments
                give it.
            state: Memory of a recurrent agent, passed through by the others.
            episode_start: (B,) which environments begin an episode.
            deterministic: Without exploration.
            action_mask: (A,) or (B, A) which actions are allowed.

        Returns:
            The action (a numpy integer or array) and the next state.
        """

    @abstractmethod
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything needed to go on bit for bit, to one file, whole or not at all.

        The file is written under exactly this name, whatever its suffix: JSON and arrays in
        safetensors form, never pickle.
        """

    @classmethod
    @abstractmethod
    def load(cls, path: str | os.PathLike[str], env: EnvLike | None = None) -> Self:
        """Read what `save` wrote.

        Args:
            path: The file.
            env: The environment to go on learning in; None gives an agent that predicts.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is damaged, foreign, of another agent or of other spaces.
        """

    # ---- what Stable-Baselines3's tools ask for -----------------------------------------------

    _logger: Logger | None = None
    _vec_env: VecEnv | None = None
    _other_envs: Sequence[gymnasium.Env[Any, Any]] = ()  # that it learns in beside env

    @property
    def logger(self) -> Logger:
        """Stable-Baselines3's logger; silent until `set_logger`."""
        if self._logger is None:
            from stable_baselines3.common.logger import Logger

            self._logger = Logger(folder=None, output_formats=[])
        return self._logger

    def set_logger(self, logger: Logger) -> None:
        """Send scalars to this logger."""
        self._logger = logger

    def get_env(self) -> VecEnv | None:
        """The environment as Stable-Baselines3's ``VecEnv``, or None where there is none.

        It shares, not copies, ``env`` and whatever copies of it the agent learns in. A vector
        environment can be asked for its spaces and attributes only (see `LearningEnvironments`).
        """
        if self._vec_env is None and self.env is not None:
            from .learning_environments import as_vec_env

            envs = self.env if isinstance(self.env, VectorEnv) else [self.env, *self._other_envs]
            self._vec_env = as_vec_env(envs)
        return self._vec_env

    def get_vec_normalize_env(self) -> None:
        """None: no agent here normalises through Stable-Baselines3's wrapper."""
        return None
