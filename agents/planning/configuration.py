"""The settings of the planners that are agents, each declared and documented once."""

from __future__ import annotations

from dataclasses import dataclass

from ...envs.arguments import real_number, whole_number

__all__ = [
    "BackwardInductionConfig",
    "PlannerConfig",
    "PolicyIterationConfig",
    "ValueIterationConfig",
]


@dataclass(frozen=True)
class PlannerConfig:
    """What the planners of an unlimited horizon share.

    Raises:
        TypeError: A value is no number, or no whole one; the message names the field.
        ValueError: A value is out of range.
    """

    discount: float = 0.99
    """Weight of the next step's return, in [0, 1]; at 1 all optimal returns must be finite."""
    tolerance: float = 1e-8
    """Largest error of a value that is accepted; the planner proves that it is within."""
    max_sweeps: int = 1_000_000
    """Give up, with a warning, after so many passes over the states."""

    def __post_init__(self) -> None:
        tolerance = real_number(self.tolerance, "tolerance")
        if tolerance <= 0:
            raise ValueError(f"expected a tolerance above 0, got {tolerance}")
        # numpy's numbers become Python's, which JSON can hold
        object.__setattr__(self, "discount", _checked_discount(self.discount))
        object.__setattr__(self, "tolerance", tolerance)
        max_sweeps = whole_number(self.max_sweeps, "max_sweeps", least=1)
        object.__setattr__(self, "max_sweeps", max_sweeps)


@dataclass(frozen=True)
class ValueIterationConfig(PlannerConfig):
    """The settings of value iteration."""

    gauss_seidel: bool = False
    """Use each new value at once, in the order of the states."""


@dataclass(frozen=True)
class PolicyIterationConfig(PlannerConfig):
    """The settings of policy iteration."""

    max_sweeps: int = 10_000
    """Give up, with a warning, after so many improvements."""


@dataclass(frozen=True)
class BackwardInductionConfig:
    """The settings of backward induction.

    Raises:
        TypeError: A value is no number, or no whole one; the message names the field.
        ValueError: A value is out of range.
    """

    discount: float = 1.0
    """Weight of the next step's return, in [0, 1]."""
    horizon: int | None = None
    """Steps of an episode; None takes the environment's own cap."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "discount", _checked_discount(self.discount))
        if self.horizon is not None:
            horizon = whole_number(self.horizon, "a horizon", least=1)
            object.__setattr__(self, "horizon", horizon)


def _checked_discount(discount: float) -> float:
    number = real_number(discount, "a discount")
    if not 0 <= number <= 1:
        raise ValueError(f"expected a discount in [0, 1], got {discount}")
    return number
