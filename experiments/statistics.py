"""The statistics of comparisons in one place; each name is explained where it is written.

`intervals` holds what bounds an estimate, `aggregates` what sums up many runs, `significance` what
tells two agents apart, `learning_curves` what happens on the way.

References:
    R. Agarwal et al. (2021), Deep Reinforcement Learning at the Edge of the Statistical Precipice,
    arXiv:2108.13264.
    A. Patterson et al. (2024), Empirical Design in Reinforcement Learning, JMLR 25.
"""

from .aggregates import (
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
    probability_of_improvement_interval,
    profile_intervals,
)
from .intervals import (
    Interval,
    Statistic,
    bootstrap_interval,
    mean_interval,
    proportion_interval,
    stratified_bootstrap_interval,
)
from .learning_curves import common_grid, curve_intervals, learning_curve, steps_to_threshold
from .significance import holm_adjust, permutation_test, smallest_p_value

__all__ = [
    "Interval",
    "Statistic",
    "bootstrap_interval",
    "common_grid",
    "curve_intervals",
    "holm_adjust",
    "interquartile_mean",
    "learning_curve",
    "mean_interval",
    "performance_profile",
    "permutation_test",
    "probability_of_improvement",
    "probability_of_improvement_interval",
    "profile_intervals",
    "proportion_interval",
    "smallest_p_value",
    "steps_to_threshold",
    "stratified_bootstrap_interval",
]
