r"""How large a replay memory is, before anything is allocated.

For M members with N copies of their environment each, transitions are kept C to a member; and
since they only point to observations, every observation is kept once, R to a copy. An episode of L
steps has L + 1 observations, so that C transitions need

.. math:: R = \lceil (C / N) (1 + 1 / L) \rceil + n + K

slots, where n and K are the steps of a return and the frames of a stack that may still be under
way. L is an estimate from below (``episode_length``): with shorter episodes fewer than C
transitions stay alive, down to about (L + 1) / (2 L) of C with episodes of one step; nothing else
happens.
"""

from __future__ import annotations

import logging
import math
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ...envs.arguments import real_number
from .observation_leaves import ObservationLeaves
from .sum_tree import SumTree

__all__ = [
    "ReplayLayout",
    "allocated",
    "announce",
    "available_memory",
    "check_first_stacks",
    "discounts_of",
]

_GROUP = Path("/sys/fs/cgroup")
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ReplayLayout:
    """Shapes of everything in a replay memory.

    Attributes:
        members: M.
        copies: N, of the environment, to each member.
        capacity: C, transitions to each member.
        slots: R, observations to each copy.
        n_step: n.
        frame_stack: K; 1 for observations that are no stacks.
        shapes: Of one stored observation, leaf by leaf; where K > 1 of one frame.
        dtypes: Of the leaves.
        mask_size: Actions in the mask beside each observation, 0 for no masks.
        prioritised: Whether there are priorities.
    """

    members: int
    copies: int
    capacity: int
    slots: int
    n_step: int
    frame_stack: int
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[np.dtype[np.generic], ...]
    mask_size: int
    prioritised: bool

    @classmethod
    def of(
        cls,
        leaves: ObservationLeaves,
        *,
        members: int,
        copies: int,
        capacity: int,
        n_step: int,
        frame_stack: int,
        episode_length: int,
        mask_size: int,
        prioritised: bool,
    ) -> Self:
        """The layout for observations with these leaves.

        Raises:
            ValueError: A leaf is no stack of ``frame_stack`` frames, or a ring would be too long
                for slots of 32 bits.
        """
        shapes = leaves.shapes
        if frame_stack > 1:
            for name, shape in zip(leaves.names, leaves.shapes, strict=True):
                if not shape or shape[0] != frame_stack:
                    where = f"leaf {name!r}" if name else "observations"
                    raise ValueError(
                        f"expected stacks of frame_stack={frame_stack} frames along the first "
                        f"axis, got {where} of shape {shape}"
                    )
            shapes = tuple(shape[1:] for shape in shapes)
        slots = cls.slots_for(
            capacity,
            copies,
            episode_length=episode_length,
            n_step=n_step,
            frame_stack=frame_stack,
        )
        if slots > np.iinfo(np.int32).max:
            raise ValueError(f"expected at most 2^31 - 1 slots to a copy, got {slots}")
        return cls(
            members=members,
            copies=copies,
            capacity=capacity,
            slots=slots,
            n_step=n_step,
            frame_stack=frame_stack,
            shapes=shapes,
            dtypes=leaves.dtypes,
            mask_size=mask_size,
            prioritised=prioritised,
        )

    @staticmethod
    def slots_for(
        capacity: int, copies: int, *, episode_length: int, n_step: int, frame_stack: int
    ) -> int:
        """R, by the rule above.

        Example:
            >>> ReplayLayout.slots_for(1_000, 1, episode_length=16, n_step=1, frame_stack=1)
            1065
        """
        # in whole numbers, so that a million means a million
        transitions = -(-capacity // copies)
        return transitions + -(-transitions // episode_length) + n_step + frame_stack

    @property
    def observations(self) -> dict[str, tuple[tuple[int, ...], np.dtype[np.generic]]]:
        """Shapes and dtypes of the observations, and of the masks beside them, by name."""
        ring = (self.members, self.copies, self.slots)
        found = {
            f"observations.{leaf}": ((*ring, *shape), dtype)
            for leaf, (shape, dtype) in enumerate(zip(self.shapes, self.dtypes, strict=True))
        }
        if self.mask_size:
            found["masks"] = ((*ring, self.mask_size), np.dtype(np.bool_))
        return found

    @property
    def rings(self) -> dict[str, tuple[tuple[int, ...], np.dtype[np.generic]]]:
        """Shapes and dtypes of `replay_kernels.Rings`, by name."""
        per_copy = (self.members, self.copies)
        whole, small = np.dtype(np.int64), np.dtype(np.int32)
        return {
            "counts": (per_copy, whole),
            "running": (per_copy, np.dtype(np.bool_)),
            "frames_before": ((*per_copy, self.slots), np.dtype(np.uint8)),
            "last_needs": ((*per_copy, self.slots), whole),
            "places": ((self.members, self.capacity, 4), small),
            "values": ((self.members, self.capacity, 2), np.dtype(np.float32)),
            "written": ((self.members,), whole),
            "oldest": ((self.members,), whole),
            "pending": (per_copy, whole),
            "pending_places": ((*per_copy, self.n_step, 2), small),
            "pending_values": ((*per_copy, self.n_step, 2), np.dtype(np.float64)),
        }

    @property
    def observation_bytes(self) -> int:
        """Of the observations and masks: what may lie on a disk."""
        return _bytes(self.observations)

    @property
    def nbytes(self) -> int:
        """Of everything."""
        tree = math.prod(SumTree.shape(self.members, self.capacity)) * 8 * self.prioritised
        return self.observation_bytes + _bytes(self.rings) + tree


def allocated(
    arrays: Mapping[str, tuple[tuple[int, ...], np.dtype[np.generic]]],
) -> dict[str, NDArray[Any]]:
    """Zeros in memory, of the shapes and dtypes given."""
    return {name: np.zeros(shape, dtype) for name, (shape, dtype) in arrays.items()}


def announce(layout: ReplayLayout, folder: Path | None) -> None:
    """Log how large a memory will be.

    Args:
        layout: Of the memory.
        folder: Where the observations will lie, or None for memory.

    Raises:
        ValueError: There is not so much memory, or disk; the message names both sizes.
    """
    in_memory = layout.nbytes - (layout.observation_bytes if folder else 0)
    _logger.info(
        "replay memory: %s in memory%s for %d x %d transitions (observations: %s)",
        _size(in_memory),
        f" and {_size(layout.observation_bytes)} in {folder}" if folder else "",
        layout.members,
        layout.capacity,
        _size(layout.observation_bytes),
    )
    free = available_memory()
    advice = "" if folder else ", or folder=... to keep the observations on a disk"
    if free is not None and in_memory > free:
        raise ValueError(
            f"expected a replay memory that fits into the {_size(free)} of memory available, got "
            f"{_size(in_memory)} ({in_memory} bytes) for {layout.members} x {layout.capacity} "
            f"transitions: take a smaller capacity{advice}"
        )
    if folder is not None:
        _check_disk(layout, folder)


def available_memory() -> int | None:
    """Bytes that can be had without swapping, as far as the system says; None if it does not."""
    found = [_available_to_all(), _available_to_group()]
    return min((size for size in found if size is not None), default=None)


def _available_to_all() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    for name in ("SC_AVPHYS_PAGES", "SC_PHYS_PAGES"):
        if name in os.sysconf_names:
            return os.sysconf(name) * os.sysconf("SC_PAGE_SIZE")
    return None


def _available_to_group() -> int | None:
    """What a container's limit leaves (control groups, version 2)."""
    try:
        limit = (_GROUP / "memory.max").read_text(encoding="utf-8").strip()
        used = (_GROUP / "memory.current").read_text(encoding="utf-8").strip()
        return None if limit == "max" else max(int(limit) - int(used), 0)
    except (OSError, ValueError):
        return None


def _check_disk(layout: ReplayLayout, folder: Path) -> None:
    present = sum(path.stat().st_size for path in folder.glob("*.npy")) if folder.is_dir() else 0
    place = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(place).free + present
    if layout.observation_bytes > free:
        raise ValueError(
            f"expected a replay memory that fits into the {_size(free)} free at {folder}, got "
            f"{_size(layout.observation_bytes)} ({layout.observation_bytes} bytes)"
        )


def _bytes(arrays: Mapping[str, tuple[tuple[int, ...], np.dtype[np.generic]]]) -> int:
    return sum(math.prod(shape) * dtype.itemsize for shape, dtype in arrays.values())


def _size(nbytes: int) -> str:
    size, unit = float(nbytes), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.4g} {unit}"


def discounts_of(discount: float | Sequence[float], members: int) -> NDArray[np.float64]:
    """(M,) discounts."""
    given = [discount] * members if isinstance(discount, int | float) else list(discount)
    if len(given) != members:
        raise ValueError(f"expected a discount, or {members} of them, got {len(given)}")
    return np.array([real_number(one, "discount", least=0, most=1) for one in given])


def check_first_stacks(leaves: Sequence[NDArray[Any]], begun: NDArray[np.bool_]) -> None:
    """Where an episode begins a stack holds its first frame alone, or it was padded otherwise."""
    for leaf in leaves:
        stacks = leaf[begun]
        if (stacks != stacks[:, -1:]).any():
            raise ValueError(
                "expected stacks padded with the first frame where an episode begins, as "
                "FrameStackObservation(padding_type='reset') gives them, got different frames: "
                "take frame_stack=1 for observations that are no such stacks"
            )
