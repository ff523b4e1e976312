r"""Convolutions that take pictures down to small maps of features, and up again.

Level l of a stack halves the map, :math:`s_{l+1} = \lceil s_l / 2 \rceil`, by a convolution with
stride 2, and on the way up a map is spread to the size that it had, so that pictures may have any
size. At every level there is a residual block (He et al.)

.. math:: h \leftarrow h + W_2\,a(b_c + W_1 * a(h)), \qquad b_c = U c + u,

where a is the activation, :math:`W_1` a 3 x 3 convolution, :math:`W_2` a 1 x 1 convolution, and
the bias :math:`b_c` carries the context, if there is one, to every place.

References:
    K. He et al. (2016), Identity mappings in deep residual networks, arXiv:1603.05027, section 4
        (activation before the weights).
    A. van den Oord, O. Vinyals, K. Kavukcuoglu (2017), Neural discrete representation learning,
        arXiv:1711.00937, section 4.1 (strided convolutions and blocks of 3 x 3 and 1 x 1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["ConvDown", "ConvUp", "ResidualBlock", "map_sizes"]

Activation = Callable[[Tensor], Tensor]


def map_sizes(height: int, width: int, num_halvings: int) -> list[tuple[int, int]]:
    """The maps' heights and widths, from the picture's on.

    Example:
        >>> map_sizes(28, 28, 3)
        [(28, 28), (14, 14), (7, 7), (4, 4)]
    """
    sizes = [(height, width)]
    for _ in range(num_halvings):
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    return sizes


class ResidualBlock(nn.Module):
    """Two convolutions whose result is added to their input.

    Args:
        num_channels: Of the map, in and out.
        context_size: Of the context; 0 for none.
        activation: Before each convolution.
    """

    def __init__(self, num_channels: int, context_size: int, activation: Activation) -> None:
        super().__init__()
        self.first = nn.Conv2d(num_channels, num_channels, 3, padding=1)
        self.second = nn.Conv2d(num_channels, num_channels, 1)
        self.context = nn.Linear(context_size, num_channels) if context_size else None
        self.activation = activation

    def forward(
        self,
        h: Float[Tensor, "batch channels height width"],
        context: Float[Tensor, "batch features"] | None = None,
    ) -> Float[Tensor, "batch channels height width"]:
        """(B, C, H, W) features, of as many."""
        inner = self.first(self.activation(h))
        if self.context is not None:
            inner = inner + self.context(context)[:, :, None, None]
        added: Tensor = h + self.second(self.activation(inner))
        return added


class ConvDown(nn.Module):
    """From pictures to maps of features.

    Args:
        in_channels: Of the pictures.
        channels: Of the map after each halving.
        num_outputs: Channels of what comes out.
        context_size: Of the context; 0 for none.
        activation: Between the layers.

    Raises:
        ValueError: There is no halving.
    """

    def __init__(
        self,
        in_channels: int,
        channels: Sequence[int],
        num_outputs: int,
        *,
        context_size: int = 0,
        activation: Activation = torch.relu,
    ) -> None:
        super().__init__()
        if not channels:
            raise ValueError("expected channels of at least one halving, got none")
        self.halvings = nn.ModuleList(
            nn.Conv2d(wide, narrow, 3, stride=2, padding=1)
            for wide, narrow in pairwise((in_channels, *channels))
        )
        self.blocks = nn.ModuleList(
            ResidualBlock(size, context_size, activation) for size in channels
        )
        self.last = nn.Conv2d(channels[-1], num_outputs, 1)
        self.activation = activation

    def forward(
        self,
        x: Float[Tensor, "batch channels height width"],
        context: Float[Tensor, "batch features"] | None = None,
    ) -> Float[Tensor, "batch outputs small_height small_width"]:
        """(B, num_outputs, h, w) of (B, in_channels, H, W), with h and w by `map_sizes`."""
        h = x
        for halving, block in zip(self.halvings, self.blocks, strict=True):
            h = block(halving(h), context)
        result: Tensor = self.last(self.activation(h))
        return result


class ConvUp(nn.Module):
    """From maps of features to pictures: `ConvDown` the other way round.

    Args:
        in_channels: Of the maps.
        channels: As those of `ConvDown`, from the picture's end.
        num_outputs: Channels of what comes out.
        sizes: Heights and widths of the maps, from the picture's on; see `map_sizes`.
        context_size: Of the context; 0 for none.
        activation: Between the layers.
    """

    def __init__(
        self,
        in_channels: int,
        channels: Sequence[int],
        num_outputs: int,
        *,
        sizes: Sequence[tuple[int, int]],
        context_size: int = 0,
        activation: Activation = torch.relu,
    ) -> None:
        super().__init__()
        upwards = tuple(reversed(channels))
        self.first = nn.Conv2d(in_channels, upwards[0], 1)
        self.blocks = nn.ModuleList(
            ResidualBlock(size, context_size, activation) for size in upwards
        )
        # a convolution of a spread map draws no checkerboards, as transposed ones do
        self.doublings = nn.ModuleList(
            nn.Conv2d(narrow, wide, 3, padding=1)
            for narrow, wide in pairwise((*upwards, upwards[-1]))
        )
        self.last = nn.Conv2d(upwards[-1], num_outputs, 3, padding=1)
        self.activation = activation
        self._sizes = list(reversed(sizes))[1:]

    def forward(
        self,
        h: Float[Tensor, "batch channels small_height small_width"],
        context: Float[Tensor, "batch features"] | None = None,
    ) -> Float[Tensor, "batch outputs height width"]:
        """(B, num_outputs, H, W) of (B, in_channels, h, w)."""
        h = self.first(h)
        for size, block, doubling in zip(self._sizes, self.blocks, self.doublings, strict=True):
            spread = functional.interpolate(block(h, context), size=size, mode="nearest")
            h = doubling(self.activation(spread))
        result: Tensor = self.last(self.activation(h))
        return result
