r"""Losses of a generator G and its discriminator or critic D, as functions of D's values.

A *discriminator* gives logits: :math:`D(x) = \sigma(d(x))` is its probability that x is data. It
ascends, and G descends, the value

.. math:: V = E_p \log D(x) + E_q \log(1 - D(\tilde x)), \qquad
    \log D = -\mathrm{softplus}(-d), \quad \log(1 - D) = -\mathrm{softplus}(d).

For given data p and samples q the best one is :math:`D = p / (p + q)`, that is
:math:`d = \log p - \log q`, where :math:`V = -\log 4 + 2\,\mathrm{JS}(p, q)`. Any other is below:
:math:`(\log 4 + V) / 2` is a lower bound of the Jensen-Shannon divergence, in nats. Near
:math:`D(\tilde x) = 0` the gradient in d of G's *minimax* loss, -D, vanishes; that of the
*non-saturating* one, :math:`-\log D(\tilde x)`, is -(1 - D) and does not.

A *critic* gives numbers, and is kept 1-Lipschitz by a penalty on its slope between data and
samples; then :math:`E_p d - E_q d` is at most the Wasserstein distance:

.. math:: E_q d - E_p d + \lambda\, E (\|\nabla_{\hat x} d(\hat x)\|_2 - 1)^2, \qquad
    \hat x = \epsilon x + (1 - \epsilon) \tilde x, \quad \epsilon \sim U[0, 1].

References:
    I. Goodfellow et al. (2014), Generative adversarial networks, arXiv:1406.2661, equation 1,
        section 3 (the non-saturating loss), proposition 1, theorem 1.
    M. Arjovsky, S. Chintala, L. Bottou (2017), Wasserstein GAN, arXiv:1701.07875, equation 2.
    I. Gulrajani et al. (2017), Improved training of Wasserstein GANs, arXiv:1704.00028,
        equation 3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

__all__ = [
    "GeneratorLoss",
    "critic_loss",
    "discriminator_loss",
    "generator_loss",
    "gradient_penalty",
    "minimax_loss",
    "mixed_events",
    "non_saturating_loss",
]

GeneratorLoss = Literal["minimax", "non-saturating"]


def discriminator_loss(
    real: Float[Tensor, " batch"], fake: Float[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """(B,) minus the value: -log D(x) - log(1 - D(G(z))).

    Args:
        real: (B,) logits of data.
        fake: (B,) logits of samples.

    Example:
        >>> discriminator_loss(torch.zeros(1), torch.zeros(1))  # log 4
        tensor([1.3863])
    """
    return functional.softplus(-real) + functional.softplus(fake)


def minimax_loss(fake: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
    """(B,) log(1 - D(G(z))) of (B,) logits of samples: the value's part that G has a hand in."""
    return -functional.softplus(fake)


def non_saturating_loss(fake: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
    """(B,) -log D(G(z)) of (B,) logits of samples."""
    return functional.softplus(-fake)


def generator_loss(word: GeneratorLoss, fake: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
    """(B,) the generator's loss of that name for (B,) logits of samples."""
    return minimax_loss(fake) if word == "minimax" else non_saturating_loss(fake)


def critic_loss(
    real: Float[Tensor, " batch"], fake: Float[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """(B,) d(G(z)) - d(x): minus what a 1-Lipschitz critic knows of the Wasserstein distance.

    Args:
        real: (B,) values of data.
        fake: (B,) values of samples.
    """
    return fake - real


def mixed_events(
    real: Float[Tensor, "batch ..."],
    fake: Float[Tensor, "batch ..."],
    shares: Float[Tensor, " batch"],
) -> Float[Tensor, "batch ..."]:
    """(B, *event) points between data and samples.

    Args:
        real: (B, *event) data.
        fake: (B, *event) samples.
        shares: (B,) of data in each event, all its entries alike.

    Example:
        >>> mixed_events(torch.ones(1, 2), torch.zeros(1, 2), torch.tensor([0.25]))
        tensor([[0.2500, 0.2500]])
    """
    return fake + shares.view(-1, *[1] * (real.dim() - 1)) * (real - fake)


# a compiled function's gradient has no gradient
@torch.compiler.disable  # type: ignore[untyped-decorator]  # PyTorch has no types here
def gradient_penalty(
    critic: Callable[[Tensor], Tensor], x: Float[Tensor, "batch ..."]
) -> Float[Tensor, " batch"]:
    r"""(B,) :math:`(\|\nabla d(x)\|_2 - 1)^2`, of which the critic's parameters have gradients.

    The norm is that of the whole event, over all its axes. The critic must treat each event by
    itself: batch normalisation would mix their slopes.

    Args:
        critic: (B,) values of (B, *event).
        x: (B, *event) where to look at the slope.

    Example:
        >>> w = torch.tensor([3.0, 4.0])
        >>> gradient_penalty(lambda x: x @ w, torch.zeros(1, 2))  # (5 - 1)^2
        tensor([16.])
    """
    with torch.enable_grad():
        at = x.detach().requires_grad_()
        (slope,) = torch.autograd.grad(critic(at).sum(), [at], create_graph=True)
    # the norm's own gradient at 0 is 0, where a square root's is not a number
    norm: Tensor = torch.linalg.vector_norm(slope.flatten(1), dim=1)
    return (norm - 1) ** 2
