r"""Monte Carlo control: learn from the returns of whole episodes.

When an episode ends, the return :math:`G_t = R_{t+1} + \gamma G_{t+1}` of every step (every-visit)
or of the first visit of each pair (first-visit) moves the value of its pair,

.. math:: Q(S_t, A_t) \leftarrow Q(S_t, A_t) + \alpha \bigl(G_t - Q(S_t, A_t)\bigr),

with :math:`\alpha = 1/n` for the book's average of returns. The policy is epsilon-greedy (or
softmax) in Q; with exploring starts every pair begins episodes, and the policy may be greedy.

The return of an episode that was only truncated goes on with the value of the action that would
have been taken next, :math:`G_T = Q(S_T, A_T)`: a cap on the number of steps is no part of the
problem. A running average also remembers the returns of poor early policies; a step size that
falls more slowly (``step_size_decay`` below 1) forgets them.

References:
    R. S. Sutton and A. G. Barto (2018), Reinforcement Learning: An Introduction, section 5.3
        (exploring starts, the box of page 99) and section 5.4 (epsilon-soft, page 101).
    S. P. Singh and R. S. Sutton (1996), Reinforcement Learning with Replacing Eligibility Traces,
        Machine Learning 22: first-visit and every-visit estimates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...schedules import Schedule
from .compilation import njit
from .configuration import ControlConfig
from .control import AbstractControl
from .episode_buffer import (
    LENGTH,
    EpisodeBuffer,
    empty_buffer,
    forget_episode,
    record_step,
)
from .exploration import Exploration, explored_action, uniform_action
from .interaction import Kernels
from .schedules import StepSize, size_of_update
from .simulator import ACTION, OBSERVATION, Simulation, advance, finished, restart

__all__ = ["MonteCarlo", "MonteCarloConfig"]


class Memory(NamedTuple):
    """Everything that one step reads and writes."""

    action_values: NDArray[np.float64]
    num_updates: NDArray[np.int64]
    exploration: Exploration
    episode: EpisodeBuffer
    step_size: StepSize
    discount: float
    every_visit: bool
    exploring_starts: bool


@njit
def begin(memory: Memory, state: int) -> int:
    """The first action of an episode that begins in ``state``."""
    forget_episode(memory.episode)
    if memory.exploring_starts:
        return uniform_action(memory.exploration, state)
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
    """Keep one step, learn if it ended the episode, and return the next action, -1 for none."""
    values = memory.action_values
    entry = state * values.shape[1] + action
    record_step(memory.episode, state, action, reward, 1.0, entry)
    memory.exploration.clock[0] += 1
    next_action = -1
    if not terminated:
        next_action = explored_action(memory.exploration, values, next_state)
        if not truncated:
            return next_action
    _learn_episode(memory, 0.0 if terminated else values[next_state, next_action])
    memory.episode.place[LENGTH] = 0
    return -1


@njit
def _learn_episode(memory: Memory, tail: float) -> None:
    episode = memory.episode
    step = memory.exploration.clock[0] - 1
    total = tail
    for t in range(episode.place[LENGTH] - 1, -1, -1):
        total = episode.rewards[t] + memory.discount * total
        if memory.every_visit or episode.is_first[t]:
            s, a = episode.states[t], episode.actions[t]
            n = memory.num_updates[s, a] + 1
            memory.num_updates[s, a] = n
            alpha = size_of_update(memory.step_size, step, n)
            memory.action_values[s, a] += alpha * (total - memory.action_values[s, a])


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
class MonteCarloConfig(ControlConfig):
    """Hyper-parameters of Monte Carlo control."""

    step_size: float | Schedule = 1.0
    """Size of an update, before it falls with the number of updates."""
    step_size_decay: float = 0.6
    """Exponent with which the step size falls with the updates of an entry; 1 is the book's
    average, which remembers the returns of poor early policies too long."""
    visits: Literal["first", "every"] = "first"
    """Which visits of a pair in an episode count."""
    exploring_starts: bool = False
    """Begin episodes in any state with any action; needs a known model."""


class MonteCarlo(AbstractControl):
    """Monte Carlo control with a table.

    See the module, and `AbstractTabularAgent` for the arguments. The book's algorithm with
    exploring starts has ``exploring_starts=True, exploration_rate=0.0``; starting anywhere needs
    the compiled simulator.

    Raises:
        ValueError: Exploring starts were asked for where the environment must be stepped.

    Example:
        >>> agent = MonteCarlo("Blackjack-v1", seed=0, discount=1.0).learn(200_000)
        >>> [int(agent.predict(hand)[0]) for hand in ((20, 10, 0), (8, 10, 0))]  # stick, hit
        [0, 1]
    """

    Config = MonteCarloConfig
    name = "monte-carlo"
    kernels = Kernels(begin, observe, run)

    def _build_memory(self, random: NDArray[np.uint64]) -> Memory:
        self._start_anywhere = self.config.exploring_starts
        values = self._initial_values()
        return Memory(
            action_values=values,
            num_updates=self._initial_counts(),
            exploration=self._exploration(random),
            episode=empty_buffer(values.size),
            step_size=self._step_size(),
            discount=float(self.config.discount),
            every_visit=self.config.visits == "every",
            exploring_starts=self.config.exploring_starts,
        )
