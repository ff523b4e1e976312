"""Ctrl-C between two steps rather than inside one.

A run that stops wherever the signal happens to arrive cannot be resumed bit for bit. The first
SIGINT or SIGTERM therefore only sets a flag, which the run looks at several times a second; a
second one raises KeyboardInterrupt at once, and the last checkpoint stays.

A worker process outlives a parent that was killed. `ending_with_parent` sends it the same SIGTERM,
so that it saves and stops, and does not write beside the rerun.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["ending_with_parent", "interruption"]

_LOOK_EVERY = 0.5  # seconds


@contextmanager
def interruption() -> Iterator[threading.Event]:
    """A flag that is set once the process is asked to stop.

    Outside the main thread, where Python allows no signal handlers, the flag is never set.

    Example:
        >>> with interruption() as interrupted:
        ...     signal.raise_signal(signal.SIGINT)
        ...     interrupted.is_set()
        True
    """
    flag = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return

    def handle(signal_number: int, frame: FrameType | None) -> None:
        if flag.is_set():
            raise KeyboardInterrupt
        flag.set()

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def ending_with_parent(parent: int | None) -> Iterator[None]:
    """Ask this process to stop once its parent is gone.

    Args:
        parent: The process that wants the result; None, or this process itself, watches nothing.
    """
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_LOOK_EVERY):
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGTERM)
                return

    if parent in (None, os.getpid()):
        yield
        return
    watcher = threading.Thread(target=watch, name="watch-parent", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
