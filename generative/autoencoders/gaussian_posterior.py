r"""Normal distributions with independent entries: the arithmetic of variational autoencoders.

With mean m and log-variance v of a (B, L) normal distribution q,

.. math::
    \mathrm{KL}(q \,\|\, N(0, I)) = \tfrac12 \sum_l \big(e^{v_l} + m_l^2 - 1 - v_l\big), \qquad
    z = m + e^{v/2} \odot \varepsilon, \quad \varepsilon \sim N(0, I).

References:
    D. P. Kingma, M. Welling (2014), Auto-encoding variational Bayes, arXiv:1312.6114, equation 10
        and appendix B.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["kl_from_standard", "log_normal", "reparametrised", "standard_normal"]


def kl_from_standard(
    mean: Float[Tensor, "batch latents"], log_variance: Float[Tensor, "batch latents"]
) -> Float[Tensor, " batch"]:
    """(B,) KL(N(m, e^v) || N(0, I)) in nats.

    Example:
        >>> kl_from_standard(torch.tensor([[1.0, 2.0]]), torch.zeros(1, 2))
        tensor([2.5000])
    """
    return 0.5 * (log_variance.exp() + mean**2 - 1 - log_variance).sum(dim=1)


def log_normal(
    z: Float[Tensor, "... latents"],
    mean: Float[Tensor, "... latents"] | float = 0.0,
    log_variance: Float[Tensor, "... latents"] | float = 0.0,
) -> Float[Tensor, "*batch"]:
    """(...) log-densities in nats of (..., L) points, summed over the L entries.

    Example:
        >>> log_normal(torch.zeros(1, 2))  # -log(2 pi)
        tensor([-1.8379])
    """
    given = torch.as_tensor(log_variance, dtype=z.dtype, device=z.device)
    squares = (z - mean) ** 2 * (-given).exp()
    return -0.5 * (squares + given + math.log(2 * math.pi)).sum(dim=-1)


def reparametrised(
    mean: Float[Tensor, "... latents"],
    log_variance: Float[Tensor, "... latents"],
    noise: Float[Tensor, "... latents"],
) -> Float[Tensor, "... latents"]:
    """(..., L) draws of N(m, e^v) that gradients go through, from draws of N(0, 1)."""
    return torch.addcmul(mean, (0.5 * log_variance).exp(), noise)


def standard_normal(
    shape: tuple[int, ...], like: Tensor, rng: torch.Generator | None
) -> Float[Tensor, "*shape"]:
    """Draws of N(0, 1) with another tensor's dtype, on its device."""
    return torch.randn(shape, generator=rng, dtype=like.dtype, device=like.device)
