r"""From noise to data in as many steps as one likes.

With a denoiser's :math:`\hat x_0` of :math:`x_t` and the noise :math:`\hat\epsilon` that it
implies, a step to an earlier time s is

.. math::
    x_s = \sqrt{\bar\alpha_s}\,\hat x_0 + \sqrt{1 - \bar\alpha_s - \sigma^2}\,\hat\epsilon
        + \sigma z, \qquad
    \sigma = \eta \sqrt{\frac{1 - \bar\alpha_s}{1 - \bar\alpha_t}}
        \sqrt{1 - \frac{\bar\alpha_t}{\bar\alpha_s}}

with standard normal z. :math:`\eta = 1` is ancestral sampling, the posterior of
`gaussian_diffusion` with :math:`\hat x_0` for :math:`x_0`; :math:`\eta = 0` draws nothing, so that
the same noise always gives the same data.

A *change* is anything else that is done to :math:`x_s` after the step, and *rounds* go back to t
and take the step again: both are for the sake of `known_entries`.

References:
    J. Song, C. Meng, S. Ermon (2021), Denoising diffusion implicit models, arXiv:2010.02502,
        equations 12 and 16.
    A. Lugmayr et al. (2022), RePaint: inpainting using denoising diffusion probabilistic models,
        arXiv:2201.09865, algorithm 1 (rounds).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from .gaussian_diffusion import diffused, normal_like

__all__ = ["Change", "Denoiser", "ddim", "diffused_at", "visited_times"]

Denoiser = Callable[[Tensor, int], Tensor]
"""From (B, *event) x_t and t to the x_0 that is expected."""
Change = Callable[[Tensor, int], Tensor]
"""From (B, *event) x_t and t to another x_t."""


def ddim(
    denoise: Denoiser,
    x: Float[Tensor, "batch ..."],
    alpha_bars: Float[Tensor, " times"],
    times: list[int],
    *,
    eta: float = 0.0,
    temperature: float = 1.0,
    change: Change | None = None,
    rounds: int = 1,
    rng: torch.Generator | None = None,
) -> Float[Tensor, "batch ..."]:
    """(B, *event) x_0 from x at the first time.

    Args:
        denoise: The denoiser.
        x: (B, *event) noisy events.
        alpha_bars: (T + 1,) as `gaussian_diffusion.alpha_bars` gives them. Where the first of them
            is below 1, what is returned has that much noise left.
        times: At which to ask the denoiser, falling; 0 follows the last.
        eta: How much noise is drawn anew, from 0 to 1.
        temperature: That noise is multiplied by it.
        change: What else to do to every x_s on the way.
        rounds: How often each step is taken; between them x_s gets the noise of x_t again.
        rng: Of the noise.
    """
    shares = alpha_bars.tolist()
    for t, s in zip(times, [*times[1:], 0], strict=True):
        of_t, of_s = shares[t], shares[s]
        variance = eta**2 * (1 - of_s) / (1 - of_t) * (1 - of_t / of_s)
        by_noise = math.sqrt(max(1 - of_s - variance, 0.0) / (1 - of_t))
        # the noise implied is (x - sqrt(of_t) x_0) / sqrt(1 - of_t)
        by_data = math.sqrt(of_s) - by_noise * math.sqrt(of_t)
        for number in range(rounds):
            if number > 0:
                back = temperature * math.sqrt(1 - of_t / of_s)
                x = _with_noise(math.sqrt(of_t / of_s) * x, back, rng)
            x = torch.add(by_noise * x, denoise(x, t), alpha=by_data)
            if variance > 0:
                x = _with_noise(x, temperature * math.sqrt(variance), rng)
            if change is not None:
                x = change(x, s)
    return x


def visited_times(num_steps: int, num_visited: int) -> list[int]:
    """At which of T times to ask a denoiser: evenly spaced, the last one always.

    Example:
        >>> visited_times(1000, 4)
        [1000, 750, 500, 250]
    """
    num = min(num_visited, num_steps)
    return [round(num_steps * (num - i) / num) for i in range(num)]


def diffused_at(alpha_bars: Float[Tensor, " times"]) -> Callable[[Tensor, int, Tensor], Tensor]:
    """How data become noisy by a time, as `known_entries.keeping` wants to be told.

    Args:
        alpha_bars: (T + 1,) of the sampler.
    """

    def diffuse(x_0: Tensor, s: int, noise: Tensor) -> Tensor:
        return diffused(x_0, alpha_bars[s].expand(len(x_0)), noise)

    return diffuse


def _with_noise(x: Tensor, deviation: float, rng: torch.Generator | None) -> Tensor:
    return torch.add(x, normal_like(x, rng), alpha=deviation)
