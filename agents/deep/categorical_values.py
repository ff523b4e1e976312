r"""Values as distributions over fixed atoms (C51).

The return from a state and action is a distribution over N atoms :math:`z_i`, evenly spaced from
v_min to v_max. After a step the atoms move to :math:`r + \gamma z_j`; their probability is shared
between the two atoms nearest,

.. math::
    m_i = \sum_j \Bigl[1 - \frac{|\,[r + \gamma z_j]_{v_{min}}^{v_{max}} - z_i|}{\Delta z}
        \Bigr]_0^1 p_j,

and the loss is the cross entropy of m and the present distribution.

References:
    M. G. Bellemare, W. Dabney, R. Munos (2017), A distributional perspective on reinforcement
        learning, arXiv:1707.06887, equation 7 and algorithm 1.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = [
    "cross_entropy",
    "cross_entropy_slope",
    "entropy",
    "expected_values",
    "projected",
    "value_atoms",
]


def value_atoms(v_min: float, v_max: float, num_atoms: int) -> Float[Tensor, " atoms"]:
    """(N,) the atoms.

    Raises:
        ValueError: Fewer than two atoms, or v_min not below v_max.
    """
    if num_atoms < 2:
        raise ValueError(f"expected at least two atoms, got {num_atoms}")
    if not v_min < v_max:
        raise ValueError(f"expected v_min below v_max, got {v_min} and {v_max}")
    return torch.linspace(v_min, v_max, num_atoms, dtype=torch.float32)


def expected_values(
    logits: Float[Tensor, "*batch atoms"], z: Float[Tensor, " atoms"]
) -> Float[Tensor, "*batch"]:
    """(...) the mean of each distribution."""
    return (logits.softmax(dim=-1) * z).sum(dim=-1)


def projected(
    r_t: Float[Tensor, "*batch"],
    discount_t: Float[Tensor, "*batch"],
    p_t: Float[Tensor, "*batch atoms"],
    z: Float[Tensor, " atoms"],
) -> Float[Tensor, "*batch atoms"]:
    """(..., N) probabilities of the atoms after the step's reward and discount.

    Args:
        r_t: (...) rewards.
        discount_t: (...) discounts, 0 where the step terminated the episode.
        p_t: (..., N) probabilities of the atoms after the step.
        z: (N,) evenly spaced atoms.

    Example:
        >>> z = value_atoms(0.0, 2.0, 3)
        >>> p = torch.tensor([0.0, 1.0, 0.0])
        >>> projected(torch.tensor(0.25), torch.tensor(0.5), p, z)
        tensor([0.2500, 0.7500, 0.0000])
    """
    moved = r_t.unsqueeze(-1) + discount_t.unsqueeze(-1) * z
    # in units of the spacing: the ends are whole numbers, and nothing is lost to rounding there
    place = ((moved - z[0]) / (z[1] - z[0])).clamp(0, len(z) - 1)
    lower = place.floor().clamp(max=len(z) - 2)
    upper_share = (place - lower) * p_t
    index = lower.long()
    out = torch.zeros_like(p_t)
    out = out.scatter_add(-1, index, p_t - upper_share)
    return out.scatter_add(-1, index + 1, upper_share)


def cross_entropy(
    p: Float[Tensor, "*batch atoms"], logits: Float[Tensor, "*batch atoms"]
) -> Float[Tensor, "*batch"]:
    """(...) the cross entropy of target probabilities and a distribution's logits."""
    return -(p * logits.log_softmax(dim=-1)).sum(dim=-1)


def cross_entropy_slope(
    p: Float[Tensor, "*batch atoms"], logits: Float[Tensor, "*batch atoms"]
) -> Float[Tensor, "*batch atoms"]:
    """(..., N) the derivatives of `cross_entropy` by the logits."""
    return logits.softmax(dim=-1) * p.sum(dim=-1, keepdim=True) - p


def entropy(p: Float[Tensor, "*batch atoms"]) -> Float[Tensor, "*batch"]:
    """(...) the entropy of probabilities: what of the cross entropy no logits can undercut."""
    return -torch.xlogy(p, p).sum(dim=-1)
