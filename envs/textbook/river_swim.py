r"""RiverSwim: a small sure reward downstream, a large one against the current.

Six states on a line, no end. Swimming left always succeeds; in the first state it pays 5. Swimming
right mostly fails; in the last state it pays 10000 when it holds the place:

==========  ====  =====  =====
right in    back  stays  ahead
==========  ====  =====  =====
first       -     0.7    0.3
between     0.1   0.6    0.3
last        0.7   0.3    -
==========  ====  =====  =====

Always right is optimal; its stationary distribution is in the ratio
:math:`1 : 3 : 9 : 27 : 81 : 81 \cdot 3/7`, so it earns
:math:`3000 \cdot \frac{81 \cdot 3/7}{121 + 81 \cdot 3/7} = 668.8` a step.

References:
    A. L. Strehl and M. L. Littman (2008), An analysis of model-based interval estimation for
    Markov decision processes, Journal of Computer and System Sciences 74, section 5, Figure 2.
"""

from __future__ import annotations

import numpy as np

from ..arguments import whole_number
from ..grid_layout import GridLayout
from ..mdp import TabularMDP
from .entry_point import EntryPoint, VectorEntryPoint

__all__ = ["RiverSwim", "RiverSwimVector", "river_swim"]


def river_swim(
    *, num_states: int = 6, small_reward: float = 5.0, large_reward: float = 10000.0
) -> TabularMDP:
    """The model of RiverSwim; actions 0 left, 1 right.

    The paper starts in its state 1 or 2, counted from 0, with equal chances.

    Args:
        num_states: Length of the river, at least 3.
        small_reward: For left in the first state.
        large_reward: For right in the last state, when it stays there.

    Raises:
        ValueError: The river is too short.
    """
    num_states = whole_number(num_states, "num_states", least=3)
    last = num_states - 1
    outcomes = []
    for state in range(num_states):
        left = [(1.0, max(state - 1, 0), small_reward if state == 0 else 0.0, False)]
        if state == 0:
            right = [(0.7, 0, 0.0, False), (0.3, 1, 0.0, False)]
        elif state == last:
            right = [(0.7, last - 1, 0.0, False), (0.3, last, large_reward, False)]
        else:
            right = [
                (0.1, state - 1, 0.0, False),
                (0.6, state, 0.0, False),
                (0.3, state + 1, 0.0, False),
            ]
        outcomes.append([left, right])
    start = np.zeros(num_states)
    start[[1, 2]] = 0.5
    row = ".SS" + "." * (num_states - 3)
    return TabularMDP.from_outcomes(
        outcomes,
        initial_distribution=start,
        layout=GridLayout((row,), np.arange(num_states)[None], ((0, -1), (0, 1))),
        name="RiverSwim",
    )


RiverSwim = EntryPoint(river_swim)
RiverSwimVector = VectorEntryPoint(river_swim)
