"""Synthetic replay for the off-policy agents of Stable-Baselines3: DQN, DDPG, TD3, SAC.

It is a ``replay_buffer_class``, Stable-Baselines3's own extension point, which is meant to be
inherited from. See `synthetic_replay` for what it does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from stable_baselines3.common.vec_env import VecNormalize

from ...generative.data.environments import Transitions
from ...generative.generator import AbstractGenerator
from .synthetic_replay import SyntheticReplay

__all__ = ["SyntheticReplayBuffer"]


class SyntheticReplayBuffer(ReplayBuffer):
    """A replay buffer of whose batches a share is synthetic.

    Numbers of actions are those of the buffer: Stable-Baselines3 scales a Box's to [-1, 1].

    Args:
        buffer_size: As in Stable-Baselines3.
        observation_space: Of the environment; one array.
        action_space: Of the environment; Discrete or Box.
        device: As in Stable-Baselines3.
        n_envs: Likewise.
        generator: As for `SyntheticReplay`.
        seed: Of training and draws.
        fit_settings: Of `fit`.
        settings: Fields of `SyntheticReplayConfig`.
        options: Further arguments of Stable-Baselines3's buffer.

    Attributes:
        replay: The generator, and its pool.

    Raises:
        ValueError: As `SyntheticReplay`; or memory use is to be optimised, which leaves next
            observations out.

    Example:
        >>> from stable_baselines3 import DQN
        >>> from gymagine.generative import RealNVP
        >>> flow = RealNVP((12,), num_couplings=2, hidden_sizes=(16,))
        >>> agent = DQN(
        ...     "MlpPolicy",
        ...     "CartPole-v1",
        ...     replay_buffer_class=SyntheticReplayBuffer,
        ...     replay_buffer_kwargs={
        ...         "generator": flow,
        ...         "fit_settings": {"num_updates": 20},
        ...         "settings": {"first_fit": 150, "num_samples": 100},
        ...     },
        ... )
        >>> agent = agent.learn(200)
        >>> agent.replay_buffer.replay.is_ready
        True
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        device: Any = "auto",
        n_envs: int = 1,
        *,
        generator: AbstractGenerator,
        seed: int = 0,
        fit_settings: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        if options.get("optimize_memory_usage"):
            raise ValueError("expected a buffer with next observations, got optimize_memory_usage")
        super().__init__(buffer_size, observation_space, action_space, device, n_envs, **options)
        stored = action_space
        if isinstance(action_space, spaces.Box):
            kind: Any = self.actions.dtype.type
            stored = spaces.Box(-1.0, 1.0, action_space.shape, kind)
        self.replay = SyntheticReplay(
            generator,
            observation_space,
            stored,
            seed=seed,
            fit_settings=fit_settings,
            **(settings or {}),
        )
        self._random = np.random.default_rng(seed)
        self._num_steps = 0

    def add(self, *arguments: Any, **named: Any) -> None:
        """Remember a step of each environment."""
        super().add(*arguments, **named)
        self._num_steps += self.n_envs

    def sample(self, batch_size: int, env: VecNormalize | None = None) -> ReplayBufferSamples:
        """A batch, partly synthetic once the generator has learnt."""
        if self.replay.is_due(self._num_steps):
            self.replay.learn(self._remembered(), self._num_steps)
        share = self.replay.config.share if self.replay.is_ready else 0.0
        num = round(share * batch_size)
        if not num:
            return super().sample(batch_size, env)
        steps = self.replay.draw(num, self._random)
        parts = [self._synthetic(steps, env)]
        if num < batch_size:
            real = super().sample(batch_size - num, env)
            parts.insert(0, tuple(part.cpu().numpy() for part in real[:5]))
        columns = zip(*parts, strict=True)
        return ReplayBufferSamples(*(self.to_torch(np.concatenate(own)) for own in columns))

    def _synthetic(self, steps: Transitions, env: VecNormalize | None) -> tuple[NDArray[Any], ...]:
        """Observations, actions, next observations, ends and rewards, as the buffer gives them."""
        shape = (len(steps), *self.obs_shape)
        before, after = (
            np.asarray(self._normalize_obs(part.reshape(shape), env))
            for part in (steps.observation, steps.next_observation)
        )
        reward = self._normalize_reward(steps.reward[:, None].astype(np.float32), env)
        action = steps.action.reshape(len(steps), self.action_dim).astype(self.actions.dtype)
        return before, action, after, steps.terminated[:, None].astype(np.float32), reward

    def _remembered(self) -> Transitions:
        """All steps in the buffer, as they are."""
        rows = self.buffer_size if self.full else self.pos
        shape = self.observation_space.shape or ()

        def flat(array: NDArray[Any], inner: tuple[int, ...]) -> NDArray[Any]:
            return array[:rows].reshape(rows * self.n_envs, *inner)

        ended = flat(self.dones * (1 - self.timeouts), ()).astype(bool)
        return Transitions(
            observation=flat(self.observations, shape),
            action=flat(self.actions, self.action_space.shape or ()),
            reward=flat(self.rewards, ()).astype(np.float64),
            next_observation=flat(self.next_observations, shape),
            terminated=ended,
            truncated=np.zeros(len(ended), dtype=bool),
        )
