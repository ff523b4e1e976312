"""The mean of a phase's losses and its gradient: as PyTorch runs them, or compiled.

Compiling the losses alone leaves a small network's backward pass to the automatic differentiation
engine, which takes as long as the arithmetic. Where a loss is a function of the parameters and
nothing else, both passes become one graph instead: a third less time for eight affine couplings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from .generator import AbstractGenerator
from .own_graphs import OwnGraphs
from .trainable import AbstractPhased, Phase

__all__ = ["Gradient", "gradient_of"]

Gradient = Callable[[Tensor, Tensor | None], tuple[Tensor, Sequence[Tensor | None]]]
"""From (B, *event) events and (B, *context) or None: the mean loss, and its gradient by each of a
phase's parameters, or None for one that it does not depend on."""


def gradient_of(
    phase: Phase,
    generator: AbstractGenerator,
    device: torch.device,
    *,
    compiled: bool = False,
    mixed_precision: bool = False,
) -> Gradient:
    """How to find a phase's gradient.

    Args:
        phase: One of the generator's.
        generator: Which holds the parameters.
        device: That they live on.
        compiled: Compile, at the first call.
        mixed_precision: Compute losses in bfloat16 where PyTorch holds that to be safe.

    Raises:
        ValueError: At a call, the loss is not one number of each event, or has no gradient.
    """

    def mean_loss(x: Tensor, context: Tensor | None) -> Tensor:
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=mixed_precision):
            losses = phase.loss(x, context, None)
        if losses.shape != (len(x),):
            raise ValueError(
                f"expected {phase.name} of shape ({len(x)},), one of each event, got "
                f"{tuple(losses.shape)}"
            )
        return losses.mean()

    if compiled and not isinstance(generator, AbstractPhased) and not _counts(generator):
        return _one_graph(mean_loss, generator, phase.parameters)
    loss_of = OwnGraphs(mean_loss, checked=True, whole=False) if compiled else mean_loss
    parameters = list(phase.parameters)

    def gradient(x: Tensor, context: Tensor | None) -> tuple[Tensor, Sequence[Tensor | None]]:
        loss = loss_of(x, context)
        if not loss.requires_grad:
            raise ValueError(
                f"expected {phase.name} that depends on parameters of {type(generator).__name__}, "
                "got one without a gradient: is it computed with no_grad, detach or item?"
            )
        # not backward(), which would leave gradients in other phases' parameters
        found = torch.autograd.grad(loss, parameters, allow_unused=True)
        return loss.detach(), found

    return gradient


class _Losses(nn.Module):
    """A generator's mean loss as a module, whose parameters can be handed in."""

    def __init__(
        self, mean_loss: Callable[[Tensor, Tensor | None], Tensor], generator: AbstractGenerator
    ) -> None:
        super().__init__()
        self.generator, self._mean_loss = generator, mean_loss

    def forward(self, x: Tensor, context: Tensor | None) -> Tensor:
        return self._mean_loss(x, context)


def _one_graph(
    mean_loss: Callable[[Tensor, Tensor | None], Tensor],
    generator: AbstractGenerator,
    parameters: Sequence[nn.Parameter],
) -> Gradient:
    """Both passes compiled together; the gradient of an unused parameter is zero."""
    losses = _Losses(mean_loss, generator)
    named = {id(parameter): name for name, parameter in losses.named_parameters()}
    names = [named[id(parameter)] for parameter in parameters]

    def loss_at(values: tuple[Tensor, ...], x: Tensor, context: Tensor | None) -> Tensor:
        given = dict(zip(names, values, strict=True))
        found: Tensor = torch.func.functional_call(losses, given, (x, context))
        return found

    def both_at(x: Tensor, context: Tensor | None) -> Any:
        return torch.func.grad_and_value(loss_at)(tuple(parameters), x, context)

    both = OwnGraphs(both_at, checked=True)

    def gradient(x: Tensor, context: Tensor | None) -> tuple[Tensor, Sequence[Tensor | None]]:
        try:
            with torch.no_grad():
                found, loss = both(x, context)
        except RuntimeError as error:  # the compiler's are of this kind
            # nothing else is tried: PyTorch may be left within the transformation that failed
            raise RuntimeError(
                "expected a loss that PyTorch can compile together with its gradient, got "
                f"{type(generator).__name__}'s, which fails (see above): train it without compile."
                " It may have a layer that is used twice, take derivatives of its own, compute "
                "something twice to save memory, or move buffers"
            ) from error
        return loss, found

    return gradient


def _counts(generator: AbstractGenerator) -> bool:
    """Whether a loss moves statistics, which a function of the parameters must not."""
    return any(
        isinstance(part, _NormBase) and part.track_running_stats for part in generator.modules()
    )
