r"""n-step SARSA: on-policy control between one step and the whole episode.

The pair visited n steps ago moves towards the rewards since then and the present pair's value,

.. math::
    G_{t:t+n} = R_{t+1} + \gamma R_{t+2} + \dots + \gamma^{n-1} R_{t+n}
        + \gamma^n Q(S_{t+n}, A_{t+n}), \qquad
    Q(S_t, A_t) \leftarrow Q(S_t, A_t) + \alpha \bigl(G_{t:t+n} - Q(S_t, A_t)\bigr).

When an episode ends, the pairs of its last n steps are updated in the order of their visits, with
no bootstrap if it terminated, and with the value of the pair that would have come next if it was
only truncated. n = 1 is SARSA.

References:
    R. S. Sutton and A. G. Barto (2018), Reinforcement Learning: An Introduction, section 7.2,
        equations (7.4) and (7.5) and the box of page 147.
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
from .recent_steps import RecentSteps, forget_steps, keep_step, n_step_returns, no_steps
from .schedules import StepSize, size_of_update
from .simulator import ACTION, OBSERVATION, Simulation, advance, finished, restart

__all__ = ["NStepSARSA", "NStepSARSAConfig"]


class Memory(NamedTuple):
    """Everything that one step reads and writes."""

    action_values: NDArray[np.float64]
    num_updates: NDArray[np.int64]
    exploration: Exploration
    recent: RecentSteps
    step_size: StepSize
    discount: float


@njit
def begin(memory: Memory, state: int) -> int:
    """The first action of an episode that begins in ``state``."""
    forget_steps(memory.recent)
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
    values, clock, recent = memory.action_values, memory.exploration.clock, memory.recent
    keep_step(recent, state, action, reward)
    clock[0] += 1  # before the next action is drawn: that belongs to the next step
    next_action = -1
    tail = 0.0
    if not terminated:
        next_action = explored_action(memory.exploration, values, next_state)
        tail = values[next_state, next_action]
    num_due = n_step_returns(recent, tail, memory.discount, terminated or truncated)
    for k in range(num_due):
        s, a = recent.due_states[k], recent.due_actions[k]
        n = memory.num_updates[s, a] + 1
        memory.num_updates[s, a] = n
        alpha = size_of_update(memory.step_size, clock[0] - 1, n)
        values[s, a] += alpha * (recent.due_returns[k] - values[s, a])
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
class NStepSARSAConfig(ControlConfig):
    """Hyper-parameters of n-step SARSA."""

    num_steps: int = 4
    """n, the steps between a visit and its update."""


class NStepSARSA(AbstractControl):
    """n-step SARSA with a table (see the module, and `AbstractTabularAgent` for the arguments).

    Example:
        >>> agent = NStepSARSA("CliffWalking-v1", seed=0, discount=1.0).learn(100_000)
        >>> agent.policy[[36, 24]].tolist()  # up, and up again: away from the cliff
        [0, 0]
    """

    Config = NStepSARSAConfig
    name = "n-step-sarsa"
    kernels = Kernels(begin, observe, run)

    def _build_memory(self, random: NDArray[np.uint64]) -> Memory:
        return Memory(
            action_values=self._initial_values(),
            num_updates=self._initial_counts(),
            exploration=self._exploration(random),
            recent=no_steps(self.config.num_steps),
            step_size=self._step_size(),
            discount=float(self.config.discount),
        )
