"""The control: every allowed action with equal probability, and nothing learned."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Self

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import concatenate, create_empty_array
from numpy.typing import NDArray

from ..configuration import build_config
from ..envs.environments import EnvLike, make_env
from ..envs.mdp import TabularMDP
from ..envs.state_index import StateIndex
from ..storage import read_arrays, write_arrays
from .action_masks import ActionMask, masks_of_batch
from .agent import AbstractAgent, Callback

__all__ = ["RandomPolicy", "RandomPolicyConfig"]

_FORMAT = "gymagine-random-policy-1"


@dataclass(frozen=True)
class RandomPolicyConfig:
    """No hyper-parameters."""


class RandomPolicy(AbstractAgent):
    """Acts uniformly at random: what every learner must beat.

    ``deterministic`` changes nothing, as a uniform policy has no greedy part. Learning takes no
    steps in the environment; it counts them, so that the agent has its place in a comparison.

    Args:
        env: An id, a spec or an environment, of any spaces that can be sampled.
        seed: Of its actions.
        hyperparameters: None are known.

    Example:
        >>> agent = RandomPolicy("FrozenLake-v1", seed=0)
        >>> actions, _ = agent.predict(np.zeros(1000, dtype=np.int64))
        >>> bool(abs(np.mean(actions == 3) - 0.25) < 0.05)
        True
    """

    Config = RandomPolicyConfig
    name = "random"

    def __init__(self, env: EnvLike, *, seed: int = 0, **hyperparameters: Any) -> None:
        self.config = build_config(self.Config, hyperparameters, type(self).__name__)
        self.env = make_env(env)
        self.observation_space = self.env.observation_space
        self.action_space = self.env.action_space
        self.seed = seed
        self.num_timesteps = 0
        self._rng = np.random.default_rng(seed)
        mdp = _known_model(self.env)
        self._allowed = None if mdp is None else _allowed_actions(mdp)
        self.reads_masks = mdp is None and isinstance(self.action_space, spaces.Discrete)

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
        """Count the steps that a learner would have taken; see `AbstractAgent.learn`."""
        if total_timesteps < 1:
            raise ValueError(f"expected a budget of at least 1 step, got {total_timesteps}")
        self.num_timesteps = total_timesteps + (0 if reset_num_timesteps else self.num_timesteps)
        return self

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = True,
        *,
        action_mask: ActionMask | None = None,
    ) -> tuple[Any, Any]:
        """A uniformly random action, or a batch of them; see `AbstractAgent.predict`."""
        count = _batch_size(self.observation_space, observation)
        if self._allowed is not None and action_mask is None:
            action_mask = self._allowed[self._states(count, observation)]
        if isinstance(self.action_space, spaces.Discrete):
            return self._discrete_actions(count, action_mask), state
        space = self.action_space
        space.seed(int(self._rng.integers(2**31)))
        if count is None:
            return space.sample(), state
        items = [space.sample() for _ in range(count)]
        empty: Any = create_empty_array(space, count)
        return concatenate(space, items, empty), state

    def action_probabilities(self, action_mask: ActionMask | None = None) -> NDArray[np.float64]:
        """(A,) or (B, A) the policy itself, for exact evaluation; Discrete actions only.

        Raises:
            TypeError: The action space is not Discrete.
        """
        if not isinstance(self.action_space, spaces.Discrete):
            raise TypeError(f"expected a Discrete action space, got {self.action_space}")
        size = int(self.action_space.n)
        allowed = np.ones(size) if action_mask is None else np.asarray(action_mask, np.float64)
        probabilities: NDArray[np.float64] = allowed / allowed.sum(axis=-1, keepdims=True)
        return probabilities

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the agent to one file; see `AbstractAgent.save`."""
        header = {
            "format": _FORMAT,
            "seed": self.seed,
            "num_timesteps": self.num_timesteps,
            "random_state": self._rng.bit_generator.state,
            "spaces": [repr(self.observation_space), repr(self.action_space)],
        }
        write_arrays(path, {}, header)

    @classmethod
    def load(cls, path: str | os.PathLike[str], env: EnvLike | None = None) -> Self:
        """Read what `save` wrote; see `AbstractAgent.load`.

        Raises:
            ValueError: No environment is given (its action space is all that this agent is), or
                it has other spaces.
        """
        _, header = read_arrays(path, expected_format=_FORMAT)
        if env is None:
            raise ValueError("expected the environment to act randomly in, got none")
        agent = cls(env, seed=header["seed"])
        found = [repr(agent.observation_space), repr(agent.action_space)]
        if found != header["spaces"]:
            raise ValueError(f"expected the spaces {header['spaces']} of {path}, got {found}")
        agent.num_timesteps = header["num_timesteps"]
        agent._rng.bit_generator.state = header["random_state"]
        return agent

    def _states(self, count: int | None, observation: Any) -> Any:
        states = StateIndex(self.observation_space)
        return states.encode(observation) if count is None else states.encode_batch(observation)

    def _discrete_actions(
        self, count: int | None, action_mask: ActionMask | None
    ) -> NDArray[np.int64] | np.int64:
        assert isinstance(self.action_space, spaces.Discrete)
        start = np.int64(self.action_space.start)
        if action_mask is None:
            return start + self._rng.integers(self.action_space.n, size=count, dtype=np.int64)
        rows = 1 if count is None else count
        masks = masks_of_batch(action_mask, rows, (int(self.action_space.n),))
        keys = np.where(masks, self._rng.random(masks.shape), -1.0)
        chosen: NDArray[np.int64] = start + keys.argmax(axis=-1)
        return chosen if count is not None else chosen[0]


def _batch_size(space: gymnasium.Space[Any], observation: Any) -> int | None:
    """B, or None for a single observation."""
    if space.contains(observation):
        return None
    if isinstance(space, spaces.Dict):
        first = next(iter(space.spaces))
        return _batch_size(space.spaces[first], observation[first])
    if isinstance(space, spaces.Tuple):
        return _batch_size(space.spaces[0], observation[0])
    shape = np.shape(observation)
    return shape[0] if len(shape) > len(space.shape or ()) else None


def _known_model(env: gymnasium.Env[Any, Any]) -> TabularMDP | None:
    try:
        return TabularMDP.from_env(env)
    except ValueError:
        return None


def _allowed_actions(mdp: TabularMDP) -> NDArray[np.bool_] | None:
    """(S, A) by observation, where the model forbids some actions; else None."""
    if mdp.action_mask is None:
        return None
    allowed = np.zeros((mdp.num_observations, mdp.num_actions), dtype=np.bool_)
    shown = mdp.observation_index
    allowed[np.arange(mdp.num_states) if shown is None else shown] = mdp.action_mask
    return allowed
