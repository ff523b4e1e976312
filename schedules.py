r"""Hyper-parameters that change with the number of environment steps, as plain data.

A schedule is a function of the absolute step :math:`t` (counted from 0 over the agent's whole
life, so that stopping and going on changes nothing). With :math:`f = \min(t / T, 1)`,

.. math::
    \text{constant: } x_0, \qquad \text{linear: } x_0 + f (x_T - x_0), \qquad
    \text{exponential: } x_0 (x_T / x_0)^f .
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Self, TypeAlias, get_args

import numpy as np

__all__ = ["KINDS", "Schedule", "ScheduleKind"]

ScheduleKind: TypeAlias = Literal["constant", "linear", "exponential"]
KINDS: tuple[str, ...] = get_args(ScheduleKind)
"""The kinds, in the order of their numbers in compiled loops."""


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
        if self.kind not in KINDS:
            raise ValueError(f"expected a schedule of kind {', '.join(KINDS)}, got {self.kind!r}")
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
            if kind not in KINDS:
                raise ValueError(f"there is no kind {kind}")
            final, num_steps = rest
            return cls(kind, float(initial), float(final), int(num_steps))  # type: ignore[arg-type]  # checked above
        except ValueError as error:
            raise ValueError(
                f"expected a number or kind:initial:final:num_steps with kind "
                f"{', '.join(KINDS)}, got {text!r} ({error})"
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
        if self.kind == "constant" or self.final is None:
            return self.initial
        if step >= self.num_steps:
            return self.final
        if self.kind == "linear":
            return self.initial + step * ((self.final - self.initial) / self.num_steps)
        slope = math.log(self.final / self.initial) / self.num_steps
        return self.initial * math.exp(step * slope)
