"""Gymnasium agents that plan, learn and imagine.

Importing this package registers the ``gymagine/...`` environments with Gymnasium and loads nothing
heavy: numba, scipy, torch, Stable-Baselines3 and matplotlib come in when something needs them.
"""

from typing import TYPE_CHECKING

from .envs.registration import register_environments
from .lazy_exports import export_lazily
from .version import __version__

if TYPE_CHECKING:
    from .agents.planning.solve import solve as solve
    from .envs.mdp import TabularMDP as TabularMDP
    from .experiments.comparison import compare as compare
    from .experiments.evaluation import evaluate as evaluate
    from .experiments.training import train as train

__all__ = ["TabularMDP", "__version__", "compare", "evaluate", "solve", "train"]

__getattr__, __dir__ = export_lazily(
    __name__,
    {
        "TabularMDP": ".envs.mdp",
        "compare": ".experiments.comparison",
        "evaluate": ".experiments.evaluation",
        "solve": ".agents.planning.solve",
        "train": ".experiments.training",
    },
)

register_environments()
