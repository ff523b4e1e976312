r"""Hyper-parameters that change with the number of environment steps, as plain data.

A schedule is a function of the absolute step :math:`t` (counted from 0 over the agent's whole
life, so that stopping and going on changes nothing). With :math:`f = \min(t / T, 1)`,

.. math::
    \text{constant: } x_0, \qquad \text{linear: } x_0 + f (x_T - x_0), \qquad
    \text{exponential: } x_0 (x_T / x_0)^f .

Step sizes may also fall with the number :math:`n` of updates of the entry itself,

.. math:: \alpha_n = \alpha_t \, n^{-\omega},

where :math:`\omega = 0` keeps :math:`\alpha_t`, :math:`\omega = 1` averages the samples, and
:math:`1/2 < \omega \le 1` satisfies the conditions of Robbins and Monro while forgetting early
samples faster than the average does.

References:
    R. S. Sutton and A. G. Barto (2018), Reinforcement Learning: An Introduction, equation (2.7).
    E. Even-Dar and Y. Mansour (2003), Learning Rates for Q-learning, Journal of Machine Learning
        Research 5: polynomial step sizes n^-omega learn in polynomial, 1/n in exponential time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple, Self, get_args

import numpy as np

from .compilation import njit

__all__ = [
    "CompiledSchedule",
    "Schedule",
    "ScheduleKind",
    "StepSize",
    "compile_schedule",
    "scheduled",
    "size_of_update",
]

ScheduleKind = Literal["constant", "linear", "exponential"]
_KINDS: tuple[str, ...] = get_args(ScheduleKind)


class CompiledSchedule(NamedTuple):
    """A schedule as compiled loops take it.

    Attributes:
        kind: 0 constant, 1 linear, 2 exponential.
        initial: Value at step 0.
        final: Value from step ``num_steps`` on.
        slope: Change of the value, or of its logarithm, in one step.
        num_steps: Steps until the change is over.
    """

    kind: int
    initial: float
    final: float
    slope: float
    num_steps: int


@dataclass(frozen=True)
class Schedule:
    """A named schedule in absolute environment steps.

    Attributes:
        kind: "constant", "linear" or "exponential".
        initial: Value at step 0.
        final: Value from step ``num_steps`` on; a constant one leaves it None.
        num_steps: How many steps the change takes, at least 1; a constant one leaves it 0.

    Raises:
        ValueError: The fields do not fit each other; the message names the field.

    Example:
        >>> Schedule.parse("linear:1.0:0.05:10000").value(5_000)
        0.525
    """

    kind: ScheduleKind
    initial: float
    final: float | None = None
    num_steps: int = 0

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise ValueError(f"expected a schedule of kind {', '.join(_KINDS)}, got {self.kind!r}")
        self._normalise()
        if not math.isfinite(self.initial):
            raise ValueError(f"expected a finite initial value, got {self.initial}")
        if self.kind == "constant":
            if self.final not in (None, self.initial) or self.num_steps != 0:
                raise ValueError(f"expected no change in a constant schedule, got {self!r}")
            return
        if self.final is None or not math.isfinite(self.final):
            raise ValueError(f"expected a finite final value, got {self.final}")
        if self.num_steps < 1:
            raise ValueError(f"expected num_steps of at least 1, got {self.num_steps}")
        if self.kind == "exponential" and not (self.initial > 0 and self.final > 0):
            raise ValueError(
                f"expected positive ends of an exponential schedule, got {self.initial} and "
                f"{self.final}"
            )

    def _normalise(self) -> None:
        """Python's own numbers, whose text can be read again."""
        for name in ("initial", "final", "num_steps"):
            value = getattr(self, name)
            if name == "final" and value is None:
                continue
            kinds = (int, np.integer) if name == "num_steps" else (int, float, np.number)
            if isinstance(value, bool) or not isinstance(value, kinds):
                kind = "an integer" if name == "num_steps" else "a number"
                raise ValueError(f"expected {name} as {kind}, got {value!r}")
            number = int(value) if name == "num_steps" else float(value)
            object.__setattr__(self, name, number)
        if self.num_steps > np.iinfo(np.int64).max:
            raise ValueError(f"expected num_steps below 2^63, got {self.num_steps}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """The schedule of a text such as ``0.1`` or ``exponential:1:0.01:50000``.

        Raises:
            ValueError: The text is none.
        """
        parts = text.split(":")
        try:
            if len(parts) == 1:
                return cls("constant", float(text))
            kind, initial, *rest = parts
            if kind == "constant" and not rest:
                return cls("constant", float(initial))
            final, num_steps = rest
            return cls(kind, float(initial), float(final), int(num_steps))  # type: ignore[arg-type]  # checked above
        except ValueError as error:
            raise ValueError(
                f"expected a number or kind:initial:final:num_steps with kind "
                f"{', '.join(_KINDS)}, got {text!r} ({error})"
            ) from error

    def __str__(self) -> str:
        if self.kind == "constant":
            return repr(float(self.initial))
        return f"{self.kind}:{self.initial!r}:{self.final!r}:{self.num_steps}"

    @property
    def ends(self) -> tuple[float, float]:
        """The smallest and the largest value it ever has."""
        final = self.initial if self.final is None else self.final
        return min(self.initial, final), max(self.initial, final)

    def value(self, step: int) -> float:
        """The value at an absolute step."""
        return float(scheduled(compile_schedule(self), step))


def compile_schedule(schedule: float | Schedule) -> CompiledSchedule:
    """The form that compiled loops take; a number is a constant schedule."""
    if not isinstance(schedule, Schedule):
        schedule = Schedule("constant", float(schedule))
    initial = float(schedule.initial)
    final = initial if schedule.final is None else float(schedule.final)
    change = math.log(final / initial) if schedule.kind == "exponential" else final - initial
    num_steps = int(max(schedule.num_steps, 1))
    kind = _KINDS.index(schedule.kind)
    return CompiledSchedule(kind, initial, final, change / num_steps, num_steps)


@njit
def scheduled(schedule: CompiledSchedule, step: int) -> float:
    """The value at an absolute step."""
    if schedule.kind == 0:
        return schedule.initial
    if step >= schedule.num_steps:
        return schedule.final
    if schedule.kind == 1:
        return schedule.initial + step * schedule.slope
    return schedule.initial * math.exp(step * schedule.slope)


class StepSize(NamedTuple):
    """What determines the size of one update.

    Attributes:
        schedule: The step size before it falls with the number of updates.
        decay: Its exponent, omega above.
    """

    schedule: CompiledSchedule
    decay: float


@njit
def size_of_update(step_size: StepSize, step: int, num_updates: int) -> float:
    """The step size of an entry's update number ``num_updates``, counted from 1."""
    size = scheduled(step_size.schedule, step)
    if step_size.decay == 0.0:
        return size
    if step_size.decay == 0.5:
        return size / math.sqrt(num_updates)  # the default; four times as fast as a power
    if step_size.decay == 1.0:
        return size / num_updates
    return float(size * num_updates**-step_size.decay)
