"""Checkpoints of training: what was learnt, how far it went, and what it was made with."""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from types import FunctionType, MethodType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..storage import read_arrays, write_arrays
from .data.dataset import Dataset, Events, bytes_of

__all__ = [
    "FitCheckpoint",
    "FitProgress",
    "data_fingerprint",
    "events_fingerprint",
    "preparation_fingerprint",
    "read_checkpoint",
    "updates_in",
    "write_checkpoint",
]

_FORMAT = "gymagine-fit-1"

Arrays = dict[str, NDArray[Any]]


@dataclass
class FitProgress:
    """How far training went.

    Attributes:
        update: Updates taken.
        batch: Batches drawn.
        summed: Updates since the last report.
        sums: Of each phase's losses since then.
        losses: Of that report, by name.
        held_out_loss: Of the last evaluation.
        best_loss: The least of all evaluations.
        best_update: Where that was.
        evaluations_since: Evaluations since then.
        stopped_early: Whether there were too many.
    """

    update: int = 0
    batch: int = 0
    summed: int = 0
    sums: list[float] = field(default_factory=list)
    losses: dict[str, float] = field(default_factory=dict)
    held_out_loss: float | None = None
    best_loss: float = math.inf
    best_update: int | None = None
    evaluations_since: int = 0
    stopped_early: bool = False


@dataclass(frozen=True)
class FitCheckpoint:
    """What a file holds.

    Attributes:
        arrays: By part and name.
        progress: How far training went.
    """

    arrays: Arrays
    progress: FitProgress

    def part(self, name: str) -> Arrays:
        """The arrays of one part."""
        prefix = f"{name}/"
        return {
            key.removeprefix(prefix): array
            for key, array in self.arrays.items()
            if key.startswith(prefix)
        }


def write_checkpoint(
    path: str | os.PathLike[str],
    parts: Mapping[str, Arrays],
    progress: FitProgress,
    fingerprint: Mapping[str, Any],
) -> None:
    """Write a file, whole or not at all.

    Args:
        path: The file.
        parts: Arrays by part and name.
        progress: How far training went.
        fingerprint: What it was made with.
    """
    arrays = {
        f"{part}/{name}": array for part, own in parts.items() for name, array in own.items()
    }
    header = {
        "format": _FORMAT,
        "progress": dataclasses.asdict(progress),
        "fingerprint": fingerprint,
    }
    write_arrays(path, arrays, header)


def read_checkpoint(path: str | os.PathLike[str], fingerprint: Mapping[str, Any]) -> FitCheckpoint:
    """Read what `write_checkpoint` wrote.

    Args:
        path: The file.
        fingerprint: What training is made with now: ``settings`` and ``hyperparameters`` by name
            (the latter only of a family's generator), and what else must be the same.

    Raises:
        ValueError: The file is damaged, or training is made with something else now.
    """
    arrays, header = read_arrays(path, expected_format=_FORMAT)
    try:
        saved, progress = header["fingerprint"], FitProgress(**header["progress"])
        own = json.loads(json.dumps(fingerprint))  # a tuple is a list in a file
        parts = [
            (part, saved.pop(part, {}), own.pop(part, {}))
            for part in ("settings", "hyperparameters")
        ]
        for part, of_file, of_now in [("training", saved, own), *parts]:
            _compare(part, of_file, of_now, path)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"expected a checkpoint of fit, got {path}, which is damaged") from error
    return FitCheckpoint(arrays, progress)


def updates_in(path: str | os.PathLike[str]) -> int:
    """How many updates a checkpoint has seen.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged.
    """
    _, header = read_arrays(path, expected_format=_FORMAT)
    try:
        return int(header["progress"]["update"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"expected a checkpoint of fit, got {path}, which is damaged") from error


def data_fingerprint(data: Dataset) -> dict[str, str]:
    """All of data that training depends on; events to test on are not."""
    return {
        "data": events_fingerprint(data.train),
        "held-out data": events_fingerprint(data.held_out),
        "preparation of data": preparation_fingerprint(data.prepare),
    }


def events_fingerprint(events: Events | None) -> str:
    """What tells events from others: how many, of which shape and dtype, and their checksum.

    Example:
        >>> import torch
        >>> events_fingerprint(Events(torch.zeros(3, 2)))
        '3 events of shape (2,) and torch.float32, checksum a3c1ca20'
    """
    if events is None:
        return "none"
    shape, context = tuple(events.x.shape[1:]), events.context
    with_context = "" if context is None else f", contexts of shape {tuple(context.shape[1:])}"
    return (
        f"{len(events)} events of shape {shape} and {events.x.dtype}{with_context}, checksum "
        f"{events.checksum:08x}"
    )


def preparation_fingerprint(prepare: object) -> str:
    """What tells a preparation from others.

    Dataclasses are told by their type and fields, functions by their qualified name and what they
    close over, methods by their object too, partial ones by their arguments, all else by its type:
    what those hold may change while they are used. Two lambdas of one place that close over the
    same are not told apart.

    Example:
        >>> preparation_fingerprint(partial(round, ndigits=2))
        'round(ndigits=2)'
    """
    if isinstance(prepare, np.generic):
        prepare = prepare.item()
    if prepare is None or isinstance(prepare, bool | int | float | complex | str):
        return repr(prepare)
    if isinstance(prepare, tuple | list):
        return f"({', '.join(map(preparation_fingerprint, prepare))})"
    if isinstance(prepare, Mapping):
        named = [f"{key!r}: {preparation_fingerprint(value)}" for key, value in prepare.items()]
        return f"{{{', '.join(named)}}}"
    if isinstance(prepare, Tensor | np.ndarray):
        own = bytes_of(prepare) if isinstance(prepare, Tensor) else np.ascontiguousarray(prepare)
        digest = zlib.crc32(own.data)
        return f"{type(prepare).__name__} {tuple(prepare.shape)} with checksum {digest:08x}"
    if isinstance(prepare, partial):
        given = [preparation_fingerprint(value) for value in prepare.args]
        given += [f"{name}={preparation_fingerprint(v)}" for name, v in prepare.keywords.items()]
        return f"{preparation_fingerprint(prepare.func)}({', '.join(given)})"
    if dataclasses.is_dataclass(prepare) and not isinstance(prepare, type):
        fields = [
            f"{field.name}={preparation_fingerprint(getattr(prepare, field.name))}"
            for field in dataclasses.fields(prepare)
        ]
        return f"{_name(type(prepare))}({', '.join(fields)})"
    if isinstance(prepare, MethodType):
        return f"{_name(prepare)} of {preparation_fingerprint(prepare.__self__)}"
    if isinstance(prepare, FunctionType):
        closed = inspect.getclosurevars(prepare).nonlocals
        given = [
            f"{name}={'itself' if value is prepare else preparation_fingerprint(value)}"
            for name, value in closed.items()
        ]
        return f"{_name(prepare)}{' with ' if given else ''}{', '.join(given)}"
    return _name(prepare if hasattr(prepare, "__qualname__") else type(prepare))


def _name(named: Any) -> str:
    module = getattr(named, "__module__", None)
    return (
        f"{module}.{named.__qualname__}"
        if module not in (None, "builtins")
        else str(named.__qualname__)
    )


def _compare(
    what: str,
    saved: Mapping[str, Any],
    own: Mapping[str, Any],
    path: str | os.PathLike[str],
) -> None:
    for name, value in own.items():
        if saved.get(name) != value:
            raise ValueError(
                f"expected {name} of {saved.get(name)!r}, with which {path} was made, got "
                f"{value!r}: another checkpoint file is needed for other {what}"
            )
