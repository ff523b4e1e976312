r"""SARSA(lambda): on-policy control by eligibility traces.

Each step's one-step error :math:`\delta = r + \gamma Q(s', a') - Q(s, a)` moves every pair in
proportion to its trace (see `eligibility_traces`),

.. math:: Q \leftarrow Q + \alpha \delta e, \qquad e \leftarrow \gamma \lambda e .

:math:`\lambda = 0` is SARSA, :math:`\lambda = 1` approaches Monte Carlo. The bootstrap is left out
if the step terminated the episode; if it was only truncated, :math:`a'` is the action that would
have been taken next.

References:
    G. A. Rummery and M. Niranjan (1994), On-line Q-learning using connectionist systems.
    R. S. Sutton and A. G. Barto (2018), Reinforcement Learning: An Introduction, section 12.7
        (the table's features are indicators of the pairs).
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
from .exploration import Exploration, explored_action
from .interaction import Kernels
from .schedules import StepSize
from .simulator import ACTION, OBSERVATION, Simulation, advance, finished, restart

__all__ = ["SARSALambda", "SARSALambdaConfig"]


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
    clock[0] += 1  # before the next action is drawn: that belongs to the next step
    next_action = -1
    target = reward
    if not terminated:
        next_action = explored_action(memory.exploration, values, next_state)
        target += memory.discount * values[next_state, next_action]
    error = target - values[state, action]
    raise_trace(memory.traces, state, action)
    apply_traces(
        memory.traces,
        values,
        memory.num_updates,
        memory.step_size,
        clock[0] - 1,
        error,
        memory.discount * memory.trace_decay,
    )
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
class SARSALambdaConfig(ControlConfig):
    """Hyper-parameters of SARSA(lambda)."""

    step_size_decay: float = 0.6
    """Exponent with which the step size falls with the updates of an entry: 0 never, 1 average."""
    trace_decay: float = 0.9
    """Lambda: 0 learns from one step, 1 from the whole episode."""
    traces: TraceKind = "replacing"
    """Whether a visit replaces a pair's trace by 1 or adds 1 to it."""


class SARSALambda(AbstractControl):
    """SARSA(lambda) with a table (see the module, and `AbstractTabularAgent` for the arguments).

    Example:
        >>> agent = SARSALambda("CliffWalking-v1", seed=0, discount=1.0).learn(100_000)
        >>> agent.policy[[36, 24]].tolist()  # up, and up again: away from the cliff
        [0, 0]
    """

    Config = SARSALambdaConfig
    name = "sarsa-lambda"
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
