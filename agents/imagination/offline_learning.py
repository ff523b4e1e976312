"""What agents share that learn from records: `learn` collects some at random first."""

from __future__ import annotations

from typing import Any

from ...envs.environments import EnvLike, make_env
from ...generative.data.environments import Transitions, transitions
from ..agent import AbstractAgent, Callback
from ..checkpoint import check_same_space

__all__ = ["collected_at_random", "enter"]


def collected_at_random(
    agent: AbstractAgent, total_timesteps: int, callback: Callback, *, goes_on: bool
) -> Transitions:
    """Steps in the agent's environment, which it counts.

    Args:
        agent: Which is to learn from them.
        total_timesteps: How many.
        callback: None; there are no steps of learning that one could look at.
        goes_on: Whether steps are counted on.

    Raises:
        ValueError: The budget is not positive, there is no environment, or there is a callback.
    """
    if total_timesteps < 1:
        raise ValueError(f"expected a budget of at least 1 step, got {total_timesteps}")
    if agent.env is None:
        raise ValueError("expected an environment to learn in, got none: load with env=...")
    if callback is not None:
        raise ValueError("expected no callback: all steps are taken before anything is learnt")
    before = agent.num_timesteps if goes_on else 0
    env: Any = agent.env
    data = transitions(env, total_timesteps, seed=(agent.seed + before) % 2**31)
    agent.num_timesteps = before + total_timesteps
    return data


def enter(agent: AbstractAgent, env: EnvLike) -> None:
    """Give a loaded agent an environment to learn in.

    Raises:
        ValueError: Its spaces are not the agent's.
    """
    made = make_env(env)
    check_same_space("observation", agent.observation_space, made.observation_space)
    check_same_space("action", agent.action_space, made.action_space)
    agent.env = made
