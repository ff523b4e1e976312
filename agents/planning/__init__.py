"""Planners: exact solvers of a known model, each with a proven error bound."""

from typing import TYPE_CHECKING

from ...lazy_exports import export_lazily

if TYPE_CHECKING:
    from .backward_induction import backward_induction as backward_induction
    from .linear_programming import linear_programming as linear_programming
    from .modified_policy_iteration import modified_policy_iteration as modified_policy_iteration
    from .planner import BackwardInduction as BackwardInduction
    from .planner import LinearProgramming as LinearProgramming
    from .planner import ModifiedPolicyIteration as ModifiedPolicyIteration
    from .planner import PolicyIteration as PolicyIteration
    from .planner import PrioritizedSweeping as PrioritizedSweeping
    from .planner import ValueIteration as ValueIteration
    from .policy_evaluation import policy_evaluation as policy_evaluation
    from .policy_iteration import policy_iteration as policy_iteration
    from .prioritized_sweeping import prioritized_sweeping as prioritized_sweeping
    from .solution import Solution as Solution
    from .solution import Sweep as Sweep
    from .solve import solve as solve
    from .value_iteration import value_iteration as value_iteration

__all__ = [
    "BackwardInduction",
    "LinearProgramming",
    "ModifiedPolicyIteration",
    "PolicyIteration",
    "PrioritizedSweeping",
    "Solution",
    "Sweep",
    "ValueIteration",
    "backward_induction",
    "linear_programming",
    "modified_policy_iteration",
    "policy_evaluation",
    "policy_iteration",
    "prioritized_sweeping",
    "solve",
    "value_iteration",
]

__getattr__, __dir__ = export_lazily(
    __name__,
    {
        "BackwardInduction": ".planner",
        "LinearProgramming": ".planner",
        "ModifiedPolicyIteration": ".planner",
        "PolicyIteration": ".planner",
        "PrioritizedSweeping": ".planner",
        "Solution": ".solution",
        "Sweep": ".solution",
        "ValueIteration": ".planner",
        "backward_induction": ".backward_induction",
        "linear_programming": ".linear_programming",
        "modified_policy_iteration": ".modified_policy_iteration",
        "policy_evaluation": ".policy_evaluation",
        "policy_iteration": ".policy_iteration",
        "prioritized_sweeping": ".prioritized_sweeping",
        "solve": ".solve",
        "value_iteration": ".value_iteration",
    },
)
