r"""What a planner returns, and the bound that it promises.

A planner stops when it can *prove* that its values are near the truth, not when a change looks
small: ``error_bound`` bounds :math:`\max_s |V(s) - V^*(s)|` (or :math:`V_\pi` for an evaluation).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

__all__ = ["Solution", "Sweep", "SweepWatcher", "watch"]


@dataclass(frozen=True)
class Sweep:
    """One pass over the states, as a watcher sees it.

    Attributes:
        index: Counted from 1.
        state_values: (S,) a read-only view of the values after the pass, valid during the call.
        residual: Largest change of a value in this pass.
        error_bound: Proven bound of the error that the planner's solution would have if it stopped
            here, infinite while there is none. That solution's values are these moved by a
            constant, and states that only endings enter, which stand at 0 here, get their own.
    """

    index: int
    state_values: Float64[NDArray[np.float64], " states"]
    residual: float
    error_bound: float


SweepWatcher: TypeAlias = Callable[[Sweep], None]


def watch(
    watcher: SweepWatcher | None,
    index: int,
    state_values: Float64[NDArray[np.float64], " states"],
    residual: float,
    error_bound: float,
) -> None:
    """Show a sweep to the watcher, if there is one."""
    if watcher is not None:
        view = state_values.view()
        view.flags.writeable = False
        watcher(Sweep(index, view, residual, error_bound))


@dataclass(frozen=True)
class Solution:
    """The result of a planner.

    Attributes:
        method: Which solver computed it, such as ``modified-policy-iteration``.
        discount: The discount it is for.
        state_values: (S,) values.
        action_values: (S, A) values of each action first and then the policy; -inf where masked.
        policy: (S,) greedy action of each state; the lowest of equals.
        sweeps: Passes over the states (policy improvements for policy iteration, as its docstring
            says).
        residual: Largest absolute Bellman residual of ``state_values``.
        error_bound: Proven bound of the largest error of ``state_values``.
        converged: Whether ``error_bound`` is within the tolerance that was asked for.
    """

    method: str
    discount: float
    state_values: Float64[NDArray[np.float64], " states"]
    action_values: Float64[NDArray[np.float64], "states actions"]
    policy: Int64[NDArray[np.int64], " states"]
    sweeps: int
    residual: float
    error_bound: float
    converged: bool
