"""What an update is given: a batch of events, and the noise that goes with it.

Both are functions of the seed and of a number, so that training can go on anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum

import numpy as np
import torch
from torch import Tensor

from .data.dataset import BatchOrder, Dataset, Events
from .devices import seed_noise
from .generator import AbstractGenerator
from .parallel_training import check_share, process_number, share_of

__all__ = ["FitBatches", "NoiseStream"]

_EVALUATED_TOGETHER, _CHECKED_TOGETHER, _SETTLED_TOGETHER = 500, 10_000, 1_000


class NoiseStream(IntEnum):
    """Streams of noise, by what they are for."""

    TRAINING = 0
    EVALUATION = 1
    INITIALISATION = 2
    SETTLING = 3
    ADJUSTMENT = 4


class FitBatches:
    """Events in batches, prepared and on the device, with PyTorch's own noise seeded for each.

    Batches are (B, *event) events and their contexts, if there are any.

    Args:
        data: All events.
        batch_size: Of all processes together.
        seed: Of order and noise.
        device: Where batches are wanted.

    Raises:
        ValueError: Processes cannot share such a batch.
    """

    def __init__(self, data: Dataset, batch_size: int, *, seed: int, device: torch.device) -> None:
        self._data, self._seed, self._device = data, seed, device
        self._order = BatchOrder(len(data.train), batch_size, seed=seed)
        check_share(self._order.batch_size)

    def check(self, generator: AbstractGenerator) -> None:
        """Make sure that a generator can learn from the events.

        Raises:
            ValueError: It cannot.
        """
        for part in (self._data.train, self._data.held_out):
            if part is None:
                continue
            self._seed_noise(NoiseStream.INITIALISATION, 1)
            for some in _in_parts(part, _CHECKED_TOGETHER):
                x = self._data.prepared(some.x.to(self._device))
                generator.check_events(x, some.context)  # contexts are checked where they are

    def share(self, number: int) -> tuple[Tensor, Tensor | None]:
        """This process's part of a training batch."""
        self._seed_noise(NoiseStream.TRAINING, number)
        indices = torch.from_numpy(share_of(self._order.indices(number)))
        return self._prepared(self._data.train.take(indices))

    def whole(self, number: int, stream: NoiseStream) -> tuple[Tensor, Tensor | None]:
        """A training batch, the same in every process."""
        self._seed_noise(stream, number)
        return self._prepared(self._data.train.take(torch.from_numpy(self._order.indices(number))))

    def settling(self, update: int) -> tuple[Tensor, Tensor | None]:
        """The batch, larger than others, that statistics are taken of after an update."""
        self._seed_noise(NoiseStream.SETTLING, update)
        order = BatchOrder(len(self._data.train), _SETTLED_TOGETHER, seed=self._seed)
        return self._prepared(self._data.train.take(torch.from_numpy(order.indices(0))))

    def held_out(self, num: int | None = None) -> Iterator[tuple[Tensor, Tensor | None]]:
        """The first held-out events, or all of them, each time with the same noise."""
        assert self._data.held_out is not None, "there are none"
        together = max(self._order.batch_size, _EVALUATED_TOGETHER)
        taken = self._data.held_out.take(slice(0, num))
        for number, events in enumerate(_in_parts(taken, together)):
            self._seed_noise(NoiseStream.EVALUATION, number)
            yield self._prepared(events)

    def _prepared(self, events: Events) -> tuple[Tensor, Tensor | None]:
        context = None if events.context is None else events.context.to(self._device)
        return self._data.prepared(events.x.to(self._device)), context

    def _seed_noise(self, stream: NoiseStream, number: int) -> None:
        # evaluations decide when to stop, which processes must do together
        own = process_number() if stream == NoiseStream.TRAINING else 0
        entropy = [self._seed, int(stream), number, own]
        seed = int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0])
        seed_noise(self._device, seed)


def _in_parts(events: Events, together: int) -> Iterator[Events]:
    for start in range(0, len(events), together):
        yield events.take(slice(start, start + together))
