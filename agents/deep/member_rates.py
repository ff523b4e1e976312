"""Hyper-parameters that change with the steps, of all members of a population."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from ...schedules import Schedule

__all__ = ["MemberRates"]


class MemberRates:
    """Numbers or schedules of M members, by step.

    Args:
        values: One for each member.
    """

    def __init__(self, values: Sequence[float | Schedule]) -> None:
        self._values = list(values)
        self._agree = all(value == self._values[0] for value in self._values)
        self._latest = np.full(len(self._values), np.nan)

    def at(self, step: int) -> Float64[NDArray[np.float64], " members"]:
        """(M,) the numbers at a step."""
        if not self._agree:
            return np.array([self.of_member(member, step) for member in range(len(self._values))])
        value = self.of_member(0, step)
        if value != self._latest[0]:
            self._latest = np.full(len(self._values), value)
        return self._latest

    def of_member(self, member: int, step: int) -> float:
        """One member's number at a step."""
        value = self._values[member]
        return value.value(step) if isinstance(value, Schedule) else float(value)
