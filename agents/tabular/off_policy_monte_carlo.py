r"""Off-policy Monte Carlo control: learn the greedy policy from the episodes of an exploring one.

When an episode ends, its steps are gone through from last to first. The return that follows
a pair counts with how much likelier the greedy policy :math:`\pi` would have made it than the
exploration policy b that did,

.. math:: W_t = \prod_{k=t+1}^{T-1} \frac{\pi(A_k \mid S_k)}{b(A_k \mid S_k)},

which is zero as soon as a later action was not greedy. *Weighted* importance sampling averages the
returns with these weights,

.. math:: C \leftarrow C + W, \qquad Q \leftarrow Q + \tfrac{W}{C} (G - Q) ;

*ordinary* importance sampling averages the products, :math:`Q \leftarrow Q + \tfrac1n (W G - Q)`,
with a variance that may be infinite. All visits count; the greedy action is the lowest of equals.
The return of an episode that was only truncated goes on with the largest value in its last state.
Weights are cut at 1e100, which only episodes of thousands of steps reach.

References:
    R. S. Sutton and A. G. Barto (2018), Reinforcement Learning: An Introduction, section 5.7, the
        box of page 111; section 5.5 for the two averages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .compilation import njit
from .configuration import ExplorationConfig
from .control import AbstractControl
from .episode_buffer import (
    LENGTH,
    EpisodeBuffer,
    empty_buffer,
    forget_episode,
    record_step,
)
from .exploration import (
    Exploration,
    best_action,
    best_value,
    explored_action,
    policy_probabilities,
)
from .interaction import Kernels
from .simulator import ACTION, OBSERVATION, Simulation, advance, finished, restart

__all__ = ["LARGEST_WEIGHT", "OffPolicyMonteCarlo", "OffPolicyMonteCarloConfig"]

LARGEST_WEIGHT = 1e100


class Memory(NamedTuple):
    """Everything that one step reads and writes."""

    action_values: NDArray[np.float64]
    weights: NDArray[np.float64]  # (S, A) sums of the weights or, for ordinary sampling, counts
    probabilities: NDArray[np.float64]  # (A,) of the present state, for the duration of a step
    exploration: Exploration
    episode: EpisodeBuffer
    discount: float
    is_weighted: bool


@njit
def begin(memory: Memory, state: int) -> int:
    """The first action of an episode that begins in ``state``."""
    forget_episode(memory.episode)
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
    values, exploration = memory.action_values, memory.exploration
    # The values and the clock are those by which the action was drawn.
    policy_probabilities(exploration, values, state, memory.probabilities)
    entry = state * values.shape[1] + action
    ratio = 1.0 / memory.probabilities[action]
    record_step(memory.episode, state, action, reward, ratio, entry)
    exploration.clock[0] += 1
    if not (terminated or truncated):
        return explored_action(exploration, values, next_state)
    tail = 0.0
    if not terminated:
        tail = best_value(exploration, values, next_state)
    _learn_episode(memory, tail)
    memory.episode.place[LENGTH] = 0
    return -1


@njit
def _learn_episode(memory: Memory, tail: float) -> None:
    episode, values = memory.episode, memory.action_values
    total = tail
    weight = 1.0
    for t in range(episode.place[LENGTH] - 1, -1, -1):
        total = episode.rewards[t] + memory.discount * total
        s, a = episode.states[t], episode.actions[t]
        if memory.is_weighted:
            if weight == 0.0:
                return
            memory.weights[s, a] += weight
            values[s, a] += weight / memory.weights[s, a] * (total - values[s, a])
        else:
            memory.weights[s, a] += 1.0
            values[s, a] += (weight * total - values[s, a]) / memory.weights[s, a]
        if a == best_action(memory.exploration, values, s):
            weight = min(weight * episode.ratios[t], LARGEST_WEIGHT)
        else:
            weight = 0.0


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
class OffPolicyMonteCarloConfig(ExplorationConfig):
    """Hyper-parameters of off-policy Monte Carlo control."""

    importance_sampling: Literal["weighted", "ordinary"] = "weighted"
    """How returns are averaged."""


class OffPolicyMonteCarlo(AbstractControl):
    """Off-policy Monte Carlo control with a table.

    See the module, and `AbstractTabularAgent` for the arguments.

    Example:
        >>> agent = OffPolicyMonteCarlo("Blackjack-v1", seed=0, discount=1.0, exploration_rate=0.5)
        >>> agent = agent.learn(300_000)
        >>> [int(agent.predict(hand)[0]) for hand in ((20, 10, 0), (8, 10, 0))]  # stick, hit
        [0, 1]
    """

    Config = OffPolicyMonteCarloConfig
    name = "off-policy-monte-carlo"
    kernels = Kernels(begin, observe, run)

    def _build_memory(self, random: NDArray[np.uint64]) -> Memory:
        return Memory(
            action_values=self._initial_values(),
            weights=np.zeros(self._allowed.shape),
            probabilities=np.zeros(self.num_actions),
            exploration=self._exploration(random),
            episode=empty_buffer(self._allowed.size),
            discount=float(self.config.discount),
            is_weighted=self.config.importance_sampling == "weighted",
        )
