r"""SARSA: on-policy control by one-step temporal differences.

After a step from :math:`(s, a)` to :math:`s'` with reward :math:`r`, and with the action
:math:`a'` that the exploration policy takes next,

.. math:: Q(s, a) \leftarrow Q(s, a) + \alpha \bigl(r + \gamma Q(s', a') - Q(s, a)\bigr),

where the bootstrap is left out if the step terminated the episode. If it was only truncated,
:math:`a'` is the action that would have been taken next. Q converges to the values of the
exploration policy, and to the optimal ones if exploration fades slowly enough.

References:
    G. A. Rummery and M. Niranjan (1994), On-line Q-learning using connectionist systems.
    R. S. Sutton and A. G. Barto (2018), Reinforcement Learning: An Introduction, section 6.4,
        equation (6.7) and the box of page 130.
    S. Singh, T. Jaakkola, M. L. Littman, C. Szepesvari (2000), Convergence Results for
        Single-Step On-Policy Reinforcement-Learning Algorithms, Machine Learning 38.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .compilation import njit
from .configuration import ControlConfig
from .control import AbstractControl
from .exploration import Exploration, explored_action
from .interaction import Kernels
from .schedules import StepSize, size_of_update
from .simulator import ACTION, OBSERVATION, Simulation, advance, finished, restart

__all__ = ["SARSA", "SARSAConfig"]


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
    n = memory.num_updates[state, action] + 1
    memory.num_updates[state, action] = n
    alpha = size_of_update(memory.step_size, clock[0], n)
    clock[0] += 1  # before the next action is drawn: that belongs to the next step
    next_action = -1
    target = reward
    if not terminated:
        next_action = explored_action(memory.exploration, values, next_state)
        target += memory.discount * values[next_state, next_action]
    values[state, action] += alpha * (target - values[state, action])
    return -1 if truncated else next_action


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
class SARSAConfig(ControlConfig):
    """Hyper-parameters of SARSA."""


class SARSA(AbstractControl):
    """SARSA with a table (see the module, and `AbstractTabularAgent` for the arguments).

    Example:
        >>> agent = SARSA("CliffWalking-v1", seed=0, discount=1.0).learn(100_000)
        >>> agent.policy[[36, 24]].tolist()  # up, and up again: away from the cliff
        [0, 0]
    """

    Config = SARSAConfig
    name = "sarsa"
    kernels = Kernels(begin, observe, run)

    def _build_memory(self, random: NDArray[np.uint64]) -> Memory:
        return Memory(
            action_values=self._initial_values(),
            num_updates=self._initial_counts(),
            exploration=self._exploration(random),
            step_size=self._step_size(),
            discount=float(self.config.discount),
        )
