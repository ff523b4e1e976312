r"""The planner that suits the model.

References:
    M. L. Puterman (1994), Markov Decision Processes, section 6.7.
"""

from __future__ import annotations

from ...envs.mdp import TabularMDP
from .modified_policy_iteration import modified_policy_iteration
from .policy_iteration import policy_iteration
from .solution import Solution, SweepWatcher

__all__ = ["solve"]


def solve(
    mdp: TabularMDP,
    *,
    discount: float,
    tolerance: float = 1e-8,
    on_sweep: SweepWatcher | None = None,
) -> Solution:
    """Optimal values by the planner that suits the model.

    Args:
        mdp: The model.
        discount: In [0, 1]; at 1 every state's optimal total reward must be finite.
        tolerance: Largest error of a value that is accepted.
        on_sweep: Called as the planner does that is chosen.

    Returns:
        The solution; ``method`` names the planner.

    Raises:
        TypeError: ``mdp`` is no `TabularMDP`.
        ValueError: An argument is out of range, or the discount is 1 and some state's optimal
            value is not finite.
    """
    if isinstance(mdp, TabularMDP) and mdp.num_states <= 2000:
        return policy_iteration(mdp, discount=discount, tolerance=tolerance, on_sweep=on_sweep)
    return modified_policy_iteration(
        mdp, discount=discount, tolerance=tolerance, on_sweep=on_sweep
    )
