r"""Expected SARSA: one-step control without the noise of the next action.

After a step from :math:`(s, a)` to :math:`s'` with reward :math:`r`, under the exploration policy
:math:`\pi` of the next step,

.. math::
    Q(s, a) \leftarrow Q(s, a) + \alpha \Bigl(r + \gamma \sum_{a'} \pi(a' \mid s') Q(s', a')
        - Q(s, a)\Bigr),

where the bootstrap is left out if the step terminated the episode, and kept if it was only
truncated. The target has the mean of SARSA's and less variance, so larger steps are safe.

References:
    H. van Seijen, H. van Hasselt, S. Whiteson, M. Wiering (2009), A Theoretical and Empirical
        Analysis of Expected Sarsa, IEEE ADPRL.
    R. S. Sutton and A. G. Barto (2018), Reinforcement Learning: An Introduction, equation (6.9).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .compilation import njit
from .configuration import ControlConfig
from .control import AbstractControl
from .exploration import Exploration, expected_value, explored_action
from .interaction import Kernels
from .schedules import StepSize, size_of_update
from .simulator import ACTION, OBSERVATION, Simulation, advance, finished, restart

__all__ = ["ExpectedSARSA", "ExpectedSARSAConfig"]


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
    clock[0] += 1  # the policy of the next step
    target = reward
    if not terminated:
        target += memory.discount * expected_value(memory.exploration, values, next_state)
    values[state, action] += alpha * (target - values[state, action])
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
class ExpectedSARSAConfig(ControlConfig):
    """Hyper-parameters of Expected SARSA."""


class ExpectedSARSA(AbstractControl):
    """Expected SARSA with a table (see the module, and `AbstractTabularAgent` for the arguments).

    Example:
        >>> agent = ExpectedSARSA("CliffWalking-v1", seed=0, discount=1.0).learn(100_000)
        >>> agent.policy[[36, 24]].tolist()  # up, and up again: away from the cliff
        [0, 0]
    """

    Config = ExpectedSARSAConfig
    name = "expected-sarsa"
    kernels = Kernels(begin, observe, run)

    def _build_memory(self, random: NDArray[np.uint64]) -> Memory:
        return Memory(
            action_values=self._initial_values(),
            num_updates=self._initial_counts(),
            exploration=self._exploration(random),
            step_size=self._step_size(),
            discount=float(self.config.discount),
        )
