r"""Temporal-difference prediction: the values of a policy, by TD(0), n-step TD and TD(lambda).

TD(0) moves the value of each state visited towards the next reward and state,

.. math:: V(s) \leftarrow V(s) + \alpha \bigl(r + \gamma V(s') - V(s)\bigr) ;

n-step TD towards the next n rewards and the state after them,

.. math:: G_{t:t+n} = R_{t+1} + \dots + \gamma^{n-1} R_{t+n} + \gamma^n V(S_{t+n}) ;

TD(lambda) moves every state by the one-step error in proportion to its trace (see
`eligibility_traces`). The bootstrap is left out if the step terminated the episode, and kept if it
was only truncated. n = 1 and lambda = 0 are TD(0).

References:
    R. S. Sutton (1988), Learning to Predict by the Methods of Temporal Differences, Machine
        Learning 3.
    R. S. Sutton and A. G. Barto (2018), Reinforcement Learning: An Introduction, the boxes of
        pages 120 (TD(0)), 144 (n-step) and 293 (TD(lambda)).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .compilation import njit
from .configuration import PredictionConfig
from .eligibility_traces import (
    TraceKind,
    Traces,
    apply_traces,
    clear_traces,
    no_traces,
    raise_trace,
)
from .interaction import Kernels
from .prediction import AbstractPrediction, EvaluatedPolicy, drawn_action
from .recent_steps import RecentSteps, forget_steps, keep_step, n_step_returns, no_steps
from .schedules import StepSize, size_of_update
from .simulator import ACTION, OBSERVATION, Simulation, advance, finished, restart

__all__ = ["TDPrediction", "TDPredictionConfig"]


class Memory(NamedTuple):
    """Everything that one step reads and writes; tables of state values have one column."""

    state_values: NDArray[np.float64]
    num_updates: NDArray[np.int64]
    policy: EvaluatedPolicy
    recent: RecentSteps
    traces: Traces
    step_size: StepSize
    discount: float
    trace_decay: float


@njit
def begin(memory: Memory, state: int) -> int:
    """The first action of an episode that begins in ``state``."""
    forget_steps(memory.recent)
    clear_traces(memory.traces)
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
    """Learn from one step and return the next action, -1 where the episode is over."""
    tail = 0.0 if terminated else memory.state_values[next_state, 0]
    ended = terminated or truncated
    if memory.trace_decay > 0.0:
        _learn_by_traces(memory, state, reward, tail)
    else:
        keep_step(memory.recent, state, action, reward)
        _learn_by_returns(memory, tail, ended)
    memory.policy.clock[0] += 1
    return -1 if ended else drawn_action(memory.policy, next_state)


@njit
def _learn_by_traces(memory: Memory, state: int, reward: float, tail: float) -> None:
    memory.num_updates[state, 0] += 1
    error = reward + memory.discount * tail - memory.state_values[state, 0]
    raise_trace(memory.traces, state, 0)
    apply_traces(
        memory.traces,
        memory.state_values,
        memory.num_updates,
        memory.step_size,
        memory.policy.clock[0],
        error,
        memory.discount * memory.trace_decay,
    )


@njit
def _learn_by_returns(memory: Memory, tail: float, ended: bool) -> None:
    recent, values = memory.recent, memory.state_values
    for k in range(n_step_returns(recent, tail, memory.discount, ended)):
        s = recent.due_states[k]
        n = memory.num_updates[s, 0] + 1
        memory.num_updates[s, 0] = n
        alpha = size_of_update(memory.step_size, memory.policy.clock[0], n)
        values[s, 0] += alpha * (recent.due_returns[k] - values[s, 0])


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
class TDPredictionConfig(PredictionConfig):
    """Hyper-parameters of TD prediction.

    Raises:
        ValueError: Both n-step returns and traces are asked for.
    """

    num_steps: int = 1
    """n, the steps between a visit and its update; 1 is TD(0)."""
    trace_decay: float = 0.0
    """Lambda of TD(lambda); 0 is TD(0)."""
    traces: TraceKind = "accumulating"
    """Whether a visit replaces a state's trace by 1 or adds 1 to it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_steps > 1 and self.trace_decay > 0:
            raise ValueError(
                f"expected n-step returns or traces, got num_steps={self.num_steps} and "
                f"trace_decay={self.trace_decay}"
            )


class TDPrediction(AbstractPrediction):
    """Temporal-difference prediction with a table of state values.

    See the module, and `AbstractPrediction` for the arguments.

    Example:
        >>> agent = TDPrediction("FrozenLake-v1", seed=0, step_size=1.0, step_size_decay=0.7)
        >>> bool(abs(agent.learn(500_000).state_values[14] - 0.44) < 0.03)  # beside the goal
        True
    """

    Config = TDPredictionConfig
    name = "td-prediction"
    kernels = Kernels(begin, observe, run)

    def _build_memory(self, random: NDArray[np.uint64]) -> Memory:
        return Memory(
            state_values=self._initial_values(),
            num_updates=self._initial_counts(),
            policy=self._policy(random),
            recent=no_steps(self.config.num_steps),
            traces=no_traces((self.num_states, 1), self.config.traces),
            step_size=self._step_size(),
            discount=float(self.config.discount),
            trace_decay=float(self.config.trace_decay),
        )
