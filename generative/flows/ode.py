r"""Ordinary differential equations dx/dt = v(t, x) in fixed steps, and how they change volumes.

One step of the classical Runge-Kutta method from t to t + h,

.. math::
    k_1 = v(t, x), \quad k_2 = v(t + \tfrac h2, x + \tfrac h2 k_1), \quad
    k_3 = v(t + \tfrac h2, x + \tfrac h2 k_2), \quad k_4 = v(t + h, x + h k_3), \\
    \Phi(x) = x + \tfrac h6 (k_1 + 2 k_2 + 2 k_3 + k_4) ,

errs by :math:`O(h^5)`. Volumes change by the exact flow as

.. math:: \frac{d}{dt} \log |\det \partial x(t) / \partial x(0)| =
    \operatorname{tr} \frac{\partial v}{\partial x} = \mathbb E\, \epsilon^\top
    \frac{\partial v}{\partial x} \epsilon \quad (\mathbb E\, \epsilon \epsilon^\top = I) ,

of which the trace takes D products with the Jacobian, and Hutchinson's estimate one. Steps are no
exact flow: their own change of volume is the determinant of :math:`\partial \Phi / \partial x`,
which `log_det_of` takes from the whole Jacobian.

References:
    R. T. Q. Chen, Y. Rubanova, J. Bettencourt, D. Duvenaud (2018), Neural ordinary differential
        equations, arXiv:1806.07366, theorem 1.
    W. Grathwohl, R. T. Q. Chen, J. Bettencourt, I. Sutskever, D. Duvenaud (2019), FFJORD,
        arXiv:1810.01367, equations 6 to 8.
    M. F. Hutchinson (1989), A stochastic estimator of the trace of the influence matrix,
        Communications in Statistics - Simulation and Computation 18(3).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = [
    "VectorField",
    "exact_divergence",
    "hutchinson_divergence",
    "inverse_step",
    "jacobians_of",
    "log_det_by_trace",
    "log_det_of",
    "log_det_of_steps",
    "random_signs",
    "runge_kutta",
    "runge_kutta_step",
]

VectorField: TypeAlias = Callable[[float, Tensor], Tensor]
"""(B, D) velocities, or any other derivatives, at a time and (B, D) places."""


def runge_kutta_step(
    field: VectorField, x: Float[Tensor, "batch entries"], t: float, h: float
) -> Float[Tensor, "batch entries"]:
    """(B, D) places at t + h of what is at x at t.

    Example:
        >>> x = runge_kutta_step(lambda t, x: x, torch.ones(1, 1), 0.0, 0.1)
        >>> round(float(x), 6)  # exp(0.1) is 1.105171
        1.105171
    """
    k_1 = field(t, x)
    k_2 = field(t + h / 2, x + h / 2 * k_1)
    k_3 = field(t + h / 2, x + h / 2 * k_2)
    k_4 = field(t + h, x + h * k_3)
    return x + h / 6 * (k_1 + 2 * (k_2 + k_3) + k_4)


def runge_kutta(
    field: VectorField, x: Float[Tensor, "batch entries"], start: float, end: float, num_steps: int
) -> Float[Tensor, "batch entries"]:
    """(B, D) places at the end of what is at x at the start, in equal steps."""
    h = (end - start) / num_steps
    for step in range(num_steps):
        x = runge_kutta_step(field, x, start + step * h, h)
    return x


def inverse_step(
    field: VectorField,
    y: Float[Tensor, "batch entries"],
    t: float,
    h: float,
    *,
    num_corrections: int,
) -> Float[Tensor, "batch entries"]:
    r"""(B, D) the x that `runge_kutta_step` takes from t to y at t + h.

    A step back is near it, to :math:`O(h^5)`; each correction :math:`x + y - \Phi(x)` divides
    what is left by about 1 / (h L), where L is the field's Lipschitz constant.

    Args:
        field: The velocities.
        y: Where the step ends.
        t: When it starts.
        h: How long it is.
        num_corrections: After the step back.
    """
    x = runge_kutta_step(field, y, t + h, -h)
    for _ in range(num_corrections):
        x = x + (y - runge_kutta_step(field, x, t, h))
    return x


def jacobians_of(
    function: Callable[[Tensor], Tensor], x: Float[Tensor, "batch entries"]
) -> tuple[Float[Tensor, "batch entries"], Float[Tensor, "batch entries entries"]]:
    """(B, D) values of a function of single rows, and (B, D, D) their derivatives by the rows.

    Example:
        >>> values, slopes = jacobians_of(lambda x: x.flip(1) * 2, torch.ones(1, 2))
        >>> slopes
        tensor([[[0., 2.],
                 [2., 0.]]])
    """

    def by_direction(direction: Tensor) -> tuple[Tensor, Tensor]:
        return _value_and_product(function, x, direction.expand_as(x))

    basis = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    mapped: Any = torch.func.vmap  # whose out_dims may be None, against its types
    values, columns = mapped(by_direction, out_dims=(None, 2))(basis)
    return values, columns


def log_det_of(
    function: Callable[[Tensor], Tensor], x: Float[Tensor, "batch entries"]
) -> tuple[Float[Tensor, "batch entries"], Float[Tensor, " batch"]]:
    """(B, D) values of a function of single rows, and (B,) log |det| of its Jacobians."""
    values, slopes = jacobians_of(function, x)
    return values, torch.linalg.slogdet(slopes).logabsdet


def exact_divergence(
    function: Callable[[Tensor], Tensor], x: Float[Tensor, "batch entries"]
) -> tuple[Float[Tensor, "batch entries"], Float[Tensor, " batch"]]:
    """(B, D) velocities and (B,) the traces of their Jacobians."""
    values, slopes = jacobians_of(function, x)
    return values, slopes.diagonal(dim1=1, dim2=2).sum(dim=1)


def hutchinson_divergence(
    function: Callable[[Tensor], Tensor],
    x: Float[Tensor, "batch entries"],
    probe: Float[Tensor, "batch entries"],
) -> tuple[Float[Tensor, "batch entries"], Float[Tensor, " batch"]]:
    """(B, D) velocities and (B,) unbiased estimates of the traces of their Jacobians.

    Args:
        function: The velocities of single rows.
        x: Where.
        probe: (B, D) noise of mean 0 and covariance I; random signs vary the least.
    """
    values, products = _value_and_product(function, x, probe)
    return values, (probe * products).sum(dim=1)


def log_det_of_steps(
    field: VectorField, x: Float[Tensor, "batch entries"], start: float, end: float, num_steps: int
) -> tuple[Float[Tensor, "batch entries"], Float[Tensor, " batch"]]:
    """(B, D) places as `runge_kutta` gives them, and (B,) log |det| of exactly that map."""
    h, total = (end - start) / num_steps, x.new_zeros(len(x))
    for step in range(num_steps):
        x, log_det = log_det_of(partial(_step, field, start + step * h, h), x)
        total = total + log_det
    return x, total


def log_det_by_trace(
    field: VectorField,
    x: Float[Tensor, "batch entries"],
    start: float,
    end: float,
    num_steps: int,
    probe: Float[Tensor, "batch entries"] | None = None,
) -> tuple[Float[Tensor, "batch entries"], Float[Tensor, " batch"]]:
    """(B, D) places as `runge_kutta` gives them, and (B,) integrals of the trace along the paths.

    Args:
        field: The velocities.
        x: Where to start.
        start: When.
        end: When to end.
        num_steps: Between.
        probe: (B, D) noise for Hutchinson's estimate; None for the trace.
    """

    def derivatives(t: float, state: Tensor) -> Tensor:
        place, velocity_of = state[:, :-1], partial(field, t)
        if probe is None:
            velocity, trace = exact_divergence(velocity_of, place)
        else:
            velocity, trace = hutchinson_divergence(velocity_of, place, probe)
        return torch.cat([velocity, trace.unsqueeze(1)], dim=1)

    state = torch.cat([x, x.new_zeros(len(x), 1)], dim=1)
    state = runge_kutta(derivatives, state, start, end, num_steps)
    return state[:, :-1], state[:, -1]


def random_signs(
    like: Float[Tensor, "batch entries"], rng: torch.Generator | None
) -> Float[Tensor, "batch entries"]:
    """(B, D) of 1 and -1: the probe whose estimates of a trace vary the least."""
    signs = torch.randint(0, 2, like.shape, generator=rng, device=like.device)
    return 2 * signs.to(like.dtype) - 1


def _step(field: VectorField, t: float, h: float, x: Tensor) -> Tensor:
    return runge_kutta_step(field, x, t, h)


def _value_and_product(
    function: Callable[[Tensor], Tensor], x: Tensor, direction: Tensor
) -> tuple[Tensor, Tensor]:
    """A function's values, and the products of its Jacobian with a direction."""
    found: Any = torch.func.jvp(function, (x,), (direction,))
    values: Tensor = found[0]
    products: Tensor = found[1]
    return values, products
