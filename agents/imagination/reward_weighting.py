r"""Reward-weighted regression: a policy learns its own windows again, the best episodes' most.

With the returns :math:`G_e` of episodes and their deviation :math:`\sigma_G`, a window of episode
e has the weight

.. math:: w_e = \exp\!\Big(\frac{G_e - \max_{e'} G_{e'}}{\tau\, \sigma_G}\Big) ,

and learning from windows drawn in proportion to it is the maximisation step of expectation and
maximisation on the expected :math:`e^{G / (\tau \sigma_G)}`: with :math:`\tau \to 0` only the best
episode counts, with :math:`\tau \to \infty` the policy learns itself. No likelihood is asked for,
only a loss. The *effective number* of episodes, :math:`(\sum w)^2 / \sum w^2`, tells how many of
them are left to learn from.

References:
    J. Peters, S. Schaal (2007), Reinforcement learning by reward-weighted regression for
        operational space control, ICML, equations 7 to 13 (there of immediate rewards).
    P. Dayan, G. E. Hinton (1997), Using expectation-maximization for reinforcement learning,
        Neural Computation 9(2).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from ...generative.data.environments import Transitions
from ...generative.world_model_data import episode_starts

__all__ = ["drawn_windows", "effective_number", "last_episodes", "return_weights"]


def return_weights(
    returns: Float64[np.ndarray, " episodes"], temperature: float
) -> Float64[np.ndarray, " episodes"]:
    """(E,) weights, which sum to 1; equal ones where all returns are equal.

    Args:
        returns: (E,) of at least one episode.
        temperature: Tau, in deviations of the returns.

    Example:
        >>> return_weights(np.array([0.0, 2.0]), 2.0).round(3)  # a deviation of 1: e and 1
        array([0.269, 0.731])
    """
    deviation = returns.std()
    if deviation <= 1e-12 * max(np.abs(returns).max(), 1.0):
        return np.full(len(returns), 1 / len(returns))
    weights = np.exp((returns - returns.max()) / (temperature * deviation))
    found: NDArray[np.float64] = weights / weights.sum()
    return found


def effective_number(weights: Float64[np.ndarray, " episodes"]) -> float:
    """How many episodes of equal weight would say as much.

    Example:
        >>> effective_number(np.array([0.5, 0.5, 0.0]))
        2.0
    """
    return float(weights.sum() ** 2 / (weights**2).sum())


def last_episodes(data: Transitions, num: int) -> Int64[np.ndarray, " steps"]:
    """(N,) the steps of the last finished episodes.

    Args:
        data: Steps in the order in which they were taken.
        num: Of episodes, at most.

    Example:
        >>> x, no = np.zeros((5, 1)), np.zeros(5, dtype=bool)
        >>> ends = np.array([False, True, True, True, False])
        >>> last_episodes(Transitions(x, x, np.zeros(5), x, ends, no), 2)
        array([2, 3])
    """
    ends = np.flatnonzero(data.terminated | data.truncated)
    if not len(ends):
        return np.zeros(0, dtype=np.int64)
    first = ends[-num - 1] + 1 if len(ends) > num else 0
    return np.arange(first, ends[-1] + 1)


def drawn_windows(
    data: Transitions,
    steps: Int64[np.ndarray, " windows"],
    temperature: float,
    rng: np.random.Generator,
) -> tuple[Int64[np.ndarray, " windows"], float]:
    """(W,) numbers of windows, drawn in proportion to weights, and the effective episodes.

    Args:
        data: Steps of whole episodes.
        steps: (W,) the current step of each window.
        temperature: Tau.
        rng: Of the draw.
    """
    _, episode = np.unique(episode_starts(data), return_inverse=True)
    returns = np.bincount(episode, weights=data.reward)
    weights = return_weights(returns, temperature)
    of_windows = weights[episode[steps]]
    drawn = rng.choice(len(steps), size=len(steps), p=of_windows / of_windows.sum())
    return drawn, effective_number(weights)
