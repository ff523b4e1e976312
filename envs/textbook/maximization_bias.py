r"""The maximisation-bias example: a choice between nothing and a small loss with large noise.

From A, right ends with 0; left leads to B, where every action ends with a reward of mean -0.1 and
variance 1. So :math:`q(A, \text{left}) = -0.1`, but the largest of several noisy estimates in B is
mostly positive, and Q-learning prefers left for a long time.

The book draws normal rewards; a tabular model needs finitely many, so here they are the midpoint
quantiles :math:`\Phi^{-1}((k - 1/2) / K)` of K equally likely values, shifted and scaled to have
exactly the mean and the variance.

References:
    R. S. Sutton and A. G. Barto (2018), Reinforcement Learning: An Introduction, Example 6.7.
    H. van Hasselt (2010), Double Q-learning, NeurIPS.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from ..arguments import real_number, whole_number
from ..mdp import TabularMDP
from .entry_point import EntryPoint, VectorEntryPoint

__all__ = ["MaximizationBias", "MaximizationBiasVector", "maximization_bias"]

_A, _B, _END = 0, 1, 2


def maximization_bias(
    *,
    num_actions: int = 10,
    mean: float = -0.1,
    deviation: float = 1.0,
    num_rewards: int = 100,
    masked: bool = False,
) -> TabularMDP:
    """The model of the example: states 0 (A), 1 (B), 2 (the end).

    In the book A has two actions and B many. A Gymnasium action space is the same in every state,
    so here all have ``num_actions``, and in A even ones are left and odd ones right: a random
    action goes left half of the time, as in the book. But then A has five estimates of left
    instead of one, and each must be unlearned: at step size 0.1 and exploration rate 0.1,
    Q-learning goes left in 46 % of its first 300 episodes (Double Q-learning in 16 %), where in
    the book's process it is 38 % (and 12 %). For the figure itself take ``masked=True``, which
    allows only 0 (left) and 1 (right) in A; it is not the default because agents, and
    ``check_env``, that do not read action masks would fail on it.

    Args:
        num_actions: Actions in B, even, at least 2.
        mean: Of the rewards in B.
        deviation: Their standard deviation, at least 0.
        num_rewards: K, how many values they take, at least 2.
        masked: Allow only actions 0 and 1 in A.

    Raises:
        ValueError: An option is out of its range.
    """
    num_actions = whole_number(num_actions, "num_actions", least=2)
    if num_actions % 2:
        raise ValueError(f"expected an even number of actions, got {num_actions}")
    num_rewards = whole_number(num_rewards, "num_rewards", least=2)
    deviation = real_number(deviation, "deviation", least=0)
    rewards = mean + deviation * _standard_rewards(num_rewards)
    noisy = [(1 / num_rewards, _END, reward, True) for reward in rewards.tolist()]
    ways = [[(1.0, _B, 0.0, False)], [(1.0, _END, 0.0, True)]]
    from_a = [[] if masked and action > 1 else ways[action % 2] for action in range(num_actions)]
    return TabularMDP.from_outcomes(
        [from_a, [noisy] * num_actions, [[(1.0, _END, 0.0, True)]] * num_actions],
        initial_distribution=_A,
        name="MaximizationBias",
    )


def _standard_rewards(count: int) -> Float64[NDArray[np.float64], " rewards"]:
    normal = NormalDist()
    values = np.array([normal.inv_cdf((k + 0.5) / count) for k in range(count)])
    values -= values.mean()
    standard: NDArray[np.float64] = values / values.std()
    return standard


MaximizationBias = EntryPoint(maximization_bias)
MaximizationBiasVector = VectorEntryPoint(maximization_bias)
