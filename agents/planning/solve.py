r"""The planner that suits the model.

References:
    M. L. Puterman (1994), Markov Decision Processes, section 6.7.
"""

from __future__ import annotations

from numpy.typing import ArrayLike

from ...envs.mdp import TabularMDP
from .modified_policy_iteration import modified_policy_iteration
from .policy_iteration import policy_iteration
from .solution import Solution, SweepWatcher

__all__ = ["solve"]

_SMALL = 2000


def solve(
    mdp: TabularMDP,
    *,
    discount: float,
    tolerance: float = 1e-8,
    max_sweeps: int = 1_000_000,
    initial_values: ArrayLike | None = None,
    on_sweep: SweepWatcher | None = None,
) -> Solution:
    """Optimal values by the planner that suits the model.

    Args:
        mdp: The model.
        discount: In [0, 1]; at 1 every state's optimal total reward must be finite.
        tolerance: Largest error of a value that is accepted.
        max_sweeps: Give up after so many passes over the states.
        initial_values: (S,) values to start from, zeros by default.
        on_sweep: Called as the planner does that is chosen.

    Returns:
        The solution; ``method`` names the planner.

    Raises:
        TypeError: ``mdp`` is no `TabularMDP`.
        ValueError: An argument is out of range, or the discount is 1 and some state's optimal
            value is not finite.
    """
    small = isinstance(mdp, TabularMDP) and mdp.num_states <= _SMALL
    planner = policy_iteration if small else modified_policy_iteration
    return planner(
        mdp,
        discount=discount,
        tolerance=tolerance,
        max_sweeps=max_sweeps,
        initial_values=initial_values,
        on_sweep=on_sweep,
    )
