"""What the files of all agents have in common."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from gymnasium import spaces

__all__ = ["check_same_space", "checked_seed", "damage_in", "package_versions"]

_PACKAGES = ("gymagine", "gymnasium", "numpy", "numba", "torch")


def checked_seed(seed: Any) -> int:
    """A seed; None draws one.

    Raises:
        ValueError: It is no integer of at least 0.
    """
    if seed is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"expected a seed of at least 0 or None, got {seed!r}")
    return int(seed)


def check_same_space(kind: str, saved: spaces.Space[Any], space: spaces.Space[Any]) -> None:
    """Raise a ValueError if an environment's space is not the one an agent was saved with."""
    if saved != space:
        raise ValueError(f"expected an environment with {kind} space {saved}, got {space}")


@contextmanager
def damage_in(path: str | os.PathLike[str]) -> Iterator[None]:
    """Name the file in whatever a missing or wrong part of it leads to."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
        raise ValueError(f"expected an agent, got {path}, which is damaged ({error!r})") from error


@cache
def package_versions() -> dict[str, str]:
    """Versions of the packages that decide what a checkpoint means; looked up once."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "unknown"
    return versions
