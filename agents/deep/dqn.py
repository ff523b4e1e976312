r"""Deep Q-learning: a network in place of the table, learning from remembered transitions.

.. math:: L(\theta) = \mathbb E\Bigl[\ell\bigl(r + \gamma \max_{a'} Q_{\theta^-}(s', a')
    - Q_\theta(s, a)\bigr)\Bigr]

with a target network :math:`\theta^-` that follows slowly, and no bootstrap where the episode
terminated (but one where it was only truncated). Six switches, each on its own, make it Rainbow
together: *double* (the learning network chooses the next action), *duelling* (streams for the
value and the advantages), *prioritised* (transitions with larger errors are drawn more often),
*n-step* returns, *categorical* (C51) and *noisy* layers in place of random actions.

References:
    V. Mnih et al. (2015), Human-level control through deep reinforcement learning, Nature 518.
    H. van Hasselt et al. (2016), Deep reinforcement learning with double Q-learning,
        arXiv:1509.06461.
    Z. Wang et al. (2016), Dueling network architectures for deep reinforcement learning,
        arXiv:1511.06581.
    T. Schaul et al. (2016), Prioritized experience replay, arXiv:1511.05952.
    M. G. Bellemare et al. (2017), A distributional perspective on reinforcement learning,
        arXiv:1707.06887.
    M. Fortunato et al. (2018), Noisy networks for exploration, arXiv:1706.10295.
    M. Hessel et al. (2018), Rainbow: combining improvements in deep reinforcement learning,
        arXiv:1710.02298.
"""

from __future__ import annotations

import os
from typing import Any, Self

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from ...envs.environments import EnvLike, make_env, spaces_of
from ...storage import read_arrays, write_arrays
from ..agent import build_config
from ..configuration import config_from_json, config_to_json
from ..episodes import FinishedEpisodes, RecentEpisodes
from ..learner import AbstractLearner, Step
from ..schedules import Schedule
from ..space_json import space_from_json, space_to_json
from ..tabular.checkpoint import package_versions
from ..tabular.observations import check_same_space
from .categorical_values import value_atoms
from .configuration import DQNConfig
from .encoders import Encoder
from .member_steps import (
    AbstractMemberSteps,
    MemberTransitions,
    SingleSteps,
    VectorMemberSteps,
)
from .member_streams import member_streams
from .networks import QNetwork
from .observation_leaves import ObservationLeaves
from .q_population import QPopulation, QSettings
from .q_update import QLossSettings, QUpdate
from .replay_memory import ReplayMemory

__all__ = ["DQN"]

_FORMAT = "gymagine-dqn-1"
_MEMBERS = 1


class DQN(AbstractLearner):
    """Deep Q-learning (see the module).

    Args:
        env: An id, a spec, an environment or a vector environment; actions are Discrete,
            observations anything of arrays (see `ObservationLeaves`). The copies of a vector
            environment step together, so that a session may end up to one step a copy late.
        seed: Seeds everything random here and, in the first reset, the environment.
        hyperparameters: Fields of `DQNConfig`.

    Raises:
        ValueError: A space is of another kind, a hyper-parameter is out of range, or the memory
            does not fit.
        TypeError: A hyper-parameter is unknown.

    Example:
        >>> from gymagine.envs.probes import value_probe
        >>> agent = DQN(value_probe(), seed=0, learning_rate=1e-2, buffer_size=1_000)
        >>> agent = agent.learn(1_000)
        >>> round(float(agent.action_values(np.zeros(1, np.float32))[0]), 1)
        1.0
    """

    Config = DQNConfig
    name = "dqn"
    config: DQNConfig
    _last: MemberTransitions | None
    _log: list[tuple[int, float, int]]

    def __init__(
        self,
        env: EnvLike | VectorEnv[Any, Any, Any],
        *,
        seed: int = 0,
        **hyperparameters: Any,
    ) -> None:
        config = build_config(type(self), hyperparameters)
        made = env if isinstance(env, VectorEnv) else make_env(env)
        self._set_up(made, *spaces_of(made), config, seed, _rows_of(made))

    def action_values(self, observation: Any) -> NDArray[np.float32]:
        """(A,) values of the actions for one observation, without noise."""
        leaves = self._leaves.of_one(observation)
        self._leaves.check(leaves)
        values = self._population.values(tuple(leaf[np.newaxis] for leaf in leaves))
        return np.asarray(values[0, 0].numpy())

    # ---- learning -------------------------------------------------------------------------------

    @property
    def num_timesteps(self) -> int:
        """Environment steps learnt from so far."""
        return self._population.num_timesteps

    @num_timesteps.setter
    def num_timesteps(self, steps: int) -> None:
        self._population.num_timesteps = steps

    def _advance(self, num_steps: int) -> None:
        end = self.num_timesteps + num_steps
        while self.num_timesteps < end:
            step = self.num_timesteps
            rate = 0.0 if self.config.noisy else _at(self.config.exploration_rate, step)
            if not self._population.begun:
                self._returns[:], self._lengths[:] = 0.0, 0
            found = self._population.round(rate, _at(self.config.importance_exponent, step))
            self._last = found
            if self._count(found) and len(self._log) >= self._episode_limit:
                break
        self._hear_of(FinishedEpisodes.of_log(self._log))
        self._log = []

    def _count(self, found: MemberTransitions) -> bool:
        """Keep the returns; whether an episode ended."""
        self._returns += found.rewards
        self._lengths += found.taken
        ended = found.terminated | found.truncated
        if not ended.any():
            return False
        for row in np.flatnonzero(ended).tolist():
            episode = float(self._returns[row]), int(self._lengths[row])
            self._log.append((self.num_timesteps, *episode))
            self._ended[row] = episode
        self._returns[ended], self._lengths[ended] = 0.0, 0
        return True

    def _last_steps(self) -> list[Step]:
        found = self._last
        assert found is not None, "there was no step yet"
        return [
            Step(
                observation=self._observation(found, row),
                action=int(self._population.last_actions[row]) + self._action_start,
                reward=float(found.rewards[row]),
                terminated=bool(found.terminated[row]),
                truncated=bool(found.truncated[row]),
                info=found.infos[row],
                episode=self._ended.get(row)
                if found.terminated[row] or found.truncated[row]
                else None,
            )
            for row in np.flatnonzero(found.taken).tolist()
        ]

    def _observation(self, found: MemberTransitions, row: int) -> Any:
        leaves = [leaf[row] for leaf in found.next_leaves]
        return leaves[0] if len(leaves) == 1 else tuple(leaves)

    def _begin_session(self) -> None:
        if self.env is None:
            raise ValueError(
                "expected an environment to learn in, got none: load the agent with env=..."
            )
        self._threads_before = torch.get_num_threads()
        if self.config.num_threads is not None:
            torch.set_num_threads(self.config.num_threads)

    def _end_session(self) -> None:
        torch.set_num_threads(self._threads_before)

    @property
    def tells_its_state(self) -> bool:
        """Whether a checkpoint holds the environment's own state, so that nothing is lost."""
        return self._population.tells_its_state

    def _limit_episodes(self, num_episodes: int | None) -> None:
        self._episode_limit = num_episodes or 1 << 14

    def _scalars(self) -> dict[str, float]:
        scalars = {"train/n_updates": float(self._population.num_updates)}
        scalars["train/learning_rate"] = self.config.learning_rate
        if not self.config.noisy:
            rate = _at(self.config.exploration_rate, self.num_timesteps)
            scalars["rollout/exploration_rate"] = rate
        told = self._population.last_update
        if told is not None:
            scalars["train/loss"] = float(told.losses[0])
            scalars["train/q_values"] = float(told.values[0])
        return scalars

    # ---- acting ---------------------------------------------------------------------------------

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = True,
        *,
        action_mask: NDArray[np.bool_] | None = None,
    ) -> tuple[Any, Any]:
        """The action for one observation or for a batch (see `AbstractAgent`).

        Without ``deterministic`` the action is drawn as while learning, from a stream of its own.

        Raises:
            ValueError: An observation is outside the space, or the mask of another shape.
        """
        leaves, is_batch = self._read(observation)
        rows = len(leaves[0])
        masks = None if action_mask is None else np.asarray(action_mask, dtype=np.bool_)
        if masks is not None:
            masks = np.broadcast_to(masks, (rows, self._num_actions))
        actions = self._population.choose(leaves, masks, deterministic, self._rate())
        actions = actions + self._action_start
        return (actions if is_batch else actions[0]), state

    def _rate(self) -> float:
        if self.config.noisy:
            return 0.0
        return _at(self.config.exploration_rate, self.num_timesteps)

    def _read(self, observation: Any) -> tuple[tuple[NDArray[Any], ...], bool]:
        one = self._leaves.of_batch(observation)  # arrays of whatever shape
        shapes = self._leaves.shapes
        if all(leaf.shape == shape for leaf, shape in zip(one, shapes, strict=True)):
            leaves = self._leaves.of_one(observation)
            self._leaves.check(leaves)
            return leaves, False
        self._leaves.check(one)
        return one, True

    # ---- files ----------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write networks, optimiser, memory, streams and the environment's state to one file."""
        arrays = self._population.arrays()
        arrays["counts.returns"], arrays["counts.lengths"] = self._returns, self._lengths
        arrays["episodes.returns"] = self._episodes.returns
        arrays["episodes.lengths"] = self._episodes.lengths
        header = {
            "format": _FORMAT,
            "agent": self.name,
            "config": config_to_json(self.config),
            "seed": self.seed,
            "num_rows": len(self._returns),
            "num_timesteps": self.num_timesteps,
            "num_episodes": self.num_episodes,
            "observation_space": space_to_json(self.observation_space),
            "action_space": space_to_json(self.action_space),
            "versions": package_versions(),
            "population": self._population.header(),
        }
        write_arrays(path, arrays, header)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], env: EnvLike | VectorEnv[Any, Any, Any] | None = None
    ) -> Self:
        """Read what `save` wrote (see `AbstractAgent`).

        In an environment that is not of the same kind, or does not tell its state, learning goes
        on with new episodes.
        """
        arrays, header = read_arrays(path, expected_format=_FORMAT)
        if header["agent"] != cls.name:
            raise ValueError(f"expected a {cls.name} agent, got {path} of {header['agent']}")
        agent = cls.__new__(cls)
        config = config_from_json(cls.Config, header["config"])
        observation_space = space_from_json(header["observation_space"])
        action_space = space_from_json(header["action_space"])
        made = env if env is None or isinstance(env, VectorEnv) else make_env(env)
        if made is not None:
            found = spaces_of(made)
            check_same_space("observation", observation_space, found[0])
            check_same_space("action", action_space, found[1])
            if _rows_of(made) != header["num_rows"]:
                raise ValueError(
                    f"expected an environment of {header['num_rows']} copies, as the agent's "
                    f"memory is, got {_rows_of(made)}"
                )
        rows = header["num_rows"]
        agent._set_up(made, observation_space, action_space, config, header["seed"], rows)
        agent.environment_restored = agent._population.restore(arrays, header["population"])
        if agent.environment_restored:
            agent._returns[:], agent._lengths[:] = (
                arrays["counts.returns"],
                arrays["counts.lengths"],
            )
        agent._say_what_was_not_restored()
        agent._episodes.num_episodes = header["num_episodes"]
        agent._episodes.returns = arrays["episodes.returns"]
        agent._episodes.lengths = arrays["episodes.lengths"]
        return agent

    # ---- inside ---------------------------------------------------------------------------------

    def _set_up(
        self,
        env: gymnasium.Env[Any, Any] | VectorEnv[Any, Any, Any] | None,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        config: DQNConfig,
        seed: int,
        num_rows: int,
    ) -> None:
        if not isinstance(action_space, spaces.Discrete):
            raise ValueError(
                f"expected Discrete actions, whose values DQN can compare, got {action_space}"
            )
        self.env, self.config, self.seed = env, config, seed
        self.observation_space, self.action_space = observation_space, action_space
        self._num_actions, self._action_start = int(action_space.n), int(action_space.start)
        self._leaves = ObservationLeaves(observation_space)
        self._population = self._build(self._steps_of(env), num_rows)
        self._episodes, self.episode_watcher = RecentEpisodes(), None
        self.environment_restored = True
        self._returns = np.zeros(num_rows)
        self._lengths = np.zeros(num_rows, dtype=np.int64)
        self._ended: dict[int, tuple[float, int]] = {}
        self._log = []
        self._episode_limit = 1 << 14
        self._last = None
        self._threads_before = torch.get_num_threads()

    def _steps_of(
        self, env: gymnasium.Env[Any, Any] | VectorEnv[Any, Any, Any] | None
    ) -> AbstractMemberSteps | None:
        masked = self._num_actions if self.config.action_masks == "auto" else None
        if env is None:
            return None
        if isinstance(env, VectorEnv):
            return VectorMemberSteps(env, self._leaves, masked)
        return SingleSteps(env, self._leaves, masked)

    def _build(self, steps: AbstractMemberSteps | None, num_rows: int) -> QPopulation:
        config = self.config
        streams = member_streams([self.seed])
        rngs = streams.parameters.generators
        atoms = value_atoms(config.v_min, config.v_max, config.num_atoms)
        network = QNetwork(
            Encoder(self._leaves.spaces, self._leaves.names, rngs=rngs),
            self._num_actions,
            rngs=rngs,
            hidden_sizes=config.hidden_sizes,
            activation=config.activation,
            duelling=config.duelling,
            num_atoms=config.num_atoms if config.categorical else None,
            noisy=config.noisy,
        )
        loss = QLossSettings(
            double=config.double,
            error_loss=config.error_loss,
            atoms=atoms if config.categorical else None,
            max_grad_norm=config.max_grad_norm,
            adam_epsilon=config.adam_epsilon,
        )
        rates = torch.full((_MEMBERS,), config.learning_rate)

        def remember(masks: bool) -> ReplayMemory:
            return ReplayMemory(
                self._leaves,
                config.buffer_size,
                num_actions=self._num_actions,
                copies=num_rows,
                discount=config.discount,
                n_step=config.n_step,
                frame_stack=config.frame_stack,
                masks=masks,
                priority_exponent=config.priority_exponent if config.prioritised else None,
            )

        settings = QSettings(
            batch_size=config.batch_size,
            learning_starts=config.learning_starts,
            train_freq=config.train_freq,
            gradient_steps=config.gradient_steps,
            target_update_interval=config.target_update_interval,
            tau=config.tau,
            atoms=loss.atoms,
            action_start=self._action_start,
        )
        update = QUpdate(network, loss, rates, compiled=config.compile)
        return QPopulation(network, update, remember, steps, streams, settings)


def _rows_of(env: gymnasium.Env[Any, Any] | VectorEnv[Any, Any, Any]) -> int:
    return env.num_envs if isinstance(env, VectorEnv) else 1


def _at(value: float | Schedule, step: int) -> float:
    return value.value(step) if isinstance(value, Schedule) else value
