"""Planners, tabular and deep learners on one interface: learn, predict, save, load."""

from typing import TYPE_CHECKING

if __name__ == "agents":
    raise ImportError("import gymagine.agents, not agents: a bare name would copy every class")

from ..lazy_exports import export_lazily

if TYPE_CHECKING:
    from ..schedules import Schedule as Schedule
    from .agent import AbstractAgent as AbstractAgent
    from .deep.a2c import A2C as A2C
    from .deep.dqn import DQN as DQN
    from .deep.population import Population as Population
    from .deep.reinforce import REINFORCE as REINFORCE
    from .imagination.decision_transformer import DecisionTransformer as DecisionTransformer
    from .imagination.generative_policy import GenerativePolicy as GenerativePolicy
    from .imagination.model_predictive_control import (
        ModelPredictiveControl as ModelPredictiveControl,
    )
    from .imagination.trajectory_planner import TrajectoryPlanner as TrajectoryPlanner
    from .planning.planner import BackwardInduction as BackwardInduction
    from .planning.planner import LinearProgramming as LinearProgramming
    from .planning.planner import ModifiedPolicyIteration as ModifiedPolicyIteration
    from .planning.planner import PolicyIteration as PolicyIteration
    from .planning.planner import PrioritizedSweeping as PrioritizedSweeping
    from .planning.planner import ValueIteration as ValueIteration
    from .random_policy import RandomPolicy as RandomPolicy
    from .tabular.double_q_learning import DoubleQLearning as DoubleQLearning
    from .tabular.dyna_q import DynaQ as DynaQ
    from .tabular.expected_sarsa import ExpectedSARSA as ExpectedSARSA
    from .tabular.monte_carlo import MonteCarlo as MonteCarlo
    from .tabular.monte_carlo_prediction import MonteCarloPrediction as MonteCarloPrediction
    from .tabular.n_step_sarsa import NStepSARSA as NStepSARSA
    from .tabular.off_policy_monte_carlo import OffPolicyMonteCarlo as OffPolicyMonteCarlo
    from .tabular.off_policy_monte_carlo_prediction import (
        OffPolicyMonteCarloPrediction as OffPolicyMonteCarloPrediction,
    )
    from .tabular.population import learn_many as learn_many
    from .tabular.q_lambda import QLambda as QLambda
    from .tabular.q_learning import QLearning as QLearning
    from .tabular.sarsa import SARSA as SARSA
    from .tabular.sarsa_lambda import SARSALambda as SARSALambda
    from .tabular.td_prediction import TDPrediction as TDPrediction

__all__ = [
    "A2C",
    "DQN",
    "REINFORCE",
    "SARSA",
    "AbstractAgent",
    "BackwardInduction",
    "DecisionTransformer",
    "DoubleQLearning",
    "DynaQ",
    "ExpectedSARSA",
    "GenerativePolicy",
    "LinearProgramming",
    "ModelPredictiveControl",
    "ModifiedPolicyIteration",
    "MonteCarlo",
    "MonteCarloPrediction",
    "NStepSARSA",
    "OffPolicyMonteCarlo",
    "OffPolicyMonteCarloPrediction",
    "PolicyIteration",
    "Population",
    "PrioritizedSweeping",
    "QLambda",
    "QLearning",
    "RandomPolicy",
    "SARSALambda",
    "Schedule",
    "TDPrediction",
    "TrajectoryPlanner",
    "ValueIteration",
    "learn_many",
]

__getattr__, __dir__ = export_lazily(
    __name__,
    {
        "A2C": ".deep.a2c",
        "AbstractAgent": ".agent",
        "BackwardInduction": ".planning.planner",
        "DQN": ".deep.dqn",
        "DecisionTransformer": ".imagination.decision_transformer",
        "DoubleQLearning": ".tabular.double_q_learning",
        "DynaQ": ".tabular.dyna_q",
        "ExpectedSARSA": ".tabular.expected_sarsa",
        "GenerativePolicy": ".imagination.generative_policy",
        "LinearProgramming": ".planning.planner",
        "ModelPredictiveControl": ".imagination.model_predictive_control",
        "ModifiedPolicyIteration": ".planning.planner",
        "MonteCarlo": ".tabular.monte_carlo",
        "MonteCarloPrediction": ".tabular.monte_carlo_prediction",
        "NStepSARSA": ".tabular.n_step_sarsa",
        "OffPolicyMonteCarlo": ".tabular.off_policy_monte_carlo",
        "OffPolicyMonteCarloPrediction": ".tabular.off_policy_monte_carlo_prediction",
        "PolicyIteration": ".planning.planner",
        "Population": ".deep.population",
        "PrioritizedSweeping": ".planning.planner",
        "QLambda": ".tabular.q_lambda",
        "QLearning": ".tabular.q_learning",
        "REINFORCE": ".deep.reinforce",
        "RandomPolicy": ".random_policy",
        "SARSA": ".tabular.sarsa",
        "SARSALambda": ".tabular.sarsa_lambda",
        "Schedule": "..schedules",
        "TDPrediction": ".tabular.td_prediction",
        "TrajectoryPlanner": ".imagination.trajectory_planner",
        "ValueIteration": ".planning.planner",
        "learn_many": ".tabular.population",
    },
)
