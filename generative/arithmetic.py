"""How PyTorch computes while an agent learns, or acts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["acting_arithmetic", "learning_arithmetic"]


@contextmanager
def learning_arithmetic(num_threads: int | None) -> Iterator[None]:
    """Threads for small networks, no denormal numbers, and gradients whatever the caller has.

    A second thread hardly helps a small network, and makes it many times slower while another
    program uses the core. Denormal numbers, below 1e-38, pile up in the optimiser's means of units
    that no longer learn, and processors take many times longer for them: they count as 0 here,
    which makes Adam twice as fast. Both are put back afterwards.

    Args:
        num_threads: Of torch; None leaves them.
    """
    threads_before, flushed_before = torch.get_num_threads(), _flushes()
    if num_threads is not None:
        torch.set_num_threads(num_threads)
    torch.set_flush_denormal(True)
    try:
        with torch.enable_grad():  # the caller may be in torch.no_grad()
            yield
    finally:
        torch.set_num_threads(threads_before)
        torch.set_flush_denormal(flushed_before)


@contextmanager
def acting_arithmetic(num_threads: int | None) -> Iterator[None]:
    """Threads for small networks; they are put back afterwards.

    With two threads the logarithm of a softmax over twenty rows takes a thousand times as long
    while another program uses the second core: 3.5 ms.

    Args:
        num_threads: Of torch; None leaves them.
    """
    before = torch.get_num_threads()
    if num_threads is not None:
        torch.set_num_threads(num_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _flushes() -> bool:
    """Whether denormal numbers count as 0; torch does not tell."""
    return bool(torch.tensor(1e-38, dtype=torch.float32) * 0.01 == 0)
