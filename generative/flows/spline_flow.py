r"""Neural spline flow: couplings by monotone splines of rational quadratics.

.. math:: z_2 = g\big(x_2;\, \theta(x_1, c)\big), \qquad z_1 = g(x_1; \phi) ,

where :math:`\theta` are the knots and slopes that a network gives, and :math:`\phi` are learned
numbers. A spline with K bins bends an entry in K places, where an affine layer only stretches it.
The autoregressive kind is `maf.MAF` with splines.

References:
    C. Durkan, A. Bekasov, I. Murray, G. Papamakarios (2019), Neural spline flows,
        arXiv:1906.04032 (there RQ-NSF (C)).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import get_args

from ...configuration import check_fields
from ..networks.mlp import Activation
from .base import BaseName
from .coupling import Coupling, coupling_layers
from .flow import AbstractFlow
from .spline import RationalQuadratic
from .transform import AbstractTransform

__all__ = ["SplineFlow", "SplineFlowConfig"]

_RANGES = {
    "num_couplings": (2, math.inf, True),
    "hidden_sizes": (1, math.inf, True),
    "num_bins": (2, 500, True),
    "bound": (0.0, math.inf, False),
    "num_components": (1, math.inf, True),
}
_CHOICES = {"base": get_args(BaseName), "activation": get_args(Activation)}


@dataclass(frozen=True)
class SplineFlowConfig:
    """Hyper-parameters of a neural spline flow.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    num_couplings: int = 4
    """Layers, which move one half of the entries and the other by turns."""
    hidden_sizes: tuple[int, ...] = (64, 64)
    """Units of the hidden layers of each network."""
    activation: Activation = "relu"
    """After each hidden layer."""
    num_bins: int = 8
    """Of each spline."""
    bound: float = 5.0
    """Beyond which splines are the identity, in standard deviations of the events."""
    moves_all: bool = True
    """The half that is given passes through splines too, which depend on nothing."""
    base: BaseName = "normal"
    """Distribution of the latents; a mixture for each class takes one-hot contexts."""
    num_components: int = 8
    """Of a mixture, or of each class's."""

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, _CHOICES)


class SplineFlow(AbstractFlow):
    """Spline couplings over vectors or flattened pictures.

    A temperature scales the latents' deviations from their centres.

    Example:
        >>> import torch
        >>> flow = SplineFlow((1,), context_shape=(2,))  # of one number, given two
        >>> flow.log_prob(torch.zeros(4, 1), torch.zeros(4, 2)).shape
        torch.Size([4])
    """

    Config = SplineFlowConfig
    name = "spline-flow"

    def _make_transforms(self, num_context: int) -> list[AbstractTransform]:
        def make(num_given: int, num_moved: int) -> Coupling:
            return Coupling(
                num_given,
                num_moved,
                RationalQuadratic(self.config.num_bins, self.config.bound),
                moves_all=self.config.moves_all,
                num_context=num_context,
                hidden_sizes=self.config.hidden_sizes,
                activation=self.config.activation,
            )

        return coupling_layers(self.event_shape, self.config.num_couplings, make)
