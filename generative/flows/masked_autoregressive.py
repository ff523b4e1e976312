r"""A transform whose every entry is moved given the entries before it, all in one pass.

.. math:: z_i = g\big(x_i;\, \theta_i(x_{<i}, c)\big) ,

with g increasing in its entry and all :math:`\theta_i` from one masked network. The Jacobian is
triangular. Forward takes one pass through the network; the inverse knows an entry only after those
before it and takes D passes.

References:
    G. Papamakarios, T. Pavlakou, I. Murray (2017), Masked autoregressive flow for density
        estimation, arXiv:1705.07057, equations 3 to 5 (affine).
    C. Durkan, A. Bekasov, I. Murray, G. Papamakarios (2019), Neural spline flows,
        arXiv:1906.04032 (splines).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from ..networks.masked import MaskedLinear, MaskedMLP
from ..networks.mlp import Activation, activation_function
from .elementwise import AbstractElementwise
from .transform import AbstractTransform

__all__ = ["MaskedAutoregressive"]

_FIRST_WEIGHTS = 0.1  # of the network's last layer: the start is near the identity


class MaskedAutoregressive(AbstractTransform):
    """Moves every entry by a function whose parameters depend on the entries before it.

    Args:
        order: Of the D entries, the first one that is known first.
        elementwise: How entries are moved.
        num_context: C, numbers of the context.
        hidden_sizes: Of the network.
        activation: Of the network.

    Raises:
        ValueError: There is one entry only, or the order is none.

    Example:
        >>> from gymagine.generative.flows.elementwise import Additive
        >>> transform = MaskedAutoregressive([1, 0], Additive())
        >>> z, _ = transform(torch.tensor([[0.0, 5.0], [3.0, 5.0]]), None)
        >>> bool(z[0, 1] == z[1, 1])  # entry 1 is the first: it depends on none
        True
    """

    def __init__(
        self,
        order: Sequence[int],
        elementwise: AbstractElementwise,
        *,
        num_context: int = 0,
        hidden_sizes: Sequence[int] = (64, 64),
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        if len(order) < 2:
            raise ValueError(f"expected at least 2 entries in an order, got {len(order)}")
        self.elementwise = elementwise
        self._order = [int(entry) for entry in order]
        self.network = MaskedMLP(
            len(order),
            elementwise.num_parameters,
            hidden_sizes,
            orders=[self._order],
            context_size=num_context,
            activation=activation_function(activation),
        )
        last = self.network.layers[-1]
        assert isinstance(last, MaskedLinear)
        with torch.no_grad():
            last.weight.mul_(_FIRST_WEIGHTS)
            last.bias.zero_()

    def forward(
        self, x: Float[Tensor, "batch entries"], context: Float[Tensor, "batch context"] | None
    ) -> tuple[Float[Tensor, "batch entries"], Float[Tensor, " batch"]]:
        """All entries in one pass."""
        z, log_slopes = self.elementwise(x, self.network(x, context))
        return z, log_slopes.sum(dim=1)

    def inverse(
        self, z: Float[Tensor, "batch entries"], context: Float[Tensor, "batch context"] | None
    ) -> tuple[Float[Tensor, "batch entries"], Float[Tensor, " batch"]]:
        """One entry after another."""
        x, log_det = torch.zeros_like(z), z.new_zeros(len(z))
        places = functional.one_hot(torch.arange(z.shape[1], device=z.device)).to(z.dtype)
        for i in self._order:
            parameters = self.network(x, context)[:, i : i + 1]
            entry, log_slope = self.elementwise.inverse(z[:, i : i + 1], parameters)
            x = x + entry * places[i]  # not written in place, so that gradients flow
            log_det = log_det + log_slope[:, 0]
        return x, log_det
