r"""RealNVP: affine couplings, whose volumes change from place to place.

.. math:: z_2 = x_2 \odot e^{s(x_1, c)} + t(x_1, c), \qquad s = \alpha \tanh(\hat s), \qquad
    \log |\det \partial z / \partial x| = \sum_i s_i

in each layer, with :math:`\hat s` and t from one network and a bound :math:`\alpha`.
Networks are dense and pictures are flattened: there are no convolutions, and no latents are
factored out between scales, as there are in the paper's models of pictures.

References:
    L. Dinh, J. Sohl-Dickstein, S. Bengio (2016), Density estimation using Real NVP,
        arXiv:1605.08803, equations 4 to 8 and section 4.1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import get_args

from ...configuration import check_fields
from ..networks.mlp import Activation
from .base import BaseName
from .coupling import Coupling, coupling_layers
from .elementwise import Affine
from .flow import AbstractFlow
from .transform import AbstractTransform

__all__ = ["RealNVP", "RealNVPConfig"]

_RANGES = {
    "num_couplings": (2, math.inf, True),
    "hidden_sizes": (1, math.inf, True),
    "log_scale_limit": (0.0, math.inf, False),
    "num_components": (1, math.inf, True),
}
_CHOICES = {"base": get_args(BaseName), "activation": get_args(Activation)}


@dataclass(frozen=True)
class RealNVPConfig:
    """Hyper-parameters of RealNVP.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    num_couplings: int = 8
    """Layers, which move one half of the entries and the other by turns."""
    hidden_sizes: tuple[int, ...] = (64, 64)
    """Units of the hidden layers of each network."""
    activation: Activation = "relu"
    """After each hidden layer."""
    log_scale_limit: float = 2.0
    """By how many nats a layer stretches an entry at most."""
    base: BaseName = "normal"
    """Distribution of the latents; a mixture for each class takes one-hot contexts."""
    num_components: int = 8
    """Of a mixture, or of each class's."""

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, _CHOICES)


class RealNVP(AbstractFlow):
    """Affine couplings over vectors or flattened pictures.

    A temperature scales the latents' deviations from their centres.

    Example:
        >>> import torch
        >>> flow = RealNVP((2,), context_shape=(3,), num_couplings=4)
        >>> flow.sample(10, torch.eye(3)).shape  # ten for each of three classes
        torch.Size([10, 3, 2])
    """

    Config = RealNVPConfig
    name = "real-nvp"

    def _make_transforms(self, num_context: int) -> list[AbstractTransform]:
        def make(num_given: int, num_moved: int) -> Coupling:
            return Coupling(
                num_given,
                num_moved,
                Affine(self.config.log_scale_limit),
                num_context=num_context,
                hidden_sizes=self.config.hidden_sizes,
                activation=self.config.activation,
            )

        return coupling_layers(self.event_shape, self.config.num_couplings, make)
