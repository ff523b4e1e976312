r"""Dyna-Q and Dyna-Q+: Q-learning that also learns from a model of what it has seen.

Every step from :math:`(s, a)` to :math:`s'` updates :math:`Q(s, a)` as in Q-learning and is kept
in the model. Then, ``planning_steps`` times, a pair is drawn uniformly from those in the model and
one of its kept outcomes :math:`(r, s')` with it, and the pair is updated as if that had just
happened.

Dyna-Q+ (``exploration_bonus`` :math:`\kappa > 0`) plans with the reward
:math:`r + \kappa \sqrt{\tau}`, where :math:`\tau` is the number of steps since the pair was
last tried, so that it looks again at what may have changed. Actions that were never tried in a
state that was visited are in its model too: they lead back to the state without reward.

The book's model keeps the last outcome of each pair, which is right for deterministic worlds;
``model_samples`` keeps the last several, so that the model of a stochastic world is its recent
frequencies. With no planning steps this is Q-learning.

References:
    R. S. Sutton (1990), Integrated Architectures for Learning, Planning, and Reacting Based on
        Approximating Dynamic Programming, ICML.
    R. S. Sutton and A. G. Barto (2018), Reinforcement Learning: An Introduction, section 8.2 (the
        box of page 164) and section 8.3 with its footnote (Dyna-Q+, page 168).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .compilation import njit
from .configuration import ControlConfig
from .control import AbstractControl
from .exploration import Exploration, best_value, explored_action
from .interaction import Kernels
from .random_stream import random_below
from .schedules import StepSize, size_of_update
from .simulator import ACTION, OBSERVATION, Simulation, advance, finished, restart

__all__ = ["DynaQ", "DynaQConfig"]


class Model(NamedTuple):
    """What has been seen.

    Attributes:
        next_states: (S, A, M) the last M outcomes of each pair, in a ring.
        rewards: (S, A, M) their rewards.
        terminated: (S, A, M) whether they ended the episode.
        num_tries: (S, A) how often each pair was tried.
        last_tries: (S, A) ``num_steps`` when it was last tried or, if never, its state first seen.
        num_steps: (1,) steps learnt from; unlike the clock it is never set back, as ages go by it.
        pairs: (S * A,) the pairs in the model, as s * A + a; the first ``num_pairs[0]``.
        num_pairs: (1,) how many there are.
        known: (S, A) whether each pair is among them.
    """

    next_states: NDArray[np.int64]
    rewards: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    num_tries: NDArray[np.int64]
    last_tries: NDArray[np.int64]
    num_steps: NDArray[np.int64]
    pairs: NDArray[np.int64]
    num_pairs: NDArray[np.int64]
    known: NDArray[np.bool_]


class Memory(NamedTuple):
    """Everything that one step reads and writes."""

    action_values: NDArray[np.float64]
    num_updates: NDArray[np.int64]
    exploration: Exploration
    model: Model
    step_size: StepSize
    discount: float
    planning_steps: int
    exploration_bonus: float


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
    memory.num_updates[state, action] += 1
    _update(memory, state, action, reward, terminated, next_state)
    clock[0] += 1
    memory.model.num_steps[0] += 1
    _keep(memory, state, action, reward, terminated, next_state)
    for _ in range(memory.planning_steps):
        _plan(memory)
    if terminated or truncated:
        return -1
    return explored_action(memory.exploration, values, next_state)


@njit
def _update(
    memory: Memory, state: int, action: int, reward: float, terminated: bool, next_state: int
) -> None:
    values = memory.action_values
    target = reward
    if not terminated:
        target += memory.discount * best_value(memory.exploration, values, next_state)
    n = max(memory.num_updates[state, action], 1)  # a planned pair may never have been tried
    alpha = size_of_update(memory.step_size, memory.exploration.clock[0], n)
    values[state, action] += alpha * (target - values[state, action])


@njit
def _keep(
    memory: Memory, state: int, action: int, reward: float, terminated: bool, next_state: int
) -> None:
    model = memory.model
    num_actions = model.known.shape[1]
    if memory.exploration_bonus > 0.0:
        for other in range(num_actions):
            if memory.exploration.allowed[state, other] and not model.known[state, other]:
                _add_pair(memory, state, other)
    if not model.known[state, action]:
        _add_pair(memory, state, action)
    place = model.num_tries[state, action] % model.rewards.shape[2]
    model.next_states[state, action, place] = next_state
    model.rewards[state, action, place] = reward
    model.terminated[state, action, place] = terminated
    model.num_tries[state, action] += 1
    model.last_tries[state, action] = model.num_steps[0]


@njit
def _add_pair(memory: Memory, state: int, action: int) -> None:
    model = memory.model
    model.known[state, action] = True
    model.last_tries[state, action] = model.num_steps[0]
    model.pairs[model.num_pairs[0]] = state * model.known.shape[1] + action
    model.num_pairs[0] += 1


@njit
def _plan(memory: Memory) -> None:
    model, random = memory.model, memory.exploration.random
    pair = model.pairs[random_below(random, model.num_pairs[0])]
    state, action = pair // model.known.shape[1], pair % model.known.shape[1]
    age = model.num_steps[0] - model.last_tries[state, action]
    bonus = memory.exploration_bonus * math.sqrt(age)
    kept = min(model.num_tries[state, action], model.rewards.shape[2])
    if kept == 0:
        _update(memory, state, action, bonus, False, state)
        return
    k = random_below(random, kept) if kept > 1 else 0
    _update(
        memory,
        state,
        action,
        model.rewards[state, action, k] + bonus,
        model.terminated[state, action, k],
        model.next_states[state, action, k],
    )


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
class DynaQConfig(ControlConfig):
    """Hyper-parameters of Dyna-Q and Dyna-Q+."""

    planning_steps: int = 10
    """Updates from the model after every step."""
    exploration_bonus: float = 0.0
    """Kappa: planned reward for each square root of a step since a pair was tried; 0 is Dyna-Q."""
    model_samples: int = 1
    """Outcomes of each pair that the model keeps; 1 is the book's, more suit stochastic worlds."""


class DynaQ(AbstractControl):
    """Dyna-Q with a table (see the module, and `AbstractTabularAgent` for the arguments).

    Example:
        >>> agent = DynaQ("CliffWalking-v1", seed=0, discount=1.0).learn(20_000)
        >>> round(float(agent.state_values[36]), 6)
        -13.0
    """

    Config = DynaQConfig
    name = "dyna-q"
    kernels = Kernels(begin, observe, run)

    def _build_memory(self, random: NDArray[np.uint64]) -> Memory:
        shape = (*self._allowed.shape, self.config.model_samples)
        model = Model(
            next_states=np.zeros(shape, dtype=np.int64),
            rewards=np.zeros(shape),
            terminated=np.zeros(shape, dtype=np.bool_),
            num_tries=self._initial_counts(),
            last_tries=self._initial_counts(),
            num_steps=np.zeros(1, dtype=np.int64),
            pairs=np.zeros(self._allowed.size, dtype=np.int64),
            num_pairs=np.zeros(1, dtype=np.int64),
            known=np.zeros(self._allowed.shape, dtype=np.bool_),
        )
        return Memory(
            action_values=self._initial_values(),
            num_updates=self._initial_counts(),
            exploration=self._exploration(random),
            model=model,
            step_size=self._step_size(),
            discount=float(self.config.discount),
            planning_steps=self.config.planning_steps,
            exploration_bonus=float(self.config.exploration_bonus),
        )
