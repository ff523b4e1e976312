"""Where networks live: the processor, or an accelerator.

Environments, memories and everything that is drawn stay on the processor, so that the same seed
draws the same on every device; what is learnt agrees to float tolerance. Networks, their targets
and their optimiser's state are on the device, and batches go there for an update. On CUDA some of
PyTorch's sums come in another order from run to run, so that equal seeds need not give equal bits.
"""

from __future__ import annotations

import dataclasses
import logging
from typing import Any, TypeVar

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

__all__ = ["array_of", "check_device", "device_for", "on_device", "with_device_there"]

_LOGGER = logging.getLogger(__name__)
_Tree = TypeVar("_Tree")
_Config = TypeVar("_Config")


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


def device_for(device: str, encoder: nn.Module) -> torch.device:
    """The device of new networks.

    Args:
        device: Its name; ``auto`` is a CUDA device, where there is one, for observations that are
            images, and the processor for all others.
        encoder: Of the networks; one without parameters reads no images.

    Raises:
        ValueError: There is no such device here.
    """
    if device == "auto":
        reads_images = any(True for _ in encoder.parameters())
        return torch.device("cuda" if reads_images and torch.cuda.is_available() else "cpu")
    if not _is_there(device):
        raise ValueError(f"expected a device that is there, got {device!r}, which PyTorch has not")
    return torch.device(device)


def with_device_there(config: _Config) -> _Config:
    """A saved agent's config, with the processor in place of a device that is not here."""
    device: str = config.device  # type: ignore[attr-defined]  # those of deep agents have one
    if device == "auto" or _is_there(device):
        return config
    _LOGGER.warning("the agent learnt on %s, which is not here: it goes on on the cpu", device)
    return dataclasses.replace(config, device="cpu")  # type: ignore[type-var]


def on_device(tree: _Tree, device: torch.device) -> _Tree:
    """Tensors of the processor, and tuples of them with None in between, on a device."""
    if device.type == "cpu":  # a dozen calls for nothing are a percent of a small update
        return tree
    if isinstance(tree, Tensor):
        return tree.to(device)  # type: ignore[return-value]  # a tensor, as it was
    if not isinstance(tree, tuple):
        return tree
    parts = [on_device(part, device) for part in tree]
    kind: Any = type(tree)
    moved: _Tree = kind(*parts) if hasattr(tree, "_fields") else kind(parts)
    return moved


def array_of(tensor: Tensor) -> NDArray[Any]:
    """A tensor's numbers, which share its memory on the processor."""
    numbers: NDArray[Any] = tensor.detach().cpu().numpy()
    return numbers


def _is_there(device: str) -> bool:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):  # what torch raises differs
        return False
    return True
