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
from torch import nn

from ...generative.devices import device_named, is_there

__all__ = ["device_for", "with_device_there"]

_LOGGER = logging.getLogger(__name__)
_Config = TypeVar("_Config")


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
    return device_named(device)


def with_device_there(config: _Config) -> _Config:
    """A saved agent's config, with the processor in place of a device that is not here."""
    fields: Any = config
    device: str = fields.device
    if device == "auto" or is_there(device):
        return config
    _LOGGER.warning("the agent learnt on %s, which is not here: it goes on on the cpu", device)
    here: _Config = dataclasses.replace(fields, device="cpu")
    return here
