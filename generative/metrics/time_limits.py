"""Measuring for a while: parts of events that grow until the time is up.

A likelihood takes a microsecond of one family and a second of another. Those who measure any of
them say how long it may take, and report of how many events it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

__all__ = ["growing_parts"]

_FIRST = 10
_LEAST_SECONDS = 1e-9  # between two looks at the clock


def growing_parts(
    num: int,
    *,
    largest: int,
    max_seconds: float | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[slice]:
    """Consecutive parts of a number of things, each twice as large as the one before.

    The first is always given. Later ones are cut to what fits into the time that is left, at the
    speed of the one before. While there is time enough the parts, and so the noise that is drawn
    for them, are the same in every run.

    Args:
        num: How many there are.
        largest: Of a part.
        max_seconds: For all parts together; None gives all things, in parts of the largest size.
        clock: Seconds since any time.

    Yields:
        Slices from 0 on; what is done before the next is asked for is what takes time.

    Example:
        >>> [part.stop for part in growing_parts(100, largest=40)]
        [40, 80, 100]
        >>> [part.stop for part in growing_parts(100, largest=40, max_seconds=60.0)]
        [10, 30, 70, 100]
    """
    begun = clock()
    start, size = 0, largest if max_seconds is None else min(_FIRST, largest)
    while start < num and size > 0:
        size = min(size, num - start)
        before = clock()
        yield slice(start, start + size)
        start += size
        if max_seconds is not None:
            now = clock()
            left = max(0.0, max_seconds - (now - begun))
            fitting = int(left * size / max(now - before, _LEAST_SECONDS))
            size = min(2 * size, largest, fitting)
