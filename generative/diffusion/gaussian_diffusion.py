r"""The arithmetic of Gaussian diffusion: how data become noise, and what is known on the way back.

With :math:`\bar\alpha_t` falling from 1 to nearly 0 and standard normal :math:`\epsilon`,

.. math:: x_t = \sqrt{\bar\alpha_t}\, x_0 + \sqrt{1 - \bar\alpha_t}\, \epsilon .

Given :math:`x_0` and :math:`x_t`, an earlier :math:`x_s` is normal. With
:math:`\beta_{t|s} = 1 - \bar\alpha_t / \bar\alpha_s`,

.. math::
    \mu = \frac{\sqrt{\bar\alpha_s}\, \beta_{t|s}}{1 - \bar\alpha_t}\, x_0
        + \frac{\sqrt{\bar\alpha_t / \bar\alpha_s}\,(1 - \bar\alpha_s)}{1 - \bar\alpha_t}\, x_t,
    \qquad \sigma^2 = \frac{1 - \bar\alpha_s}{1 - \bar\alpha_t}\, \beta_{t|s} .

A network predicts the noise, the data or the velocity
:math:`v = \sqrt{\bar\alpha_t}\,\epsilon - \sqrt{1 - \bar\alpha_t}\,x_0`; each gives the others.

References:
    J. Ho, A. Jain, P. Abbeel (2020), Denoising diffusion probabilistic models, arXiv:2006.11239,
        equations 4, 6 and 7 (for s = t - 1).
    A. Nichol, P. Dhariwal (2021), Improved denoising diffusion probabilistic models,
        arXiv:2102.09672, equation 17 (cosine schedule).
    T. Salimans, J. Ho (2022), Progressive distillation for fast sampling of diffusion models,
        arXiv:2202.00512, section 4 and appendix D (velocity).
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = [
    "Prediction",
    "ScheduleName",
    "alpha_bars",
    "as_data",
    "data_weights",
    "diffused",
    "noise_in",
    "normal_like",
    "posterior",
    "target_of",
]

Prediction = Literal["noise", "data", "velocity"]
ScheduleName = Literal["linear", "cosine"]

_LARGEST_BETA = 0.999


def alpha_bars(schedule: ScheduleName, num_steps: int) -> Float[Tensor, " times"]:
    """(T + 1,) the shares of the signal's variance that are left, from 1 at t = 0, in 64 bits.

    Args:
        schedule: ``linear`` has betas from 1e-4 to 0.02 for 1,000 steps, and in proportion for
            other numbers; ``cosine`` is Nichol & Dhariwal's.
        num_steps: T.

    Raises:
        ValueError: There is no such schedule, or no step.

    Example:
        >>> alpha_bars("cosine", 2)
        tensor([1.0000e+00, 4.9384e-01, 4.9384e-04], dtype=torch.float64)
    """
    if num_steps < 1 or schedule not in get_args(ScheduleName):
        raise ValueError(
            f"expected a schedule among {', '.join(get_args(ScheduleName))} of at least 1 step, "
            f"got {schedule!r} of {num_steps}"
        )
    if schedule == "linear":
        scale = 1000 / num_steps
        # from the end, so that a single step is the one that leaves noise
        betas = torch.linspace(0.02 * scale, 1e-4 * scale, num_steps, dtype=torch.float64).flip(0)
    else:
        t = torch.arange(num_steps + 1, dtype=torch.float64) / num_steps
        shares = ((t + 0.008) / 1.008 * math.pi / 2).cos() ** 2
        betas = 1 - shares[1:] / shares[:-1]
    left = (1 - betas.clamp(max=_LARGEST_BETA)).cumprod(dim=0)
    return torch.cat([torch.ones(1, dtype=torch.float64), left])


def diffused(
    x_0: Float[Tensor, "batch ..."],
    alpha_bar_t: Float[Tensor, " batch"],
    noise: Float[Tensor, "batch ..."],
) -> Float[Tensor, "batch ..."]:
    """(B, *event) x_t."""
    signal, deviation = alpha_bar_t.sqrt(), (1 - alpha_bar_t).sqrt()
    return _like(signal, x_0) * x_0 + _like(deviation, x_0) * noise


def posterior(
    x_0: Float[Tensor, "batch ..."],
    x_t: Float[Tensor, "batch ..."],
    alpha_bar_s: Float[Tensor, " batch"],
    alpha_bar_t: Float[Tensor, " batch"],
) -> tuple[Float[Tensor, "batch ..."], Float[Tensor, "batch ..."]]:
    """Mean and variance of x_s, for s < t, each (B, *event) or broadcast to it."""
    of_s, of_t = alpha_bar_s, alpha_bar_t
    beta = 1 - of_t / of_s
    by_x_0 = of_s.sqrt() * beta / (1 - of_t)
    by_x_t = (of_t / of_s).sqrt() * (1 - of_s) / (1 - of_t)
    mean = _like(by_x_0, x_t) * x_0 + _like(by_x_t, x_t) * x_t
    return mean, _like((1 - of_s) / (1 - of_t) * beta, x_t)


def target_of(
    prediction: Prediction,
    x_0: Float[Tensor, "batch ..."],
    noise: Float[Tensor, "batch ..."],
    alpha_bar_t: Float[Tensor, " batch"],
) -> Float[Tensor, "batch ..."]:
    """(B, *event) what a network is to predict."""
    if prediction == "noise":
        return noise
    if prediction == "data":
        return x_0
    signal, deviation = alpha_bar_t.sqrt(), (1 - alpha_bar_t).sqrt()
    return _like(signal, x_0) * noise - _like(deviation, x_0) * x_0


def as_data(
    prediction: Prediction,
    predicted: Float[Tensor, "batch ..."],
    x_t: Float[Tensor, "batch ..."],
    alpha_bar_t: Float[Tensor, " batch"],
) -> Float[Tensor, "batch ..."]:
    """(B, *event) the x_0 that a prediction implies."""
    if prediction == "data":
        return predicted
    signal, deviation = _like(alpha_bar_t.sqrt(), x_t), _like((1 - alpha_bar_t).sqrt(), x_t)
    if prediction == "noise":
        return (x_t - deviation * predicted) / signal
    return signal * x_t - deviation * predicted


def data_weights(prediction: Prediction, alpha_bar_t: float) -> tuple[float, float]:
    """By what x_t and a prediction are multiplied, to be x_0 when added: `as_data` at one time.

    Example:
        >>> data_weights("velocity", 0.36)
        (0.6, -0.8)
    """
    signal, noise = math.sqrt(alpha_bar_t), math.sqrt(1 - alpha_bar_t)
    weights = {
        "noise": (1 / signal, -noise / signal),
        "data": (0.0, 1.0),
        "velocity": (signal, -noise),
    }
    return weights[prediction]


def noise_in(
    x_t: Float[Tensor, "batch ..."],
    x_0: Float[Tensor, "batch ..."],
    alpha_bar_t: Float[Tensor, " batch"],
) -> Float[Tensor, "batch ..."]:
    """(B, *event) the noise that makes x_t of x_0, for t > 0."""
    signal, deviation = alpha_bar_t.sqrt(), (1 - alpha_bar_t).sqrt()
    return (x_t - _like(signal, x_t) * x_0) / _like(deviation, x_t)


def normal_like(like: Tensor, rng: torch.Generator | None) -> Tensor:
    """Standard normal noise of a tensor's shape, on its device and in its dtype."""
    return torch.randn(like.shape, generator=rng, dtype=like.dtype, device=like.device)


def _like(numbers: Tensor, x: Tensor) -> Tensor:
    """(B, 1, ...) in the dtype of x; what loses digits, as 1 - share does, is done before."""
    return numbers.to(x).view(-1, *[1] * (x.dim() - 1))
