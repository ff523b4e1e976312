r"""Monte Carlo prediction: the values of a policy, as averages of returns.

When an episode ends, the return :math:`G_t = R_{t+1} + \gamma G_{t+1}` of every visit, or of the
first visit of each state, moves the value of its state,

.. math:: V(S_t) \leftarrow V(S_t) + \alpha \bigl(G_t - V(S_t)\bigr),

with :math:`\alpha = 1/n` for the book's average. First-visit averages are unbiased; every-visit
averages are biased and have the smaller error in the long run. The return of an episode that was
only truncated goes on with the value of the state that it had reached.

References:
    R. S. Sutton and A. G. Barto (2018), Reinforcement Learning: An Introduction, the box of page
        92.
    S. P. Singh and R. S. Sutton (1996), Reinforcement Learning with Replacing Eligibility Traces,
        Machine Learning 22.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...schedules import Schedule
from .compilation import njit
from .configuration import PredictionConfig
from .episode_buffer import (
    LENGTH,
    EpisodeBuffer,
    empty_buffer,
    forget_episode,
    record_step,
)
from .interaction import Kernels
from .prediction import AbstractPrediction, EvaluatedPolicy, drawn_action
from .schedules import StepSize, size_of_update
from .simulator import ACTION, OBSERVATION, Simulation, advance, finished, restart

__all__ = ["MonteCarloPrediction", "MonteCarloPredictionConfig"]


class Memory(NamedTuple):
    """Everything that one step reads and writes; tables of state values have one column."""

    state_values: NDArray[np.float64]
    num_updates: NDArray[np.int64]
    policy: EvaluatedPolicy
    episode: EpisodeBuffer
    step_size: StepSize
    discount: float
    every_visit: bool


@njit
def begin(memory: Memory, state: int) -> int:
    """The first action of an episode that begins in ``state``."""
    forget_episode(memory.episode)
    return drawn_action(memory.policy, state)


@njit
def observe(
    memory: Memory,
    state: int,
    action: int,
    reward: float,
    terminated: bool,
    truncated: bool,
    next_state: int,
) -> int:
    """Keep one step, learn if it ended the episode, and return the next action, -1 for none."""
    record_step(memory.episode, state, action, reward, 1.0, state)
    memory.policy.clock[0] += 1
    if not (terminated or truncated):
        return drawn_action(memory.policy, next_state)
    _learn_episode(memory, 0.0 if terminated else memory.state_values[next_state, 0])
    memory.episode.place[LENGTH] = 0
    return -1


@njit
def _learn_episode(memory: Memory, tail: float) -> None:
    episode = memory.episode
    total = tail
    for t in range(episode.place[LENGTH] - 1, -1, -1):
        total = episode.rewards[t] + memory.discount * total
        if memory.every_visit or episode.is_first[t]:
            s = episode.states[t]
            n = memory.num_updates[s, 0] + 1
            memory.num_updates[s, 0] = n
            alpha = size_of_update(memory.step_size, memory.policy.clock[0] - 1, n)
            memory.state_values[s, 0] += alpha * (total - memory.state_values[s, 0])


@njit
def run(memory: Memory, simulation: Simulation, num_steps: int) -> int:
    """Learn from up to ``num_steps`` simulated steps, fewer if the episode log fills up."""
    position = simulation.position
    for step in range(num_steps):
        if position[ACTION] < 0:
            position[ACTION] = begin(memory, restart(simulation))
        state, action = position[OBSERVATION], position[ACTION]
        reward, terminated, truncated, next_state = advance(simulation, action)
        next_action = observe(memory, state, action, reward, terminated, truncated, next_state)
        position[ACTION] = next_action
        if next_action < 0 and finished(simulation, memory.policy.clock[0]):
            return step + 1
    return num_steps


@dataclass(frozen=True)
class MonteCarloPredictionConfig(PredictionConfig):
    """Hyper-parameters of Monte Carlo prediction."""

    step_size: float | Schedule = 1.0
    """Size of an update, before it falls with the number of updates."""
    step_size_decay: float = 1.0
    """Exponent with which the step size falls with the updates of an entry: 0 never, 1 average."""
    visits: Literal["first", "every"] = "first"
    """Which visits of a state in an episode count."""


class MonteCarloPrediction(AbstractPrediction):
    """Monte Carlo prediction with a table of state values.

    See the module, and `AbstractPrediction` for the arguments.

    Example:
        >>> agent = MonteCarloPrediction("FrozenLake-v1", seed=0, discount=1.0)
        >>> bool(abs(agent.learn(500_000).state_values[0] - 0.0139) < 0.002)  # random policy
        True
    """

    Config = MonteCarloPredictionConfig
    name = "monte-carlo-prediction"
    kernels = Kernels(begin, observe, run)

    def _build_memory(self, random: NDArray[np.uint64]) -> Memory:
        return Memory(
            state_values=self._initial_values(),
            num_updates=self._initial_counts(),
            policy=self._policy(random),
            episode=empty_buffer(self.num_states),
            step_size=self._step_size(),
            discount=float(self.config.discount),
            every_visit=self.config.visits == "every",
        )
