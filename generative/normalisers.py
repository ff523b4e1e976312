r"""Numbers brought to one scale, and back.

Each entry is shifted and scaled, :math:`y_d = (x_d - a_d) / b_d`, by what its values in some data
were:

============  =====================================  ==============================================
identity      a = 0, b = 1                           as they are
min-max       middle, and half of the range          in [-1, 1], as bounded generators need
z-score       mean, and standard deviation           mean 0 and deviation 1
============  =====================================  ==============================================

An entry that is constant in the data has no scale: it is only shifted (b = 1), to 0.
"""

from __future__ import annotations

from typing import Literal, Self, get_args

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

__all__ = ["Normaliser", "NormaliserName", "min_max_scales", "z_score_scales"]

NormaliserName = Literal["identity", "min-max", "z-score"]

_CONSTANT = 1e-12  # a range below this share of the numbers themselves is rounding


class Normaliser(nn.Module):
    """A shift and a scale of each entry, kept with a module's state.

    Args:
        num_entries: D; may be 0.

    Attributes:
        shift: (D,) a.
        scale: (D,) b.

    Example:
        >>> normaliser = Normaliser.fitted(torch.tensor([[0.0, 5.0], [4.0, 5.0]]), "min-max")
        >>> normaliser(torch.tensor([[1.0, 6.0]]))
        tensor([[-0.5000,  1.0000]], dtype=torch.float64)
        >>> normaliser.inverse(torch.tensor([[-1.0, 0.0]]))
        tensor([[0., 5.]], dtype=torch.float64)
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, num_entries: int) -> None:
        super().__init__()
        # 64 bits: positions far from 0 would lose their differences before they are shifted
        self.register_buffer("shift", torch.zeros(num_entries, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(num_entries, dtype=torch.float64))

    @classmethod
    def fitted(cls, x: Float[Tensor, "batch entries"], name: NormaliserName) -> Self:
        """The one by the values that entries have in data.

        Args:
            x: (N, D) at least one row of finite numbers.
            name: Which.

        Raises:
            ValueError: The name is unknown, there is no row, or a number is not finite.
        """
        if name not in get_args(NormaliserName):
            raise ValueError(
                f"expected a normaliser among {get_args(NormaliserName)}, got {name!r}"
            )
        if not len(x) or not x.isfinite().all():
            raise ValueError(
                f"expected at least one row of finite numbers, got {len(x)} rows"
                + (", with NaN or infinity among them" if len(x) else "")
            )
        made = cls(x.shape[1])
        if name != "identity" and x.shape[1]:
            scales = min_max_scales if name == "min-max" else z_score_scales
            shift, scale = scales(x.double())
            made.shift.copy_(shift)
            made.scale.copy_(scale)
        return made

    def forward(self, x: Float[Tensor, "batch entries"]) -> Float64[Tensor, "batch entries"]:
        """(N, D) normalised rows, in 64 bits."""
        return (x.double() - self.shift.double()) / self.scale.double()

    def inverse(self, y: Float[Tensor, "batch entries"]) -> Float64[Tensor, "batch entries"]:
        """(N, D) rows that were normalised, in 64 bits."""
        return y.double() * self.scale.double() + self.shift.double()


def min_max_scales(
    x: Float64[Tensor, "batch entries"],
) -> tuple[Float64[Tensor, " entries"], Float64[Tensor, " entries"]]:
    """(D,) middles and (D,) half ranges, 1 of a constant entry."""
    low, high = x.amin(dim=0), x.amax(dim=0)
    # halves first: the sum and the difference of huge numbers would be infinite
    return low / 2 + high / 2, _without_constants(high / 2 - low / 2, x)


def z_score_scales(
    x: Float64[Tensor, "batch entries"],
) -> tuple[Float64[Tensor, " entries"], Float64[Tensor, " entries"]]:
    """(D,) means and (D,) standard deviations, 1 of a constant entry."""
    largest = x.abs().amax(dim=0).clamp(min=torch.finfo(x.dtype).tiny)
    scaled = x / largest  # squares of huge numbers would be infinite
    deviation = scaled.std(dim=0, correction=0) * largest
    return scaled.mean(dim=0) * largest, _without_constants(deviation, x)


def _without_constants(scale: Tensor, x: Tensor) -> Tensor:
    is_constant = scale <= _CONSTANT * x.abs().amax(dim=0)
    return torch.where(is_constant, torch.ones_like(scale), scale)
