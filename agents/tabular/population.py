"""Many learners at once: seeds or settings in parallel threads.

Kernels release Python's global lock, so that simulated learners use all cores within one process,
without copying models between processes. Learners that step an environment gain nothing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from .learner import AbstractTabularAgent

__all__ = ["learn_many"]

Learner = TypeVar("Learner", bound=AbstractTabularAgent)


def learn_many(
    agents: Sequence[Learner], total_timesteps: int, *, num_threads: int | None = None
) -> list[Learner]:
    """Let every agent learn for ``total_timesteps`` more environment steps.

    Args:
        agents: Learners, each with an environment of its own.
        total_timesteps: The budget of each.
        num_threads: Threads; None takes one for each core.

    Returns:
        The agents, in order. Each has learnt exactly what it would have learnt alone.

    Raises:
        ValueError: An agent is listed twice, two step the same environment, or the number of
            threads is not positive; also what `learn` raises, after the others have finished.

    Example:
        >>> from gymagine.agents.tabular.q_learning import QLearning
        >>> agents = [QLearning("FrozenLake-v1", seed=seed) for seed in range(3)]
        >>> [agent.num_timesteps for agent in learn_many(agents, 10_000)]
        [10000, 10000, 10000]
    """
    if len({id(agent) for agent in agents}) < len(agents):
        raise ValueError("expected every agent once, got one twice")
    stepped = [id(agent.env.unwrapped) for agent in agents if agent.simulator == "stepped"]  # type: ignore[union-attr]  # it steps one
    if len(set(stepped)) < len(stepped):
        raise ValueError("expected an environment for every agent that steps one, got one shared")
    if num_threads is not None and num_threads < 1:
        raise ValueError(f"expected at least one thread, got {num_threads}")
    if not agents:
        return []
    size = min(len(agents), num_threads or os.cpu_count() or 1)
    with ThreadPoolExecutor(size) as pool:
        futures = [pool.submit(agent.learn, total_timesteps) for agent in agents]
    return [future.result() for future in futures]
