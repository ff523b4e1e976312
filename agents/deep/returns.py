r"""Returns and advantages of a roll-out, backwards in time.

A roll-out holds T steps; step t leads from the observation at time t - 1 to that at time t, gives
the reward :math:`r_t` and the discount :math:`\gamma_t`, which is 0 where the step terminated the
episode and :math:`\gamma` elsewhere. Several episodes may follow one another: where one ends, by
termination or by truncation, nothing of the next may flow back. Termination shows in the discount;
truncation does not, so that the value of the last observation still counts, and
:math:`c_t \in \{0, 1\}` says whether step t + 1 continues the episode of step t.

.. math::
    G_{t-1} &= r_t + \gamma_t \bigl(c_t G_t + (1 - c_t) v_t\bigr) \\
    \delta_t &= r_t + \gamma_t v_t - v_{t-1}, \qquad
    A_{t-1} = \delta_t + \gamma_t \lambda c_t A_t

where :math:`v_t` is the value of the observation that step t really led to.

References:
    R. J. Williams (1992), Simple statistical gradient-following algorithms for connectionist
        reinforcement learning, Machine Learning 8.
    J. Schulman et al. (2016), High-dimensional continuous control using generalized advantage
        estimation, arXiv:1506.02438, equations 11 and 16.
    F. Pardo et al. (2018), Time limits in reinforcement learning, arXiv:1712.00378, section 2.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = [
    "discounted_returns",
    "generalised_advantages",
    "generalised_returns",
    "n_step_returns",
]


def discounted_returns(
    r_t: Float[Tensor, " time *rest"],
    discount_t: Float[Tensor, " time *rest"],
    continues_t: Float[Tensor, " time *rest"],
    v_t: Float[Tensor, " time *rest"],
) -> Float[Tensor, " time *rest"]:
    """The return from each step on; the last episode goes on with its value.

    Args:
        r_t: (T, ...) rewards.
        discount_t: (T, ...) 0 where the step terminated the episode.
        continues_t: (T, ...) 1 where the next step belongs to the same episode; that of the last
            step makes no difference.
        v_t: (T, ...) values of the observations that the steps led to, read where an episode was
            truncated or goes on after the roll-out.

    Example:
        >>> ones = torch.ones(3)
        >>> discounted_returns(ones, 0.5 * ones, ones, 8 * ones)
        tensor([2.7500, 3.5000, 5.0000])
    """
    return generalised_returns(r_t, discount_t, continues_t, v_t, 1.0)


def generalised_advantages(
    r_t: Float[Tensor, " time *rest"],
    discount_t: Float[Tensor, " time *rest"],
    continues_t: Float[Tensor, " time *rest"],
    v_tm1: Float[Tensor, " time *rest"],
    v_t: Float[Tensor, " time *rest"],
    decay: float | Float[Tensor, " *#rest"],
) -> Float[Tensor, " time *rest"]:
    """Generalised advantage estimates of the steps.

    Args:
        r_t: (T, ...) rewards.
        discount_t: (T, ...) 0 where the step terminated the episode.
        continues_t: (T, ...) 1 where the next step belongs to the same episode.
        v_tm1: (T, ...) values of the observations before the steps.
        v_t: (T, ...) values of the observations that the steps led to.
        decay: Lambda, in [0, 1]: 0 is one step's temporal difference, 1 the whole return; a
            tensor of them is broadcast against (...).
    """
    return generalised_returns(r_t, discount_t, continues_t, v_t, decay) - v_tm1


def generalised_returns(
    r_t: Float[Tensor, " time *rest"],
    discount_t: Float[Tensor, " time *rest"],
    continues_t: Float[Tensor, " time *rest"],
    v_t: Float[Tensor, " time *rest"],
    decay: float | Float[Tensor, " *#rest"],
) -> Float[Tensor, " time *rest"]:
    r"""Lambda-returns, :math:`G_{t-1} = r_t + \gamma_t ((1 - \lambda c_t) v_t + \lambda c_t G_t)`.

    Args:
        r_t: (T, ...) rewards.
        discount_t: (T, ...) 0 where the step terminated the episode.
        continues_t: (T, ...) 1 where the next step belongs to the same episode.
        v_t: (T, ...) values of the observations that the steps led to.
        decay: Lambda, in [0, 1], as in `generalised_advantages`.
    """
    share_t = decay * continues_t
    # the last step's episode goes on with its value; all but the recursion is done for all at once
    share_t = torch.cat([share_t[:-1], torch.zeros_like(share_t[-1:])])
    start_t = r_t + discount_t * (1 - share_t) * v_t
    after, returns = v_t[-1], []
    for start, weight in zip(
        reversed(start_t.unbind()), reversed((discount_t * share_t).unbind()), strict=True
    ):
        after = torch.addcmul(start, weight, after)
        returns.append(after)
    return torch.stack(returns[::-1])


def n_step_returns(
    r_t: Float[Tensor, "steps batch"],
    discount_t: Float[Tensor, "steps batch"],
    v_n: Float[Tensor, " batch"],
) -> Float[Tensor, " batch"]:
    """The return of n steps of one episode each, and the value of what follows.

    Args:
        r_t: (n, B) rewards; 0 after an episode's last step.
        discount_t: (n, B) discounts; 1 after an episode's last step, so that its value, or the 0
            of a terminating step, is carried on.
        v_n: (B,) value of the last observation of each.
    """
    total = v_n
    for t in range(len(r_t) - 1, -1, -1):
        total = r_t[t] + discount_t[t] * total
    return total
