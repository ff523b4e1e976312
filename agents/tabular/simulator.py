r"""A compiled simulator of a tabular model, with the distribution of its environment.

One step draws the outcome of a state-action pair by inverting the cumulative probabilities of its
row, :math:`\min \{k : u < \sum_{j \le k} p_j\}` with u uniform on [0, 1), and an episode that
reaches the model's step cap is truncated, as Gymnasium's ``TimeLimit`` does. Where the model's
states are finer than the observations (Blackjack's naturals) the learner is shown observations.

An episode begins lazily, with the step that follows the end of the last, so that stopping between
two steps and going on changes nothing. Everything that changes lies in arrays that can be saved.

References:
    L. Devroye (1986), Non-Uniform Random Variate Generation, section III.2.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...envs.mdp import TabularMDP
from .compilation import njit
from .random_stream import random_stream, random_unit

__all__ = [
    "ACTION",
    "ELAPSED",
    "LOGGED",
    "LOG_LIMIT",
    "OBSERVATION",
    "STATE",
    "TAKEN",
    "TERMINATED",
    "TRUNCATED",
    "Simulation",
    "advance",
    "finished",
    "restart",
    "simulate_model",
]

# places in Simulation.position
STATE = 0  #: the model's state
OBSERVATION = 1  #: what the learner sees of it
ELAPSED = 2  #: steps taken in this episode
ACTION = 3  #: the action chosen for the next step, or -1 where an episode must begin first
TAKEN = 4  #: the action of the last step
TERMINATED = 5  #: whether the last step terminated the episode
TRUNCATED = 6  #: whether the last step reached the cap
LOGGED = 7  #: finished episodes in the log
LOG_LIMIT = 8  #: stop when the log holds this many
_NUM_PLACES = 9

_SCANNED = 8  # rows up to this length are searched one by one, longer ones by halving


class Simulation(NamedTuple):
    """A model in the form that compiled loops take, and where the simulation stands.

    Attributes:
        row_starts: (S * A + 1,) offsets of the rows, as in `TabularMDP`.
        next_states: (K,) next state of each outcome.
        cumulative: (K,) probability of the row's outcomes up to this one.
        rewards: (K,) reward of each outcome.
        terminated: (K,) whether the outcome ends the episode.
        starts: (S0,) states in which an episode may begin.
        start_cumulative: (S0,) their cumulative probabilities.
        observations: (S,) what the learner sees in each state.
        position: The places named above.
        episode: (2,) the return of the episode so far, undiscounted, and the last reward.
        random: (4,) the random stream.
        log_returns: (L,) returns of the finished episodes that nobody has collected yet.
        log_lengths: (L,) their lengths.
        log_ends: (L,) the environment step at which each ended.
        num_actions: A.
        max_episode_steps: The step cap, 0 for none.
    """

    row_starts: NDArray[np.int64]
    next_states: NDArray[np.int32]
    cumulative: NDArray[np.float64]
    rewards: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    starts: NDArray[np.int64]
    start_cumulative: NDArray[np.float64]
    observations: NDArray[np.int64]
    position: NDArray[np.int64]
    episode: NDArray[np.float64]
    random: NDArray[np.uint64]
    log_returns: NDArray[np.float64]
    log_lengths: NDArray[np.int64]
    log_ends: NDArray[np.int64]
    num_actions: int
    max_episode_steps: int


def simulate_model(
    mdp: TabularMDP,
    seed: np.random.SeedSequence,
    *,
    start_anywhere: bool = False,
    log_size: int = 1 << 14,
) -> Simulation:
    """A simulation of ``mdp`` that is about to begin its first episode.

    Args:
        mdp: The model.
        seed: Seeds the simulation's own stream.
        start_anywhere: Begin in any state with equal probability, whatever the model's initial
            distribution says (exploring starts).
        log_size: Finished episodes that the log can hold.
    """
    weights = np.array(mdp.initial_distribution)
    if start_anywhere:
        weights[:] = mdp.allowed.any(axis=1)
    starts = np.flatnonzero(weights > 0)
    observations = mdp.observation_index
    if observations is None:
        observations = np.arange(mdp.num_states)
    cumulative = np.empty_like(mdp.probabilities)
    _accumulate_rows(mdp.probabilities, mdp.row_starts, cumulative)
    position = np.zeros(_NUM_PLACES, dtype=np.int64)
    position[ACTION] = -1
    position[LOG_LIMIT] = log_size
    return Simulation(
        row_starts=mdp.row_starts,
        next_states=mdp.next_states,
        cumulative=cumulative,
        rewards=mdp.rewards,
        terminated=mdp.terminated,
        starts=starts.astype(np.int64),
        start_cumulative=np.cumsum(weights[starts] / weights.sum()),
        observations=observations.astype(np.int64),
        position=position,
        episode=np.zeros(2),
        random=random_stream(seed),
        log_returns=np.zeros(log_size),
        log_lengths=np.zeros(log_size, dtype=np.int64),
        log_ends=np.zeros(log_size, dtype=np.int64),
        num_actions=mdp.num_actions,
        max_episode_steps=mdp.max_episode_steps or 0,
    )


@njit
def _accumulate_rows(
    probabilities: NDArray[np.float64],
    row_starts: NDArray[np.int64],
    cumulative: NDArray[np.float64],
) -> None:
    # Row by row: differences of one running sum would lose digits in large models.
    for row in range(len(row_starts) - 1):
        total = 0.0
        for k in range(row_starts[row], row_starts[row + 1]):
            total += probabilities[k]
            cumulative[k] = total


@njit
def _drawn(cumulative: NDArray[np.float64], first: int, last: int, u: float) -> int:
    """The first k of [first, last) with ``u < cumulative[k]``; the last where there is none."""
    if last - first <= _SCANNED:
        k = first  # counted, because a branch on u could not be predicted
        for j in range(first, last - 1):
            k += u >= cumulative[j]
        return k
    low, high = first, last - 1
    while low < high:
        middle = (low + high) // 2
        if u < cumulative[middle]:
            high = middle
        else:
            low = middle + 1
    return low


@njit
def restart(simulation: Simulation) -> int:
    """Begin an episode and return its first observation."""
    k = 0
    if len(simulation.starts) > 1:
        u = random_unit(simulation.random)
        k = _drawn(simulation.start_cumulative, 0, len(simulation.starts), u)
    state = simulation.starts[k]
    position = simulation.position
    position[STATE] = state
    position[OBSERVATION] = simulation.observations[state]
    position[ELAPSED] = 0
    simulation.episode[0] = 0.0
    return int(position[OBSERVATION])


@njit
def advance(simulation: Simulation, action: int) -> tuple[float, bool, bool, int]:
    """Take one step: its reward, terminated, truncated, and the next observation."""
    position = simulation.position
    row = position[STATE] * simulation.num_actions + action
    k = simulation.row_starts[row]
    last = simulation.row_starts[row + 1]
    if last - k > 1:
        k = _drawn(simulation.cumulative, k, last, random_unit(simulation.random))
    state = np.int64(simulation.next_states[k])
    reward = simulation.rewards[k]
    terminated = simulation.terminated[k]
    elapsed = position[ELAPSED] + 1
    truncated = elapsed == simulation.max_episode_steps
    position[STATE] = state
    position[OBSERVATION] = simulation.observations[state]
    position[ELAPSED] = elapsed
    position[TAKEN] = action
    position[TERMINATED] = terminated
    position[TRUNCATED] = truncated
    simulation.episode[0] += reward
    simulation.episode[1] = reward
    return reward, terminated, truncated, position[OBSERVATION]


@njit
def finished(simulation: Simulation, step: int) -> bool:
    """Log the episode that ended with environment step ``step``; whether the log is now full."""
    position = simulation.position
    k = position[LOGGED]
    simulation.log_returns[k] = simulation.episode[0]
    simulation.log_lengths[k] = position[ELAPSED]
    simulation.log_ends[k] = step
    position[LOGGED] = k + 1
    position[ACTION] = -1
    return bool(k + 1 >= position[LOG_LIMIT])
