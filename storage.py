"""Files that are written whole or not at all, and arrays in files that cannot run code.

Every file that Gymagine keeps is written to a temporary name beside its target, flushed to disk
and renamed: a reader sees the old file or the new one, never half of one, and a full disk or a
killed process loses nothing that was there before. Arrays are stored as safetensors with one JSON
header, so that loading a file from a stranger cannot execute anything (pickle can).
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["read_arrays", "write_arrays", "write_json", "write_text", "write_whole"]

_HEADER_KEY = "gymagine"


def write_whole(path: str | os.PathLike[str], content: bytes) -> Path:
    """Write ``content`` to ``path`` so that a reader never sees a part of it.

    Args:
        path: The file; missing parent folders are made.
        content: The bytes.

    Returns:
        The path written.

    Raises:
        OSError: The disk is full or the folder cannot be written; the old file is untouched.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return target


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """Write ``text`` as UTF-8, whole or not at all (see `write_whole`)."""
    return write_whole(path, text.encode("utf-8"))


def write_json(path: str | os.PathLike[str], value: Any) -> Path:
    """Write ``value`` as indented JSON, whole or not at all (see `write_whole`)."""
    return write_text(path, json.dumps(value, indent=2, allow_nan=True) + "\n")


def write_arrays(
    path: str | os.PathLike[str], arrays: Mapping[str, NDArray[Any]], header: Mapping[str, Any]
) -> Path:
    """Write named arrays and a JSON header as one safetensors file, whole or not at all.

    The bytes depend on the arrays and the header only, so equal states give equal files.

    Args:
        path: The file, written under exactly this name.
        arrays: Numeric or boolean arrays by name.
        header: What JSON can hold; ``header["format"]`` should name the kind of file.

    Returns:
        The path written.

    Raises:
        OSError: As in `write_whole`.
        TypeError: An array holds no plain numbers (but objects, say), or the header is no JSON.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save

    # not ascontiguousarray, which would turn a scalar's shape () into (1,)
    contiguous = {name: np.asarray(array, order="C") for name, array in sorted(arrays.items())}
    text = json.dumps(header, sort_keys=True)
    try:
        content = save(contiguous, metadata={_HEADER_KEY: text})
    except SafetensorError as error:
        kinds = {name: str(array.dtype) for name, array in contiguous.items()}
        raise TypeError(f"expected arrays of plain numbers, got {kinds} ({error})") from error
    return write_whole(path, content)


def read_arrays(
    path: str | os.PathLike[str], *, expected_format: str
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read a file of `write_arrays`.

    Args:
        path: The file.
        expected_format: What ``header["format"]`` must be.

    Returns:
        The arrays by name, and the header.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged, foreign (a pickle, a zip), or of another format.
    """
    from safetensors import SafetensorError, safe_open

    source = Path(path)
    if not source.is_file():
        raise FileNotFoundError(f"expected a {expected_format} file at {source}, found none")
    try:
        with safe_open(source, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}
    except SafetensorError as error:
        raise ValueError(
            f"expected a {expected_format} file, got {source}, which is damaged or of another "
            f"kind ({error})"
        ) from error
    header = _parse_header(metadata, source, expected_format)
    return arrays, header


def _parse_header(metadata: Mapping[str, str], source: Path, expected: str) -> dict[str, Any]:
    if _HEADER_KEY not in metadata:
        raise ValueError(
            f"expected a {expected} file, got {source}: safetensors, but not Gymagine's"
        )
    try:
        header = json.loads(metadata[_HEADER_KEY])
    except json.JSONDecodeError as error:
        raise ValueError(f"expected a {expected} file, got {source}: damaged header") from error
    found = header.get("format") if isinstance(header, dict) else header
    if not isinstance(header, dict) or found != expected:
        raise ValueError(f"expected a {expected} file, got {source} of {found!r}")
    return header
