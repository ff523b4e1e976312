"""The hyper-parameters that tabular learners share, each declared and documented once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from ...configuration import check_fields
from ...schedules import Schedule
from .exploration import ExplorationMethod

__all__ = [
    "ControlConfig",
    "ExplorationConfig",
    "PredictionConfig",
    "TabularConfig",
]

ActionMasks = Literal["auto", "always", "never"]

_RANGES: dict[str, tuple[float, float, bool]] = {
    "discount": (0.0, 1.0, True),
    "step_size": (0.0, math.inf, False),
    "step_size_decay": (0.0, 1.0, True),
    "exploration_rate": (0.0, 1.0, True),
    "temperature": (0.0, math.inf, False),
    "trace_decay": (0.0, 1.0, True),
    "num_steps": (1, math.inf, True),
    "planning_steps": (0, math.inf, True),
    "exploration_bonus": (0.0, math.inf, True),
    "model_samples": (1, math.inf, True),
    "bins": (1, math.inf, True),
}
_CHOICES: dict[str, tuple[str, ...]] = {
    "exploration": get_args(ExplorationMethod),
    "action_masks": get_args(ActionMasks),
    "visits": ("first", "every"),
    "traces": ("accumulating", "replacing"),
    "importance_sampling": ("weighted", "ordinary"),
}


@dataclass(frozen=True)
class TabularConfig:
    """What every tabular learner has.

    Fields that take a `Schedule` also take its text, such as ``linear:1.0:0.05:10000``.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    discount: float = 0.99
    """Weight of the next step's return, in [0, 1]."""
    action_masks: ActionMasks = "auto"
    """Whose masks forbid actions: the model's, or info's where no model is known (auto); info's in
    any case, so that the environment is stepped (always); only the model's (never)."""
    bins: int | tuple[int, ...] = 10
    """Bins into which each dimension of continuous observations is cut, or one number for each;
    of no effect where observations are finite."""

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, _CHOICES)


@dataclass(frozen=True)
class ExplorationConfig(TabularConfig):
    """What every learner has that explores by the values of actions."""

    exploration: ExplorationMethod = "epsilon-greedy"
    """How it explores."""
    exploration_rate: float | Schedule = 0.1
    """Probability of a random action, of epsilon-greedy exploration."""
    temperature: float | Schedule = 1.0
    """Temperature of softmax exploration."""
    initial_action_value: float = 0.0
    """What every action is worth at first; a high value makes the learner try everything."""


@dataclass(frozen=True)
class ControlConfig(ExplorationConfig):
    """What every learner has that improves its own policy by steps towards a target.

    The default step size of 1 over the square root of the number of updates starts fast and
    averages noise out later: on FrozenLake, where fixed steps either learn slowly or stay noisy,
    it was the best of those tried for every one-step method (benchmarks/tabular_defaults.md).
    """

    step_size: float | Schedule = 1.0
    """Size of an update, before it falls with the number of updates."""
    step_size_decay: float = 0.5
    """Exponent with which the step size falls with the updates of an entry: 0 never, 1 average."""


@dataclass(frozen=True)
class PredictionConfig(TabularConfig):
    """What every learner has that estimates the values of a given policy."""

    step_size: float | Schedule = 1.0
    """Size of an update, before it falls with the number of updates."""
    step_size_decay: float = 0.7
    """Exponent with which the step size falls with the updates of an entry: 0 never, 1 average."""
    initial_state_value: float = 0.0
    """What every state is worth at first."""
