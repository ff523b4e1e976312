r"""Distributions in the plane whose log-densities are known.

================  =================================================================================
eight Gaussians   centres on a circle, equally likely
two moons         two half circles of radius 1 that hook into each other, plus noise
two spirals       two arms of one and a half turns, plus noise; uniform along the arms, nearly
checkerboard      uniform on the black squares of a board of four by four
pinwheel          five Gaussian blades on a circle, twisted by their distance from the centre
================  =================================================================================

A moon or spiral is a curve :math:`c(t)`, t uniform in [0, 1], blurred by :math:`\sigma`: its
density is the integral :math:`\int_0^1 N(x; c(t), \sigma^2 I)\, dt`, taken here by the midpoint
rule, right to 0.001 nats. The pinwheel's twist turns a point at distance r from the centre by the
angle :math:`\omega e^r`. It keeps r and so areas: the density is that of the blades at the point
turned back.

All are centred, and about as wide as the square from -3 to 3; the moons half of that.

References:
    M. J. Johnson, D. Duvenaud, A. Wiltschko, S. Datta, R. Adams (2016), Composing graphical models
        with neural networks, arXiv:1603.06277, figure 1 (pinwheel; its twist goes by one
        coordinate of the blade, which leaves no closed form).
    W. Grathwohl et al. (2019), FFJORD, arXiv:1810.01367, figure 2 (the others).
"""

from __future__ import annotations

import math
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = [
    "Noise",
    "checkerboard",
    "checkerboard_log_prob",
    "eight_gaussians",
    "eight_gaussians_centres",
    "eight_gaussians_log_prob",
    "generator_of",
    "pinwheel",
    "pinwheel_log_prob",
    "two_moons",
    "two_moons_log_prob",
    "two_spirals",
    "two_spirals_log_prob",
]

Noise: TypeAlias = "torch.Generator | int"
"""Where draws come from: a generator, or the seed of a new one."""

Points: TypeAlias = Float[Tensor, "batch 2"]
Numbers: TypeAlias = Float[Tensor, " batch"]

_NUM_BLADES, _BLADE_LENGTH, _BLADE_WIDTH, _TWIST = 5, 0.3, 0.1, 0.25
_PINWHEEL_SCALE = 1.5
_INTEGRATED = 1_000  # places on a curve; their distance is far below the noise
_TOGETHER = 1_000  # points of which densities are integrated at once


# ---- eight Gaussians ----------------------------------------------------------------------------


def eight_gaussians(
    num: int, rng: Noise, *, radius: float = 2.0, deviation: float = 0.2
) -> Points:
    """Points around eight centres on a circle.

    Args:
        num: N.
        rng: Of the draws.
        radius: Of the circle.
        deviation: Standard deviation of each Gaussian.

    Returns:
        (N, 2) points.

    Example:
        >>> eight_gaussians(3, 0, deviation=1e-6).norm(dim=1)
        tensor([2.0000, 2.0000, 2.0000])
    """
    rng = _checked(num, rng, deviation)
    which = torch.randint(8, (num,), generator=rng)
    return eight_gaussians_centres(radius)[which] + deviation * torch.randn(num, 2, generator=rng)


def eight_gaussians_centres(radius: float = 2.0) -> Float[Tensor, "modes 2"]:
    """(8, 2) centres, from the right one against the clock."""
    return _on_circle(radius, torch.arange(8) * (math.tau / 8))


def eight_gaussians_log_prob(x: Points, *, radius: float = 2.0, deviation: float = 0.2) -> Numbers:
    """(N,) log-densities of (N, 2) points, in nats."""
    return _blurred(x, eight_gaussians_centres(radius), deviation)


# ---- curves -------------------------------------------------------------------------------------


def two_moons(num: int, rng: Noise, *, deviation: float = 0.1) -> Points:
    """Points around two half circles.

    Args:
        num: N.
        rng: Of the draws.
        deviation: Of the noise.

    Returns:
        (N, 2) points.
    """
    rng = _checked(num, rng, deviation)
    place, side = torch.rand(num, generator=rng), torch.randint(2, (num,), generator=rng)
    return _moons(place, 1 - 2 * side) + deviation * torch.randn(num, 2, generator=rng)


def two_moons_log_prob(x: Points, *, deviation: float = 0.1) -> Numbers:
    """(N,) log-densities of (N, 2) points, in nats."""
    place = _midpoints(x)
    curve = _moons(place, torch.ones_like(place))
    return _blurred(x, torch.cat([curve, -curve]), deviation)


def two_spirals(num: int, rng: Noise, *, deviation: float = 0.1) -> Points:
    """Points around the two arms of a spiral.

    Args:
        num: N.
        rng: Of the draws.
        deviation: Of the noise.

    Returns:
        (N, 2) points.
    """
    rng = _checked(num, rng, deviation)
    place, side = torch.rand(num, generator=rng), torch.randint(2, (num,), generator=rng)
    # the root spreads points along the arm: its length grows with the distance from the centre
    points = _spiral(place.sqrt()) * (1 - 2 * side).unsqueeze(1)
    return points + deviation * torch.randn(num, 2, generator=rng)


def two_spirals_log_prob(x: Points, *, deviation: float = 0.1) -> Numbers:
    """(N,) log-densities of (N, 2) points, in nats."""
    share = _midpoints(x)
    curve = _spiral(share)
    return _blurred(x, torch.cat([curve, -curve]), deviation, weights=(2 * share).repeat(2))


def _moons(place: Tensor, side: Tensor) -> Tensor:
    """(N, 2) noiseless points at places in [0, 1] of the upper (1) or the lower moon (-1)."""
    upper = _on_circle(1.0, math.pi * place) - torch.tensor([0.5, 0.25]).to(place)
    return upper * side.unsqueeze(1)  # each is the other turned half around


def _spiral(share: Tensor) -> Tensor:
    """(N, 2) noiseless points of one arm at shares of its turns."""
    return _on_circle(1.0, 3 * math.pi * share) * (3 * share).unsqueeze(1)


# ---- areas --------------------------------------------------------------------------------------


def checkerboard(num: int, rng: Noise) -> Points:
    """Points in the black squares of a board of four by four from -2 to 2.

    Args:
        num: N.
        rng: Of the draws.

    Returns:
        (N, 2) points.
    """
    rng = _checked(num, rng)
    column, pair = (torch.randint(high, (num,), generator=rng) for high in (4, 2))
    corner = torch.stack([column, 2 * pair + column % 2], dim=1) - 2
    return corner + torch.rand(num, 2, generator=rng)


def checkerboard_log_prob(x: Points) -> Numbers:
    """(N,) log-densities of (N, 2) points: -log 8, or minus infinity off the black squares."""
    is_black = (x.floor().sum(dim=1) % 2 == 0) & ((x >= -2) & (x < 2)).all(dim=1)
    inside, outside = torch.tensor([-math.log(8), -math.inf]).to(x)
    return torch.where(is_black, inside, outside)


def pinwheel(num: int, rng: Noise) -> Points:
    """Points of five twisted blades.

    Args:
        num: N.
        rng: Of the draws.

    Returns:
        (N, 2) points.
    """
    rng = _checked(num, rng)
    blade = torch.randint(_NUM_BLADES, (num,), generator=rng)
    spread = torch.tensor([_BLADE_LENGTH, _BLADE_WIDTH])
    straight = torch.randn(num, 2, generator=rng) * spread + torch.tensor([1.0, 0.0])
    twist = _TWIST * straight.norm(dim=1).exp()
    return _PINWHEEL_SCALE * _turned(straight, twist + blade * (math.tau / _NUM_BLADES))


def pinwheel_log_prob(x: Points) -> Numbers:
    """(N,) log-densities of (N, 2) points, in nats."""
    scaled = x / _PINWHEEL_SCALE
    twist = _TWIST * scaled.norm(dim=1).exp()
    found = []
    for blade in range(_NUM_BLADES):
        straight = _turned(scaled, -twist - blade * (math.tau / _NUM_BLADES))
        along = (straight[:, 0] - 1) / _BLADE_LENGTH
        found.append(-(along**2 + (straight[:, 1] / _BLADE_WIDTH) ** 2) / 2)
    area = math.tau * _BLADE_LENGTH * _BLADE_WIDTH * _PINWHEEL_SCALE**2
    return torch.stack(found).logsumexp(dim=0) - math.log(_NUM_BLADES * area)


# ---- inside -------------------------------------------------------------------------------------


def generator_of(rng: Noise) -> torch.Generator:
    """The generator of noise that is given, or a new one of the seed."""
    return rng if isinstance(rng, torch.Generator) else torch.Generator().manual_seed(rng)


def _checked(num: int, rng: Noise, deviation: float = 0.0) -> torch.Generator:
    """The generator of noise, once the other arguments are looked at."""
    if isinstance(num, bool) or not isinstance(num, int):
        raise TypeError(f"expected a whole number of points, got {num!r}")
    if num < 1:
        raise ValueError(f"expected at least 1 point, got {num}")
    if not 0 <= deviation < math.inf:
        raise ValueError(f"expected a deviation of at least 0, got {deviation}")
    return generator_of(rng)


def _on_circle(radius: float, angles: Tensor) -> Tensor:
    return radius * torch.stack([angles.cos(), angles.sin()], dim=1)


def _turned(x: Tensor, angles: Tensor) -> Tensor:
    cos, sin = angles.cos(), angles.sin()
    return torch.stack([cos * x[:, 0] - sin * x[:, 1], sin * x[:, 0] + cos * x[:, 1]], dim=1)


def _midpoints(like: Tensor) -> Tensor:
    places = torch.arange(_INTEGRATED, dtype=like.dtype, device=like.device)
    return (places + 0.5) / _INTEGRATED


def _blurred(
    x: Tensor, centres: Tensor, deviation: float, weights: Tensor | None = None
) -> Tensor:
    """(N,) log-densities of the mean of Gaussians around (M, 2) centres, weighted by (M,)."""
    centres = centres.to(x)
    exactly = "donot_use_mm_for_euclid_dist"  # the fast way loses digits
    heights = 0.0 if weights is None else weights.log()
    found = []
    for start in range(0, max(len(x), 1), _TOGETHER):
        squared = torch.cdist(x[start : start + _TOGETHER], centres, compute_mode=exactly).square()
        found.append((heights - squared / (2 * deviation**2)).logsumexp(dim=1))
    return torch.cat(found) - math.log(len(centres) * math.tau * deviation**2)
