"""Files that are written whole or not at all, and arrays in files that cannot run code.

Every file that Gymagine keeps is written to a temporary name beside its target, flushed to disk
and renamed: a reader sees the old file or the new one, never half of one, and a full disk or a
killed process loses nothing that was there before. Arrays are stored as safetensors with one JSON
header, so that loading a file from a stranger cannot execute anything (pickle can).
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "array_of_file",
    "object_of_array",
    "read_arrays",
    "write_arrays",
    "write_json",
    "write_text",
    "write_whole",
]

_Loaded = TypeVar("_Loaded")

_HEADER_KEY = "gymagine"
_ABANDONED_AFTER = 3600.0  # seconds


def write_whole(path: str | os.PathLike[str], content: bytes) -> Path:
    """Write ``content`` to ``path`` so that a reader never sees a part of it.

    A process killed in mid-write leaves its hidden temporary file behind. Nothing ever reads one,
    and the next write to the same target removes those that have not grown for an hour.

    Args:
        path: The file; missing parent folders are made.
        content: The bytes.

    Returns:
        The path written.

    Raises:
        OSError: The disk is full or the folder cannot be written; the old file is untouched.
        ValueError: The path has no name, as that of the working folder.
    """
    target = Path(path)
    if not target.name:
        raise ValueError(f"expected the name of a file, got {os.fspath(path)!r}")
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
    _remove_abandoned(target)
    return target


def _remove_abandoned(target: Path) -> None:
    """Remove the temporary files that killed writers of ``target`` left long ago."""
    pattern = re.compile(rf"\.{re.escape(target.name)}\.\d+-\d+\.part")
    oldest = time.time() - _ABANDONED_AFTER
    with suppress(OSError), os.scandir(target.parent) as entries:
        for entry in entries:
            # by age, not by process number: the writer may run on another machine
            if pattern.fullmatch(entry.name) and entry.stat().st_mtime < oldest:
                os.unlink(entry)


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
        ValueError: A name is no text, or is the one that the header goes by.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save

    # not ascontiguousarray, which would turn a scalar's shape () into (1,)
    _check_names(arrays)
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
            # the header first: a stranger's file may hold what numpy has no type for (bfloat16)
            header = _parse_header(file.metadata() or {}, source, expected_format)
            arrays = {name: file.get_tensor(name) for name in file.keys()}
            for name, array in arrays.items():
                if array.dtype.kind not in "biufc":  # what a package such as ml_dtypes adds
                    raise TypeError(f"{name} holds {array.dtype}")
    except (SafetensorError, TypeError, AttributeError) as error:
        raise ValueError(
            f"expected a {expected_format} file, got {source}, which is damaged or of another "
            f"kind ({error})"
        ) from error
    return arrays, header


def _check_names(arrays: Mapping[str, NDArray[Any]]) -> None:
    for name in arrays:
        if not isinstance(name, str) or name == "__metadata__":
            raise ValueError(f"expected names of arrays as text, not '__metadata__', got {name!r}")


def _parse_header(metadata: Mapping[str, str], source: Path, expected: str) -> dict[str, Any]:
    if _HEADER_KEY not in metadata:
        raise ValueError(
            f"expected a {expected} file, got {source}: safetensors, but not Gymagine's"
        )
    try:
        header = json.loads(metadata[_HEADER_KEY])
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"expected a {expected} file, got {source}: damaged header") from error
    found = header.get("format") if isinstance(header, dict) else header
    if not isinstance(header, dict) or found != expected:
        raise ValueError(f"expected a {expected} file, got {source} of {found!r}")
    return header


def array_of_file(save: Callable[[Path], object]) -> NDArray[np.uint8]:
    """The bytes of a file that something writes of itself, to be kept within another file.

    Args:
        save: Writes the file under the name that it is given.

    Example:
        >>> array_of_file(lambda path: path.write_bytes(b"ab"))
        array([97, 98], dtype=uint8)
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "content"
        save(path)
        return np.frombuffer(path.read_bytes(), dtype=np.uint8).copy()


def object_of_array(content: NDArray[np.uint8], load: Callable[[Path], _Loaded]) -> _Loaded:
    """What is read from the bytes of a file; the reverse of `array_of_file`.

    Args:
        content: The bytes.
        load: Reads the file of the name that it is given.

    Example:
        >>> object_of_array(np.array([97, 98], dtype=np.uint8), lambda path: path.read_bytes())
        b'ab'
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "content"
        path.write_bytes(content.tobytes())
        return load(path)
