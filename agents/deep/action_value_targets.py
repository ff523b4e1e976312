r"""What the value of an action is moved towards, and the loss of the distance.

.. math::
    \text{DQN} \quad & y_t = r_t + \gamma_t \max_a Q^-(s_t, a) \\
    \text{double DQN} \quad & y_t = r_t + \gamma_t Q^-(s_t, \arg\max_a Q(s_t, a))

with :math:`\gamma_t = 0` where the step terminated the episode, and :math:`Q^-` the target
network's values. No gradient goes through a target. With n-step transitions :math:`r_t` is the
discounted sum of n rewards and :math:`\gamma_t` the discount to the n-th power.

References:
    V. Mnih et al. (2015), Human-level control through deep reinforcement learning, Nature 518,
        equation 2 and Methods (clipped error).
    H. van Hasselt et al. (2016), Deep reinforcement learning with double Q-learning,
        arXiv:1509.06461, equation 4.
    T. Schaul et al. (2016), Prioritized experience replay, arXiv:1511.05952, section 3.4.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional

__all__ = [
    "ErrorLoss",
    "double_q_targets",
    "error_loss",
    "error_slope",
    "importance_weights",
    "masked_values",
    "q_targets",
    "values_of",
]

ErrorLoss = Literal["huber", "squared"]


def masked_values(
    q: Float[Tensor, "*batch actions"], allowed: Bool[Tensor, "*batch actions"] | None
) -> Float[Tensor, "*batch actions"]:
    """(..., A) the values, with the lowest finite number where an action is not allowed."""
    if allowed is None:
        return q
    return q.masked_fill(~allowed, torch.finfo(q.dtype).min)


def values_of(
    q: Float[Tensor, "*batch actions"], a: Int64[Tensor, "*batch"]
) -> Float[Tensor, "*batch"]:
    """(...) the values of the actions taken."""
    return q.gather(-1, a.unsqueeze(-1)).squeeze(-1)


def q_targets(
    r_t: Float[Tensor, "*batch"],
    discount_t: Float[Tensor, "*batch"],
    q_t: Float[Tensor, "*batch actions"],
) -> Float[Tensor, "*batch"]:
    """Q-learning's targets.

    Args:
        r_t: (...) rewards.
        discount_t: (...) discounts, 0 where the step terminated the episode.
        q_t: (..., A) the target network's values after the step, masked.
    """
    return torch.addcmul(r_t, discount_t, q_t.amax(dim=-1)).detach()


def double_q_targets(
    r_t: Float[Tensor, "*batch"],
    discount_t: Float[Tensor, "*batch"],
    q_t: Float[Tensor, "*batch actions"],
    q_t_selector: Float[Tensor, "*batch actions"],
) -> Float[Tensor, "*batch"]:
    """Double Q-learning's targets: one network chooses the action, the other values it.

    Args:
        r_t: (...) rewards.
        discount_t: (...) discounts, 0 where the step terminated the episode.
        q_t: (..., A) the target network's values after the step.
        q_t_selector: (..., A) the learning network's values after the step, masked.
    """
    return (r_t + discount_t * values_of(q_t, q_t_selector.argmax(dim=-1))).detach()


def error_loss(error: Float[Tensor, "*batch"], kind: ErrorLoss) -> Float[Tensor, "*batch"]:
    """(...) half the square of each error, or Huber's loss, which is linear beyond 1."""
    loss = functional.mse_loss if kind == "squared" else functional.smooth_l1_loss
    each = loss(error, torch.zeros_like(error), reduction="none")
    return 0.5 * each if kind == "squared" else each


def error_slope(error: Float[Tensor, "*batch"], kind: ErrorLoss) -> Float[Tensor, "*batch"]:
    """(...) the derivatives of `error_loss` by the errors."""
    return error if kind == "squared" else error.clamp(-1, 1)


def importance_weights(
    probabilities: Float[Tensor, "*members batch"],
    size: Int64[Tensor, "*members"],
    exponent: Float[Tensor, "*members"] | float,
) -> Float[Tensor, "*members batch"]:
    r"""(..., B) weights that undo a part of prioritised sampling's bias.

    .. math:: w_i = (N P(i))^{-\beta} / \max_j w_j

    Args:
        probabilities: (..., B) with which the transitions of the batch were drawn.
        size: (...) N, transitions to draw from.
        exponent: (...) beta, in [0, 1]: 0 for none, 1 for all of it.
    """
    power = exponent.unsqueeze(-1) if isinstance(exponent, Tensor) else exponent
    weights = (probabilities * size.unsqueeze(-1)) ** -power
    return weights / weights.amax(dim=-1, keepdim=True)
