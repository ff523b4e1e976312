"""A world model's file within an agent's."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import UInt8

from ...generative.world_model import WorldModel
from ...storage import array_of_file, object_of_array

__all__ = ["model_from_bytes", "model_to_bytes"]


def model_to_bytes(model: WorldModel) -> UInt8[np.ndarray, " bytes"]:
    """The bytes of the file that `WorldModel.save` writes."""
    return array_of_file(model.save)


def model_from_bytes(content: UInt8[np.ndarray, " bytes"], **options: Any) -> WorldModel:
    """The world model of these bytes.

    Args:
        content: From `model_to_bytes`.
        options: Of `WorldModel.load`.

    Raises:
        ValueError: As `WorldModel.load`.
    """
    return object_of_array(content, lambda path: WorldModel.load(path, **options))
