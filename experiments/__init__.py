"""Run records, training, evaluation, comparison, statistics, plots, the command line."""

from typing import TYPE_CHECKING

if __name__ == "experiments":
    raise ImportError("import gymagine.experiments: a bare name would copy every class")

from ..lazy_exports import export_lazily

if TYPE_CHECKING:
    from .comparison import compare as compare
    from .evaluation import evaluate as evaluate
    from .monitoring import monitor as monitor
    from .population_training import resume_population as resume_population
    from .population_training import train_population as train_population
    from .records import RunRecord as RunRecord
    from .results import Comparison as Comparison
    from .results import load_comparison as load_comparison
    from .training import resume as resume
    from .training import train as train
    from .watching import watch as watch

__all__ = [
    "Comparison",
    "RunRecord",
    "compare",
    "evaluate",
    "load_comparison",
    "monitor",
    "resume",
    "resume_population",
    "train",
    "train_population",
    "watch",
]

__getattr__, __dir__ = export_lazily(
    __name__,
    {
        "Comparison": ".results",
        "RunRecord": ".records",
        "compare": ".comparison",
        "evaluate": ".evaluation",
        "load_comparison": ".results",
        "monitor": ".monitoring",
        "resume": ".training",
        "resume_population": ".population_training",
        "train": ".training",
        "train_population": ".population_training",
        "watch": ".watching",
    },
)
