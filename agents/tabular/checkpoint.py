"""What a tabular learner's file holds besides its tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "FORMAT",
    "check_indices",
    "fill_arrays",
    "num_copies_in",
]

FORMAT = "gymagine-agent-1"
_LISTS = {"recent": "place", "traces": "num_active", "model": "num_pairs"}  # and their lengths


def fill_arrays(
    own: Mapping[str, NDArray[Any]],
    arrays: Mapping[str, NDArray[Any]],
    *,
    num_states: int,
    num_actions: int,
) -> None:
    """Write saved arrays over a learner's own, once they are known to fit.

    The parts of further copies of a vector environment may be missing on either side.

    Raises:
        ValueError: The names, shapes or kinds differ, or an index is out of range.
    """
    copies = {_copy_of(name) for name in arrays} | {""}
    lacking = {name for name in own.keys() - arrays.keys() if _copy_of(name) in copies}
    lacking |= {name for name in arrays.keys() - own.keys() if not _copy_of(name)}
    both = own.keys() & arrays.keys()
    if lacking or any(
        (own[name].shape, own[name].dtype) != (arrays[name].shape, arrays[name].dtype)
        for name in both
    ):
        raise ValueError(
            f"expected the arrays {sorted(own)}, got {sorted(arrays)}: the file is of another "
            "version"
        )
    check_indices({name: arrays[name] for name in both}, num_states, num_actions)
    for name in both:
        own[name][...] = arrays[name]


def check_indices(arrays: Mapping[str, NDArray[Any]], num_states: int, num_actions: int) -> None:
    """Refuse indices that lie outside the tables, at which compiled code would read and write.

    Args:
        arrays: The memory of a learner, by the names of `memory.named_arrays`.
        num_states: S.
        num_actions: A.

    Raises:
        ValueError: An index is out of range, so that the file is damaged or forged.
    """
    entries = num_states * num_actions
    sizes = {
        "states": num_states,
        "next_states": num_states,
        "actions": num_actions,
        "pairs": entries,
        "num_active": entries + 1,
        "num_pairs": entries + 1,
    }
    for name, array in arrays.items():
        owner, _, field = name.rpartition(".")
        size = sizes.get(field)
        if field == "place":  # steps kept, in a buffer or, without bound, in a ring
            in_buffer = owner.rpartition(".")[2] == "episode"
            size = len(arrays[f"{owner}.states"]) + 1 if in_buffer else 1 << 62
            array = array[:1]
        if array.dtype == np.int64 and (array < 0).any():
            size = size or 1 << 62  # no counter or index is negative
        if size is not None and ((array < 0) | (array >= size)).any():
            raise ValueError(
                f"expected {name} in [0, {size}), got {array.min()} to {array.max()}: the file is "
                "damaged"
            )
        if field == "random" and not array.any():
            raise ValueError(f"expected {name} of a stream, got zeros: the file is damaged")
        if field == "allowed" and not array.any(axis=-1).all():  # one would be drawn for ever
            raise ValueError(f"expected {name} of an action in every state: the file is damaged")
    for name in arrays:
        owner, _, field = name.rpartition(".")
        if owner.rpartition(".")[2] in _LISTS and field in _LISTS.values():
            _check_list({key: arrays[f"{owner}.{key}"] for key in _fields_of(arrays, owner)})


def _fields_of(arrays: Mapping[str, Any], owner: str) -> list[str]:
    return [name.rpartition(".")[2] for name in arrays if name.rpartition(".")[0] == owner]


def _check_list(part: Mapping[str, NDArray[Any]]) -> None:
    """Refuse a list of steps or entries that would grow beyond its end."""
    if "place" in part:  # of the last n steps, n - 1 at most still wait for their return
        taken, updated = part["place"].tolist()
        fits = 0 <= updated <= taken < updated + len(part["states"])
    else:
        if "known" in part:
            is_listed, listed = part["known"], part["pairs"][: part["num_pairs"][0]]
        else:
            is_listed, active = part["values"] != 0.0, part["num_active"][0]
            listed = part["states"][:active] * is_listed.shape[1] + part["actions"][:active]
        fits = np.array_equal(np.sort(listed), np.flatnonzero(is_listed))
    if not fits:
        raise ValueError(f"expected a list of what is in {sorted(part)}: the file is damaged")


def _copy_of(name: str) -> str:
    """The copy of a vector environment whose part it is; empty for the first and for tables."""
    return name.partition(".")[0] if name.startswith("copy") else ""


def num_copies_in(arrays: Mapping[str, NDArray[Any]], header: Mapping[str, Any]) -> int:
    """How many copies of its environment a learner was saved with.

    Raises:
        ValueError: The file does not hold where so many stood.
    """
    number = header.get("num_copies", 1)
    stood = len(arrays.get("interaction.states", np.zeros(1)))
    if type(number) is not int or number != stood:
        raise ValueError(
            f"expected where {number!r} copies stood, got {stood}: the file is damaged"
        )
    return number
