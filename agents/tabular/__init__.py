"""Learners whose value functions are tables."""

from typing import TYPE_CHECKING

from ...lazy_exports import export_lazily

if TYPE_CHECKING:
    from ...schedules import Schedule as Schedule
    from .double_q_learning import DoubleQLearning as DoubleQLearning
    from .dyna_q import DynaQ as DynaQ
    from .expected_sarsa import ExpectedSARSA as ExpectedSARSA
    from .monte_carlo import MonteCarlo as MonteCarlo
    from .monte_carlo_prediction import MonteCarloPrediction as MonteCarloPrediction
    from .n_step_sarsa import NStepSARSA as NStepSARSA
    from .off_policy_monte_carlo import OffPolicyMonteCarlo as OffPolicyMonteCarlo
    from .off_policy_monte_carlo_prediction import (
        OffPolicyMonteCarloPrediction as OffPolicyMonteCarloPrediction,
    )
    from .population import learn_many as learn_many
    from .q_lambda import QLambda as QLambda
    from .q_learning import QLearning as QLearning
    from .sarsa import SARSA as SARSA
    from .sarsa_lambda import SARSALambda as SARSALambda
    from .td_prediction import TDPrediction as TDPrediction

__all__ = [
    "SARSA",
    "DoubleQLearning",
    "DynaQ",
    "ExpectedSARSA",
    "MonteCarlo",
    "MonteCarloPrediction",
    "NStepSARSA",
    "OffPolicyMonteCarlo",
    "OffPolicyMonteCarloPrediction",
    "QLambda",
    "QLearning",
    "SARSALambda",
    "Schedule",
    "TDPrediction",
    "learn_many",
]

__getattr__, __dir__ = export_lazily(
    __name__,
    {
        "DoubleQLearning": ".double_q_learning",
        "DynaQ": ".dyna_q",
        "ExpectedSARSA": ".expected_sarsa",
        "MonteCarlo": ".monte_carlo",
        "MonteCarloPrediction": ".monte_carlo_prediction",
        "NStepSARSA": ".n_step_sarsa",
        "OffPolicyMonteCarlo": ".off_policy_monte_carlo",
        "OffPolicyMonteCarloPrediction": ".off_policy_monte_carlo_prediction",
        "QLambda": ".q_lambda",
        "QLearning": ".q_learning",
        "SARSA": ".sarsa",
        "SARSALambda": ".sarsa_lambda",
        "Schedule": "...schedules",
        "TDPrediction": ".td_prediction",
        "learn_many": ".population",
    },
)
