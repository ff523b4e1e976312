"""Hyper-parameters that are known to work, one value per agent and kind of environment.

The defaults of an agent suit no environment in particular. A preset is the settings that somebody
published for an environment, or that were found for a smaller budget, and says which. Budgets are
environment steps. Where the source gives a share of its budget, as Stable-Baselines3's exploration
does, the preset has the steps that the share means there: whoever takes another budget should
stretch the schedules too.

References:
    V. Mnih et al. (2015), Human-level control through deep reinforcement learning, Nature 518,
        extended data table 1.
    V. Mnih et al. (2016), Asynchronous methods for deep reinforcement learning, arXiv:1602.01783.
    M. Hessel et al. (2018), Rainbow: combining improvements in deep reinforcement learning,
        arXiv:1710.02298, table 1.
    K. Young, T. Tian (2019), MinAtar: an Atari-inspired testbed for thorough and reproducible
        reinforcement learning experiments, arXiv:1903.03176, section 4.
    J. S. Obando-Ceron, P. S. Castro (2021), Revisiting Rainbow: promoting more insightful and
        inclusive deep reinforcement learning research, arXiv:2011.14826, appendix.
    A. Raffin (2020), RL Baselines3 Zoo: a training framework for Stable-Baselines3 agents, files
        hyperparams/dqn.yml and a2c.yml.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, Literal

from ...schedules import Schedule

__all__ = ["PRESETS", "Preset", "preset"]

_ZOO = "RL Baselines3 Zoo"


@dataclass(frozen=True)
class Preset:
    """Settings of one agent for one kind of environment.

    Attributes:
        agent: Its name in the catalogue, such as ``dqn``.
        environment: An environment's id, or a pattern such as ``ALE/*``.
        total_timesteps: The budget that the settings were made for, in environment steps.
        hyperparameters: Fields of the agent's config; what is not named keeps its default.
        source: Who published them, and what differs here.
        preprocessing: Wrappers that the settings count on: ``atari`` for those of
            `gymagine.envs.atari.preprocess_atari`, empty for none. ``train --presets`` and
            ``compare --presets`` put them on, as does ``ALE/Pong-v5@preprocessing=atari``.
    """

    agent: str
    environment: str
    total_timesteps: int
    hyperparameters: Mapping[str, Any] = field(hash=False)
    source: str
    preprocessing: Literal["", "atari"] = ""

    def __post_init__(self) -> None:
        # one value serves everybody who asks
        object.__setattr__(self, "hyperparameters", MappingProxyType(dict(self.hyperparameters)))

    def suits(self, environment_id: str) -> bool:
        """Whether the preset is for this environment.

        Args:
            environment_id: With or without a module in front and options behind, as
                ``minatar.gym:MinAtar/Breakout-v1`` and ``FrozenLake-v1@is_slippery=false``.
        """
        plain = environment_id.partition("@")[0].rpartition(":")[2]
        return fnmatchcase(plain, self.environment)


def preset(agent: str, environment_id: str) -> Preset | None:
    """The settings of an agent for an environment, or None where there are none.

    Args:
        agent: Its name in the catalogue.
        environment_id: See `Preset.suits`.

    Example:
        >>> found = preset("dqn", "CartPole-v1")
        >>> found.total_timesteps, found.hyperparameters["batch_size"]
        (50000, 64)
        >>> preset("dqn", "Pendulum-v1") is None
        True
    """
    for candidate in PRESETS:
        if candidate.agent == agent and candidate.suits(environment_id):
            return candidate
    return None


def _falling(initial: float, final: float, num_steps: int) -> Schedule:
    return Schedule("linear", initial, final, num_steps)


_DQN = (
    Preset(
        agent="dqn",
        environment="CartPole-v1",
        total_timesteps=50_000,
        hyperparameters={
            "learning_rate": 2.3e-3,
            "batch_size": 64,
            "buffer_size": 100_000,
            "learning_starts": 1_000,
            "discount": 0.99,
            "target_update_interval": 10,
            "train_freq": 256,
            "gradient_steps": 128,
            "exploration_rate": _falling(1.0, 0.04, 8_000),
            "hidden_sizes": (256, 256),
        },
        source=f"{_ZOO}, dqn.yml, CartPole-v1",
    ),
    Preset(
        agent="dqn",
        environment="Acrobot-v1",
        total_timesteps=100_000,
        hyperparameters={
            "learning_rate": 2.5e-4,
            "batch_size": 128,
            "buffer_size": 50_000,
            "learning_starts": 1_000,
            "discount": 0.99,
            "target_update_interval": 500,
            "train_freq": 4,
            "gradient_steps": 1,
            "exploration_rate": _falling(1.0, 0.1, 12_000),
            "hidden_sizes": (128, 128),
            "n_step": 3,
        },
        source=f"{_ZOO}, dqn.yml, Acrobot-v1, with 128x128 units for 256x256 and a quarter of the "
        "updates; the step size, the target and the 3 steps were found here: with one step half "
        "of the seeds fall back",
    ),
    Preset(
        agent="dqn",
        environment="MountainCar-v0",
        total_timesteps=120_000,
        hyperparameters={
            "learning_rate": 4e-3,
            "batch_size": 128,
            "buffer_size": 10_000,
            "learning_starts": 1_000,
            "discount": 0.98,
            "target_update_interval": 600,
            "train_freq": 16,
            "gradient_steps": 8,
            "exploration_rate": _falling(1.0, 0.07, 24_000),
            "hidden_sizes": (256, 256),
        },
        source=f"{_ZOO}, dqn.yml, MountainCar-v0",
    ),
    Preset(
        agent="dqn",
        environment="LunarLander-v3",
        total_timesteps=100_000,
        hyperparameters={
            "learning_rate": 6.3e-4,
            "batch_size": 128,
            "buffer_size": 50_000,
            "learning_starts": 1_000,
            "discount": 0.99,
            "target_update_interval": 250,
            "train_freq": 4,
            "gradient_steps": 2,
            "exploration_rate": _falling(1.0, 0.1, 12_000),
            "hidden_sizes": (128, 128),
        },
        source=f"{_ZOO}, dqn.yml, LunarLander-v3, which has 256x256 units, twice the updates and "
        "no random steps at the start",
    ),
    Preset(
        agent="dqn",
        environment="FrozenLake-v1",
        total_timesteps=50_000,
        hyperparameters={
            "learning_rate": 5e-4,
            "batch_size": 64,
            "buffer_size": 50_000,
            "learning_starts": 1_000,
            "discount": 0.99,
            "target_update_interval": 1_000,
            "train_freq": 4,
            "exploration_rate": _falling(1.0, 0.1, 25_000),
            "hidden_sizes": (64,),
        },
        source="found here",
    ),
    Preset(
        agent="dqn",
        environment="Taxi-v4",
        total_timesteps=100_000,
        hyperparameters={
            "learning_rate": 5e-3,
            "batch_size": 128,
            "buffer_size": 50_000,
            "learning_starts": 1_000,
            "discount": 0.99,
            "target_update_interval": 250,
            "train_freq": 4,
            "exploration_rate": _falling(1.0, 0.05, 50_000),
            "hidden_sizes": (64,),
        },
        source="found here",
    ),
    Preset(
        agent="dqn",
        environment="MinAtar/*",
        total_timesteps=500_000,
        hyperparameters={
            "learning_rate": 2.5e-4,
            "adam_epsilon": 3.125e-4,
            "batch_size": 32,
            "buffer_size": 100_000,
            "learning_starts": 5_000,
            "discount": 0.99,
            "target_update_interval": 1_000,
            "train_freq": 4,
            "exploration_rate": _falling(1.0, 0.1, 100_000),
            "hidden_sizes": (),
        },
        source="Young & Tian (2019), section 4 (network, memory, exploration), with the optimiser "
        "and one update per 4 steps of Obando-Ceron & Castro (2021); theirs are 5 and 10 million "
        "steps",
    ),
    Preset(
        agent="dqn",
        environment="ALE/*",
        total_timesteps=50_000_000,
        hyperparameters={
            "learning_rate": 6.25e-5,
            "adam_epsilon": 1.5e-4,
            "max_grad_norm": None,
            "batch_size": 32,
            "buffer_size": 1_000_000,
            "learning_starts": 50_000,
            "discount": 0.99,
            "target_update_interval": 40_000,
            "train_freq": 4,
            "exploration_rate": _falling(1.0, 0.1, 1_000_000),
            "hidden_sizes": (),
            "frame_stack": 4,
        },
        source="Mnih et al. (2015), extended data table 1 (the target is copied every 10,000 "
        "updates, which are 40,000 steps), with Adam as Hessel et al. (2018), table 1, have it in "
        "place of RMSprop",
        preprocessing="atari",
    ),
)

_A2C = (
    Preset(
        agent="a2c",
        environment="CartPole-v1",
        total_timesteps=50_000,
        hyperparameters={
            "num_envs": 8,
            "n_steps": 8,
            "gae_lambda": 0.95,
            "reward_scale": 0.1,
            "learning_rate": _falling(2e-3, 0.0, 50_000),
        },
        source=f"found here; {_ZOO}, a2c.yml, has the defaults and 500,000 steps",
    ),
    Preset(
        agent="a2c",
        environment="Acrobot-v1",
        total_timesteps=100_000,
        hyperparameters={
            "num_envs": 8,
            "n_steps": 8,
            "gae_lambda": 0.95,
            "reward_scale": 0.1,
            "learning_rate": _falling(1e-3, 0.0, 100_000),
        },
        source=f"found here; {_ZOO}, a2c.yml, has the defaults with 16 environments, normalised "
        "observations and 500,000 steps",
    ),
    Preset(
        agent="a2c",
        environment="LunarLander-v3",
        total_timesteps=100_000,
        hyperparameters={
            "num_envs": 8,
            "n_steps": 5,
            "discount": 0.99,
            "learning_rate": 7e-4,
            "entropy_weight": 0.01,
        },
        source=f"found here; {_ZOO}, a2c.yml, LunarLander-v2, has a discount of 0.995, a step "
        "size that falls from 8.3e-4 to 0, an entropy weight of 1e-5 and 200,000 steps",
    ),
    Preset(
        agent="a2c",
        environment="Pendulum-v1",
        total_timesteps=300_000,
        hyperparameters={
            "num_envs": 8,
            "n_steps": 8,
            "discount": 0.95,
            "gae_lambda": 0.95,
            "reward_scale": 0.1,
            "learning_rate": _falling(1e-3, 0.0, 300_000),
            "activation": "relu",
            "initial_log_sigma": -0.5,
        },
        source=f"found here; {_ZOO}, a2c.yml, has normalised observations and rewards, "
        "state-dependent exploration and a million steps",
    ),
    Preset(
        agent="a2c",
        environment="ALE/*",
        total_timesteps=10_000_000,
        hyperparameters={
            "num_envs": 16,
            "n_steps": 5,
            "learning_rate": 7e-4,
            "optimiser": "rmsprop-tf",
            "optimiser_epsilon": 1e-5,
            "entropy_weight": 0.01,
            "value_weight": 0.25,
            "hidden_sizes": (),
        },
        source=f"{_ZOO}, a2c.yml, atari; after Mnih et al. (2016)",
        preprocessing="atari",
    ),
)

_REINFORCE = (
    Preset(
        agent="reinforce",
        environment="CartPole-v1",
        total_timesteps=50_000,
        hyperparameters={
            "num_envs": 1,
            "episodes_per_update": 4,
            "average_over": "steps",
            "learning_rate": 2e-3,
            "entropy_weight": 1e-3,
            "max_grad_norm": 0.5,
            "hidden_sizes": (128, 128),
        },
        source="SLM-Lab's REINFORCE, which updates every 512 frames and lets the entropy weight "
        "fall to 0",
    ),
    Preset(
        agent="reinforce",
        environment="Acrobot-v1",
        total_timesteps=100_000,
        hyperparameters={
            "num_envs": 1,
            "episodes_per_update": 1,
            "normalise_returns": True,
            "learning_rate": 3e-3,
            "entropy_weight": 0.01,
        },
        source="found here",
    ),
    Preset(
        agent="reinforce",
        environment="LunarLander-v3",
        total_timesteps=100_000,
        hyperparameters={
            "num_envs": 8,
            "episodes_per_update": 8,
            "normalise_returns": True,
            "learning_rate": 5e-3,
        },
        source="found here",
    ),
    Preset(
        agent="reinforce",
        environment="Pendulum-v1",
        total_timesteps=300_000,
        hyperparameters={
            "num_envs": 2,
            "episodes_per_update": 2,
            "normalise_returns": True,
            "discount": 0.95,
            "reward_scale": 0.1,
            "learning_rate": _falling(2e-3, 0.0, 300_000),
            "activation": "relu",
        },
        source="found here",
    ),
)

PRESETS: tuple[Preset, ...] = (*_DQN, *_A2C, *_REINFORCE)
"""All of them; of several that suit an environment, the first."""
