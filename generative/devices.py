"""Where networks live: the processor, or an accelerator."""

from __future__ import annotations

from typing import Any, TypeVar, cast

import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["array_of", "check_device", "device_named", "is_there", "on_device", "seed_noise"]

_Tree = TypeVar("_Tree")


def check_device(device: str) -> None:
    """Make sure that a text names a kind of device, whether there is one or not.

    Args:
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` and so on.

    Raises:
        ValueError: It does not.
    """
    if device == "auto":
        return
    try:
        torch.device(device)
    except RuntimeError:
        raise ValueError(
            f"expected device as auto, cpu, cuda, cuda:1 or another of torch's, got {device!r}"
        ) from None


def device_named(device: str) -> torch.device:
    """A device.

    Args:
        device: Its name; ``auto`` is a CUDA device where there is one, and the processor else.

    Raises:
        ValueError: There is no such device here.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not is_there(device):
        raise ValueError(f"expected a device that is there, got {device!r}, which PyTorch has not")
    return torch.device(device)


def on_device(tree: _Tree, device: torch.device) -> _Tree:
    """Tensors of the processor, and tuples of them with None in between, on a device."""
    if device.type == "cpu":  # a dozen calls for nothing are a percent of a small update
        return tree
    if isinstance(tree, Tensor):
        moved: _Tree = cast(Any, tree.to(device))
        return moved
    if not isinstance(tree, tuple):
        return tree
    parts = [on_device(part, device) for part in tree]
    kind: Any = type(tree)
    together: _Tree = kind(*parts) if hasattr(tree, "_fields") else kind(parts)
    return together


def array_of(tensor: Tensor) -> NDArray[Any]:
    """A tensor's numbers, which share its memory on the processor."""
    numbers: NDArray[Any] = tensor.detach().cpu().numpy()
    return numbers


def is_there(device: str) -> bool:
    """Whether PyTorch has a device of this name, whose tensors have numbers: meta's have none."""
    try:
        torch.empty(0, device=device).cpu()
    except (RuntimeError, AssertionError, ImportError):  # what torch raises differs
        return False
    return True


def seed_noise(device: torch.device, seed: int) -> None:
    """Seed torch's own generators, of the processor and of a device.

    `torch.manual_seed` does the same for every kind of device that there could be, and keeps for
    each without drivers how it was called: a tenth of a small network's update.

    Args:
        device: On which noise is drawn.
        seed: From 0 to 2**64 - 1.
    """
    if device.type not in ("cpu", "cuda"):
        torch.manual_seed(seed)
        return
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
