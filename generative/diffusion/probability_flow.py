r"""Densities by the probability flow: the change of volume between an event and its noise.

The flow of `noise_levels`, :math:`dx / d \sigma = (x - D(x; \sigma)) / \sigma`, takes an event, at
the lowest level, to a latent at the highest one, where the noise has all but drowned the data. In
:math:`u = \ln \sigma` and in the coordinates :math:`y = x / \sqrt{1 + \sigma^2}` that keep the
variance of data with variance 1,

.. math:: \frac{dy}{du} = \frac{y}{1 + \sigma^2} - \frac{D(x; \sigma)}{\sqrt{1 + \sigma^2}} ,

which is zero for standard normal data, so that a solver errs by what data differ from them. With
latents :math:`x \sim \mathcal N(0, \tau^2)`, so that
:math:`y \sim \mathcal N(0, \tau^2 / (1 + \sigma_{max}^2))`,

.. math:: \log p(x) = \log p(y_{max}) + \log |\det \partial y_{max} / \partial y_{min}|
    - \tfrac D2 \ln (1 + \sigma_{min}^2) .

*How exact it is.* There are two ways to the change of volume. One takes the determinant of every
Runge-Kutta step (`flows.ode.log_det_of_steps`): what comes out is the density of these very steps,
and integrates to 1 where they are one to one. The other integrates the trace of the Jacobian along
the path by the same N steps, and is off by :math:`O(N^{-4})`; the trace is exact, or Hutchinson's
unbiased estimate of it. Either way it is the density of events with noise of the lowest level.

References:
    Y. Song et al. (2021), Score-based generative modeling through stochastic differential
        equations, arXiv:2011.13456, section 4.3, equations 39 and 40, appendix D.2.
    T. Karras, M. Aittala, T. Aila, S. Laine (2022), arXiv:2206.00364, equation 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..flows.ode import log_det_by_trace, log_det_of_steps, random_signs
from .noise_levels import LevelDenoiser

__all__ = ["log_prob_by_flow", "log_prob_in_contexts"]

_MOST_ENTRIES = 1 << 20  # of Jacobians that are made together; more events wait


def log_prob_by_flow(
    denoise: LevelDenoiser,
    x: Float[Tensor, "batch ..."],
    *,
    lowest: float,
    highest: float,
    latent_deviation: float,
    num_steps: int,
    trace: bool = False,
    num_probes: int | None = None,
    rng: torch.Generator | None = None,
) -> Float[Tensor, " batch"]:
    """(B,) log-densities in nats.

    Args:
        denoise: The denoiser, of single events, each by itself; of about unit variance, for a
            small error. Where random signs replace the trace it is asked of P copies of the
            batch, one behind another.
        x: (B, *event) events.
        lowest: Noise level that they are taken to have.
        highest: Level of the latents.
        latent_deviation: tau.
        num_steps: Runge-Kutta steps between.
        trace: Integrate the trace of the Jacobian; else take determinants of the steps.
        num_probes: P vectors of random signs in place of the trace; None for the trace.
        rng: Of the signs.

    Raises:
        ValueError: There are no probes.

    Example:
        >>> x = torch.zeros(1, 2)  # normal data of deviation 2: 4 x / (4 + sigma^2) is expected
        >>> levels = {"lowest": 0.01, "highest": 100.0, "latent_deviation": 100.0}
        >>> found = log_prob_by_flow(lambda x, s: 4 * x / (4 + s**2), x, num_steps=20, **levels)
        >>> round(float(found), 2), round(-math.log(2 * math.pi * 4), 2)
        (-3.22, -3.22)
    """
    _check_probes(num_probes)
    event, repeats = x.shape[1:], num_probes or 1
    start, end = math.log(lowest), math.log(highest)
    flat = (x / _spread(start)).flatten(1).repeat(repeats, 1)

    def field(u: float, y: Tensor) -> Tensor:
        spread = _spread(u)
        x_0 = denoise((spread * y).view(-1, *event), math.exp(u)).flatten(1)
        return torch.add(y / spread**2, x_0, alpha=-1 / spread)

    with sdpa_kernel(SDPBackend.MATH):  # the only attention with derivatives forwards
        if trace or num_probes is not None:
            probe = None if num_probes is None else random_signs(flat, rng)
            z, log_det = log_det_by_trace(field, flat, start, end, num_steps, probe)
        else:
            z, log_det = log_det_of_steps(field, flat, start, end, num_steps)
    deviation = latent_deviation / _spread(end)
    constant = math.log(2 * math.pi) + 2 * math.log(deviation) + 2 * math.log(_spread(start))
    densities = log_det - ((z / deviation).square() + constant).sum(dim=1) / 2
    return densities.view(repeats, len(x)).mean(dim=0)


def log_prob_in_contexts(
    denoiser_in: Callable[[Tensor | None], LevelDenoiser],
    x: Float[Tensor, "batch ..."],
    context: Float[Tensor, "batch ..."] | None,
    *,
    num_probes: int | None = None,
    rng: torch.Generator | None = None,
    **how: Any,
) -> Float[Tensor, " batch"]:
    """(B,) log-densities in nats, as `log_prob_by_flow`, of a denoiser that has a context.

    Jacobians of D x D, taken by D products each, are made of a part of the batch at a time, so
    that the memory that they take has a bound.

    Args:
        denoiser_in: The denoiser in (N, *context), or None, for N events.
        x: (B, *event) events.
        context: (B, *context), or None.
        num_probes: P vectors of random signs in place of the trace; None for the trace.
        rng: Of the signs.
        how: The rest, as for `log_prob_by_flow`.

    Raises:
        ValueError: There are no probes.
    """
    _check_probes(num_probes)
    together, repeats = max(len(x), 1), num_probes or 1
    if num_probes is None:
        together = max(1, _MOST_ENTRIES // math.prod(x.shape[1:]) ** 2)
    found = []
    for start in range(0, max(len(x), 1), together):
        rows = slice(start, start + together)
        own = None
        if context is not None:
            own = context[rows].repeat(repeats, *[1] * (context.dim() - 1))
        found.append(
            log_prob_by_flow(denoiser_in(own), x[rows], num_probes=num_probes, rng=rng, **how)
        )
    return torch.cat(found)


def _check_probes(num_probes: int | None) -> None:
    if num_probes is not None and num_probes < 1:
        raise ValueError(f"expected at least 1 probe, got {num_probes}")


def _spread(u: float) -> float:
    """Deviation of data of deviation 1 with noise of deviation exp(u)."""
    return math.sqrt(1 + math.exp(2 * u))
