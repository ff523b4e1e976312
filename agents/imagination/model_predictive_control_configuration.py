"""The hyper-parameters of model-predictive control; each is declared and documented once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import get_args

from ...configuration import check_fields
from .sequence_search import PlannerName

__all__ = ["ModelPredictiveControlConfig"]

_RANGES = {
    "horizon": (1, math.inf, True),
    "num_candidates": (2, math.inf, True),
    "num_elites": (1, math.inf, True),
    "num_iterations": (1, math.inf, True),
    "discount": (0.0, 1.0, True),
    "temperature": (0.0, math.inf, False),
    "smoothing": (0.0, 1.0, True),
    "num_particles": (1, math.inf, True),
    "model_temperature": (0.0, math.inf, True),
    "disagreement_penalty": (0.0, math.inf, True),
    "num_members": (1, math.inf, True),
    "hidden_sizes": (1, math.inf, True),
    "random_steps": (1, math.inf, True),
    "refit_interval": (1, math.inf, True),
    "num_updates": (1, math.inf, True),
}
_CHOICES = {"planner": get_args(PlannerName)}


@dataclass(frozen=True)
class ModelPredictiveControlConfig:
    """Hyper-parameters of `ModelPredictiveControl`.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    planner: PlannerName = "cem"
    """How sequences are searched: cross-entropy method, path integrals, or at random."""
    horizon: int = 15
    """H, steps of a plan."""
    num_candidates: int = 200
    """Sequences of each iteration."""
    num_elites: int = 20
    """Of the candidates, to which the cross-entropy method refits."""
    num_iterations: int = 4
    """Of a search."""
    discount: float = 0.99
    """Of imagined rewards."""
    temperature: float = 0.5
    """Of path integrals, in deviations of the candidates' returns."""
    smoothing: float = 0.1
    """Share of the distribution before in each refit of the cross-entropy method."""
    num_particles: int = 1
    """Imagined episodes of each candidate, of which the mean counts."""
    model_temperature: float = 1.0
    """Of the model's draws."""
    disagreement_penalty: float = 0.0
    """Taken from imagined rewards for each deviation by which the model's members disagree."""
    num_members: int = 3
    """Of the ensemble that is learnt, where no model is given."""
    hidden_sizes: tuple[int, ...] = (100, 100)
    """Of each of its members, a conditional Gaussian."""
    random_steps: int = 500
    """Taken at random before the model is fitted first."""
    refit_interval: int = 500
    """Steps between two fits."""
    num_updates: int = 1_000
    """Of each member in each fit."""

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, _CHOICES)
        if self.num_elites > self.num_candidates:
            raise ValueError(
                f"expected num_elites of at most {self.num_candidates} candidates, got "
                f"{self.num_elites}"
            )
