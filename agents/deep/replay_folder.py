"""Observations of a replay memory in a folder, for memories larger than memory.

Every ring of observations is one ``.npy`` file, mapped into memory, so that the operating system
keeps what is in use and writes the rest. The folder goes on changing after a checkpoint was
written: a run that is killed and resumed finds newer observations where older ones were. So the
folder also keeps, for every copy, the largest count of observations that it has ever seen: what is
more than R before that is gone, and the transitions that need it with it. A run that ended in
order, and one whose rings were not yet full, resume exactly. A memory that begins anew in a folder
writes over what is there.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt32
from numpy.typing import NDArray

from ...storage import write_json
from .replay_kernels import COPY, OBSERVATION, Rings
from .replay_layout import ReplayLayout

__all__ = ["ReplayFolder"]

Array = NDArray[np.generic]
Integers = NDArray[np.int64]

_DESCRIPTION = "replay.json"
_FORMAT = "gymagine-replay-folder-1"


class ReplayFolder:
    """Files that hold the observations of one replay memory.

    Args:
        folder: Made where it is missing.
        layout: Of the memory; files of the same layout are opened as they are.

    Attributes:
        folder: The folder.
        arrays: The mapped arrays by name, as in `ReplayLayout.observations`.
        seen: (M, N) the largest counts of observations that the files have seen, mapped too.

    Raises:
        ValueError: The folder holds a memory of another layout, or damaged files.
        OSError: The folder or a file cannot be made.
    """

    def __init__(self, folder: Path, layout: ReplayLayout) -> None:
        self.folder = folder
        self._frame_stack = layout.frame_stack
        shapes = dict(layout.observations)
        shapes["seen"] = ((layout.members, layout.copies), np.dtype(np.int64))
        description = {
            "format": _FORMAT,
            "arrays": {name: [list(shape), str(kind)] for name, (shape, kind) in shapes.items()},
        }
        path = folder / _DESCRIPTION
        is_new = not path.exists()
        if not is_new and _description(path) != description:
            raise ValueError(
                f"expected a folder of a replay memory of this layout, got {folder}, which holds "
                "one of another: name another folder or remove it"
            )
        folder.mkdir(parents=True, exist_ok=True)
        opened = {
            name: _opened(folder / f"{name}.npy", shape, dtype, is_new=is_new)
            for name, (shape, dtype) in shapes.items()
        }
        if is_new:
            write_json(path, description)
        self.seen: Integers = opened.pop("seen").astype(np.int64, copy=False)
        self.arrays = opened

    def note(self, counts: Int64[Integers, "members copies"]) -> None:
        """Remember counts, before their observations are written."""
        np.maximum(self.seen, counts, out=self.seen)

    def begin_anew(self) -> None:
        """Forget what the files have seen: none of it will be asked for."""
        self.seen[:] = 0

    def check(self, rings: Rings, checks: UInt32[NDArray[np.uint32], "members copies"]) -> int:
        """Make sure that the files hold the observations of restored rings, and drop what is gone.

        Args:
            rings: Restored from a file; ``oldest`` rises to what is still there.
            checks: From `checksums`, when that file was written.

        Returns:
            How many transitions are gone, because the files went on after that.

        Raises:
            ValueError: The files hold something else.
        """
        ahead = self.seen - rings.counts
        # what the windows and stacks under way need must be there in any case
        room = rings.frames_before.shape[2] - rings.pending_places.shape[2] - self._frame_stack
        if (ahead < 0).any() or (checks != self.checksums(rings.counts)).any():
            raise ValueError(
                f"expected the observations of the restored replay memory in {self.folder}, got "
                "others: another run wrote there, or files are missing"
            )
        if (ahead > room).any():
            raise ValueError(
                f"expected {self.folder} at most {room} observations ahead of the restored replay "
                f"memory, got {ahead.max()}: nothing of it is left"
            )
        before = rings.oldest.copy()
        for member in range(len(before)):
            gone = self._gone(rings, member)
            if len(gone):
                rings.oldest[member] = gone[-1] + 1
        return int((rings.oldest - before).sum())

    def checksums(
        self, counts: Int64[Integers, "members copies"]
    ) -> UInt32[NDArray[np.uint32], "members copies"]:
        """(M, N) of the newest observation of each copy, 0 where there is none."""
        checks = np.zeros(counts.shape, dtype=np.uint32)
        for m, c in np.argwhere(counts > 0).tolist():
            for array in self.arrays.values():
                newest = array[m, c, (int(counts[m, c]) - 1) % array.shape[2]]
                checks[m, c] = zlib.crc32(newest.tobytes(), int(checks[m, c]))
        return checks

    def _gone(self, rings: Rings, member: int) -> Integers:
        """Transitions of which a frame has been overwritten since, in rising order."""
        numbers = np.arange(rings.oldest[member], rings.written[member])
        places = rings.places[member, numbers % rings.places.shape[1]]
        copies, slots = places[:, COPY], places[:, OBSERVATION]
        num_slots = rings.frames_before.shape[2]
        newest = rings.counts[member, copies] - 1
        frames = newest - (newest - slots) % num_slots
        frames -= rings.frames_before[member, copies, slots]
        gone: Integers = numbers[frames < self.seen[member, copies] - num_slots]
        return gone

    def flush(self) -> None:
        """Have the system write what it holds back."""
        for array in (self.seen, *self.arrays.values()):
            if isinstance(array, np.memmap):
                array.flush()


def _description(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"expected a description of a replay memory, got {path}: {error}"
        ) from error


def _opened(
    path: Path, shape: tuple[int, ...], dtype: np.dtype[np.generic], *, is_new: bool
) -> Array:
    if is_new:
        return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    try:
        array = np.lib.format.open_memmap(path, mode="r+")
    except (OSError, ValueError) as error:
        raise ValueError(f"expected a ring of observations, got {path}: {error}") from error
    if array.shape != shape or array.dtype != dtype or not array.flags.c_contiguous:
        raise ValueError(
            f"expected a ring {shape} of {dtype}, got {array.shape} of {array.dtype} in {path}"
        )
    return array
