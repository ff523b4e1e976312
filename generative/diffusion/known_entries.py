r"""Entries of an event that are known, while the others are drawn to fit them.

After every step of a sampler, each known entry is put in its place, with as much noise as belongs
to the step's end. The others have then been drawn without looking at it, and one step is too few
for them to agree: they end up half a correlation away. A sampler therefore takes each step in
several *rounds*: it adds the noise of the step's beginning again, and takes the step once more,
from a place where the known entries are already right. With more rounds the draws tend to what
they should be, given what is known.

References:
    A. Lugmayr et al. (2022), RePaint: inpainting using denoising diffusion probabilistic models,
        arXiv:2201.09865, equation 8 (known entries), algorithm 1 (rounds, its U).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .gaussian_diffusion import normal_like

__all__ = ["Time", "keeping"]

Time = TypeVar("Time", int, float)
"""How a sampler says where it is: a number of steps, or a noise level."""


def keeping(
    x_0: Float[Tensor, "batch ..."],
    known: Bool[Tensor, "batch ..."],
    diffuse: Callable[[Tensor, Time, Tensor], Tensor],
    *,
    rng: torch.Generator | None = None,
) -> Callable[[Tensor, Time], Tensor]:
    """A change of noisy events that puts known entries in their place.

    Args:
        x_0: (B, *event) with what is known; the rest does not matter.
        known: (B, *event) which entries are.
        diffuse: From (B, *event) data, the sampler's time and (B, *event) standard normal noise to
            what the data are at that time.
        rng: Of the noise.

    Returns:
        From (B, *event) noisy events and their time to the events with known entries in place.

    Example:
        >>> x_0, known = torch.tensor([[3.0, 0.0]]), torch.tensor([[True, False]])
        >>> change = keeping(x_0, known, lambda x_0, sigma, noise: x_0 + sigma * noise)
        >>> change(torch.tensor([[7.0, 7.0]]), 0.0)
        tensor([[3., 7.]])
    """

    def change(x: Tensor, time: Time) -> Tensor:
        return torch.where(known, diffuse(x_0, time, normal_like(x, rng)), x)

    return change
