"""Libraries that only some data sets and tools need, and which extra brings them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["optional_library"]


def optional_library(name: str, purpose: str) -> Any:
    """Import a library that may be missing.

    Args:
        name: Of the module, such as ``sklearn.datasets``.
        purpose: What needs it, for the error.

    Raises:
        ModuleNotFoundError: It is not installed; the message says what to install.

    Example:
        >>> optional_library("json", "parsing").loads("[1]")
        [1]
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or name.partition(".")[0] != error.name.partition(".")[0]:
            raise  # it is there, and lacks something itself
        raise ModuleNotFoundError(
            f"{purpose} needs {error.name}, which is not installed: pip install 'gymagine[data]'",
            name=error.name,
        ) from error
