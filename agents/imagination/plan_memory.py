"""What a planning agent remembers between two calls, also as arrays that files hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray

from ...generative.world_model_state import WorldModelState
from .action_sequences import SequenceLaw

__all__ = ["PlanMemory", "memory_arrays", "memory_of"]

_STATE = ("observations", "actions", "known")


@dataclass(frozen=True)
class PlanMemory:
    """What is remembered of B episodes.

    Attributes:
        model_state: The model's.
        law: From which the last plan came.
        action: (B, ...) what was done last.
    """

    model_state: Any
    law: SequenceLaw
    action: Any


def memory_arrays(memory: PlanMemory) -> dict[str, NDArray[Any]]:
    """The arrays of a memory whose model is a `WorldModel`."""
    state = memory.model_state
    found = {f"state.{name}": getattr(state, name).cpu().numpy() for name in _STATE}
    law = {"centre": memory.law.centre, "deviation": memory.law.deviation}
    return found | law | {"action": memory.action}


def memory_of(arrays: Mapping[str, NDArray[Any]]) -> PlanMemory:
    """The memory that `memory_arrays` gave.

    Raises:
        KeyError: A part is missing.
    """
    state = WorldModelState(*(torch.from_numpy(arrays[f"state.{name}"]) for name in _STATE))
    law = SequenceLaw(arrays["centre"], arrays["deviation"])
    return PlanMemory(state, law, arrays["action"])
