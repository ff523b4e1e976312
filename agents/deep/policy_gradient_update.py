r"""One update of a population's policies and values: eager, quick, or as one compiled graph.

The loss and its terms are those of `policy_gradient_losses`. What moves the parameters is the same
in all three ways: each member's gradient is clipped to a norm of its own, and RMSprop or Adam take
a step with each member's own rate.

Eagerly, the gradient comes from autograd's tape; where layers are dense, observations plain and
a batch is small, from numpy (see `quick_policy_gradient`), which takes a third of the time.
Compiled, all of it is one graph.

References:
    V. Mnih et al. (2016), Asynchronous methods for deep reinforcement learning, arXiv:1602.01783,
        section 4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import functional_call

from ...generative.devices import on_device
from ...generative.own_graphs import OwnGraphs
from .adam import AdamState, adam_step, clip_by_member, new_adam_state
from .flat_parameters import FlatParameters
from .policy_distributions import AbstractPolicyDistribution
from .policy_gradient_losses import (
    Batch,
    LossSettings,
    LossWeights,
    Outcome,
    PolicyGradientResult,
    RolloutBatch,
)
from .quick_policy_gradient import quick_pass
from .rms_prop import rms_prop_step

__all__ = [
    "Optimiser",
    "PolicyGradientUpdate",
    "Run",
    "UpdateSettings",
    "compiled_run",
]

Optimiser = Literal["rmsprop", "rmsprop-tf", "adam"]
Losses: TypeAlias = Callable[..., Outcome]

_QUICK_STEPS = 512  # of larger batches the arithmetic itself takes most of the time


@dataclass(frozen=True)
class UpdateSettings:
    """What an update is made of, the same for all members.

    Attributes:
        optimiser: See `rms_prop` and `adam`.
        epsilon: Of the optimiser.
        max_grad_norm: To which each member's gradient is clipped, or None.
        loss: Of the losses.
    """

    optimiser: Optimiser
    epsilon: float
    max_grad_norm: float | None
    loss: LossSettings


class Kept(NamedTuple):
    """What the optimiser keeps of the parameters.

    Attributes:
        squares: (M, P) running mean of the squared gradients.
        adam: All that Adam keeps, the squares among it; None for RMSprop.
    """

    squares: Float[Tensor, "members numbers"]
    adam: AdamState | None


Run: TypeAlias = Callable[[Tensor, Kept, LossWeights, Batch, Tensor], PolicyGradientResult]


class PolicyGradientUpdate:
    """The parameters of policies, and how they are moved.

    Args:
        flat: The parameters, moved in place; the module is an `ActorCritic` or a `PolicyNetwork`.
        losses: `actor_critic_losses` or `reinforce_losses`.
        weights: Of the losses' terms.
        settings: Of the update.
        run: From `compiled_run` with a module of the same shapes, which updates may share; None
            computes eagerly.
    """

    def __init__(
        self,
        flat: FlatParameters,
        losses: Losses,
        weights: LossWeights,
        settings: UpdateSettings,
        *,
        run: Run | None = None,
    ) -> None:
        self._flat, self._losses = flat, losses
        self._settings = settings
        self._weights = on_device(weights, flat.values.device)
        if settings.optimiser == "adam":
            adam = new_adam_state([flat.values])
            self._kept = Kept(adam.squares[0], adam)
        else:
            first = 1.0 if settings.optimiser == "rmsprop-tf" else 0.0
            self._kept = Kept(torch.full_like(flat.values, first), None)
        self._run: Run = run or self._eager
        self._quick = None if run else quick_pass(flat, settings.loss)

    def __call__(
        self, batch: Batch, learning_rates: Float[Tensor, " members"]
    ) -> PolicyGradientResult:
        """Move the parameters by one step.

        Args:
            batch: What to learn from.
            learning_rates: (M,) each member's own.
        """
        values = self._flat.values
        batch, rates = on_device((batch, learning_rates), values.device)
        return self._run(values, self._kept, self._weights, batch, rates)

    def tensors(self) -> dict[str, Tensor]:
        """The parameters and what the optimiser keeps, by name: all (M, ...)."""
        matrices = {"parameters": self._flat.values, "squares": self._kept.squares}
        rest = {}
        if self._kept.adam is not None:
            matrices["means"] = self._kept.adam.means[0]
            rest["steps"] = self._kept.adam.steps
        named = {
            f"{prefix}.{name}": view
            for prefix, matrix in matrices.items()
            for name, view in self._flat.views(matrix).items()
        }
        return named | rest

    def _eager(
        self,
        values: Tensor,
        kept: Kept,
        weights: LossWeights,
        batch: Batch,
        learning_rates: Tensor,
    ) -> PolicyGradientResult:
        """Through numpy, or autograd's tape on the module."""
        if self._quick is not None and batch.latents.shape[1] <= _QUICK_STEPS:
            told = self._quick(batch, weights)
        else:
            policy, state_values = _outputs(self._flat.module(*_inputs(batch)))
            total, told = self._losses(policy, state_values, batch, weights, self._settings.loss)
            self._flat.write_gradients(total)
        _move(values, self._flat.gradients, kept, learning_rates, self._settings)
        return told


def compiled_run(flat: FlatParameters, losses: Losses, settings: UpdateSettings) -> Run:
    """An update as one graph for each pattern of its arguments (see `own_graphs`).

    Args:
        flat: Of a module of the right shapes; only its structure is used.
        losses: As in `PolicyGradientUpdate`.
        settings: Of the update.
    """
    module, views = flat.module, flat.views

    def run(
        values: Tensor, kept: Kept, weights: LossWeights, batch: Batch, learning_rates: Tensor
    ) -> PolicyGradientResult:
        def loss(parameters: Tensor) -> Outcome:
            out = functional_call(module, views(parameters), _inputs(batch))
            policy, state_values = _outputs(out)
            return losses(policy, state_values, batch, weights, settings.loss)

        # a functional gradient can be traced together with what follows it
        gradients, told = torch.func.grad(loss, has_aux=True)(values)
        _move(values, gradients, kept, learning_rates, settings)
        result: PolicyGradientResult = told
        return result

    # not torch.compile itself: it gives up on the ninth agent of other shapes in a process
    return OwnGraphs(run)


def _inputs(batch: Batch) -> tuple[Any, ...]:
    if isinstance(batch, RolloutBatch):
        return batch.observations, batch.allowed, batch.latents.shape[1]
    return batch.observations, batch.allowed


def _outputs(out: Any) -> tuple[AbstractPolicyDistribution, Tensor | None]:
    return out if isinstance(out, tuple) else (out, None)


def _move(
    values: Tensor,
    gradients: Tensor,
    kept: Kept,
    learning_rates: Tensor,
    settings: UpdateSettings,
) -> None:
    max_norm = settings.max_grad_norm
    if kept.adam is not None:
        adam_step(
            [values],
            [gradients],
            kept.adam,
            learning_rates,
            epsilon=settings.epsilon,
            max_norm=max_norm,
        )
        return
    if max_norm is not None:
        (gradients,), _ = clip_by_member([gradients], max_norm)
    rms_prop_step(
        values,
        gradients,
        kept.squares,
        learning_rates,
        epsilon=settings.epsilon,
        inside_root=settings.optimiser == "rmsprop-tf",
    )
