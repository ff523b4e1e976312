"""Stable-Baselines3's algorithms as agents, so that they can stand in the same table as ours.

The algorithm itself is used as it is: its defaults, its networks, its training loop. What the
adapter adds:

- *Exact budgets.* On-policy algorithms collect whole rollouts and so overshoot (PPO takes 2048
  steps at a time). The adapter stops at the budget; steps after the last whole rollout are then
  taken but not learned from, and a warning says so where that is all of them.
- *Finite observations.* Stable-Baselines3 one-hot encodes ``Discrete`` observations itself; Tuple
  observations and a ``start`` other than 0 are flattened or shifted here.
- *Presets.* DQN's defaults are made for Atari (its target network is updated every 10 000 steps,
  its step size is 1e-4): on FrozenLake the exact return of its greedy policy then jumps between 0
  and 0.48 for 50 000 steps, where the preset gets to 0.74 of 0.744 (seed 0). With ``preset=auto``
  and finite observations `FINITE_PRESETS` replaces some of them; ``preset=none`` leaves all as
  they are, and what is given by keyword always wins.
- *Files without pickle.* The network's weights are saved, as safetensors. Optimiser and replay
  buffer are not, so that a peer cannot be resumed: that is Stable-Baselines3's own limit.

References:
    A. Raffin et al. (2021), Stable-Baselines3: Reliable Reinforcement Learning Implementations,
    Journal of Machine Learning Research 22(268).
"""

from __future__ import annotations

import dataclasses
import inspect
import logging
import math
import os
import re
import types
import typing
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

import gymnasium
import numpy as np
import torch
import tyro
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, CallbackList, ConvertCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import VecCheckNan

from ..agents.action_masks import ActionMask
from ..agents.agent import AbstractAgent, Callback
from ..configuration import build_config
from ..envs.environments import EnvLike, make_env
from ..envs.sb3_vec_env import SB3VecEnv
from ..storage import read_arrays, write_arrays

if TYPE_CHECKING:
    from stable_baselines3.common.logger import Logger
    from stable_baselines3.common.vec_env import VecEnv

__all__ = ["FINITE_PRESETS", "AbstractPeer", "peer_agent"]

_log = logging.getLogger(__name__)
_FORMAT = "gymagine-peer-1"
_NOT_OURS = {"policy", "env", "seed", "device", "verbose", "tensorboard_log"}
_PRESET_HELP = "auto: settings made for finite observations; none: the library's own defaults."
_LAYERS_HELP = "Widths of the network's hidden layers; None is the library's choice."
_DEVICE_HELP = "Of torch; auto is the CPU unless observations are images."
_SIMPLE = (bool, int, float, str, type(None))

FINITE_PRESETS: dict[str, dict[str, Any]] = {
    "DQN": {
        "learning_rate": 1e-3,
        "buffer_size": 50_000,
        "learning_starts": 1_000,
        "target_update_interval": 500,
        "exploration_fraction": 0.5,
        "net_arch": (64,),
    },
    "QRDQN": {
        "learning_rate": 1e-3,
        "buffer_size": 50_000,
        "learning_starts": 1_000,
        "target_update_interval": 500,
        "exploration_fraction": 0.5,
        "net_arch": (64,),
    },
    "PPO": {"n_steps": 512, "ent_coef": 0.01},
    "A2C": {"ent_coef": 0.01},
}


class AbstractPeer(AbstractAgent):
    """An algorithm of Stable-Baselines3; `peer_agent` makes the class of each.

    Args:
        env: An id, a spec, an environment or a vector environment.
        seed: Given to the algorithm, which seeds Python's, numpy's and torch's global generators.
        hyperparameters: Of the algorithm, by its own names, and ``net_arch``, ``device`` and
            ``preset``.

    Attributes:
        algorithm: The class behind this agent.
        model: The algorithm's own object, for whatever the adapter does not offer.

    Raises:
        ValueError: The algorithm does not take these spaces.
        TypeError: A keyword is no hyper-parameter of the algorithm.
    """

    algorithm: ClassVar[type[BaseAlgorithm]]
    model: BaseAlgorithm
    reads_masks = False

    def __init__(
        self, env: EnvLike | VectorEnv[Any, Any, Any], *, seed: int = 0, **hyperparameters: Any
    ) -> None:
        if isinstance(env, VectorEnv):
            self.observation_space = env.single_observation_space
            self.action_space = env.single_action_space
            self.env = _accepted_together(env)
        else:
            given = make_env(env)
            self.observation_space = given.observation_space
            self.action_space = given.action_space
            self.env = _accepted(given)
        self.seed = seed
        self.num_timesteps = 0
        # names are checked before the preset joins
        build_config(self.Config, hyperparameters, type(self).__name__)
        chosen = hyperparameters.get("preset", "auto")
        if chosen not in ("auto", "none"):
            raise ValueError(f"expected a preset of auto or none, got {chosen!r}")
        preset: dict[str, Any] = {}
        if chosen == "auto" and _is_finite(self.observation_space):
            preset = FINITE_PRESETS.get(self.algorithm.__name__, {})
        self.config = build_config(self.Config, {**preset, **hyperparameters}, type(self).__name__)
        self.model = self._build()

    def _build(self) -> BaseAlgorithm:
        env = self.env
        assert env is not None
        settings = dataclasses.asdict(self.config)
        net_arch, device, _ = (settings.pop(key) for key in ("net_arch", "device", "preset"))
        space = self.observation_space if isinstance(env, VectorEnv) else env.observation_space
        images = len(space.shape or ()) == 3
        policy = "CnnPolicy" if images else "MlpPolicy"
        if isinstance(space, spaces.Dict):
            policy = "MultiInputPolicy"
        if device == "auto" and not images:
            device = "cpu"  # networks of this size lose more by the transfers than they gain
        policy_settings = {} if net_arch is None else {"net_arch": list(net_arch)}
        try:
            return self.algorithm(
                policy,
                _together(env) if isinstance(env, VectorEnv) else _Finite(env),
                seed=self.seed,
                device=device,
                policy_kwargs=policy_settings,
                **settings,
            )
        except (AssertionError, NotImplementedError) as error:  # how it refuses spaces
            raise ValueError(f"{self.name} refuses this environment: {error}") from error

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
        """Learn by the algorithm's own loop; see `AbstractAgent.learn`.

        Schedules of the algorithm (exploration, step size) span one call, so two calls of n steps
        are not one of 2n.
        """
        if total_timesteps < 1:
            raise ValueError(f"expected a budget of at least 1 step, got {total_timesteps}")
        budget = total_timesteps + (0 if reset_num_timesteps else self.model.num_timesteps)
        callbacks = _callback_list(callback)
        chunk = self._steps_at_once()
        if total_timesteps % chunk:  # rollouts begin where the last call stopped
            callbacks.append(_StopAt(budget))
        if chunk > total_timesteps and isinstance(self.model, OnPolicyAlgorithm):
            _log.warning(
                "%s learns from rollouts of %d steps: a budget of %d teaches it nothing",
                self.name,
                chunk,
                total_timesteps,
            )
        with _one_thread(self.model.device):
            self.model.learn(
                total_timesteps,
                callback=CallbackList(callbacks),
                log_interval=log_interval,
                tb_log_name=tb_log_name,
                reset_num_timesteps=reset_num_timesteps,
                progress_bar=progress_bar,
            )
        self.num_timesteps = self.model.num_timesteps
        return self

    def _steps_at_once(self) -> int:
        """Environment steps between the points where the algorithm's loop may end."""
        model = self.model
        if isinstance(model, OnPolicyAlgorithm):
            return model.n_steps * model.n_envs
        frequency = getattr(model, "train_freq", 1)
        if isinstance(model, OffPolicyAlgorithm) and not isinstance(frequency, int):
            frequency = getattr(frequency, "frequency", 1)
        return int(frequency) * model.n_envs

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = True,
        *,
        action_mask: ActionMask | None = None,
    ) -> tuple[Any, Any]:
        """The network's action; see `AbstractAgent.predict`.

        ``action_mask`` is passed over, as the algorithms know no masks.
        """
        taken, state = self.model.predict(
            self._flattened(observation), state, episode_start, deterministic
        )
        if isinstance(self.action_space, spaces.Discrete):
            return taken + np.int64(self.action_space.start), state
        return taken, state

    def _flattened(self, observation: Any) -> Any:
        space = self.observation_space
        if not _needs_flattening(space):
            return observation
        if space.contains(observation):
            return spaces.flatten(space, observation)
        columns = observation if isinstance(space, spaces.Tuple) else (observation,)
        rows = list(zip(*columns, strict=True))
        items = rows if isinstance(space, spaces.Tuple) else [row[0] for row in rows]
        flat: list[Any] = [spaces.flatten(space, item) for item in items]
        return np.stack(flat)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the weights and the hyper-parameters to one file; see `AbstractAgent.save`.

        The optimiser and the replay buffer are left out: a peer is not resumed.
        """
        weights = self.model.policy.state_dict()
        header = {
            "format": _FORMAT,
            "agent": self.name,
            "config": dataclasses.asdict(self.config),
            "seed": self.seed,
            "num_timesteps": self.num_timesteps,
            "spaces": [repr(self.observation_space), repr(self.action_space)],
        }
        arrays = {name: tensor.detach().cpu().numpy() for name, tensor in weights.items()}
        write_arrays(path, arrays, header)

    @classmethod
    def load(cls, path: str | os.PathLike[str], env: EnvLike | None = None) -> Self:
        """Read what `save` wrote; see `AbstractAgent.load`.

        Raises:
            ValueError: There is no environment, or the file is of another agent or other spaces.
        """
        arrays, header = read_arrays(path, expected_format=_FORMAT)
        if header["agent"] != cls.name:
            raise ValueError(f"expected a checkpoint of {cls.name}, got one of {header['agent']}")
        if env is None:
            raise ValueError(f"{cls.name} needs its environment to build its network, got none")
        settings = header["config"]
        if settings["net_arch"] is not None:
            settings["net_arch"] = tuple(settings["net_arch"])
        agent = cls(env, seed=header["seed"], **settings)
        found = [repr(agent.observation_space), repr(agent.action_space)]
        if found != header["spaces"]:
            raise ValueError(f"expected the spaces {header['spaces']} of {path}, got {found}")
        weights = {name: torch.from_numpy(array) for name, array in arrays.items()}
        agent.model.policy.load_state_dict(weights)
        agent.num_timesteps = agent.model.num_timesteps = header["num_timesteps"]
        return agent

    def set_logger(self, logger: Logger) -> None:
        """Send the algorithm's scalars to this logger."""
        super().set_logger(logger)
        self.model.set_logger(logger)

    def get_env(self) -> VecEnv | None:
        """The algorithm's own vector environment."""
        return self.model.get_env()


@cache
def peer_agent(name: str, target: str) -> type[AbstractPeer]:
    """The agent class of an algorithm.

    Args:
        name: In the catalogue, such as ``sb3:dqn``.
        target: ``module:Algorithm``.
    """
    module, _, algorithm_name = target.partition(":")
    algorithm: type[BaseAlgorithm] = getattr(import_module(module), algorithm_name)
    body = {
        "__doc__": f"{algorithm_name} of {module}; see `AbstractPeer`.",
        "__module__": __name__,
        "name": name,
        "algorithm": algorithm,
        "Config": _config_of(algorithm),
    }
    return type(f"{algorithm_name}Peer", (AbstractPeer,), body)


def _config_of(algorithm: type[BaseAlgorithm]) -> type[Any]:
    """The frozen dataclass of those arguments of an algorithm that are numbers, flags or texts."""
    described = dict(
        re.findall(r":param (\w+):\s*((?:.|\n)*?)(?=\n\s*:|\Z)", algorithm.__doc__ or "")
    )
    entries: list[Any] = [
        ("preset", Annotated[str, tyro.conf.arg(help=_PRESET_HELP)], "auto"),
        ("net_arch", Annotated[tuple[int, ...] | None, tyro.conf.arg(help=_LAYERS_HELP)], None),
        ("device", Annotated[str, tyro.conf.arg(help=_DEVICE_HELP)], "auto"),
    ]
    for name, parameter in inspect.signature(algorithm.__init__).parameters.items():
        kind = _simple_part(parameter.annotation, parameter.default)
        if name in _NOT_OURS or name.startswith("_") or kind is None:
            continue
        text = " ".join(described.get(name, "").split())
        entries.append((name, Annotated[kind, tyro.conf.arg(help=text)], parameter.default))
    fields = [(name, kind, dataclasses.field(default=value)) for name, kind, value in entries]
    return dataclasses.make_dataclass(f"{algorithm.__name__}Config", fields, frozen=True)


def _simple_part(hint: Any, default: Any) -> Any:
    """The members of a type that a command line can give, or None where the default is none."""
    if default is inspect.Parameter.empty or not isinstance(default, _SIMPLE):
        return None
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    members = [
        part for part in (typing.get_args(hint) if is_union else (hint,)) if part in _SIMPLE
    ]
    if not members or members == [type(None)]:
        return None
    return typing.Union[tuple(members)]  # noqa: UP007 - made at run time


class _Finite(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Refuses what is not finite: the library would train its network to NaN and say nothing."""

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        if not math.isfinite(reward):
            raise ValueError(f"expected a finite reward, got {reward}")
        if isinstance(observation, np.ndarray) and not np.isfinite(observation).all():
            raise ValueError(f"expected a finite observation, got {observation}")
        return observation, reward, terminated, truncated, info


class _StopAt(BaseCallback):
    def __init__(self, budget: int) -> None:
        super().__init__()
        self._budget = budget

    def _on_step(self) -> bool:
        return self.num_timesteps < self._budget


def _callback_list(callback: Callback) -> list[BaseCallback]:
    if callback is None:
        return []
    if isinstance(callback, BaseCallback):
        return [callback]
    return list(callback) if isinstance(callback, list) else [ConvertCallback(callback)]


@contextmanager
def _one_thread(device: torch.device) -> Iterator[None]:
    """Networks this small are faster on one thread, and leave the others to other runs."""
    before = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _is_finite(space: gymnasium.Space[Any]) -> bool:
    if isinstance(space, spaces.Tuple):
        return all(_is_finite(part) for part in space.spaces)
    return isinstance(space, spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary)


def _needs_flattening(space: gymnasium.Space[Any]) -> bool:
    shifted = isinstance(space, spaces.Discrete) and int(space.start) != 0
    return shifted or isinstance(space, spaces.Tuple)


def _together(env: VectorEnv[Any, Any, Any]) -> VecEnv:
    """As `_Finite`, for a vector environment."""
    return VecCheckNan(SB3VecEnv(env), raise_exception=True)


def _accepted_together(env: VectorEnv[Any, Any, Any]) -> VectorEnv[Any, Any, Any]:
    """A vector environment whose spaces Stable-Baselines3 reads rightly as they are."""
    for space in (env.single_observation_space, env.single_action_space):
        if _needs_flattening(space):
            raise ValueError(
                f"expected spaces of a vector environment that Stable-Baselines3 takes as they "
                f"are, without Tuple and with Discrete from 0 on, got {space}"
            )
    return env


def _accepted(env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    """The environment with spaces that Stable-Baselines3 reads rightly."""
    if _needs_flattening(env.observation_space):
        env = gymnasium.wrappers.FlattenObservation(env)
    actions = env.action_space
    if isinstance(actions, spaces.Discrete) and int(actions.start) != 0:
        start = int(actions.start)
        env = gymnasium.wrappers.TransformAction(
            env, lambda action: action + start, spaces.Discrete(int(actions.n))
        )
    return env
