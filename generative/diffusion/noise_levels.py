r"""Samplers over noise levels: from :math:`x = x_0 + \sigma \epsilon` with a large sigma to data.

The probability-flow equation has the same distributions as the noise at every level, and a
denoiser :math:`D(x; \sigma) = \mathbb E[x_0 | x]` is all that it asks for:

.. math:: \frac{dx}{d\sigma} = \frac{x - D(x; \sigma)}{\sigma} .

It is followed from level to level by Euler's or Heun's steps, the levels being

.. math:: \sigma_i = \Big(\sigma_{max}^{1/\rho} + \frac{i}{n - 1}
    \big(\sigma_{min}^{1/\rho} - \sigma_{max}^{1/\rho}\big)\Big)^{\rho},
    \quad i = 0, \dots, n - 1, \qquad \sigma_n = 0 .

*Churn* adds fresh noise before a step and so forgets errors of earlier ones.

Diffusion that also shrinks the data, :math:`z = \alpha x_0 + \sigma_z \epsilon`, is the same with
:math:`x = z / \alpha` and :math:`\sigma = \sigma_z / \alpha`.

References:
    T. Karras, M. Aittala, T. Aila, S. Laine (2022), Elucidating the design space of
        diffusion-based generative models, arXiv:2206.00364, equations 3 and 5, algorithms 1 and 2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from .gaussian_diffusion import normal_like

__all__ = [
    "LevelChange",
    "LevelDenoiser",
    "check_level",
    "diffused_to_level",
    "follow_levels",
    "karras_levels",
]

LevelDenoiser = Callable[[Tensor, float], Tensor]
"""From (B, *event) x and sigma to the x_0 that is expected."""
LevelChange = Callable[[Tensor, float], Tensor]
"""From (B, *event) x and sigma to another x."""

_MOST_CHURN = math.sqrt(2) - 1  # noise is at most doubled in variance


def check_level(sigma: float) -> None:
    """Make sure that a denoiser can be asked at a noise level.

    Raises:
        ValueError: It is not positive, or not finite.
    """
    if not 0 < sigma < math.inf:
        raise ValueError(f"expected a noise level above 0, got {sigma}")


def karras_levels(num: int, lowest: float, highest: float, rho: float = 7.0) -> list[float]:
    """The levels that a denoiser is asked at, falling; 0 follows the last.

    Example:
        >>> [round(level, 3) for level in karras_levels(3, 0.002, 80.0)]
        [80.0, 2.515, 0.002]
    """
    if num == 1:
        return [highest]
    first, last = highest ** (1 / rho), lowest ** (1 / rho)
    inner = [(first + i / (num - 1) * (last - first)) ** rho for i in range(1, num - 1)]
    return [highest, *inner, lowest]


def follow_levels(
    denoise: LevelDenoiser,
    x: Float[Tensor, "batch ..."],
    levels: Sequence[float],
    *,
    order: int = 2,
    churn: float = 0.0,
    temperature: float = 1.0,
    change: LevelChange | None = None,
    rounds: int = 1,
    rng: torch.Generator | None = None,
) -> Float[Tensor, "batch ..."]:
    """(B, *event) x_0 from x at the first level.

    Args:
        denoise: The denoiser.
        x: (B, *event) data with as much noise as the first level says.
        levels: Falling; 0 follows the last.
        order: 2 for Heun's steps, of which the one to 0 is Euler's; 1 for Euler's.
        churn: Of noise that is added, in all the steps together; 0 makes the data a function of
            the first x.
        temperature: The added noise is multiplied by it.
        change: What else to do to every x on the way.
        rounds: How often each step is taken; between them x gets the noise of its level again (see
            `known_entries`).
        rng: Of the noise.
    """
    share = min(churn / len(levels), _MOST_CHURN)
    for level, after in pairwise([*levels, 0.0]):
        now = level * (1 + share)
        for number in range(rounds):
            added = now**2 - (after if number > 0 else level) ** 2
            if added > 0:
                x = diffused_to_level(x, temperature * math.sqrt(added), normal_like(x, rng))
            slope = (x - denoise(x, now)) / now
            ahead = torch.add(x, slope, alpha=after - now)
            if order == 2 and after > 0:
                other = (ahead - denoise(ahead, after)) / after
                ahead = torch.add(x, slope + other, alpha=(after - now) / 2)
            x = ahead if change is None else change(ahead, after)
    return x


def diffused_to_level(
    x_0: Float[Tensor, "batch ..."], sigma: float, noise: Float[Tensor, "batch ..."]
) -> Float[Tensor, "batch ..."]:
    """(B, *event) x at a noise level."""
    return torch.add(x_0, noise, alpha=sigma)
