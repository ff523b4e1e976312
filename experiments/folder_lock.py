"""One process per folder: two that write one run would mix their checkpoints and evaluations.

The lock is the operating system's own on an open file, so that it ends with its process, however
that ends: nothing is left behind to be removed by hand after a crash. Where a file system or a
platform has no such locks, none is taken.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

__all__ = ["FolderInUseError", "folder_lock"]


class FolderInUseError(OSError):
    """Another process works in the folder."""


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Keep other processes from working in a folder, which is made where it is missing.

    Raises:
        FolderInUseError: One already does.

    Example:
        >>> import tempfile
        >>> with folder_lock(Path(tempfile.mkdtemp())):
        ...     pass
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "a", encoding="utf-8") as file:
        if not _locked(file):
            raise FolderInUseError(
                f"expected {folder} for this process alone, got one that another works in: wait "
                "for it, or take another folder or name"
            )
        yield


def _locked(file: IO[str]) -> bool:
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a network file system without locks
        return True
    return True
