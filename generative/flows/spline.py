r"""Monotone splines of rational quadratics, and the identity outside of them.

K bins divide the interval from -b to b. Between the knots :math:`(x_k, y_k)` and
:math:`(x_{k+1}, y_{k+1})`, where the slopes are :math:`\delta_k, \delta_{k+1} > 0`, with
:math:`s_k = (y_{k+1} - y_k) / (x_{k+1} - x_k)` and
:math:`\xi = (x - x_k) / (x_{k+1} - x_k)`,

.. math::
    g(\xi) = y_k + \frac{(y_{k+1} - y_k)\,[s_k \xi^2 + \delta_k \xi (1 - \xi)]}
        {s_k + [\delta_{k+1} + \delta_k - 2 s_k]\, \xi (1 - \xi)}, \qquad
    g' = \frac{s_k^2\,[\delta_{k+1} \xi^2 + 2 s_k \xi (1 - \xi) + \delta_k (1 - \xi)^2]}
        {(s_k + [\delta_{k+1} + \delta_k - 2 s_k]\, \xi (1 - \xi))^2} .

The function is increasing and has a continuous slope. Beyond the ends it is the identity, and the
slopes there are 1. The inverse solves a quadratic equation.

Parameters of an entry are 3K - 1 numbers of any size: K for the widths and K for the heights of
the bins, through a softmax, and K - 1 for the inner slopes, through a softplus. Zero gives the
identity.

References:
    C. Durkan, A. Bekasov, I. Murray, G. Papamakarios (2019), Neural spline flows,
        arXiv:1906.04032, equations 4 and 5, appendix A (the inverse) and section 3.1 (parameters
        and tails).
    J. A. Gregory, R. Delbourgo (1982), Piecewise rational quadratic interpolation to monotonic
        data, IMA Journal of Numerical Analysis 2(2).
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from .elementwise import AbstractElementwise

__all__ = ["RationalQuadratic", "inverse_spline", "knot_weights", "knots_and_slopes", "spline"]

_LEAST_SIZE = 2**-10  # of a bin, as a share of the interval; sums of it are exact
_LEAST_SLOPE = 1e-3
_SLOPE_ONE = math.log(math.expm1(1 - _LEAST_SLOPE))  # softplus of it is 1 with the least slope


def knot_weights(num_bins: int) -> Float[Tensor, "bins knots"]:
    """(K, K + 1) by which the bins' shares of [-1, 1], which add up to 1, give the knots.

    Every bin gets its least size and its share of the rest; a knot is at -1 plus the sizes of the
    bins before it. One product with a matrix takes a fraction of the time of a cumulative sum.

    Args:
        num_bins: K.

    Example:
        >>> torch.tensor([0.5, 0.5]) @ knot_weights(2)
        tensor([-1.,  0.,  1.])
    """
    knot = torch.arange(num_bins + 1)
    is_before = (torch.arange(num_bins)[:, None] < knot).to(torch.get_default_dtype())
    return 2 * (_LEAST_SIZE * knot + (1 - num_bins * _LEAST_SIZE) * is_before) - 1


def knots_and_slopes(
    parameters: Float[Tensor, "... parameters"],
    weights: Float[Tensor, "bins knots"],
    bound: float,
) -> Float[Tensor, "... 3 knots"]:
    """(..., 3, K + 1) places, values and slopes at the knots, from (..., 3K - 1) numbers.

    Args:
        parameters: Of widths, of heights, of inner slopes.
        weights: (K, K + 1) of `knot_weights`.
        bound: b, where the spline ends.

    Example:
        >>> knots_and_slopes(torch.zeros(5), knot_weights(2), bound=3.0)
        tensor([[-3.0000,  0.0000,  3.0000],
                [-3.0000,  0.0000,  3.0000],
                [ 1.0000,  1.0000,  1.0000]])
    """
    num_bins = len(weights)
    sizes, slopes = parameters.split_with_sizes([2 * num_bins, num_bins - 1], dim=-1)
    sizes = sizes.view(*sizes.shape[:-1], 2, num_bins)
    # a softmax over so few numbers takes ten times as long in PyTorch as written out
    shares = (sizes - sizes.detach().amax(dim=-1, keepdim=True)).exp()
    knots = (shares @ weights) * (bound / shares.sum(dim=-1, keepdim=True))
    slopes = functional.softplus(slopes + _SLOPE_ONE) + _LEAST_SLOPE
    slopes = functional.pad(slopes, (1, 1), value=1.0)
    return torch.cat([knots, slopes.unsqueeze(-2)], dim=-2)


def spline(
    x: Float[Tensor, "... entries"], table: Float[Tensor, "... entries 3 knots"], bound: float
) -> tuple[Float[Tensor, "... entries"], Float[Tensor, "... entries"]]:
    """Values and logarithms of slopes at x.

    Args:
        x: Anywhere.
        table: Of knots and slopes, for each x.
        bound: b.
    """
    inside = x.clamp(-bound, bound)
    x_0, y_0, delta_0, width, height, delta_1 = _bin(inside, table, row=0)
    s, xi = height / width, (inside - x_0) / width
    share, log_slope = _within_bin(xi, s, delta_0, delta_1)
    # at the ends the spline is the identity with slope 1, so that tails take no choice
    return y_0 + height * share + (x - inside), log_slope


def inverse_spline(
    y: Float[Tensor, "... entries"], table: Float[Tensor, "... entries 3 knots"], bound: float
) -> tuple[Float[Tensor, "... entries"], Float[Tensor, "... entries"]]:
    """What has the values y, and the logarithms of the inverse's slopes there.

    Args:
        y: Anywhere.
        table: Of knots and slopes, for each y.
        bound: b.
    """
    inside = y.clamp(-bound, bound)
    x_0, y_0, delta_0, width, height, delta_1 = _bin(inside, table, row=1)
    s, rise = height / width, inside - y_0
    bend = rise * (delta_0 + delta_1 - 2 * s)
    a, b, c = height * (s - delta_0) + bend, height * delta_0 - bend, -s * rise
    # the root that stays finite as a goes to 0; rounding may take the square root's below 0
    xi = 2 * c / (-b - (b * b - 4 * a * c).clamp(min=0).sqrt())
    _, log_slope = _within_bin(xi, s, delta_0, delta_1)
    return x_0 + width * xi + (y - inside), -log_slope


class RationalQuadratic(AbstractElementwise):
    """A spline of rational quadratics for each entry.

    Args:
        num_bins: K.
        bound: b; entries beyond it pass unchanged.

    Example:
        >>> RationalQuadratic(num_bins=8, bound=5.0).num_parameters
        23
    """

    weights: Tensor

    def __init__(self, num_bins: int = 8, bound: float = 5.0) -> None:
        super().__init__()
        if not 1 < num_bins < 1 / _LEAST_SIZE or not 0 < bound < math.inf:
            raise ValueError(
                f"expected 2 to {round(1 / _LEAST_SIZE) - 1} bins and a positive bound, got "
                f"{num_bins} and {bound}"
            )
        self.num_parameters = 3 * num_bins - 1
        self._bound = float(bound)
        self.register_buffer("weights", knot_weights(num_bins), persistent=False)

    def forward(
        self,
        x: Float[Tensor, "batch entries"],
        parameters: Float[Tensor, "batch entries parameters"],
    ) -> tuple[Float[Tensor, "batch entries"], Float[Tensor, "batch entries"]]:
        """Through the splines."""
        return spline(x, knots_and_slopes(parameters, self.weights, self._bound), self._bound)

    def inverse(
        self,
        z: Float[Tensor, "batch entries"],
        parameters: Float[Tensor, "batch entries parameters"],
    ) -> tuple[Float[Tensor, "batch entries"], Float[Tensor, "batch entries"]]:
        """Back through them."""
        return inverse_spline(
            z, knots_and_slopes(parameters, self.weights, self._bound), self._bound
        )


def _bin(values: Tensor, table: Tensor, row: int) -> tuple[Tensor, ...]:
    """Of the bin that each value is in: x, y and slope at its start, width, height, end slope."""
    inner = table.detach()[..., row, 1:-1]
    k = (values.unsqueeze(-1) >= inner).sum(dim=-1)
    # one lookup of both ends of all three rows costs less than six
    ends = torch.stack([k, k + 1], dim=-1).unsqueeze(-2)
    found = table.gather(-1, ends.expand(*ends.shape[:-2], 3, 2))
    (x_0, y_0, delta_0), (x_1, y_1, delta_1) = (part.unbind(-1) for part in found.unbind(-1))
    return x_0, y_0, delta_0, x_1 - x_0, y_1 - y_0, delta_1


def _within_bin(xi: Tensor, s: Tensor, delta_0: Tensor, delta_1: Tensor) -> tuple[Tensor, Tensor]:
    """The share of the bin's height that is reached at a share of its width; log slopes."""
    left, xi_squared = 1 - xi, xi * xi
    product = xi * left
    twice = s * (product + product)
    # both are sums of what is positive, but for a harmless difference: no digits are lost
    denominator = s + (delta_0 + delta_1) * product - twice
    rise = delta_1 * xi_squared + twice + delta_0 * (left * left)
    share = (s * xi_squared + delta_0 * product) / denominator
    ratio = s / denominator
    return share, (rise * ratio * ratio).log()
