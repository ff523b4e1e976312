"""Events to learn from, in three parts, and what is done to a batch of them."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["BatchOrder", "Dataset", "Events", "Preparation", "bytes_of", "split_events"]

Preparation: TypeAlias = Callable[[Tensor, "torch.Generator | None"], Tensor]


@dataclass(frozen=True)
class Events:
    """N events, each with a context or none.

    Attributes:
        x: (N, *event) as they are stored: bytes stay bytes until a batch is made of them.
        context: (N, *context) of floats, or None.

    Raises:
        TypeError: They are no tensors.
        ValueError: There are none, or not as many contexts.
    """

    x: Tensor
    context: Tensor | None = None

    def __post_init__(self) -> None:
        for name, part in (("events", self.x), ("contexts", self.context)):
            if not isinstance(part, Tensor) and (part is not None or name == "events"):
                raise TypeError(f"expected {name} as a torch.Tensor, got {type(part).__name__}")
        if self.x.dim() == 0 or not len(self.x):
            raise ValueError(f"expected at least one event, got shape {tuple(self.x.shape)}")
        if self.context is not None and self.context.shape[:1] != self.x.shape[:1]:
            raise ValueError(
                f"expected a context for each of {len(self.x)} events, got shape "
                f"{tuple(self.context.shape)}"
            )

    def __len__(self) -> int:
        return len(self.x)

    @property
    def checksum(self) -> int:
        """CRC-32 of all events and contexts: whether others are the same."""
        parts = [self.x] if self.context is None else [self.x, self.context]
        checksum = 0
        for part in parts:
            checksum = zlib.crc32(bytes_of(part).data, checksum)
        return checksum

    def take(self, indices: Tensor | slice) -> Events:
        """Those of some indices."""
        if isinstance(indices, slice):
            return Events(self.x[indices], None if self.context is None else self.context[indices])
        # a third of the time of indexing
        context = None if self.context is None else self.context.index_select(0, indices)
        return Events(self.x.index_select(0, indices), context)


@dataclass(frozen=True)
class Dataset:
    """Events to train on, to choose by, and to report on.

    Attributes:
        train: To train on.
        held_out: To stop early by and to choose settings by, or None.
        test: To report on, or None.
        prepare: Applied to every batch, on the device that computes, with the batch's noise:
            scaling, dequantisation, binarisation. None leaves events as they are.
        name: What the command line calls it.

    Raises:
        ValueError: The parts differ in the shapes of their events or contexts.
    """

    train: Events
    held_out: Events | None = None
    test: Events | None = None
    prepare: Preparation | None = None
    name: str = ""

    def __post_init__(self) -> None:
        for title, part in (("held-out", self.held_out), ("test", self.test)):
            if part is not None and _shapes(part) != _shapes(self.train):
                raise ValueError(
                    f"expected {title} events and contexts of shapes {_shapes(self.train)}, as "
                    f"those to train on, got {_shapes(part)}"
                )

    def prepared(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """A batch as a generator takes it.

        Raises:
            TypeError: The preparation gives no tensor.
            ValueError: It gives more or fewer events than it was given.
        """
        if self.prepare is None:
            return x
        found = self.prepare(x, rng)
        if not isinstance(found, Tensor):
            raise TypeError(f"expected prepared events, got {type(found).__name__}")
        if found.shape[:1] != x.shape[:1]:
            raise ValueError(
                f"expected a preparation that keeps all of {len(x)} events, got shape "
                f"{tuple(found.shape)}"
            )
        return found


def split_events(
    events: Events, *, held_out: float = 0.1, test: float = 0.1, seed: int = 0
) -> tuple[Events, Events, Events]:
    """Events to train on, held out and to test on, drawn at random.

    Args:
        events: All of them.
        held_out: Share of the second part, in (0, 1).
        test: Share of the third.
        seed: Of the draw.

    Raises:
        ValueError: A part would be empty.
    """
    num = len(events)
    sizes = [round(share * num) for share in (held_out, test)]
    if min(sizes) < 1 or sum(sizes) >= num:
        raise ValueError(
            f"expected shares that leave events in each part, got {held_out} and {test} of {num}"
        )
    order = torch.from_numpy(np.random.default_rng(seed).permutation(num))
    parts = torch.split_with_sizes(order, [num - sum(sizes), *sizes])
    train, second, third = (events.take(part) for part in parts)
    return train, second, third


class BatchOrder:
    """Which events each batch has: every epoch is a new order of all of them.

    The order depends on nothing but the arguments, so that training can go on anywhere. The events
    at an epoch's end that fill no batch are left to the next epoch's order.

    Args:
        num_events: N.
        batch_size: B; more than N gives all of them.
        seed: Of the orders.

    Example:
        >>> order = BatchOrder(5, 2, seed=0)
        >>> [order.indices(batch).tolist() for batch in range(3)]
        [[2, 4], [3, 0], [1, 4]]
    """

    def __init__(self, num_events: int, batch_size: int, *, seed: int) -> None:
        self.batch_size = min(batch_size, num_events)
        self.batches_per_epoch = num_events // self.batch_size
        self._num_events, self._seed = num_events, seed
        self._epoch, self._order = -1, np.zeros(0, dtype=np.int64)

    def indices(self, batch: int) -> NDArray[np.int64]:
        """(B,) of a batch, counted from 0 over all epochs."""
        epoch, place = divmod(batch, self.batches_per_epoch)
        if epoch != self._epoch:
            rng = np.random.default_rng([self._seed, epoch])
            self._epoch, self._order = epoch, rng.permutation(self._num_events)
        return self._order[place * self.batch_size : (place + 1) * self.batch_size]


def bytes_of(tensor: Tensor) -> NDArray[np.uint8]:
    """(M,) a tensor's numbers as they are in memory, of any dtype, also those NumPy has not.

    Example:
        >>> bytes_of(torch.ones(1, dtype=torch.bfloat16))
        array([128,  63], dtype=uint8)
    """
    own = tensor.detach().cpu().contiguous().flatten()
    return own.view(torch.uint8).numpy()


def _shapes(events: Events) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
    context = events.context
    return tuple(events.x.shape[1:]), None if context is None else tuple(context.shape[1:])
