r"""Adam for a population: every parameter has a leading member axis, every member its own rate.

.. math::
    m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t, \qquad
    v_t = \beta_2 v_{t-1} + (1 - \beta_2) g_t^2 \\
    \theta_t &= \theta_{t-1} - \alpha \frac{m_t / (1 - \beta_1^t)}
        {\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}

Torch's own optimiser takes one rate for a tensor, and its step cannot be traced into one graph
together with the gradients; this one is a function of tensors, so that a whole update compiles.
Gradients are clipped by the norm over all parameters of one member, as if it were alone.

References:
    D. P. Kingma and J. Ba (2015), Adam: a method for stochastic optimization, arXiv:1412.6980,
        algorithm 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["AdamState", "adam_step", "clip_by_member", "new_adam_state"]

_BETA_1, _BETA_2 = 0.9, 0.999


class AdamState(NamedTuple):
    """The running means, in the order of the parameters.

    Attributes:
        means: Of the gradients.
        squares: Of their squares.
        decays: (2,) the powers of the two betas, 1 before the first step; float64, for they are
            subtracted from 1.
    """

    means: list[Tensor]
    squares: list[Tensor]
    decays: Float[Tensor, " 2"]


def new_adam_state(parameters: Sequence[Tensor]) -> AdamState:
    """The state before the first step."""
    return AdamState(
        means=[torch.zeros_like(parameter) for parameter in parameters],
        squares=[torch.zeros_like(parameter) for parameter in parameters],
        decays=torch.ones(2, dtype=torch.float64, device=parameters[0].device),
    )


@torch.no_grad()
def adam_step(
    parameters: Sequence[Tensor],
    gradients: Sequence[Tensor],
    state: AdamState,
    learning_rates: Float[Tensor, " members"],
    *,
    epsilon: float = 1e-8,
) -> None:
    """Move the parameters, in place, and the state with them.

    Args:
        parameters: Each (M, ...).
        gradients: Of the sum of the members' losses, in the same order.
        state: From `new_adam_state`.
        learning_rates: (M,) each member's own.
        epsilon: Added to the root of the second moment.
    """
    values, gradients = list(parameters), list(gradients)
    state.decays.mul_(state.decays.new_tensor([_BETA_1, _BETA_2]))
    torch._foreach_lerp_(state.means, gradients, 1 - _BETA_1)
    torch._foreach_mul_(state.squares, _BETA_2)
    torch._foreach_addcmul_(state.squares, gradients, gradients, 1 - _BETA_2)
    first, second = (1 - state.decays).to(learning_rates.dtype)
    rates = learning_rates / first
    steps = torch._foreach_sqrt(state.squares)
    torch._foreach_mul_(steps, second.rsqrt())
    torch._foreach_add_(steps, epsilon)
    torch._foreach_reciprocal_(steps)
    torch._foreach_mul_(steps, state.means)
    torch._foreach_mul_(steps, [_over_members(rates, value) for value in values])
    torch._foreach_sub_(values, steps)


def clip_by_member(
    gradients: Sequence[Tensor], max_norm: float
) -> tuple[list[Tensor], Float[Tensor, " members"]]:
    """Each member's gradients, scaled down where their norm is greater than ``max_norm``.

    Args:
        gradients: Each (M, ...).
        max_norm: The greatest Euclidean norm over all of a member's gradients.

    Returns:
        The gradients and the (M,) norms before.
    """
    squares = [gradient.flatten(1).square().sum(dim=1) for gradient in gradients]
    norms = torch.stack(squares).sum(dim=0).sqrt()
    # torch.nn.utils.clip_grad_norm_ adds 1e-6 too
    scales = (max_norm / (norms + 1e-6)).clamp(max=1.0)
    return [gradient * _over_members(scales, gradient) for gradient in gradients], norms


def _over_members(values: Tensor, like: Tensor) -> Tensor:
    return values.view(-1, *[1] * (like.dim() - 1))
