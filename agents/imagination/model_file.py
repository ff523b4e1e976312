"""A world model's file within an agent's."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from ...generative.world_model import WorldModel

__all__ = ["model_from_bytes", "model_to_bytes"]


def model_to_bytes(model: WorldModel) -> UInt8[np.ndarray, " bytes"]:
    """The bytes of the file that `WorldModel.save` writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        model.save(path)
        return np.frombuffer(path.read_bytes(), dtype=np.uint8).copy()


def model_from_bytes(content: UInt8[np.ndarray, " bytes"], **options: Any) -> WorldModel:
    """The world model of these bytes.

    Args:
        content: From `model_to_bytes`.
        options: Of `WorldModel.load`.

    Raises:
        ValueError: As `WorldModel.load`.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        path.write_bytes(content.tobytes())
        return WorldModel.load(path, **options)
