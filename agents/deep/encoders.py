r"""From observations to features: what each leaf of an observation becomes.

========================  ====================================================================
leaf                      features
========================  ====================================================================
Discrete, MultiDiscrete   one-hot, one entry for each value of each number
MultiBinary, Box          the numbers themselves, flattened; bounds are not used
Box of bytes or booleans  an image, where the shape is that of one: divided by its largest
                          bound (255 for bytes), then through convolutions
========================  ====================================================================

*Images* have three axes, (H, W, C) or (C, H, W), or four where frames are stacked, (k, H, W, C) or
(k, C, H, W): stacked frames become channels. The two axes that are equal are the picture's; where
that does not tell, the shorter of first and last holds the channels, or the last, as in a rendered
frame. Two axes (H, W) are an image from 36 x 36 on. A picture with a side below 3 is none.

*Convolutions.* Frames of at least 36 x 36 go through those of the Nature DQN: 32 8x8 filters with
stride 4, 64 4x4 with stride 2, 64 3x3 with stride 1, then 512 units. Smaller ones, such as
MinAtar's 10 x 10 or rendered grids, through MinAtar's: 16 3x3 filters, then 128 units. A ReLU
follows each.

References:
    V. Mnih et al. (2015), Human-level control through deep reinforcement learning, Nature 518,
        Methods, model architecture.
    K. Young, T. Tian (2019), MinAtar: an Atari-inspired testbed for thorough and reproducible
        reinforcement learning experiments, arXiv:1903.03176, section 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from .layers import MemberConv2d, MemberLinear

__all__ = ["Encoder", "ImageEncoder", "NumberEncoder", "OneHotEncoder", "image_axes"]

# (filters, side, stride) of each convolution, and units of the dense layer
_NATURE = ((32, 8, 4), (64, 4, 2), (64, 3, 1)), 512
_MINATAR = ((16, 3, 1),), 128
_SMALLEST_NATURE_FRAME = 36  # the third convolution needs a map of 3 x 3
_SMALLEST_FRAME = 3


class Encoder(nn.Module):
    """Encodes each leaf of an observation and puts the features side by side.

    Args:
        leaves: The leaves' spaces, as `ObservationLeaves.spaces` gives them.
        names: The leaves' names, for errors; None where there is one leaf.
        rngs: M generators, one for each member.
        dense: Whether images end in their dense layer; False leaves the flattened maps to a
            network with hidden layers of its own, such as two streams or noisy ones.
        gain: Of orthogonal weights; None for PyTorch's uniform distribution.

    Attributes:
        num_features: F, of all leaves together.

    Raises:
        ValueError: No leaf, or a space that is not a leaf; the message names it.

    Example:
        >>> rngs = [np.random.default_rng(seed) for seed in range(2)]
        >>> encoder = Encoder([spaces.Discrete(3), spaces.Box(-1, 1, (2,))], "ab", rngs=rngs)
        >>> floors, places = torch.tensor([[1], [2]]), torch.zeros(2, 1, 2)
        >>> encoder((floors, places))[1]
        tensor([[0., 0., 1., 0., 0.]])
    """

    def __init__(
        self,
        leaves: Sequence[gymnasium.Space[Any]],
        names: Sequence[str] | None = None,
        *,
        rngs: Sequence[np.random.Generator],
        dense: bool = True,
        gain: float | None = None,
    ) -> None:
        super().__init__()
        if not leaves:
            raise ValueError("expected at least one leaf of the observation space, got none")
        encoders = [
            _leaf_encoder(space, name, rngs, dense, gain)
            for space, name in zip(leaves, names or [""] * len(leaves), strict=True)
        ]
        self.leaves = nn.ModuleList(encoders)
        self.num_features = sum(encoder.num_features for encoder in encoders)

    def forward(
        self, observation: tuple[Shaped[Tensor, "members batch ..."], ...]
    ) -> Float[Tensor, "members batch features"]:
        """The features.

        Args:
            observation: The leaves, (M, B, *shape) each, in their storage dtypes, whole numbers
                counted from 0.
        """
        parts = [encode(x) for encode, x in zip(self.leaves, observation, strict=True)]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)


def _leaf_encoder(
    space: gymnasium.Space[Any],
    name: str,
    rngs: Sequence[np.random.Generator],
    dense: bool,
    gain: float | None,
) -> OneHotEncoder | NumberEncoder | ImageEncoder:
    title = f"leaf {name!r}" if name else "the leaf"
    if 0 in (space.shape or ()):
        raise ValueError(
            f"expected at least one number in {title} of the observation space, got {space}"
        )
    if isinstance(space, spaces.Discrete):
        return OneHotEncoder([int(space.n)])
    if isinstance(space, spaces.MultiDiscrete):
        return OneHotEncoder(space.nvec.flatten().tolist())
    if isinstance(space, spaces.MultiBinary):
        return NumberEncoder(int(np.prod(space.shape)))
    if isinstance(space, spaces.Box):
        if image_axes(space) is not None:
            return ImageEncoder(space, rngs=rngs, dense=dense, gain=gain)
        return NumberEncoder(int(np.prod(space.shape)))
    raise ValueError(
        f"expected a Box, Discrete, MultiDiscrete or MultiBinary as "
        f"{title} of the observation space, got {space}"
    )


class OneHotEncoder(nn.Module):
    """One-hot vectors of whole numbers, one after another.

    Args:
        sizes: How many values each number has, from 0.
    """

    number: Tensor
    value: Tensor
    unit: Tensor

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.num_features = sum(sizes)
        counts = torch.tensor(sizes)
        number = torch.arange(len(sizes)).repeat_interleave(counts)
        value = torch.cat([torch.arange(size) for size in sizes])
        self.register_buffer("number", number, persistent=False)
        self.register_buffer("value", value, persistent=False)
        _follow_dtype(self)

    def forward(
        self, x: Shaped[Tensor, "members batch ..."]
    ) -> Float[Tensor, "members batch features"]:
        """(M, B, F) ones where a number has the feature's value."""
        numbers = x.reshape(*x.shape[:2], -1)
        if numbers.shape[2] > 1:
            numbers = numbers[:, :, self.number]
        return (numbers == self.value).to(self.unit.dtype)


class NumberEncoder(nn.Module):
    """The numbers themselves, flattened.

    Args:
        num_features: How many there are.
    """

    unit: Tensor

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features
        _follow_dtype(self)

    def forward(
        self, x: Shaped[Tensor, "members batch ..."]
    ) -> Float[Tensor, "members batch features"]:
        """(M, B, F) as floats."""
        return x.reshape(*x.shape[:2], self.num_features).to(self.unit.dtype)


def _follow_dtype(module: nn.Module) -> None:
    """Give a module a buffer that ``module.double()`` converts: the dtype to compute in."""
    module.register_buffer("unit", torch.ones((), dtype=torch.float32), persistent=False)


class ImageEncoder(nn.Module):
    """Convolutions for images, chosen by their size.

    Args:
        space: A Box for which `image_axes` finds axes.
        rngs: M generators, one for each member.
        dense: Whether the dense layer follows; else the flattened maps are the features.
        gain: Of orthogonal weights; None for PyTorch's uniform distribution.

    Raises:
        ValueError: The space is not one of images.
    """

    unit: Tensor

    def __init__(
        self,
        space: spaces.Box,
        *,
        rngs: Sequence[np.random.Generator],
        dense: bool = True,
        gain: float | None = None,
    ) -> None:
        super().__init__()
        axes = image_axes(space)
        if axes is None:
            raise ValueError(f"expected a Box of images of bytes or booleans, got {space}")
        self.axes = (0, 1, *(2 + axis for axis in axes))
        self.largest = float(max(space.high.max(), 1))
        height, width = (space.shape[axis] for axis in axes[-2:])
        channels = int(np.prod(space.shape)) // (height * width)
        convolutions, units = _NATURE if min(height, width) >= _SMALLEST_NATURE_FRAME else _MINATAR
        self.convolutions = nn.ModuleList()
        for filters, side, stride in convolutions:
            self.convolutions.append(
                MemberConv2d(
                    channels, filters, kernel_size=side, stride=stride, rngs=rngs, gain=gain
                )
            )
            channels = filters
            height, width = (height - side) // stride + 1, (width - side) // stride + 1
        flat = channels * height * width
        _follow_dtype(self)
        self.dense = MemberLinear(flat, units, rngs=rngs, gain=gain) if dense else None
        self.num_features = units if dense else flat

    def forward(
        self, x: Shaped[Tensor, "members batch ..."]
    ) -> Float[Tensor, "members batch features"]:
        """(M, B, F) of (M, B, *shape) images, none negative."""
        x = x.permute(self.axes).flatten(2, -3) if len(self.axes) > 4 else self._with_channels(x)
        x = x.to(self.unit.dtype) / self.largest
        for convolution in self.convolutions:
            x = convolution(x).relu()
        x = x.flatten(2)
        return x if self.dense is None else self.dense(x).relu()

    def _with_channels(self, x: Tensor) -> Tensor:
        """(M, B, 1, H, W)."""
        return x.permute(self.axes).unsqueeze(2)


def image_axes(space: spaces.Box) -> tuple[int, ...] | None:
    """The order of axes that puts channels (if any) first, then rows, then columns.

    Returns:
        The order, of as many axes as the space has; None where it is not one of images.

    Example:
        >>> image_axes(spaces.Box(0, 255, (4, 210, 160, 3), np.uint8))
        (0, 3, 1, 2)
    """
    shape = space.shape
    if space.dtype not in (np.uint8, np.bool_) or not 2 <= len(shape) <= 4:
        return None
    if len(shape) == 2:
        return (0, 1) if min(shape) >= _SMALLEST_NATURE_FRAME else None
    first = len(shape) - 3  # of a frame's own three axes
    if _channels_first(*shape[first:]):
        axes = (first, first + 1, first + 2)
    else:
        axes = (first + 2, first, first + 1)
    if min(shape[axis] for axis in axes[1:]) < _SMALLEST_FRAME:
        return None
    return (*range(first), *axes)


def _channels_first(first: int, middle: int, last: int) -> bool:
    if (first == middle) != (middle == last):
        return middle == last
    return first < last
