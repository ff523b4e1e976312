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

Entries that are *known* are put in their place after every step, with as much noise as belongs to
its time. The others have then been drawn without looking at them, and one step is too little to
agree: with the known ones they are off by half a correlation. *Rounds* go back to t and take the
step again, and what is drawn tends to what it should be given what is known.

References:
    J. Song, C. Meng, S. Ermon (2021), Denoising diffusion implicit models, arXiv:2010.02502,
        equations 12 and 16.
    A. Lugmayr et al. (2022), RePaint: inpainting using denoising diffusion probabilistic models,
        arXiv:2201.09865, equation 8 (known entries), algorithm 1 (rounds, its U).
    J. Ho, T. Salimans (2022), Classifier-free diffusion guidance, arXiv:2207.12598, equation 6.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .gaussian_diffusion import diffused

__all__ = ["Change", "Denoiser", "ddim", "guided", "keeping", "visited_times"]

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
    """(B, *event) x_0 from x_T.

    Args:
        denoise: The denoiser.
        x: (B, *event) x at the first of the times.
        alpha_bars: (T + 1,) as `gaussian_diffusion.alpha_bars` gives them.
        times: T = t_0 > t_1 > ... > 0 at which to ask the denoiser; 0 follows the last.
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


def guided(
    conditional: Float[Tensor, "batch ..."],
    unconditional: Float[Tensor, "batch ..."],
    weight: float,
) -> Float[Tensor, "batch ..."]:
    """Classifier-free guidance: (1 + w) times the conditional prediction, less w times the other.

    The convention is Ho & Salimans's: w = 0 is conditional, w = -1 unconditional. Others call
    1 + w the weight.
    """
    return (1 + weight) * conditional - weight * unconditional


def keeping(
    x_0: Float[Tensor, "batch ..."],
    known: Bool[Tensor, "batch ..."],
    alpha_bars: Float[Tensor, " times"],
    *,
    rng: torch.Generator | None = None,
) -> Change:
    """A change that puts known entries in their place, with as much noise as belongs to the time.

    Args:
        x_0: (B, *event) with what is known; the rest does not matter.
        known: (B, *event) which entries are.
        alpha_bars: (T + 1,) of the sampler.
        rng: Of the noise.
    """

    def change(x: Tensor, s: int) -> Tensor:
        noise = torch.randn(x.shape, generator=rng, dtype=x.dtype, device=x.device)
        return torch.where(known, diffused(x_0, alpha_bars[s].expand(len(x)), noise), x)

    return change


def _with_noise(x: Tensor, deviation: float, rng: torch.Generator | None) -> Tensor:
    fresh = torch.randn(x.shape, generator=rng, dtype=x.dtype, device=x.device)
    return torch.add(x, fresh, alpha=deviation)
