r"""MAF: masked autoregressive transforms, whose order is reversed from one to the next.

.. math:: z_i = g\big(x_i;\, \theta_i(x_{<i}, c)\big), \qquad
    \log |\det \partial z / \partial x| = \sum_i \log g'(x_i) ,

with g affine, as in the paper, or a spline of rational quadratics. A density takes one pass
through each network, a sample D passes.

References:
    G. Papamakarios, T. Pavlakou, I. Murray (2017), Masked autoregressive flow for density
        estimation, arXiv:1705.07057, equations 3 to 5 and section 3.1 (the orders).
    C. Durkan, A. Bekasov, I. Murray, G. Papamakarios (2019), Neural spline flows,
        arXiv:1906.04032 (splines; there RQ-NSF (AR)).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from ...configuration import check_fields
from ..networks.mlp import Activation
from .base import BaseName
from .elementwise import AbstractElementwise, Affine
from .flow import AbstractFlow
from .masked_autoregressive import MaskedAutoregressive
from .spline import RationalQuadratic
from .transform import AbstractTransform

__all__ = ["MAF", "ElementwiseName", "MAFConfig"]

ElementwiseName = Literal["affine", "spline"]

_RANGES = {
    "num_transforms": (1, math.inf, True),
    "hidden_sizes": (1, math.inf, True),
    "log_scale_limit": (0.0, math.inf, False),
    "num_bins": (2, 500, True),
    "bound": (0.0, math.inf, False),
    "num_components": (1, math.inf, True),
}
_CHOICES = {
    "base": get_args(BaseName),
    "activation": get_args(Activation),
    "elementwise": get_args(ElementwiseName),
}


@dataclass(frozen=True)
class MAFConfig:
    """Hyper-parameters of MAF.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    num_transforms: int = 5
    """Autoregressive transforms, each in the reversed order of the one before."""
    hidden_sizes: tuple[int, ...] = (64, 64)
    """Units of the hidden layers of each network."""
    activation: Activation = "relu"
    """After each hidden layer."""
    elementwise: ElementwiseName = "affine"
    """How an entry is moved."""
    log_scale_limit: float = 2.0
    """By how many nats an affine transform stretches an entry at most."""
    num_bins: int = 8
    """Of a spline."""
    bound: float = 5.0
    """Beyond which splines are the identity, in standard deviations of the events."""
    base: BaseName = "normal"
    """Distribution of the latents; a mixture for each class takes one-hot contexts."""
    num_components: int = 8
    """Of a mixture, or of each class's."""

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, _CHOICES)


class MAF(AbstractFlow):
    """Masked autoregressive transforms over vectors or flattened pictures of 2 entries or more.

    A temperature scales the latents' deviations from their centres.

    Example:
        >>> import torch
        >>> flow = MAF((3,), num_transforms=2, elementwise="spline")
        >>> flow.log_prob(torch.zeros(4, 3)).shape
        torch.Size([4])
    """

    Config = MAFConfig
    name = "maf"

    def _make_transforms(self, num_context: int) -> list[AbstractTransform]:
        order = list(range(self.num_entries))
        return [
            MaskedAutoregressive(
                order[::-1] if i % 2 else order,
                self._elementwise(),
                num_context=num_context,
                hidden_sizes=self.config.hidden_sizes,
                activation=self.config.activation,
            )
            for i in range(self.config.num_transforms)
        ]

    def _elementwise(self) -> AbstractElementwise:
        if self.config.elementwise == "spline":
            return RationalQuadratic(self.config.num_bins, self.config.bound)
        return Affine(self.config.log_scale_limit)
