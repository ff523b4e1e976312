r"""Q-learning: off-policy control by one-step temporal differences.

After a step from :math:`(s, a)` to :math:`s'` with reward :math:`r`,

.. math::
    Q(s, a) \leftarrow Q(s, a) + \alpha \bigl(r + \gamma \max_{a' \in \mathcal A(s')} Q(s', a')
        - Q(s, a)\bigr),

where the bootstrap is left out if the step terminated the episode, and kept if it was only
truncated. With step sizes that fall as Robbins and Monro ask, and every pair visited for ever, Q
converges to the optimal action values whatever the exploration policy.

References:
    C. J. C. H. Watkins and P. Dayan (1992), Q-learning, Machine Learning 8, 279-292.
    R. S. Sutton and A. G. Barto (2018), Reinforcement Learning: An Introduction, section 6.5,
        page 131.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .compilation import njit
from .configuration import ControlConfig
from .control import AbstractControl
from .exploration import Exploration, best_value, explored_action
from .interaction import Kernels
from .schedules import StepSize, size_of_update
from .simulator import ACTION, OBSERVATION, Simulation, advance, finished, restart

__all__ = ["QLearning", "QLearningConfig"]


class Memory(NamedTuple):
    """Everything that one step reads and writes."""

    action_values: NDArray[np.float64]
    num_updates: NDArray[np.int64]
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
    values, clock = memory.action_values, memory.exploration.clock
    target = reward
    if not terminated:
        target += memory.discount * best_value(memory.exploration, values, next_state)
    n = memory.num_updates[state, action] + 1
    memory.num_updates[state, action] = n
    alpha = size_of_update(memory.step_size, clock[0], n)
    values[state, action] += alpha * (target - values[state, action])
    clock[0] += 1
    if terminated or truncated:
        return -1
    return explored_action(memory.exploration, values, next_state)


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
class QLearningConfig(ControlConfig):
    """Hyper-parameters of Q-learning."""


class QLearning(AbstractControl):
    """Q-learning with a table (see the module, and `AbstractTabularAgent` for the arguments).

    Example:
        >>> agent = QLearning("CliffWalking-v1", seed=0, discount=1.0).learn(100_000)
        >>> agent.simulator, round(float(agent.state_values[36]), 6)
        ('compiled', -13.0)
    """

    Config = QLearningConfig
    name = "q-learning"
    kernels = Kernels(begin, observe, run)

    def _build_memory(self, random: NDArray[np.uint64]) -> Memory:
        return Memory(
            action_values=self._initial_values(),
            num_updates=self._initial_counts(),
            exploration=self._exploration(random),
            step_size=self._step_size(),
            discount=float(self.config.discount),
        )
