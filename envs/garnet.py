r"""Garnet: random models with a given branching, the usual test bed of planners.

Archibald and others draw models of a wanted size and structure; Garnet is the name of the simple
kind in use since, and authors differ in details. Here, for each state and action, :math:`b`
distinct successors are drawn uniformly without replacement.
Their probabilities are the gaps between :math:`b - 1` sorted uniform cuts of the unit interval,

.. math:: p_i = u_{(i)} - u_{(i-1)}, \qquad u_{(0)} = 0, \; u_{(b)} = 1,

(a flat Dirichlet distribution), and the reward of each transition :math:`(s, a, s')` is drawn from
the standard normal distribution, independently of all else. So the expected reward of a pair has
mean 0 and variance :math:`2 / (b + 1)`.

References:
    T. W. Archibald, K. I. M. McKinnon and L. C. Thomas (1995), On the Generation of Markov
    Decision Processes, Journal of the Operational Research Society 46(3), 354-361.
    S. Bhatnagar, R. S. Sutton, M. Ghavamzadeh and M. Lee (2009), Natural Actor-Critic Algorithms,
    Automatica 45(11), 2471-2482 (experiments on Garnet problems of this kind).
    R. W. Floyd, in J. Bentley (1987), Programming Pearls: A Sample of Brilliance, Communications
    of the ACM 30(9), 754-757 (drawing without replacement).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .arguments import real_number, whole_number
from .mdp import TabularMDP

__all__ = ["garnet"]

_OUTCOMES_AT_ONCE = 1 << 19  # part of the definition: another number would draw another model


def garnet(
    num_states: int,
    num_actions: int,
    branching: int,
    *,
    seed: int,
    reward_sparsity: float = 0.0,
    terminal_share: float = 0.0,
    max_episode_steps: int | None = None,
) -> TabularMDP:
    """Draw a random model.

    Args:
        num_states: S, at least 1.
        num_actions: A, at least 1.
        branching: Successors of each pair, in [1, S].
        seed: The same arguments and seed give the same model.
        reward_sparsity: Share of the transitions, drawn independently, without reward, in [0, 1].
        terminal_share: Share of the states that are terminal, in [0, 1), rounded down to a whole
            number: the last ones, which is no loss of generality. Entering one terminates; its own
            pairs are terminated loops without reward.
        max_episode_steps: The step cap to record, or None.

    Returns:
        The model; episodes start uniformly in the states that are not terminal.

    Raises:
        ValueError: An argument is out of range.
        TypeError: An argument is no number, or no whole number where there must be one.

    Example:
        >>> garnet(1000, 4, 5, seed=0)
        TabularMDP('garnet-1000-4-5', states=1000, actions=4, outcomes=20000)
    """
    num_states = whole_number(num_states, "num_states", most=np.iinfo(np.int32).max)
    num_actions = whole_number(num_actions, "num_actions")
    branching = whole_number(branching, "branching")
    _check(num_states, num_actions, branching, reward_sparsity, terminal_share)
    rng = np.random.default_rng(whole_number(seed, "seed", least=0))
    # 0.29 * 100 is 28.999999999999996: what rounding took is put back
    num_terminal = min(math.floor(num_states * terminal_share + 1e-9), num_states - 1)
    num_living = num_states - num_terminal
    num_rows = num_living * num_actions
    num_loops = (num_states - num_living) * num_actions
    total = num_rows * branching + num_loops
    next_states = np.empty(total, dtype=np.int32)
    probabilities = np.ones(total)
    rewards = np.zeros(total)
    rows_at_once = max(1, _OUTCOMES_AT_ONCE // branching)
    for first in range(0, num_rows, rows_at_once):
        last = min(first + rows_at_once, num_rows)
        here = slice(first * branching, last * branching)
        next_states[here] = _subsets(rng, last - first, num_states, branching).ravel()
        probabilities[here] = _partitions(rng, last - first, branching).ravel()
        rewards[here] = _rewards(rng, (last - first) * branching, reward_sparsity)
    living = num_rows * branching
    next_states[living:] = np.repeat(np.arange(num_living, num_states), num_actions)
    lengths = np.ones(num_rows + num_loops, dtype=np.int64)
    lengths[:num_rows] = branching
    start = np.zeros(num_states)
    start[:num_living] = 1 / num_living
    return TabularMDP(
        row_starts=np.concatenate(([0], np.cumsum(lengths))),
        next_states=next_states,
        probabilities=probabilities,
        rewards=rewards,
        terminated=next_states >= num_living,
        initial_distribution=start,
        num_actions=num_actions,
        max_episode_steps=max_episode_steps,
        name=f"garnet-{num_states}-{num_actions}-{branching}",
    )


def _check(
    num_states: int,
    num_actions: int,
    branching: int,
    reward_sparsity: float,
    terminal_share: float,
) -> None:
    if num_states < 1 or num_actions < 1:
        raise ValueError(
            f"expected at least one state and one action, got {num_states} and {num_actions}"
        )
    if not 1 <= branching <= num_states:
        raise ValueError(
            f"expected a branching in [1, {num_states}], the number of states, got {branching}"
        )
    real_number(reward_sparsity, "reward_sparsity", least=0, most=1)
    if not 0 <= real_number(terminal_share, "terminal_share") < 1:
        raise ValueError(f"expected a share of terminal states in [0, 1), got {terminal_share}")


def _subsets(
    rng: np.random.Generator, num_rows: int, num_states: int, size: int
) -> NDArray[np.int32]:
    """(N, size) sorted uniform subsets of the states.

    Floyd's method takes size^2 / 2 comparisons a row, which is too many for large subsets; those
    are the first entries of shuffled rows.
    """
    if size * size > 8 * num_states:
        everything = np.tile(np.arange(num_states, dtype=np.int32), (num_rows, 1))
        shuffled = rng.permuted(everything, axis=1)
        return np.sort(shuffled[:, :size], axis=1)
    columns = np.empty((size, num_rows), dtype=np.int32)
    for place, limit in enumerate(range(num_states - size, num_states)):
        drawn = rng.integers(0, limit, size=num_rows, dtype=np.int32, endpoint=True)
        taken = np.zeros(num_rows, dtype=np.bool_)
        for earlier in columns[:place]:
            taken |= earlier == drawn
        columns[place] = np.where(taken, np.int32(limit), drawn)
    return np.sort(columns.T, axis=1)


def _partitions(rng: np.random.Generator, num_rows: int, size: int) -> NDArray[np.float64]:
    """(N, size) lengths of the parts of the unit interval between sorted uniform cuts."""
    bounds = np.empty((num_rows, size + 1))
    bounds[:, 0], bounds[:, -1] = 0.0, 1.0
    bounds[:, 1:-1] = np.sort(rng.random((num_rows, size - 1)), axis=1)
    return np.diff(bounds, axis=1)


def _rewards(rng: np.random.Generator, count: int, sparsity: float) -> NDArray[np.float64]:
    rewards = rng.standard_normal(count)
    if sparsity > 0:
        rewards[rng.random(count) < sparsity] = 0.0
    return rewards
