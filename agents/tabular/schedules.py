r"""Schedules and step sizes, as compiled loops take them.

Step sizes follow a schedule :math:`\alpha_t` (see `gymagine.schedules`) and may also fall
with the number :math:`n` of updates of the entry itself,

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
from typing import NamedTuple

from ...schedules import KINDS, Schedule
from .compilation import njit

__all__ = [
    "CompiledSchedule",
    "StepSize",
    "compile_schedule",
    "scheduled",
    "size_of_update",
]


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


def compile_schedule(schedule: float | Schedule) -> CompiledSchedule:
    """The form that compiled loops take; a number is a constant schedule."""
    if not isinstance(schedule, Schedule):
        schedule = Schedule("constant", float(schedule))
    initial = float(schedule.initial)
    final = initial if schedule.final is None else float(schedule.final)
    change = math.log(final / initial) if schedule.kind == "exponential" else final - initial
    num_steps = int(max(schedule.num_steps, 1))
    kind = KINDS.index(schedule.kind)
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
