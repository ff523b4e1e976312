"""The hyper-parameters that tabular learners share, each declared and documented once."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from .exploration import ExplorationMethod
from .schedules import Schedule

__all__ = [
    "ControlConfig",
    "ExplorationConfig",
    "PredictionConfig",
    "TabularConfig",
    "config_from_json",
    "config_to_json",
]

ActionMasks = Literal["auto", "always", "never"]

# name: (lowest, highest, whether the lowest itself is allowed)
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

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.bool_ | np.integer | np.floating):
                value = value.item()  # JSON and kernels take Python's own
                object.__setattr__(self, field.name, value)
            if isinstance(value, str) and "Schedule" in str(field.type):
                value = Schedule.parse(value)
                object.__setattr__(self, field.name, value)
            _check(field.name, str(field.type), value)


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


def config_to_json(config: TabularConfig) -> dict[str, Any]:
    """The fields as JSON holds them: a schedule is its text."""
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    return {
        name: str(value) if isinstance(value, Schedule) else value
        for name, value in values.items()
    }


def config_from_json(config_type: type[TabularConfig], fields: dict[str, Any]) -> Any:
    """The config that `config_to_json` wrote.

    Raises:
        ValueError: A field is unknown here, so the file is of a later version.
    """
    known = {field.name for field in dataclasses.fields(config_type)}
    unknown = sorted(set(fields) - known)
    if unknown:
        raise ValueError(f"expected hyper-parameters among {sorted(known)}, got {unknown}")
    return config_type(**fields)


def _check(name: str, annotation: str, value: Any) -> None:
    if name in _CHOICES:
        if value not in _CHOICES[name]:
            raise ValueError(f"expected {name} as one of {_CHOICES[name]}, got {value!r}")
        return
    if annotation == "bool":
        if not isinstance(value, bool):
            raise ValueError(f"expected {name} as True or False, got {value!r}")
        return
    if isinstance(value, Schedule):
        ends = value.ends
    elif annotation == "int" and (isinstance(value, bool) or not isinstance(value, int)):
        raise ValueError(f"expected {name} as an integer, got {value!r}")
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"expected {name} as a number, got {value!r}")
    else:
        ends = (value, value)
    low, high, inclusive = _RANGES.get(name, (-math.inf, math.inf, False))
    inside = (ends[0] >= low if inclusive else ends[0] > low) and ends[1] <= high
    if not (inside and math.isfinite(ends[0]) and math.isfinite(ends[1])):
        bracket = "[" if inclusive else "("
        raise ValueError(f"expected {name} in {bracket}{low}, {high}], got {value}")
