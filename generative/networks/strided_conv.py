r"""Convolutions of 4 by 4 with stride 2 and batch normalisation, as deep convolutional GANs have.

Each takes a map of s rows to :math:`\lfloor s / 2 \rfloor`; the transposed ones go the same sizes
back. A context is given beside the noise on the way up, and as constant channels of the picture
on the way down. Weights start at N(0, 0.02^2).

References:
    A. Radford, L. Metz, S. Chintala (2016), Unsupervised representation learning with deep
        convolutional generative adversarial networks, arXiv:1511.06434, section 3, figure 1.
    M. Mirza, S. Osindero (2014), Conditional generative adversarial nets, arXiv:1411.1784.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from .batch_norm import BatchNorm

__all__ = ["StridedDown", "StridedUp", "halved_sizes"]

_DEVIATION = 0.02  # of the first weights


def halved_sizes(height: int, width: int, num_halvings: int) -> list[tuple[int, int]]:
    """The maps' heights and widths, from the picture's on.

    Raises:
        ValueError: Nothing is left.

    Example:
        >>> halved_sizes(28, 28, 3)
        [(28, 28), (14, 14), (7, 7), (3, 3)]
    """
    sizes = [(height >> times, width >> times) for times in range(num_halvings + 1)]
    if min(sizes[-1]) < 1:
        raise ValueError(
            f"expected pictures of at least {1 << num_halvings} by {1 << num_halvings} for "
            f"{num_halvings} halvings, got {height} by {width}: give fewer channels"
        )
    return sizes


class StridedUp(nn.Module):
    """From vectors to pictures between -1 and 1.

    Args:
        num_inputs: Of the vectors.
        picture_shape: (C, H, W).
        channels: Of the map after each halving, from the picture's end.
        num_context: Numbers of the context; 0 for none.

    Raises:
        ValueError: The picture is too small for that many halvings.
    """

    def __init__(
        self,
        num_inputs: int,
        picture_shape: Sequence[int],
        channels: Sequence[int],
        *,
        num_context: int = 0,
    ) -> None:
        super().__init__()
        sizes = halved_sizes(picture_shape[1], picture_shape[2], len(channels))
        self._first = (channels[-1], *sizes[-1])
        # what a normalisation follows needs no bias
        size = channels[-1] * sizes[-1][0] * sizes[-1][1]
        self.dense = nn.Linear(num_inputs + num_context, size, bias=False)
        upwards = [*reversed(channels), picture_shape[0]]
        self.norms = nn.ModuleList(BatchNorm(size) for size in upwards[:-1])
        layers: list[nn.Module] = []
        for (wide, narrow), small, large in zip(
            pairwise(upwards), reversed(sizes[1:]), reversed(sizes[:-1]), strict=True
        ):
            odd = (large[0] % 2, large[1] % 2)
            is_last = len(layers) == len(channels) - 1
            layers.append(
                nn.ConvTranspose2d(wide, narrow, 4, 2, 1, output_padding=odd, bias=is_last)
            )
            assert large == (2 * small[0] + odd[0], 2 * small[1] + odd[1])
        self.layers = nn.ModuleList(layers)
        _start(self)

    def forward(
        self, z: Float[Tensor, "batch inputs"], context: Float[Tensor, "batch context"] | None
    ) -> Float[Tensor, "batch channels height width"]:
        """(B, C, H, W) of (B, num_inputs), given (B, num_context)."""
        given = z if context is None else torch.cat([z, context], dim=1)
        h: Tensor = self.dense(given).view(len(z), *self._first)
        for norm, layer in zip(self.norms, self.layers, strict=True):
            h = layer(torch.relu(norm(h)))
        return h.tanh()


class StridedDown(nn.Module):
    """From pictures to a number.

    Args:
        picture_shape: (C, H, W).
        channels: Of the map after each halving.
        num_context: Numbers of the context; 0 for none.
        slope: Of the leaky rectifiers below 0.

    Raises:
        ValueError: The picture is too small for that many halvings.
    """

    def __init__(
        self,
        picture_shape: Sequence[int],
        channels: Sequence[int],
        *,
        num_context: int = 0,
        slope: float = 0.2,
    ) -> None:
        super().__init__()
        rows, columns = halved_sizes(picture_shape[1], picture_shape[2], len(channels))[-1]
        sizes = [picture_shape[0] + num_context, *channels]
        self.layers = nn.ModuleList(
            nn.Conv2d(wide, narrow, 4, 2, 1, bias=number == 0)
            for number, (wide, narrow) in enumerate(pairwise(sizes))
        )
        self.norms = nn.ModuleList(BatchNorm(size) for size in channels[1:])
        self.last = nn.Linear(channels[-1] * rows * columns, 1)
        self._slope = slope
        _start(self)

    def forward(
        self,
        x: Float[Tensor, "batch channels height width"],
        context: Float[Tensor, "batch context"] | None,
    ) -> Float[Tensor, " batch"]:
        """(B,) of (B, C, H, W), given (B, num_context)."""
        if context is not None:
            constant = context[:, :, None, None].expand(-1, -1, *x.shape[2:])
            x = torch.cat([x, constant], dim=1)
        for number, layer in enumerate(self.layers):
            x = layer(x)
            if number:  # the first is not normalised
                x = self.norms[number - 1](x)
            x = functional.leaky_relu(x, self._slope)
        values: Tensor = self.last(x.flatten(1))
        return values[:, 0]


def _start(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, BatchNorm):
            nn.init.normal_(module.weight, 1.0, _DEVIATION)
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, _DEVIATION)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
