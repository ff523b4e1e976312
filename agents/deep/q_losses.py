r"""What Q-learners learn from and towards: batches, targets, losses and their derivatives.

The loss of a member is the weighted mean of its errors,

.. math:: L = \frac{1}{B} \sum_i w_i \, \ell\bigl(y_i - Q(s_i, a_i)\bigr),

with the target :math:`y` of `action_value_targets` or, for distributions, the cross entropy with
the projected target of `categorical_values`.

References:
    V. Mnih et al. (2015), Human-level control through deep reinforcement learning, Nature 518.
    M. Hessel et al. (2018), Rainbow, arXiv:1710.02298.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from ..tabular.compilation import entry_point
from .action_value_targets import (
    ErrorLoss,
    double_q_targets,
    error_loss,
    error_slope,
    masked_values,
    q_targets,
    values_of,
)
from .categorical_values import (
    cross_entropy,
    cross_entropy_slope,
    entropy,
    expected_values,
    projected,
)
from .dense_kernels import q_slopes

__all__ = [
    "QLossSettings",
    "UpdateBatch",
    "UpdateResult",
    "q_loss",
    "q_loss_slope",
    "quick_slope",
    "targets_of",
]


_NO_MASKS, _NO_WEIGHTS = np.zeros((0, 0, 0), np.bool_), np.zeros((0, 0), np.float32)


@dataclass(frozen=True)
class QLossSettings:
    """What the loss is made of.

    Attributes:
        double: Whether the learning network chooses the action that the target network values.
        error_loss: Of the errors, where values are no distributions.
        atoms: (N,) of the distributions, or None for plain values.
        max_grad_norm: To which each member's gradient is clipped, or None.
        adam_epsilon: See `adam`.
    """

    double: bool
    error_loss: ErrorLoss
    atoms: Float[Tensor, " atoms"] | None
    max_grad_norm: float | None
    adam_epsilon: float


class UpdateBatch(NamedTuple):
    """What one update learns from: tensors alone, as a compiled graph takes them.

    Attributes:
        observations: Leaves (M, B, *shape).
        actions: (M, B) actions taken.
        rewards: (M, B) rewards.
        discounts: (M, B) discounts of what follows, 0 where the step terminated the episode.
        next_observations: Leaves (M, B, *shape).
        next_masks: (M, B, A) the actions allowed after the step, or None.
        weights: (M, B) importance weights, or None.
    """

    observations: tuple[Tensor, ...]
    actions: Int64[Tensor, "members batch"]
    rewards: Float[Tensor, "members batch"]
    discounts: Float[Tensor, "members batch"]
    next_observations: tuple[Tensor, ...]
    next_masks: Bool[Tensor, "members batch actions"] | None
    weights: Float[Tensor, "members batch"] | None


class UpdateResult(NamedTuple):
    """What came of an update.

    Attributes:
        losses: (M,) each member's loss.
        errors: (M, B) size of each transition's error, for priorities: of distributions the
            Kullback-Leibler divergence of the target from them, as in Rainbow.
        values: (M, B) values of the actions taken.
    """

    losses: Float[Tensor, " members"]
    errors: Float[Tensor, "members batch"]
    values: Float[Tensor, "members batch"]


def targets_of(
    q_t: Float[Tensor, "members batch actions *atoms"],
    selector: Float[Tensor, "members batch actions *atoms"],
    batch: UpdateBatch,
    settings: QLossSettings,
) -> Float[Tensor, "members batch *atoms"]:
    """(M, B) targets of the values, or (M, B, N) of the distributions.

    Args:
        q_t: The target network's outputs after the step.
        selector: Those of the network that chooses the next action.
        batch: What happened.
        settings: Of the loss.
    """
    atoms, allowed = settings.atoms, batch.next_masks
    if allowed is not None:
        # where nothing is, as may be after a truncated episode's end, everything is
        allowed = allowed | ~allowed.any(dim=-1, keepdim=True)
    if atoms is not None:
        best = masked_values(expected_values(selector, atoms), allowed).argmax(dim=-1)
        p_t = _of_action(q_t, best).softmax(dim=-1)
        return projected(batch.rewards, batch.discounts, p_t, atoms)
    selector = masked_values(selector, allowed)
    if settings.double:
        return double_q_targets(batch.rewards, batch.discounts, q_t, selector)
    return q_targets(batch.rewards, batch.discounts, selector)


def q_loss(
    q_tm1: Float[Tensor, "members batch actions *atoms"],
    target: Float[Tensor, "members batch *atoms"],
    batch: UpdateBatch,
    settings: QLossSettings,
) -> tuple[Float[Tensor, " members"], UpdateResult]:
    """(M,) each member's loss, and what is told of it.

    Args:
        q_tm1: The learning network's outputs before the step.
        target: From `targets_of`.
        batch: What happened.
        settings: Of the loss.
    """
    if settings.atoms is None:
        values = values_of(q_tm1, batch.actions)
        difference = target - values
        losses, errors = error_loss(difference, settings.error_loss), difference.detach().abs()
    else:
        taken = _of_action(q_tm1, batch.actions)
        losses = cross_entropy(target, taken)
        errors = (losses.detach() - entropy(target)).clamp_min(0)  # but for rounding it is
        values = expected_values(taken.detach(), settings.atoms)
    weighted = losses if batch.weights is None else losses * batch.weights
    of_members = weighted.mean(dim=1)
    return of_members, UpdateResult(of_members.detach(), errors, values.detach())


def q_loss_slope(
    q_tm1: Float[Tensor, "members batch actions *atoms"],
    target: Float[Tensor, "members batch *atoms"],
    batch: UpdateBatch,
    settings: QLossSettings,
) -> Float[Tensor, "members batch actions *atoms"]:
    """The derivatives of the sum of the members' losses by the learning network's outputs."""
    index = batch.actions[..., None]
    if settings.atoms is None:
        slope = -error_slope(target - values_of(q_tm1, batch.actions), settings.error_loss)
        slope = slope if batch.weights is None else slope * batch.weights
    else:
        slope = cross_entropy_slope(target, _of_action(q_tm1, batch.actions))
        slope = slope if batch.weights is None else slope * batch.weights[..., None]
        index = index[..., None].expand(*batch.actions.shape, 1, slope.shape[-1])
    shares = (slope / batch.actions.shape[1]).unsqueeze(2)
    return torch.zeros_like(q_tm1).scatter(2, index, shares)


def quick_slope(
    q_tm1: Float[Tensor, "members batch actions"],
    q_t: Float[Tensor, "members batch actions"],
    selector: Float[Tensor, "members batch actions"],
    batch: UpdateBatch,
    huber: bool,
) -> tuple[Float[Tensor, "members batch actions"], UpdateResult]:
    """As `q_loss_slope` and `q_loss`, for values on the CPU, in compiled code."""
    shape = tuple(q_tm1.shape)
    slopes, losses = np.empty(shape, np.float32), np.empty(shape[:1], np.float32)
    errors, values = np.empty(shape[:2], np.float32), np.empty(shape[:2], np.float32)
    masks = _NO_MASKS if batch.next_masks is None else batch.next_masks.numpy()
    weights = _NO_WEIGHTS if batch.weights is None else batch.weights.numpy()
    _q_slopes()(
        *(part.numpy() for part in (q_tm1, q_t, selector)),
        *(part.numpy() for part in (batch.actions, batch.rewards, batch.discounts)),
        masks,
        weights,
        huber,
        slopes,
        losses,
        errors,
        values,
    )
    told = (torch.from_numpy(part) for part in (losses, errors, values))
    return torch.from_numpy(slopes), UpdateResult(*told)


@cache
def _q_slopes() -> Callable[..., None]:
    cube, matrix = np.zeros((1, 1, 1), np.float32), np.zeros((1, 1), np.float32)
    actions, vector = np.zeros((1, 1), np.int64), np.zeros(1, np.float32)
    inputs = cube, cube, cube, actions, matrix, matrix, _NO_MASKS, _NO_WEIGHTS, True
    return entry_point(q_slopes, *inputs, cube, vector, matrix, matrix)


def _of_action(logits: Tensor, a: Tensor) -> Tensor:
    """(M, B, atoms) of the actions, from (M, B, A, atoms)."""
    index = a[..., None, None].expand(*a.shape, 1, logits.shape[-1])
    return logits.gather(2, index).squeeze(2)
