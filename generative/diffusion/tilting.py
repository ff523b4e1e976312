r"""Guidance by a function: events that are drawn where a function of them is high.

What is wanted is the distribution :math:`p(x_0)\,e^{f(x_0)} / Z`, for f the log-likelihood of an
observation, a classifier's log-probability, a return times how much one cares. With noisy events
:math:`x = \alpha x_0 + \sigma \epsilon` the score of the wanted distribution is that of p plus
:math:`\nabla_x \log \mathbb E[e^{f(x_0)} | x]`, which is approximated by that of f at what is
expected, and by Tweedie's formula a shift of the score is one of the denoiser,

.. math:: \hat x_0' = \hat x_0 + \frac{\sigma^2}{\alpha} \nabla_x f\big(\hat x_0(x)\big)
    = \hat x_0 + \frac{\sigma^2}{\alpha}
    \Big(\frac{\partial \hat x_0}{\partial x}\Big)^{\!\top} \nabla f(\hat x_0) .

The matrix :math:`\tfrac{\sigma^2}{\alpha}\,\partial \hat x_0 / \partial x` is the covariance of
:math:`x_0` given x. Where a derivative through the network costs too much, or a network's slope at
strong noise is not to be trusted, that of independent data of deviation s can stand for it,
:math:`\sigma^2 s^2 / (\alpha^2 s^2 + \sigma^2)`, which never exceeds :math:`s^2`. For normal data
and a linear f the first is exact, and for isotropic ones the second.

A network's slope is off by a little at any noise, and the first multiplies that error by
:math:`\sigma^2 / \alpha`. Where the noise is strong, a network that predicts the noise then sends
events hundreds of deviations away, and one that predicts the data too far as well. Beyond noise of
twenty deviations of the data the second is used in any case: little is decided there.

References:
    P. Dhariwal, A. Nichol (2021), Diffusion models beat GANs on image synthesis,
        arXiv:2105.05233, equations 12 to 14 and algorithm 2 (the shifted score).
    H. Chung, J. Kim, M. T. McCann, M. L. Klasky, J. C. Ye (2023), Diffusion posterior sampling for
        general noisy inverse problems, arXiv:2209.14687, equations 11 and 15 (f at the expected
        data, through the network).
    J. Song, A. Vahdat, M. Mardani, J. Kautz (2023), Pseudoinverse-guided diffusion models for
        inverse problems, ICLR 2023, section 3 (the covariance of independent data).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["LogWeight", "tilted"]

_STRONGEST = 20.0  # noise, in deviations of the data, through which a slope is taken

LogWeight = Callable[[Tensor], Tensor]
"""From (B, *event) events to (B,) logarithms of weights, differentiably."""


def tilted(
    denoise: Callable[[Tensor], Tensor],
    x: Float[Tensor, "batch ..."],
    log_weight: LogWeight,
    *,
    alpha: float,
    sigma: float,
    deviation: float = 1.0,
    through_network: bool = True,
) -> Float[Tensor, "batch ..."]:
    """(B, *event) the data expected behind noisy events where a function weighs data.

    Args:
        denoise: From (B, *event) noisy events to the data that are expected without weights.
        x: (B, *event) noisy events.
        log_weight: f, of single events.
        alpha: Share of the data in x.
        sigma: Deviation of the noise in x.
        deviation: s, of the data, where the network's derivative is not taken.
        through_network: Whether it is, unless the noise is too strong.

    Raises:
        ValueError: The function gives something else than one number of each event, or numbers
            that do not depend on it, or its derivative is not finite.

    Example:
        >>> x = torch.ones(1, 2)  # normal data, noise of deviation 1: half of x is expected
        >>> tilted(lambda x: x / 2, x, lambda x: x.sum(dim=1), alpha=1.0, sigma=1.0)
        tensor([[1., 1.]])
    """
    through_network = through_network and sigma <= _STRONGEST * alpha * deviation
    with torch.enable_grad():
        if through_network:
            given = x.detach().requires_grad_()
            x_0 = denoise(given)
            gain = sigma**2 / alpha
        else:
            with torch.no_grad():
                x_0 = denoise(x)
            given = x_0 = x_0.detach().requires_grad_()
            gain = (sigma * deviation) ** 2 / ((alpha * deviation) ** 2 + sigma**2)
        values = log_weight(x_0)
        if values.shape != (len(x),):
            raise ValueError(
                f"expected a function's logarithms of weights of shape ({len(x)},), got "
                f"{tuple(values.shape)}"
            )
        if not values.requires_grad:
            raise ValueError("expected a differentiable function of events, got constants")
        (slope,) = torch.autograd.grad(values.sum(), given, allow_unused=True)
    if slope is None:
        raise ValueError("expected a function of events, got numbers that do not depend on them")
    if not slope.isfinite().all():
        raise ValueError(
            "expected a function with a finite derivative, got NaN or infinity: it is undefined "
            "at the data that are expected there, or pulls events further at every step"
        )
    return x_0.detach() + gain * slope
