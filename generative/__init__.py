"""Generative models of every family on one contract, and what trains and measures them."""

from typing import TYPE_CHECKING

if __name__ == "generative":
    raise ImportError("import gymagine.generative, not generative: a bare name copies every class")

from ..lazy_exports import export_lazily

if TYPE_CHECKING:
    from .data.dataset import Dataset as Dataset
    from .data.dataset import Events as Events
    from .generator import AbstractBound as AbstractBound
    from .generator import AbstractDensity as AbstractDensity
    from .generator import AbstractGenerator as AbstractGenerator
    from .generator import AbstractLatent as AbstractLatent
    from .training import FitResult as FitResult
    from .training import fit as fit

__all__ = [
    "AbstractBound",
    "AbstractDensity",
    "AbstractGenerator",
    "AbstractLatent",
    "Dataset",
    "Events",
    "FitResult",
    "fit",
]

__getattr__, __dir__ = export_lazily(
    __name__,
    {
        "AbstractBound": ".generator",
        "AbstractDensity": ".generator",
        "AbstractGenerator": ".generator",
        "AbstractLatent": ".generator",
        "Dataset": ".data.dataset",
        "Events": ".data.dataset",
        "FitResult": ".training",
        "fit": ".training",
    },
)
