"""How roles are measured: returns and successes in episodes that nobody learnt from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeAlias

import gymnasium
import numpy as np
import torch

from ..generative.family import AbstractFamily
from .matrix import Numbers
from .role_generators import RoleGenerator

__all__ = [
    "A2C_SETTINGS",
    "CART",
    "OTHER_SEED",
    "Settings",
    "made_without_context",
    "mean_return",
    "random_return",
    "random_success",
    "success",
]

CART = "CartPole-v1"
OTHER_SEED = 1_000_003
"""Is added to seeds of episodes that nobody learns from."""
A2C_SETTINGS = {"num_envs": 8, "learning_rate": 2e-3, "entropy_weight": 0.02}

Settings: TypeAlias = Mapping[str, Any]
"""Of a role."""


def made_without_context(
    entry: RoleGenerator, event_shape: tuple[int, ...], *, seed: int = 0, **own: Any
) -> AbstractFamily:
    """A generator without a context; ``own`` are its hyper-parameters in this role."""
    changed = dataclasses.replace(entry, hyperparameters={**entry.hyperparameters, **own})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return changed.made(event_shape).eval()


def mean_return(agent: Any, env: Any, settings: Settings, seed: int, **more: Any) -> float:
    """Mean of greedy episodes that nobody learnt from."""
    from .evaluation import evaluate

    num = settings["episodes"]
    found = evaluate(agent, env, num_episodes=num, seed=seed + OTHER_SEED, **more)
    return float(np.mean(found.returns))


def random_return(seed: int, settings: Settings, *, env: str, **made: Any) -> Numbers:
    """Of random actions: the control of returns."""
    from ..agents.random_policy import RandomPolicy

    own = gymnasium.make(env, **made)
    agent = RandomPolicy(own, seed=seed)
    return {"return": mean_return(agent, own, settings, seed, deterministic=False)}


def success(agent: Any, env: str, num: int, seed: int) -> float:
    """Share of episodes, played together, that end where they are rewarded."""
    envs = gymnasium.make_vec(env, num_envs=num, vectorization_mode="sync")
    observations, _ = envs.reset(seed=seed + OTHER_SEED)
    memory, starts = None, np.ones(num, dtype=np.bool_)
    going, reached = starts.copy(), np.zeros(num, dtype=np.bool_)
    while going.any():
        actions, memory = agent.predict(observations, memory, starts, True)
        observations, rewards, terminated, truncated, _ = envs.step(actions)
        starts = np.zeros(num, dtype=np.bool_)
        reached |= going & terminated & (rewards > 0)
        going &= ~(terminated | truncated)
    envs.close()
    return float(reached.mean())


def random_success(seed: int, settings: Settings, *, env: str) -> Numbers:
    """Of random actions: the control of successes."""
    from ..agents.random_policy import RandomPolicy

    agent = RandomPolicy(gymnasium.make(env), seed=seed)
    return {"success": success(agent, env, settings["episodes"], seed)}
