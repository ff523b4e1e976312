r"""How a learner acts while it learns: greedily, and sometimes not.

With allowed actions :math:`\mathcal A(s)`, greedy actions
:math:`\mathcal A^*(s) = \arg\max_{a \in \mathcal A(s)} Q(s, a)`, exploration rate
:math:`\varepsilon` and temperature :math:`T`,

.. math::
    \text{epsilon-greedy: } \pi(a \mid s) = \frac{\varepsilon}{|\mathcal A(s)|}
        + (1 - \varepsilon) \frac{[a \in \mathcal A^*(s)]}{|\mathcal A^*(s)|}, \qquad
    \text{softmax: } \pi(a \mid s) \propto e^{Q(s, a) / T} .

While learning, ties are broken uniformly at random: always taking the lowest index keeps a fresh,
all-zero table walking into the same wall. The greedy policy that is reported takes the lowest.
Optimistic starts need nothing here: they are a table filled with a high ``initial_action_value``.

References:
    R. S. Sutton and A. G. Barto (2018), Reinforcement Learning: An Introduction, sections 2.2,
        2.6 (optimistic values) and 5.4 (epsilon-soft policies); equation (2.11) (softmax).
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from ...schedules import Schedule
from .compilation import njit
from .random_stream import random_below, random_unit
from .schedules import CompiledSchedule, compile_schedule, scheduled

__all__ = [
    "Exploration",
    "ExplorationMethod",
    "best_action",
    "best_value",
    "compile_exploration",
    "expected_value",
    "explored_action",
    "policy_probabilities",
    "uniform_action",
]

ExplorationMethod = Literal["epsilon-greedy", "softmax"]
_METHODS: tuple[str, ...] = get_args(ExplorationMethod)


class Exploration(NamedTuple):
    """What decides the next action, besides the values.

    Attributes:
        allowed: (S, A) which actions may be taken; every state that is acted in has one.
        is_masked: False where all actions are allowed for good, so that kernels need not look.
        random: (4,) the random stream.
        clock: (1,) environment steps learnt from, which the schedules go by.
        method: 0 epsilon-greedy, 1 softmax.
        rate: Schedule of the exploration rate.
        temperature: Schedule of the temperature.
    """

    allowed: NDArray[np.bool_]
    is_masked: bool
    random: NDArray[np.uint64]
    clock: NDArray[np.int64]
    method: int
    rate: CompiledSchedule
    temperature: CompiledSchedule


def compile_exploration(
    method: ExplorationMethod,
    rate: float | Schedule,
    temperature: float | Schedule,
    *,
    allowed: NDArray[np.bool_],
    is_masked: bool,
    random: NDArray[np.uint64],
    clock: NDArray[np.int64],
) -> Exploration:
    """Bring settings and arrays into the form that compiled loops take."""
    return Exploration(
        allowed=allowed,
        is_masked=is_masked,
        random=random,
        clock=clock,
        method=_METHODS.index(method),
        rate=compile_schedule(rate),
        temperature=compile_schedule(temperature),
    )


@njit
def _may(exploration: Exploration, state: int, action: int) -> bool:
    return not exploration.is_masked or bool(exploration.allowed[state, action])


@njit
def best_value(exploration: Exploration, action_values: NDArray[np.float64], state: int) -> float:
    """The largest value of an allowed action."""
    best = -np.inf
    for action in range(action_values.shape[1]):
        if _may(exploration, state, action) and action_values[state, action] > best:
            best = action_values[state, action]
    return best


@njit
def best_action(exploration: Exploration, action_values: NDArray[np.float64], state: int) -> int:
    """The allowed action of largest value, the lowest of equals; one must be allowed.

    It is an allowed one even if values have overflowed to NaN, which nothing is larger than.
    """
    chosen = -1
    best = -np.inf
    for action in range(action_values.shape[1]):
        if _may(exploration, state, action) and (
            chosen < 0 or action_values[state, action] > best
        ):
            best = action_values[state, action]
            chosen = action
    return chosen


@njit
def explored_action(
    exploration: Exploration, action_values: NDArray[np.float64], state: int
) -> int:
    """Draw an action by the exploration policy at the present step."""
    if exploration.method == 1:
        return _softmax_action(exploration, action_values, state)
    rate = scheduled(exploration.rate, exploration.clock[0])
    if rate > 0.0 and random_unit(exploration.random) < rate:
        return uniform_action(exploration, state)
    return _random_best_action(exploration, action_values, state)


@njit
def uniform_action(exploration: Exploration, state: int) -> int:
    """Draw one of the allowed actions, each with the same probability."""
    num_actions = exploration.allowed.shape[1]
    while True:
        action = random_below(exploration.random, num_actions)
        if _may(exploration, state, action):
            return action


@njit
def _random_best_action(
    exploration: Exploration, action_values: NDArray[np.float64], state: int
) -> int:
    best = -np.inf
    chosen = 0
    ties = 0
    for action in range(action_values.shape[1]):
        if _may(exploration, state, action):
            value = action_values[state, action]
            if value > best:
                best = value
                chosen = action
                ties = 1
            elif value == best:
                ties += 1
    if best == -np.inf:  # values have overflowed, and NaN is larger than nothing
        return uniform_action(exploration, state)
    if ties == 1:
        return chosen
    skip = random_below(exploration.random, ties)
    for action in range(chosen, action_values.shape[1]):
        if _may(exploration, state, action) and action_values[state, action] == best:
            if skip == 0:
                return action
            skip -= 1
    return chosen


@njit
def _softmax_action(
    exploration: Exploration, action_values: NDArray[np.float64], state: int
) -> int:
    temperature = scheduled(exploration.temperature, exploration.clock[0])
    best = best_value(exploration, action_values, state)
    total = 0.0
    for action in range(action_values.shape[1]):
        if _may(exploration, state, action):
            total += math.exp((action_values[state, action] - best) / temperature)
    threshold = random_unit(exploration.random) * total
    chosen = 0
    for action in range(action_values.shape[1]):
        if _may(exploration, state, action):
            chosen = action
            threshold -= math.exp((action_values[state, action] - best) / temperature)
            if threshold < 0.0:
                break
    return chosen


@njit
def expected_value(
    exploration: Exploration, action_values: NDArray[np.float64], state: int
) -> float:
    """The mean value of the action that the exploration policy takes at the present step."""
    best = best_value(exploration, action_values, state)
    total = 0.0
    weights = 0.0
    temperature = scheduled(exploration.temperature, exploration.clock[0])
    for action in range(action_values.shape[1]):
        if _may(exploration, state, action):
            value = action_values[state, action]
            weight = 1.0
            if exploration.method == 1:
                weight = math.exp((value - best) / temperature)
            total += weight * value
            weights += weight
    mean = total / weights
    if exploration.method == 1:
        return mean
    rate = scheduled(exploration.rate, exploration.clock[0])
    return rate * mean + (1.0 - rate) * best


@njit
def policy_probabilities(
    exploration: Exploration,
    action_values: NDArray[np.float64],
    state: int,
    probabilities: NDArray[np.float64],
) -> None:
    """Write the exploration policy's (A,) probabilities at the present step."""
    best = best_value(exploration, action_values, state)
    num_allowed = 0
    ties = 0
    for action in range(len(probabilities)):
        if _may(exploration, state, action):
            num_allowed += 1
            ties += action_values[state, action] == best
    rate = scheduled(exploration.rate, exploration.clock[0])
    temperature = scheduled(exploration.temperature, exploration.clock[0])
    total = 0.0
    for action in range(len(probabilities)):
        weight = 0.0
        if _may(exploration, state, action):
            value = action_values[state, action]
            if exploration.method == 1:
                weight = math.exp((value - best) / temperature)
            else:
                weight = rate / num_allowed + (1.0 - rate) * (value == best) / ties
        probabilities[action] = weight
        total += weight
    if exploration.method == 1:
        for action in range(len(probabilities)):
            probabilities[action] /= total
