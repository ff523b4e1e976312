r"""Forest management: keep an old forest for its wild life, or cut it for money.

Each year, wait (0) or cut (1). Waiting, the forest grows a class older, up to the oldest, unless a
fire, with probability p, burns it down to class 0; cutting brings it to class 0 too. Waiting in
the oldest class pays ``wait_reward``; cutting pays 1, in the oldest class ``cut_reward``, in the
youngest nothing. It never ends. For three classes, p = 0.1 and rewards 4 and 2 waiting is
optimal everywhere; with :math:`g = \gamma`,

.. math:: v_2 = v_1 + 4, \quad v_1 = v_0 (1 - 0.1 g) / (0.9 g), \quad
          v_1 = 0.1 g v_0 + 0.9 g v_2 ,

so (26.244, 29.484, 33.484) at 0.9 and (74.6496, 78.1056, 82.1056) at 0.96.

References:
    I. Chades, G. Chapron, M.-J. Cros, F. Garcia, R. Sabbadin (2014), MDPtoolbox: a multi-platform
    toolbox to solve stochastic dynamic programming problems, Ecography 37: ``mdp_example_forest``.
"""

from __future__ import annotations

from ..arguments import real_number, whole_number
from ..mdp import TabularMDP
from .entry_point import EntryPoint, VectorEntryPoint

__all__ = ["ForestManagement", "ForestManagementVector", "forest_management"]


def forest_management(
    *,
    num_ages: int = 3,
    fire_probability: float = 0.1,
    wait_reward: float = 4.0,
    cut_reward: float = 2.0,
) -> TabularMDP:
    """The model of forest management; it starts with a young forest.

    Args:
        num_ages: Classes of age, at least 2.
        fire_probability: Of a fire in a year, in [0, 1].
        wait_reward: For waiting in the oldest class.
        cut_reward: For cutting in the oldest class.

    Raises:
        ValueError: An option is out of its range.
    """
    num_ages = whole_number(num_ages, "num_ages", least=2)
    fire_probability = real_number(fire_probability, "fire_probability", least=0, most=1)
    oldest = num_ages - 1
    outcomes = []
    for age in range(num_ages):
        kept = wait_reward if age == oldest else 0.0
        wait = [
            (fire_probability, 0, kept, False),
            (1 - fire_probability, min(age + 1, oldest), kept, False),
        ]
        sold = cut_reward if age == oldest else float(age > 0)
        outcomes.append([wait, [(1.0, 0, sold, False)]])
    return TabularMDP.from_outcomes(outcomes, name="ForestManagement")


ForestManagement = EntryPoint(forest_management)
ForestManagementVector = VectorEntryPoint(forest_management)
