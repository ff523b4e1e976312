r"""Invertible maps of vectors, which know the logarithm of their Jacobian's determinant.

A transform maps an event to a latent, :math:`z = f(x; c)`, and back. Densities change by

.. math:: \log p(x \mid c) = \log p_Z(f(x; c)) + \log \left| \det \partial f / \partial x \right| .

The log-determinants of a chain add up; that of an inverse is the negative.

References:
    G. Papamakarios, E. Nalisnick, D. J. Rezende, S. Mohamed, B. Lakshminarayanan (2021),
        Normalizing flows for probabilistic modeling and inference, arXiv:1912.02762, equations 3
        and 7.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["AbstractTransform", "Composition", "Permutation", "Scaling", "Standardisation"]


class AbstractTransform(nn.Module, ABC):
    """An invertible map of (B, D) entries, given (B, C) a context or none."""

    @abstractmethod
    def forward(
        self, x: Float[Tensor, "batch entries"], context: Float[Tensor, "batch context"] | None
    ) -> tuple[Float[Tensor, "batch entries"], Float[Tensor, " batch"]]:
        """(B, D) the latents of events, and (B,) the logarithm of |det dz/dx|."""

    @abstractmethod
    def inverse(
        self, z: Float[Tensor, "batch entries"], context: Float[Tensor, "batch context"] | None
    ) -> tuple[Float[Tensor, "batch entries"], Float[Tensor, " batch"]]:
        """(B, D) the events of latents, and (B,) the logarithm of |det dx/dz|."""


class Composition(AbstractTransform):
    """One transform after another.

    Args:
        transforms: In the order that events pass them.

    Example:
        >>> swapped_twice = Composition([Permutation([1, 0]), Permutation([1, 0])])
        >>> swapped_twice(torch.tensor([[1.0, 2.0]]), None)
        (tensor([[1., 2.]]), tensor([0.]))
    """

    def __init__(self, transforms: Sequence[AbstractTransform]) -> None:
        super().__init__()
        self.transforms = nn.ModuleList(transforms)

    def forward(
        self, x: Float[Tensor, "batch entries"], context: Float[Tensor, "batch context"] | None
    ) -> tuple[Float[Tensor, "batch entries"], Float[Tensor, " batch"]]:
        """All in their order."""
        log_dets = []
        for transform in self.transforms:
            x, log_det = transform(x, context)
            log_dets.append(log_det)
        return x, torch.stack(log_dets).sum(dim=0)

    def inverse(
        self, z: Float[Tensor, "batch entries"], context: Float[Tensor, "batch context"] | None
    ) -> tuple[Float[Tensor, "batch entries"], Float[Tensor, " batch"]]:
        """All inverses, the last one first."""
        log_dets = []
        for transform in reversed(self.transforms):
            assert isinstance(transform, AbstractTransform)
            z, log_det = transform.inverse(z, context)
            log_dets.append(log_det)
        return z, torch.stack(log_dets).sum(dim=0)


class Permutation(AbstractTransform):
    """Entries in another order: z[i] = x[order[i]].

    Args:
        order: Of the D entries.

    Raises:
        ValueError: It is not an order of 0 to D - 1.

    Example:
        >>> Permutation([2, 0, 1])(torch.tensor([[1.0, 2.0, 3.0]]), None)[0]
        tensor([[3., 1., 2.]])
    """

    order: Tensor

    def __init__(self, order: Sequence[int]) -> None:
        super().__init__()
        given = torch.tensor(list(order), dtype=torch.int64)
        if not torch.equal(given.sort().values, torch.arange(len(given))):
            raise ValueError(f"expected an order of 0 to {len(given) - 1}, got {list(order)}")
        self.register_buffer("order", given)  # in files too, as it may have been drawn

    def forward(
        self, x: Float[Tensor, "batch entries"], context: Float[Tensor, "batch context"] | None
    ) -> tuple[Float[Tensor, "batch entries"], Float[Tensor, " batch"]]:
        """In the new order; volumes stay."""
        return x[:, self.order], x.new_zeros(len(x))

    def inverse(
        self, z: Float[Tensor, "batch entries"], context: Float[Tensor, "batch context"] | None
    ) -> tuple[Float[Tensor, "batch entries"], Float[Tensor, " batch"]]:
        """In the old order."""
        return z[:, self.order.argsort()], z.new_zeros(len(z))


class Scaling(AbstractTransform):
    """Each entry times a learned positive number: z = exp(s) x (NICE's last layer).

    Args:
        num_entries: D.
    """

    def __init__(self, num_entries: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(num_entries))

    def forward(
        self, x: Float[Tensor, "batch entries"], context: Float[Tensor, "batch context"] | None
    ) -> tuple[Float[Tensor, "batch entries"], Float[Tensor, " batch"]]:
        """Scaled."""
        return x * self.log_scale.exp(), self.log_scale.sum().expand(len(x))

    def inverse(
        self, z: Float[Tensor, "batch entries"], context: Float[Tensor, "batch context"] | None
    ) -> tuple[Float[Tensor, "batch entries"], Float[Tensor, " batch"]]:
        """Scaled back."""
        return z * (-self.log_scale).exp(), -self.log_scale.sum().expand(len(z))


class Standardisation(AbstractTransform):
    """Each entry less a mean, over a standard deviation: numbers that data set and nothing learns.

    Until `adopt` is called it changes nothing.

    Args:
        num_entries: D.

    Example:
        >>> standardisation = Standardisation(1)
        >>> standardisation.adopt(torch.tensor([[1.0], [5.0]]))
        >>> standardisation(torch.tensor([[5.0]]), None)[0]
        tensor([[1.]])
    """

    mean: Tensor
    deviation: Tensor
    log_det: Tensor

    def __init__(self, num_entries: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(num_entries))
        self.register_buffer("deviation", torch.ones(num_entries))
        self.register_buffer("log_det", torch.zeros(()))

    def adopt(self, x: Float[Tensor, "batch entries"]) -> None:
        """Take over the mean and the deviation of (B, D) events; a constant entry keeps its 1."""
        deviation = x.std(dim=0, correction=0)
        varies = deviation > 1e-6 * x.abs().amax(dim=0)
        self.mean.copy_(x.mean(dim=0))
        self.deviation.copy_(torch.where(varies, deviation, 1))
        self.log_det.copy_(-self.deviation.log().sum())

    def forward(
        self, x: Float[Tensor, "batch entries"], context: Float[Tensor, "batch context"] | None
    ) -> tuple[Float[Tensor, "batch entries"], Float[Tensor, " batch"]]:
        """Standardised."""
        return (x - self.mean) / self.deviation, self.log_det.expand(len(x))

    def inverse(
        self, z: Float[Tensor, "batch entries"], context: Float[Tensor, "batch context"] | None
    ) -> tuple[Float[Tensor, "batch entries"], Float[Tensor, " batch"]]:
        """In the events' own units."""
        return z * self.deviation + self.mean, -self.log_det.expand(len(z))
