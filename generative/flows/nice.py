r"""NICE: additive couplings, which keep volumes, and one scaling at the end.

.. math:: z_2 = x_2 + m(x_1, c) \quad \text{(each layer)}, \qquad z = e^{s} \odot h, \qquad
    \log |\det \partial z / \partial x| = \sum_i s_i .

The paper has 4 couplings, networks of 5 layers of 1,000 units for digits, and a logistic base. Two
more couplings are the default here: with 4, eight Gaussians on a circle stay one heap.

References:
    L. Dinh, D. Krueger, Y. Bengio (2014), NICE: non-linear independent components estimation,
        arXiv:1410.8516, sections 3.2 to 3.4 and 5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import get_args

from ...configuration import check_fields
from ..networks.mlp import Activation
from .base import BaseName
from .coupling import Coupling, coupling_layers
from .elementwise import Additive
from .flow import AbstractFlow
from .transform import AbstractTransform, Scaling

__all__ = ["NICE", "NICEConfig"]

_RANGES = {
    "num_couplings": (2, math.inf, True),
    "hidden_sizes": (1, math.inf, True),
    "num_components": (1, math.inf, True),
}
_CHOICES = {"base": get_args(BaseName), "activation": get_args(Activation)}


@dataclass(frozen=True)
class NICEConfig:
    """Hyper-parameters of NICE.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    num_couplings: int = 6
    """Layers, which move one half of the entries and the other by turns."""
    hidden_sizes: tuple[int, ...] = (256, 256)
    """Units of the hidden layers of each network."""
    activation: Activation = "relu"
    """After each hidden layer."""
    base: BaseName = "logistic"
    """Distribution of the latents; a mixture for each class takes one-hot contexts."""
    num_components: int = 8
    """Of a mixture, or of each class's."""

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, _CHOICES)


class NICE(AbstractFlow):
    """Additive couplings over vectors or flattened pictures.

    A temperature scales the latents' deviations from their centres.

    Example:
        >>> import torch
        >>> flow = NICE((3,), hidden_sizes=(16,))
        >>> x = torch.randn(5, 3)
        >>> torch.allclose(flow.decode(flow.encode(x)), x, atol=1e-5)
        True
    """

    Config = NICEConfig
    name = "nice"

    def _make_transforms(self, num_context: int) -> list[AbstractTransform]:
        def make(num_given: int, num_moved: int) -> Coupling:
            return Coupling(
                num_given,
                num_moved,
                Additive(),
                num_context=num_context,
                hidden_sizes=self.config.hidden_sizes,
                activation=self.config.activation,
            )

        couplings = coupling_layers(self.event_shape, self.config.num_couplings, make)
        return [*couplings, Scaling(self.num_entries)]
