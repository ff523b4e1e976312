r"""Double Q-learning: off-policy control without the bias of a maximum over noisy values.

Two tables are kept. With probability 1/2 each, after a step from :math:`(s, a)` to :math:`s'`,

.. math::
    Q_1(s, a) \leftarrow Q_1(s, a) + \alpha \bigl(r + \gamma Q_2(s', \arg\max_{a'} Q_1(s', a'))
        - Q_1(s, a)\bigr)

or the same with the tables exchanged: one chooses the action, the other, which knows nothing of
that choice's luck, says what it is worth. The learner acts by the mean of the two. The bootstrap
is left out if the step terminated the episode, and kept if it was only truncated.

References:
    H. van Hasselt (2010), Double Q-learning, NeurIPS 23, algorithm 1.
    R. S. Sutton and A. G. Barto (2018), Reinforcement Learning: An Introduction, section 6.7, the
        box of page 136.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .compilation import njit
from .configuration import ControlConfig
from .control import AbstractControl
from .exploration import Exploration, best_action, explored_action
from .interaction import Kernels
from .random_stream import random_below
from .schedules import StepSize, size_of_update
from .simulator import ACTION, OBSERVATION, Simulation, advance, finished, restart

__all__ = ["DoubleQLearning", "DoubleQLearningConfig"]


class Memory(NamedTuple):
    """Everything that one step reads and writes."""

    action_values: NDArray[np.float64]  # the mean of the two
    first_values: NDArray[np.float64]
    second_values: NDArray[np.float64]
    first_updates: NDArray[np.int64]
    second_updates: NDArray[np.int64]
    exploration: Exploration
    step_size: StepSize
    discount: float


@njit
def begin(memory: Memory, state: int) -> int:
    """The first action of an episode that begins in ``state``."""
    return explored_action(memory.exploration, memory.action_values, state)


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
    """Learn from one step and return the next action, -1 where the episode is over."""
    clock = memory.exploration.clock
    chooser, judge, counts = memory.first_values, memory.second_values, memory.first_updates
    if random_below(memory.exploration.random, 2) == 1:
        chooser, judge, counts = memory.second_values, memory.first_values, memory.second_updates
    target = reward
    if not terminated:
        best = best_action(memory.exploration, chooser, next_state)
        target += memory.discount * judge[next_state, best]
    n = counts[state, action] + 1
    counts[state, action] = n
    alpha = size_of_update(memory.step_size, clock[0], n)
    chooser[state, action] += alpha * (target - chooser[state, action])
    mean = 0.5 * (chooser[state, action] + judge[state, action])
    memory.action_values[state, action] = mean
    clock[0] += 1
    if terminated or truncated:
        return -1
    return explored_action(memory.exploration, memory.action_values, next_state)


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
        if next_action < 0 and finished(simulation, memory.exploration.clock[0]):
            return step + 1
    return num_steps


@dataclass(frozen=True)
class DoubleQLearningConfig(ControlConfig):
    """Hyper-parameters of Double Q-learning."""


class DoubleQLearning(AbstractControl):
    """Double Q-learning with two tables.

    See the module, and `AbstractTabularAgent` for the arguments.

    Attributes:
        action_values: (S, A) the mean of the two tables.

    Example:
        >>> agent = DoubleQLearning("CliffWalking-v1", seed=0, discount=1.0).learn(200_000)
        >>> agent.policy[[36, 24]].tolist()  # up, then right along the cliff
        [0, 1]
    """

    Config = DoubleQLearningConfig
    name = "double-q-learning"
    kernels = Kernels(begin, observe, run)

    def _build_memory(self, random: NDArray[np.uint64]) -> Memory:
        return Memory(
            action_values=self._initial_values(),
            first_values=self._initial_values(),
            second_values=self._initial_values(),
            first_updates=self._initial_counts(),
            second_updates=self._initial_counts(),
            exploration=self._exploration(random),
            step_size=self._step_size(),
            discount=float(self.config.discount),
        )
