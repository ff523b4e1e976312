"""Run records, training, evaluation, comparison, statistics, plots, the command line."""

from typing import TYPE_CHECKING

if __name__ == "experiments":
    raise ImportError("import gymagine.experiments: a bare name would copy every class")

from ..lazy_exports import export_lazily

if TYPE_CHECKING:
    from .comparison import compare as compare
    from .evaluation import evaluate as evaluate
    from .training import train as train

__all__ = ["compare", "evaluate", "train"]

__getattr__, __dir__ = export_lazily(
    __name__,
    {
        "compare": ".comparison",
        "evaluate": ".evaluation",
        "train": ".training",
    },
)
