"""Gymnasium spaces as tensors that generators take, and back.

A space is a tree whose leaves are boxes of numbers (Box), categories (Discrete, MultiDiscrete) and
bits (MultiBinary). A codec makes of a batch of its values one tensor:

===================================  ==============================================================
a Box of bytes with two or three     a picture (C, H, W), bytes from ``low`` to ``high``
axes, alone
all else                             a vector (D,), leaf after leaf
===================================  ==============================================================

In a vector the numbers of a Box are normalised (see `normalisers`), those of bytes lie from
``low`` to ``high``; a category is one-hot; a bit is 0 or 1. The way back takes the most probable
category, rounds where a Box has whole numbers, and clips to the Box's bounds: any finite tensor
gives values of the space.

A codec is a module: what its normaliser has learnt is in its state, and so in checkpoints.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Literal, Self, get_args

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from .codec_leaves import CodecLeaf, leaves_of
from .normalisers import Normaliser, NormaliserName

__all__ = ["ChannelAxis", "Codec", "vector_codec"]

ChannelAxis = Literal["auto", "first", "last"]


class Codec(nn.Module):
    """Turns values of a space into one tensor each, and back.

    Args:
        space: Box, Discrete, MultiDiscrete, MultiBinary, or Dict and Tuple of these, nested as
            may be.
        low: What byte 0 becomes.
        high: What byte 255 becomes.
        channels: Where a picture has its channels; ``auto`` takes the shorter of the first and the
            last axis, and the last of equals. A picture of two axes has one channel.

    Attributes:
        space: The space.
        event_shape: Of a tensor: (D,) or (C, H, W).
        parts: What the entries of a vector are, in order (see `codec_leaves.CodecPart`).
        normaliser: Of the numbers in Boxes that are no bytes; the identity until it is `fitted`.

    Raises:
        ValueError: The space has no number, or a leaf that is no array of a fixed shape (Text,
            Graph, Sequence, OneOf); ``low`` is not below ``high``; or ``channels`` is unknown.

    Example:
        >>> space = spaces.Dict(place=spaces.Box(-1, 1, (2,)), floor=spaces.Discrete(3, start=1))
        >>> codec = Codec(space)
        >>> x = codec.encode({"place": np.array([[0.5, -1]]), "floor": np.array([3])})
        >>> [part.name for part in codec.parts], x
        (['place', 'floor'], tensor([[ 0.5000, -1.0000,  0.0000,  0.0000,  1.0000]]))
        >>> codec.decode(x)["floor"]
        array([3])
    """

    def __init__(
        self,
        space: spaces.Space[Any],
        *,
        low: float = -1.0,
        high: float = 1.0,
        channels: ChannelAxis = "auto",
    ) -> None:
        super().__init__()
        if not low < high:
            raise ValueError(f"expected low below high, got {low} and {high}")
        if channels not in get_args(ChannelAxis):
            raise ValueError(f"expected channels among {get_args(ChannelAxis)}, got {channels!r}")
        self._leaves = tuple(leaves_of(space))
        starts = np.cumsum([0, *(leaf.width for leaf in self._leaves)]).tolist()
        if not starts[-1]:
            raise ValueError(f"expected a space with at least one number, got {space}")
        self.space, self._starts, self._low, self._high = space, starts, low, high
        self.parts = tuple(
            part
            for leaf, start in zip(self._leaves, starts, strict=False)
            for part in leaf.parts(start)
        )
        self._channels_last = _channels_last(space, channels)
        self.event_shape = _event_shape(space, starts[-1], self._channels_last)
        self.normaliser = Normaliser(sum(leaf.size for leaf in self._numbers))

    @classmethod
    def fitted(
        cls,
        space: spaces.Space[Any],
        batch: Any,
        normaliser: NormaliserName = "min-max",
        **options: Any,
    ) -> Self:
        """A codec whose normaliser has seen data.

        Args:
            space: As for the codec.
            batch: (N, ...) values of the space: an array or, as the space has it, a dict or tuple
                of arrays.
            normaliser: Which.
            options: Further arguments of the codec.

        Raises:
            ValueError: The batch does not fit the space, or has NaN or infinity.

        Example:
            >>> x = np.array([[0.0], [10.0]], dtype=np.float32)
            >>> Codec.fitted(spaces.Box(-np.inf, np.inf, (1,)), x).encode(x)
            tensor([[-1.],
                    [ 1.]])
        """
        codec = cls(space, **options)
        found = [leaf.rows(batch) for leaf in codec._numbers]
        if found:
            codec.normaliser = Normaliser.fitted(_together(found), normaliser)
        return codec

    # ---- batches --------------------------------------------------------------------------------

    def encode(self, batch: Any) -> Float[Tensor, "batch ..."]:
        """Tensors of a batch of values, as a vector environment gives it.

        Args:
            batch: (N, ...) an array or, as the space has it, a dict or tuple of arrays.

        Returns:
            (N, *event) in PyTorch's default dtype, on the normaliser's device. Numbers outside
            the bounds of their Box are taken as they are.

        Raises:
            ValueError: An array is missing, has another shape, NaN or infinity (also by leaving
                the dtype's range), or a category that the space has not.
        """
        dtype, device = torch.get_default_dtype(), self.normaliser.shift.device
        rows = [leaf.rows(batch).to(device) for leaf in self._leaves]
        pairs = list(zip(self._leaves, rows, strict=True))
        normalised = self._normalised([own for leaf, own in pairs if leaf.kind == "numbers"])
        found = []
        for leaf, own in pairs:
            if leaf.kind == "numbers":
                found.append(next(normalised).to(dtype))
            elif leaf.kind == "bytes":
                found.append(self._low + (self._high - self._low) * (own.to(dtype) / 255))
            else:
                found.append((leaf.one_hot(own) if leaf.kind == "category" else own).to(dtype))
        x = _together(found)
        if not x.isfinite().all():
            raise ValueError(f"expected numbers in the range of {dtype}, got larger ones")
        return self._as_events(x)

    def decode(self, x: Float[Tensor, "batch ..."]) -> Any:
        """A batch of values of the space.

        Args:
            x: (N, *event) finite tensors.

        Returns:
            (N, ...) an array or, as the space has it, a dict or tuple of arrays, of the spaces'
            own dtypes; each of their rows is a value that the space contains.

        Raises:
            ValueError: The shape is another, or a number is not finite.
        """
        if tuple(x.shape[1:]) != self.event_shape:
            raise ValueError(
                f"expected tensors of shape (N, {', '.join(map(str, self.event_shape))}), got "
                f"{tuple(x.shape)}"
            )
        if not x.isfinite().all():
            raise ValueError("expected finite numbers, got NaN or infinity")
        rows = self._as_rows(x.detach())
        spans = pairwise(self._starts)
        pairs = list(zip(self._leaves, (rows[:, a:b] for a, b in spans), strict=True))
        restored = self._restored([own for leaf, own in pairs if leaf.kind == "numbers"])
        values = []
        for leaf, own in pairs:
            if leaf.kind == "numbers":
                values.append(leaf.values(next(restored)))
            elif leaf.kind == "bytes":
                share = (own.double() - self._low) / (self._high - self._low)
                values.append(leaf.values(255 * share))
            else:
                values.append(leaf.values(own))
        return _nested(self.space, iter(values))

    # ---- single values --------------------------------------------------------------------------

    def encode_one(self, value: Any) -> Float[Tensor, "event ..."]:
        """The (*event) tensor of a single value of the space.

        Raises:
            ValueError: As `encode`.
        """
        try:
            batch = _batched(self.space, value)
        except (KeyError, IndexError, TypeError) as error:
            raise ValueError(f"expected a value of {self.space}, got {value!r}") from error
        return self.encode(batch)[0]

    def decode_one(self, x: Float[Tensor, "event ..."]) -> Any:
        """The single value of an (*event) tensor, which the space contains.

        Raises:
            ValueError: As `decode`.
        """
        return _first(self.space, self.decode(x.unsqueeze(0)))

    # ---- inside ---------------------------------------------------------------------------------

    @property
    def _numbers(self) -> list[CodecLeaf]:
        """The leaves that are normalised."""
        return [leaf for leaf in self._leaves if leaf.kind == "numbers"]

    def _normalised(self, rows: Sequence[Tensor]) -> Iterator[Tensor]:
        """Each leaf's (N, size) numbers, normalised."""
        return self._each(self.normaliser(_together(rows))) if rows else iter(())

    def _restored(self, rows: Sequence[Tensor]) -> Iterator[Tensor]:
        """Each leaf's (N, size) numbers, as they were before."""
        return self._each(self.normaliser.inverse(_together(rows))) if rows else iter(())

    def _each(self, rows: Tensor) -> Iterator[Tensor]:
        """The columns of each leaf that is normalised."""
        ends = np.cumsum([0, *(leaf.size for leaf in self._numbers)]).tolist()
        return (rows[:, start:end] for start, end in pairwise(ends))

    def _as_events(self, rows: Tensor) -> Tensor:
        """(N, *event) of (N, D) rows in the space's own order."""
        if len(self.event_shape) == 1:
            return rows
        channels, height, width = self.event_shape
        if self._channels_last:
            return rows.view(-1, height, width, channels).permute(0, 3, 1, 2).contiguous()
        return rows.view(-1, channels, height, width)

    def _as_rows(self, x: Tensor) -> Tensor:
        """(N, D) rows in the space's own order, of (N, *event)."""
        return (x.permute(0, 2, 3, 1) if self._channels_last else x).flatten(1)


def _together(rows: Sequence[Shaped[Tensor, "batch _"]]) -> Shaped[Tensor, "batch _"]:
    lengths = [len(own) for own in rows]
    if len(set(lengths)) > 1:
        raise ValueError(f"expected leaves of one batch, got lengths {lengths}")
    return torch.cat(list(rows), dim=1) if len(rows) > 1 else rows[0]


def _channels_last(space: spaces.Space[Any], channels: ChannelAxis) -> bool:
    """Whether the space is a picture with its channels at the end."""
    if not _is_picture(space) or len(space.shape or ()) != 3:
        return False
    first, _, last = space.shape or ()
    return last <= first if channels == "auto" else channels == "last"


def _event_shape(
    space: spaces.Space[Any], num_entries: int, channels_last: bool
) -> tuple[int, ...]:
    if not _is_picture(space):
        return (num_entries,)
    shape = tuple(int(length) for length in space.shape or ())
    if len(shape) == 2:
        return (1, *shape)
    return (shape[2], *shape[:2]) if channels_last else shape


def _is_picture(space: spaces.Space[Any]) -> bool:
    is_bytes = isinstance(space, spaces.Box) and space.dtype == np.uint8
    return is_bytes and len(space.shape or ()) in (2, 3)


def _nested(space: spaces.Space[Any], values: Iterator[Any]) -> Any:
    """A batch of the values at the space's leaves, in order."""
    if isinstance(space, spaces.Dict):
        return {key: _nested(part, values) for key, part in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        return tuple([_nested(part, values) for part in space.spaces])
    return next(values)


def _batched(space: spaces.Space[Any], value: Any) -> Any:
    """A batch of one."""
    if isinstance(space, spaces.Dict):
        return {key: _batched(part, value[key]) for key, part in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(_batched(part, value[i]) for i, part in enumerate(space.spaces))
    return np.asarray(value)[None]


def _first(space: spaces.Space[Any], batch: Any) -> Any:
    """The first value of a batch."""
    if isinstance(space, spaces.Dict):
        return {key: _first(part, batch[key]) for key, part in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(_first(part, batch[i]) for i, part in enumerate(space.spaces))
    return np.asarray(batch[0]) if isinstance(space, spaces.Box) else batch[0]


def vector_codec(space: spaces.Space[Any], title: str) -> Codec:
    """A codec of a space whose values it makes vectors of, for whoever takes no pictures.

    Args:
        space: The space.
        title: What its values are, for the error.

    Raises:
        ValueError: They are pictures.

    Example:
        >>> vector_codec(spaces.Discrete(3), "action").event_shape
        (3,)
    """
    codec = Codec(space)
    if len(codec.event_shape) != 1:
        raise ValueError(f"expected {title}s that are vectors, got pictures: {space}")
    return codec
