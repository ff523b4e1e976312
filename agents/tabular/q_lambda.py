r"""Watkins's Q(lambda): off-policy control by eligibility traces that end with exploration.

Each step's one-step error
:math:`\delta = r + \gamma \max_{a'} Q(s', a') - Q(s, a)` moves every pair in proportion to its
trace (see `eligibility_traces`). If the next action is greedy, the traces fade by
:math:`\gamma \lambda`; if it explores, they are cleared, because what follows tells nothing of the
greedy policy's return. An action of the largest value counts as greedy, whichever of equals. The
bootstrap is left out if the step terminated the episode, and kept if it was only truncated.

:math:`\lambda = 0` is Q-learning. As there, the next action is drawn after the update.

References:
    C. J. C. H. Watkins (1989), Learning from Delayed Rewards, PhD thesis, Cambridge, chapter 12.
    R. S. Sutton and A. G. Barto (2018), Reinforcement Learning: An Introduction, section 12.10.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .compilation import njit
from .configuration import ControlConfig
from .control import AbstractControl
from .eligibility_traces import (
    TraceKind,
    Traces,
    apply_traces,
    clear_traces,
    no_traces,
    raise_trace,
)
from .exploration import Exploration, best_value, explored_action
from .interaction import Kernels
from .schedules import StepSize
from .simulator import ACTION, OBSERVATION, Simulation, advance, finished, restart

__all__ = ["QLambda", "QLambdaConfig"]


class Memory(NamedTuple):
    """Everything that one step reads and writes."""

    action_values: NDArray[np.float64]
    num_updates: NDArray[np.int64]
    exploration: Exploration
    traces: Traces
    step_size: StepSize
    discount: float
    trace_decay: float


@njit
def begin(memory: Memory, state: int) -> int:
    """The first action of an episode that begins in ``state``."""
    clear_traces(memory.traces)
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
    memory.num_updates[state, action] += 1
    target = reward
    if not terminated:
        target += memory.discount * best_value(memory.exploration, values, next_state)
    error = target - values[state, action]
    raise_trace(memory.traces, state, action)
    apply_traces(
        memory.traces,
        values,
        memory.num_updates,
        memory.step_size,
        clock[0],
        error,
        memory.discount * memory.trace_decay,
    )
    clock[0] += 1
    if terminated or truncated:
        return -1
    next_action = explored_action(memory.exploration, values, next_state)
    if values[next_state, next_action] < best_value(memory.exploration, values, next_state):
        clear_traces(memory.traces)
    return next_action


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
class QLambdaConfig(ControlConfig):
    """Hyper-parameters of Watkins's Q(lambda)."""

    step_size_decay: float = 0.6
    """Exponent with which the step size falls with the updates of an entry: 0 never, 1 average."""
    trace_decay: float = 0.9
    """Lambda: 0 learns from one step, 1 from the whole episode."""
    traces: TraceKind = "replacing"
    """Whether a visit replaces a pair's trace by 1 or adds 1 to it."""


class QLambda(AbstractControl):
    """Watkins's Q(lambda) with a table.

    See the module, and `AbstractTabularAgent` for the arguments.

    Example:
        >>> agent = QLambda("CliffWalking-v1", seed=0, discount=1.0).learn(100_000)
        >>> agent.policy[36], agent.policy[24]  # up, and up again: away from the cliff
        (np.int64(0), np.int64(0))
    """

    Config = QLambdaConfig
    name = "q-lambda"
    kernels = Kernels(begin, observe, run)

    def _build_memory(self, random: NDArray[np.uint64]) -> Memory:
        return Memory(
            action_values=self._initial_values(),
            num_updates=self._initial_counts(),
            exploration=self._exploration(random),
            traces=no_traces(self._allowed.shape, self.config.traces),
            step_size=self._step_size(),
            discount=float(self.config.discount),
            trace_decay=float(self.config.trace_decay),
        )
