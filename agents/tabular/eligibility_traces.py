r"""Eligibility traces over the entries of a table: which of them the latest error is news for.

After each step the trace of the visited entry is raised, every entry moves by
:math:`\alpha \delta e(s, a)`, and all traces fade,

.. math::
    e(s, a) \leftarrow \begin{cases} e(s, a) + 1 & \text{accumulating} \\ 1 & \text{replacing}
    \end{cases} \quad \text{at the visited pair}, \qquad
    e \leftarrow \gamma \lambda e \quad \text{everywhere}.

Only the entries whose trace is not zero are kept in a list, and a trace below 1e-8 is taken as
zero: what is lost is at most that share of one update.

References:
    S. P. Singh and R. S. Sutton (1996), Reinforcement Learning with Replacing Eligibility Traces,
        Machine Learning 22.
    R. S. Sutton and A. G. Barto (2018), Reinforcement Learning: An Introduction, sections 12.2
        and 12.5 (accumulating and replacing traces, equations 12.5 and 12.12 for tables).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .compilation import njit
from .schedules import StepSize, size_of_update

__all__ = ["TraceKind", "Traces", "apply_traces", "clear_traces", "no_traces", "raise_trace"]

TraceKind = Literal["accumulating", "replacing"]
_NEGLIGIBLE = 1e-8


class Traces(NamedTuple):
    """The traces of an (S, A) table; a table of state values has one column.

    Attributes:
        values: (S, A) the traces.
        states: (S * A,) rows of the entries whose trace is not zero, the first ``num_active[0]``.
        actions: (S * A,) their columns.
        num_active: (1,) how many there are.
        replacing: Whether a visit replaces the trace by 1 or adds 1.
    """

    values: NDArray[np.float64]
    states: NDArray[np.int64]
    actions: NDArray[np.int64]
    num_active: NDArray[np.int64]
    replacing: bool


def no_traces(shape: tuple[int, int], kind: TraceKind) -> Traces:
    """All zero."""
    size = shape[0] * shape[1]
    return Traces(
        values=np.zeros(shape),
        states=np.zeros(size, dtype=np.int64),
        actions=np.zeros(size, dtype=np.int64),
        num_active=np.zeros(1, dtype=np.int64),
        replacing=kind == "replacing",
    )


@njit
def clear_traces(traces: Traces) -> None:
    """Set all traces to zero."""
    for k in range(traces.num_active[0]):
        traces.values[traces.states[k], traces.actions[k]] = 0.0
    traces.num_active[0] = 0


@njit
def raise_trace(traces: Traces, state: int, action: int) -> None:
    """Note a visit of an entry."""
    trace = traces.values[state, action]
    if trace == 0.0:
        k = traces.num_active[0]
        traces.states[k] = state
        traces.actions[k] = action
        traces.num_active[0] = k + 1
    traces.values[state, action] = 1.0 if traces.replacing else trace + 1.0


@njit
def apply_traces(
    traces: Traces,
    table: NDArray[np.float64],
    num_updates: NDArray[np.int64],
    step_size: StepSize,
    step: int,
    error: float,
    decay: float,
) -> None:
    """Move every entry by its trace's share of ``error``, then fade the traces by ``decay``."""
    k = 0
    count = traces.num_active[0]
    while k < count:
        s, a = traces.states[k], traces.actions[k]
        trace = traces.values[s, a]
        alpha = size_of_update(step_size, step, num_updates[s, a])
        table[s, a] += alpha * error * trace
        trace *= decay
        if trace < _NEGLIGIBLE:
            trace = 0.0
            count -= 1
            traces.states[k] = traces.states[count]
            traces.actions[k] = traces.actions[count]
        else:
            k += 1
        traces.values[s, a] = trace
    traces.num_active[0] = count
