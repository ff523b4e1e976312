r"""Chunks of actions as the events of a generator, whatever its support is.

A chunk is Tp rows of a `Codec`, A entries each: normalised numbers, one-hot categories, bits. As
an event it is, for generators of

==================  ===============================================================================
real numbers        a vector of Tp A entries, or a sequence (A, Tp) for convolutions and attention
                    over time
levels 0 to K - 1   a vector of integers: one for each number, which are K places evenly from -1 to
                    1, both ends among them, and one for each category and bit
==================  ===============================================================================

Categories that are drawn as real numbers or levels go back to the most probable one by the codec.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.distributions import constraints
from torch.nn import functional

from .codec import Codec
from .codec_leaves import CodecPart
from .family import AbstractFamily

__all__ = ["ChunkCoding", "ChunkLayout", "ChunkNoise", "generator_of_chunks"]

ChunkLayout = Literal["vector", "sequence"]


class ChunkCoding:
    """Between (B, Tp, A) rows of a codec and (B, *event) events.

    Args:
        codec: Of single actions, which are vectors.
        prediction_horizon: Tp.
        layout: Of real events.
        num_levels: K, where events are levels; None where they are real numbers.
        dtype: Of levels, of which zeros and ones may be floating-point.

    Attributes:
        event_shape: Of a chunk as an event.

    Raises:
        ValueError: A category has more values than there are levels, or an action has numbers and
            there are two levels only.

    Example:
        >>> from gymnasium import spaces
        >>> coding = ChunkCoding(Codec(spaces.Box(-1, 1, (1,))), 3, num_levels=5)
        >>> coding.events(torch.tensor([[[-1.0], [0.1], [1.0]]]))
        tensor([[0, 2, 4]])
        >>> coding.rows(torch.tensor([[0, 2, 4]])).flatten()
        tensor([-1.,  0.,  1.])
    """

    def __init__(
        self,
        codec: Codec,
        prediction_horizon: int,
        *,
        layout: ChunkLayout = "vector",
        num_levels: int | None = None,
        dtype: torch.dtype = torch.int64,
    ) -> None:
        if layout not in get_args(ChunkLayout):
            raise ValueError(f"expected a layout among {get_args(ChunkLayout)}, got {layout!r}")
        self._parts, self._length = codec.parts, prediction_horizon
        self._layout, self._num_levels, self._dtype = layout, num_levels, dtype
        (self._width,) = codec.event_shape
        if num_levels is None:
            flat = (prediction_horizon * self._width,)
            sequence = (self._width, prediction_horizon)
            self.event_shape: tuple[int, ...] = flat if layout == "vector" else sequence
            return
        for part in codec.parts:
            self._check_levels(part, num_levels)
        per_action = sum(1 if p.kind == "category" else p.stop - p.start for p in codec.parts)
        self.event_shape = (prediction_horizon * per_action,)

    def _check_levels(self, part: CodecPart, num_levels: int) -> None:
        """Make sure that a part of an action can be told by so many levels."""
        num_values = part.stop - part.start
        if part.kind == "category" and num_values > num_levels:
            raise ValueError(
                f"expected at least {num_values} levels for the {num_values} values of an action, "
                f"got {num_levels}"
            )
        if part.kind in ("numbers", "bytes") and num_levels < 3:
            raise ValueError(
                "expected a generator of real numbers, or of more than two levels, for actions "
                "that are numbers, got one of zeros and ones: its hyper-parameters say (decoder, "
                "conditional)"
            )

    def events(self, rows: Float[Tensor, "batch time entries"]) -> Shaped[Tensor, "batch ..."]:
        """(B, *event) of (B, Tp, A) rows."""
        if self._num_levels is None:
            ordered = rows if self._layout == "vector" else rows.transpose(1, 2)
            return ordered.reshape(len(rows), *self.event_shape)
        levels = [self._levels(part, rows[..., part.entries]) for part in self._parts]
        return torch.cat(levels, dim=2).flatten(1).to(self._dtype)

    def rows(self, events: Shaped[Tensor, "batch ..."]) -> Float[Tensor, "batch time entries"]:
        """(B, Tp, A) rows of (B, *event)."""
        if self._num_levels is None:
            if self._layout == "vector":
                return events.view(len(events), self._length, self._width)
            return events.transpose(1, 2)
        given = events.view(len(events), self._length, -1).long()
        found, at = [], 0
        for part in self._parts:
            num = 1 if part.kind == "category" else part.stop - part.start
            found.append(self._values(part, given[..., at : at + num]))
            at += num
        return torch.cat(found, dim=2)

    def _levels(self, part: CodecPart, rows: Tensor) -> Tensor:
        assert self._num_levels is not None
        if part.kind == "category":
            return rows.argmax(dim=2, keepdim=True)
        if part.kind == "bits":
            return rows.round().long()
        share = (rows.clamp(-1, 1) + 1) / 2
        return (share * (self._num_levels - 1)).round().long()

    def _values(self, part: CodecPart, levels: Tensor) -> Tensor:
        assert self._num_levels is not None
        dtype = torch.get_default_dtype()
        if part.kind == "category":
            num_values = part.stop - part.start  # a model of more levels may draw one too many
            return functional.one_hot(levels[..., 0].clamp(max=num_values - 1), num_values).to(
                dtype
            )
        if part.kind == "bits":
            return levels.clamp(max=1).to(dtype)
        return levels.to(dtype) * (2 / (self._num_levels - 1)) - 1


@dataclass(frozen=True)
class ChunkNoise:
    """Noise on chunks while they are learnt, so that densities of what is certain stay finite.

    Attributes:
        deviations: Of each entry of an event, in the order of the flattened event.
    """

    deviations: tuple[float, ...]

    def __call__(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """(B, *event) noisy events."""
        noise = torch.randn(x.shape, generator=rng, dtype=x.dtype, device=x.device)
        return x + x.new_tensor(self.deviations).view(x.shape[1:]) * noise


def generator_of_chunks(
    make: Callable[[tuple[int, ...]], AbstractFamily],
    codec: Codec,
    prediction_horizon: int,
    layout: ChunkLayout = "vector",
) -> tuple[AbstractFamily, ChunkCoding]:
    """A generator of chunks, and how they are its events.

    Args:
        make: Constructs the generator of an event shape.
        codec: Of single actions, which are vectors.
        prediction_horizon: Tp.
        layout: Of real events.

    Raises:
        ValueError: The generator's support is neither the real numbers nor levels from 0, or its
            levels do not suffice.
    """
    coding = ChunkCoding(codec, prediction_horizon, layout=layout)
    generator = make(coding.event_shape)
    support: Any = generator.support
    if isinstance(support, type(constraints.real)):
        return generator, coding
    is_boolean = isinstance(support, type(constraints.boolean))
    if not (is_boolean or (support.is_discrete and getattr(support, "lower_bound", None) == 0)):
        raise ValueError(
            f"expected a generator of real numbers or of levels from 0, got {generator.name} of "
            f"events in {support}"
        )
    coding = ChunkCoding(
        codec,
        prediction_horizon,
        num_levels=2 if is_boolean else int(support.upper_bound) + 1,
        dtype=torch.get_default_dtype() if is_boolean else torch.int64,
    )
    return make(coding.event_shape), coding
