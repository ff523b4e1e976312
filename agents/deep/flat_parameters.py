"""All parameters of a population in one matrix, a row for each member.

PyTorch spends most of a small network's update between its operations. With the parameters side by
side, clipping and the optimiser take a handful of operations on one (M, P) matrix in place of as
many on each of a dozen parameters; and a member's part of a population is a row.
"""

from __future__ import annotations

import copy
import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["FlatParameters"]


class FlatParameters:
    r"""The parameters of a module whose shapes are (M, ...), moved into one matrix.

    From then on the module's parameters are views of it: what is written to ``values`` acts at
    once. A second matrix has room for their gradients.

    Args:
        module: Of M members.

    Attributes:
        module: The module.
        values: (M, P) parameters.
        gradients: (M, P) what `write_gradients` wrote.
        slopes: Its views of each parameter's shape, by the parameter itself.

    Raises:
        ValueError: The parameters differ in their number of members.

    Example:
        >>> import numpy as np
        >>> from .layers import MemberLinear
        >>> layer = MemberLinear(3, 2, rngs=[np.random.default_rng(0)])
        >>> flat = FlatParameters(layer)
        >>> flat.values.shape, torch.equal(flat.views(flat.values)["weight"], layer.weight)
        (torch.Size([1, 8]), True)
    """

    def __init__(self, module: nn.Module) -> None:
        named = dict(module.named_parameters())
        self.module = module
        self._shapes = {name: tuple(value.shape[1:]) for name, value in named.items()}
        self._sizes = [math.prod(shape) for shape in self._shapes.values()]
        if len({value.shape[:1] for value in named.values()}) != 1:
            raise ValueError("expected parameters of one number of members, got none or several")
        self.values = torch.cat([value.detach().flatten(1) for value in named.values()], dim=1)
        self.gradients = torch.zeros_like(self.values)
        self._point(module)

    def write_gradients(self, loss: Float[Tensor, ""]) -> None:
        """Let autograd work out the gradients of a loss; what plays no part in it has 0."""
        found = torch.autograd.grad(loss, list(self.slopes), materialize_grads=True)
        torch.cat([gradient.flatten(1) for gradient in found], dim=1, out=self.gradients)

    def views(self, flat: Float[Tensor, "members numbers"]) -> dict[str, Tensor]:
        """Such a matrix, of parameters or of what an optimiser keeps of them, by name."""
        parts = flat.split_with_sizes(self._sizes, dim=1)
        return {
            name: part.view(len(flat), *shape)
            for (name, shape), part in zip(self._shapes.items(), parts, strict=True)
        }

    def of_member(self, member: int) -> FlatParameters:
        """One member's parameters, with a module of its own, which act on the same numbers."""
        own = copy.copy(self)
        own.values = self.values[member : member + 1]
        own.gradients = self.gradients[member : member + 1]
        own.module = copy.deepcopy(self.module)
        own._point(own.module)
        return own

    def _point(self, module: nn.Module) -> None:
        own, slopes = self.views(self.values), self.views(self.gradients)
        for name, parameter in module.named_parameters():
            parameter.data = own[name]
        self.slopes = {parameter: slopes[name] for name, parameter in module.named_parameters()}
