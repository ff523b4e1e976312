r"""Off-policy Monte Carlo prediction: the values of one policy from the episodes of another.

Actions are drawn from a behaviour policy b; the return after a visit at time t counts by how much
likelier the target policy :math:`\pi` would have made it,

.. math:: \rho_t = \prod_{k=t}^{T-1} \frac{\pi(A_k \mid S_k)}{b(A_k \mid S_k)}.

*Weighted* importance sampling averages with these weights,
:math:`C \leftarrow C + \rho, \; V \leftarrow V + \tfrac{\rho}{C} (G - V)`: biased, with bounded
variance. *Ordinary* importance sampling averages the products,
:math:`V \leftarrow V + \tfrac1n (\rho G - V)`: unbiased, with a variance that may be infinite. The
return of an episode that was only truncated goes on with the value of the state that it had
reached. Weights are cut at 1e100.

References:
    R. S. Sutton and A. G. Barto (2018), Reinforcement Learning: An Introduction, sections 5.5 and
        5.6, equations (5.5), (5.6) and (5.8); examples 5.4 and 5.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...envs.environments import EnvLike
from .compilation import njit
from .configuration import TabularConfig
from .episode_buffer import (
    LENGTH,
    EpisodeBuffer,
    empty_buffer,
    forget_episode,
    record_step,
)
from .interaction import Kernels
from .learner import Simulator
from .off_policy_monte_carlo import LARGEST_WEIGHT
from .prediction import (
    AbstractPrediction,
    EvaluatedPolicy,
    drawn_action,
    drawn_probability,
    policy_table,
)
from .simulator import ACTION, OBSERVATION, Simulation, advance, finished, restart

__all__ = ["OffPolicyMonteCarloPrediction", "OffPolicyMonteCarloPredictionConfig"]


class Memory(NamedTuple):
    """Everything that one step reads and writes; tables of state values have one column."""

    state_values: NDArray[np.float64]
    weights: NDArray[np.float64]  # (S, 1) sums of the weights or, for ordinary sampling, counts
    policy: EvaluatedPolicy
    behaviour: EvaluatedPolicy
    episode: EpisodeBuffer
    discount: float
    every_visit: bool
    is_weighted: bool


@njit
def begin(memory: Memory, state: int) -> int:
    """The first action of an episode that begins in ``state``."""
    forget_episode(memory.episode)
    return drawn_action(memory.behaviour, state)


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
    drawn = drawn_probability(memory.behaviour, state, action)
    ratio = drawn_probability(memory.policy, state, action) / drawn if drawn > 0.0 else 0.0
    record_step(memory.episode, state, action, reward, ratio, state)
    memory.behaviour.clock[0] += 1
    if not (terminated or truncated):
        return drawn_action(memory.behaviour, next_state)
    _learn_episode(memory, 0.0 if terminated else memory.state_values[next_state, 0])
    memory.episode.place[LENGTH] = 0
    return -1


@njit
def _learn_episode(memory: Memory, tail: float) -> None:
    episode, values = memory.episode, memory.state_values
    total = tail
    weight = 1.0
    for t in range(episode.place[LENGTH] - 1, -1, -1):
        total = episode.rewards[t] + memory.discount * total
        weight = min(weight * episode.ratios[t], LARGEST_WEIGHT)
        s = episode.states[t]
        if not (memory.every_visit or episode.is_first[t]):
            continue
        if not memory.is_weighted:
            memory.weights[s, 0] += 1.0
            values[s, 0] += (weight * total - values[s, 0]) / memory.weights[s, 0]
        elif weight > 0.0:
            memory.weights[s, 0] += weight
            values[s, 0] += weight / memory.weights[s, 0] * (total - values[s, 0])


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
        if next_action < 0 and finished(simulation, memory.behaviour.clock[0]):
            return step + 1
    return num_steps


@dataclass(frozen=True)
class OffPolicyMonteCarloPredictionConfig(TabularConfig):
    """Hyper-parameters of off-policy Monte Carlo prediction."""

    importance_sampling: Literal["weighted", "ordinary"] = "weighted"
    """How returns are averaged."""
    visits: Literal["first", "every"] = "first"
    """Which visits of a state in an episode count."""
    initial_state_value: float = 0.0
    """What every state is worth at first."""


class OffPolicyMonteCarloPrediction(AbstractPrediction):
    """Off-policy Monte Carlo prediction with a table of state values.

    Args:
        env: As for `AbstractTabularAgent`.
        policy: The target, whose values are learnt (see `AbstractPrediction`).
        behaviour_policy: The policy that acts, in the same forms; None is uniform.
        seed: As for `AbstractTabularAgent`.
        simulator: As for `AbstractTabularAgent`.
        hyperparameters: Fields of ``Config``.

    Raises:
        ValueError: Also if the behaviour never takes an action that the target may take.

    Example:
        >>> agent = OffPolicyMonteCarloPrediction("FrozenLake-v1", seed=0, policy=[2] * 16)
        >>> bool(agent.learn(10_000).state_values[14] > 0.2)  # going right beside the goal
        True
    """

    Config = OffPolicyMonteCarloPredictionConfig
    name = "off-policy-monte-carlo-prediction"
    kernels = Kernels(begin, observe, run)

    _given_behaviour: ArrayLike | None = None

    def __init__(
        self,
        env: EnvLike,
        *,
        policy: ArrayLike | None = None,
        behaviour_policy: ArrayLike | None = None,
        seed: int | None = None,
        simulator: Simulator = "auto",
        **hyperparameters: Any,
    ) -> None:
        self._given_behaviour = behaviour_policy
        super().__init__(env, policy=policy, seed=seed, simulator=simulator, **hyperparameters)

    def _build_memory(self, random: NDArray[np.uint64]) -> Memory:
        policy = self._policy(random)
        behaviour = policy_table(self._given_behaviour, self._allowed)
        uncovered = np.argwhere((policy.probabilities > 0) & (behaviour == 0))
        if len(uncovered):
            state, action = uncovered[0]
            raise ValueError(
                f"expected a behaviour policy that may take whatever the target may, got "
                f"probability 0 for action {action} in state {state}"
            )
        return Memory(
            state_values=self._initial_values(),
            weights=np.zeros((self.num_states, 1)),
            policy=policy,
            behaviour=EvaluatedPolicy(behaviour, self._allowed, random, self._clock),
            episode=empty_buffer(self.num_states),
            discount=float(self.config.discount),
            every_visit=self.config.visits == "every",
            is_weighted=self.config.importance_sampling == "weighted",
        )
