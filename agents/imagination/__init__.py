"""Agents that use generators: in dreams, as policies, as planners, as memories and rewards."""

from typing import TYPE_CHECKING

from ...lazy_exports import export_lazily

if TYPE_CHECKING:
    from .dream_training import DreamSettings as DreamSettings
    from .dream_training import DreamTraining as DreamTraining
    from .dream_training import learn_in_dreams as learn_in_dreams

__all__ = [
    "DreamSettings",
    "DreamTraining",
    "learn_in_dreams",
]

__getattr__, __dir__ = export_lazily(
    __name__,
    {
        "DreamSettings": ".dream_training",
        "DreamTraining": ".dream_training",
        "learn_in_dreams": ".dream_training",
    },
)
