r"""Increasing functions of one number, whose parameters a network gives for every entry.

.. math::
    z = x + t \quad \text{(additive)}, \qquad
    z = x\, e^{s} + t, \quad s = \alpha \tanh(\hat s) \quad \text{(affine)} ,

with t and :math:`\hat s` from the network and a fixed :math:`\alpha`, which bounds how much one
layer stretches: with an unbounded s the inverse overflows far from the data. (The paper learns
:math:`\alpha`, which bounds nothing for long.) Splines are in `spline`. Parameters of zero give
the identity.

References:
    L. Dinh, D. Krueger, Y. Bengio (2014), NICE: non-linear independent components estimation,
        arXiv:1410.8516, section 3.2 (additive).
    L. Dinh, J. Sohl-Dickstein, S. Bengio (2016), Density estimation using Real NVP,
        arXiv:1605.08803, equations 4 and 5 (affine), section 4.1 (the bound by a scaled tanh).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["AbstractElementwise", "Additive", "Affine"]


class AbstractElementwise(nn.Module, ABC):
    """An increasing function of each entry, with parameters for each.

    Attributes:
        num_parameters: P, for each entry.
    """

    num_parameters: int

    @abstractmethod
    def forward(
        self,
        x: Float[Tensor, "batch entries"],
        parameters: Float[Tensor, "batch entries parameters"],
    ) -> tuple[Float[Tensor, "batch entries"], Float[Tensor, "batch entries"]]:
        """(B, D) values, and the logarithms of the slopes dz/dx."""

    @abstractmethod
    def inverse(
        self,
        z: Float[Tensor, "batch entries"],
        parameters: Float[Tensor, "batch entries parameters"],
    ) -> tuple[Float[Tensor, "batch entries"], Float[Tensor, "batch entries"]]:
        """(B, D) what has these values, and the logarithms of the slopes dx/dz."""


class Additive(AbstractElementwise):
    """Shifts: volumes stay.

    Example:
        >>> Additive()(torch.tensor([[1.0]]), torch.tensor([[[2.0]]]))
        (tensor([[3.]]), tensor([[0.]]))
    """

    num_parameters = 1

    def forward(
        self,
        x: Float[Tensor, "batch entries"],
        parameters: Float[Tensor, "batch entries parameters"],
    ) -> tuple[Float[Tensor, "batch entries"], Float[Tensor, "batch entries"]]:
        """Shifted."""
        return x + parameters.squeeze(2), torch.zeros_like(x)

    def inverse(
        self,
        z: Float[Tensor, "batch entries"],
        parameters: Float[Tensor, "batch entries parameters"],
    ) -> tuple[Float[Tensor, "batch entries"], Float[Tensor, "batch entries"]]:
        """Shifted back."""
        return z - parameters.squeeze(2), torch.zeros_like(z)


class Affine(AbstractElementwise):
    """Stretches by a bounded factor, and shifts.

    Args:
        limit: Of the factor's logarithm.

    Example:
        >>> z, log_slope = Affine()(torch.tensor([[1.0]]), torch.tensor([[[100.0, 2.0]]]))
        >>> float(log_slope)  # the limit, however large the parameter
        2.0
    """

    num_parameters = 2

    def __init__(self, limit: float = 2.0) -> None:
        super().__init__()
        self._limit = float(limit)

    def forward(
        self,
        x: Float[Tensor, "batch entries"],
        parameters: Float[Tensor, "batch entries parameters"],
    ) -> tuple[Float[Tensor, "batch entries"], Float[Tensor, "batch entries"]]:
        """Stretched and shifted."""
        log_slope, shift = self._unpack(parameters)
        return x * log_slope.exp() + shift, log_slope

    def inverse(
        self,
        z: Float[Tensor, "batch entries"],
        parameters: Float[Tensor, "batch entries parameters"],
    ) -> tuple[Float[Tensor, "batch entries"], Float[Tensor, "batch entries"]]:
        """Shifted and stretched back."""
        log_slope, shift = self._unpack(parameters)
        return (z - shift) * (-log_slope).exp(), -log_slope

    def _unpack(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        raw, shift = parameters.unbind(2)
        return self._limit * torch.tanh(raw), shift
