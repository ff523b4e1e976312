r"""Adam for a population: every parameter has a leading member axis, every member its own rate.

.. math::
    m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t, \qquad
    v_t = \beta_2 v_{t-1} + (1 - \beta_2) g_t^2 \\
    \theta_t &= \theta_{t-1} - \alpha \frac{m_t / (1 - \beta_1^t)}
        {\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}

Torch's own optimiser takes one rate for a tensor. Here one pass over the memory does the step of
all members (`dense_kernels`); in a graph that is being compiled, together with the gradients, and
on other devices, the same equations stand as operations on tensors. Gradients are clipped by the
norm over all parameters of one member, as if it were alone.

References:
    D. P. Kingma and J. Ba (2015), Adam: a method for stochastic optimization, arXiv:1412.6980,
        algorithm 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..tabular.compilation import entry_point
from .dense_kernels import adam_rows, as_rows

__all__ = ["AdamState", "adam_step", "clip_by_member", "new_adam_state"]

_BETA_1, _BETA_2 = 0.9, 0.999


class AdamState(NamedTuple):
    """The running means, in the order of the parameters.

    Attributes:
        means: Of the gradients.
        squares: Of their squares.
        steps: (M,) taken by each member.
    """

    means: list[Tensor]
    squares: list[Tensor]
    steps: Float[Tensor, " members"]

    def of_member(self, member: int) -> AdamState:
        """A member's part, as views: a step of it is a step of that member alone."""
        part = slice(member, member + 1)
        return AdamState(
            [mean[part] for mean in self.means],
            [square[part] for square in self.squares],
            self.steps[part],
        )


def new_adam_state(parameters: Sequence[Tensor]) -> AdamState:
    """The state before the first step."""
    return AdamState(
        means=[torch.zeros_like(parameter) for parameter in parameters],
        squares=[torch.zeros_like(parameter) for parameter in parameters],
        steps=torch.zeros(len(parameters[0]), dtype=torch.float32, device=parameters[0].device),
    )


@torch.no_grad()
def adam_step(
    parameters: Sequence[Tensor],
    gradients: Sequence[Tensor],
    state: AdamState,
    learning_rates: Float[Tensor, " members"],
    *,
    epsilon: float = 1e-8,
    max_norm: float | None = None,
) -> None:
    """Move the parameters, in place, and the state with them.

    Args:
        parameters: Each (M, ...).
        gradients: Of the sum of the members' losses, in the same order.
        state: From `new_adam_state`.
        learning_rates: (M,) each member's own.
        epsilon: Added to the root of the second moment.
        max_norm: To which each member's gradients are clipped, or None.
    """
    values, gradients = list(parameters), list(gradients)
    is_plain = not torch.compiler.is_compiling() and _is_plain(values, gradients)
    if max_norm is not None and not (is_plain and len(values) == 1):
        gradients, _ = clip_by_member(gradients, max_norm)
        max_norm = None
    if not is_plain:
        _traceable_step(values, gradients, state, learning_rates, epsilon)
        return
    state.steps.add_(1)
    steps, rates = state.steps.numpy(), learning_rates.numpy()
    for row in zip(values, gradients, state.means, state.squares, strict=True):
        rows = (as_rows(part.numpy()) for part in row)
        _adam_rows()(*rows, steps, rates, epsilon, math.inf if max_norm is None else max_norm)


@cache
def _adam_rows() -> Callable[..., None]:
    matrix, vector = np.zeros((1, 1), np.float32), np.zeros(1, np.float32)
    return entry_point(adam_rows, *[matrix] * 4, vector, vector, 0.0, 0.0)


def _is_plain(values: Sequence[Tensor], gradients: Sequence[Tensor]) -> bool:
    """Whether compiled code can work on the memory of these tensors."""
    return all(
        tensor.device.type == "cpu" and tensor.dtype == torch.float32 and tensor.is_contiguous()
        for tensor in (*values, *gradients)
    )


def _traceable_step(
    values: list[Tensor],
    gradients: list[Tensor],
    state: AdamState,
    learning_rates: Tensor,
    epsilon: float,
) -> None:
    state.steps.add_(1)
    torch._foreach_lerp_(state.means, gradients, 1 - _BETA_1)
    torch._foreach_mul_(state.squares, _BETA_2)
    torch._foreach_addcmul_(state.squares, gradients, gradients, 1 - _BETA_2)
    steps = state.steps.double()  # the powers are subtracted from 1
    first = (1 - _BETA_1**steps).to(learning_rates.dtype)
    second = (1 - _BETA_2**steps).to(learning_rates.dtype)
    rates, roots = learning_rates / first, second.rsqrt()
    moves = torch._foreach_sqrt(state.squares)
    torch._foreach_mul_(moves, [_over_members(roots, value) for value in values])
    torch._foreach_add_(moves, epsilon)
    torch._foreach_reciprocal_(moves)
    torch._foreach_mul_(moves, state.means)
    torch._foreach_mul_(moves, [_over_members(rates, value) for value in values])
    torch._foreach_sub_(values, moves)


@torch.no_grad()
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
    if len(gradients) == 1:
        norms = torch.linalg.vector_norm(gradients[0].flatten(1), dim=1)
        scales = (max_norm / (norms + 1e-6)).clamp_(max=1.0)
        return [gradients[0] * _over_members(scales, gradients[0])], norms
    of_each = [torch.linalg.vector_norm(gradient.flatten(1), dim=1) for gradient in gradients]
    norms = torch.linalg.vector_norm(torch.stack(of_each), dim=0)
    # torch.nn.utils.clip_grad_norm_ adds 1e-6 too
    scales = (max_norm / (norms + 1e-6)).clamp(max=1.0)
    return [gradient * _over_members(scales, gradient) for gradient in gradients], norms


def _over_members(values: Tensor, like: Tensor) -> Tensor:
    return values.view(-1, *[1] * (like.dim() - 1))
