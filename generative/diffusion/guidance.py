r"""Classifier-free guidance: events that fit their context better than the data themselves do.

A network is trained with contexts c and, now and then, without. Sampling then follows

.. math:: \tilde\epsilon(x, c) = (1 + w)\,\hat\epsilon(x, c) - w\,\hat\epsilon(x) ,

the noise that belongs, by Bayes, to the score of :math:`p(x | c)\,p(c | x)^w` at each noise level.
The convention is Ho & Salimans's: w = 0 is the conditional model, w = -1 the unconditional one.
Others call 1 + w the weight.

References:
    J. Ho, T. Salimans (2022), Classifier-free diffusion guidance, arXiv:2207.12598, equation 6,
        algorithms 1 (training) and 2 (sampling).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from .denoising_network import DenoisingNetwork

__all__ = ["guided", "predictor"]

_MOST_EVENTS, _MOST_ENTRIES = 64, 4_096  # that are doubled


def guided(
    conditional: Float[Tensor, "batch ..."],
    unconditional: Float[Tensor, "batch ..."],
    weight: float,
) -> Float[Tensor, "batch ..."]:
    """(B, *event) the guided prediction, of data, of noise or of velocity.

    These are affine in each other, and 1 + w and -w add to 1, so that it is the same for all.

    Args:
        conditional: (B, *event) what is predicted in the context.
        unconditional: (B, *event) what is predicted without.
        weight: w.

    Example:
        >>> guided(torch.tensor([[3.0]]), torch.tensor([[1.0]]), 0.5)
        tensor([[4.]])
    """
    return (1 + weight) * conditional - weight * unconditional


def predictor(
    network: DenoisingNetwork,
    times: Sequence[float],
    context: Float[Tensor, "batch ..."] | None,
    weight: float,
    like: Tensor,
) -> Callable[[Tensor, float], Tensor]:
    """What a network predicts of (B, *event) noisy events at a time, guided.

    Both predictions of a few events come from one question, for twice as many events; many events
    are asked for with their context, and then without.

    Args:
        network: The network.
        times: At which it will be asked, so that what does not depend on events is made once;
            other times cost a little more.
        context: (B, *context), or None.
        weight: w; 0 asks for the conditional prediction alone, -1 for the unconditional one.
        like: Of the dtype and on the device of events.
    """
    rows: dict[float, Tensor] = {}
    if times and (context is None or weight != 0):
        table = network.told(torch.tensor(times, dtype=like.dtype, device=like.device))
        rows = dict(zip(times, torch.split(table, 1), strict=True))

    def told(time: float, of: Tensor | None) -> Tensor:
        return network.told(like.new_full((1,), time), of)

    def without(time: float) -> Tensor:
        row = rows.get(time)
        return told(time, None) if row is None else row

    def predict(x: Tensor, time: float) -> Tensor:
        if context is None or weight == -1:
            return network.denoise(x, without(time))
        if weight == 0:
            return network.denoise(x, told(time, context))
        present, absent = told(time, context), without(time)
        if not _is_faster_doubled(network, x):
            return guided(network.denoise(x, present), network.denoise(x, absent), weight)
        both = torch.cat([present, absent.expand(len(x), -1)])
        conditional, unconditional = network.denoise(torch.cat([x, x]), both).chunk(2)
        return guided(conditional, unconditional, weight)

    return predict


def _is_faster_doubled(network: DenoisingNetwork, x: Tensor) -> bool:
    """Whether one question of twice the events takes less time than two: so it was on one core.

    PyTorch's convolutions of two events took more than twice as long as those of a single one.
    """
    if network.unet is not None and len(x) == 1:
        return False
    return len(x) <= _MOST_EVENTS and x.numel() <= _MOST_ENTRIES
