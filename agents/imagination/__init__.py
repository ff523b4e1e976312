"""Agents that use generators: in dreams, as policies, as planners, as memories and rewards."""

from typing import TYPE_CHECKING

from ...lazy_exports import export_lazily

if TYPE_CHECKING:
    from .adversarial_imitation import imitate_adversarially as imitate_adversarially
    from .decision_transformer import DecisionTransformer as DecisionTransformer
    from .dream_training import DreamSettings as DreamSettings
    from .dream_training import DreamTraining as DreamTraining
    from .dream_training import learn_in_dreams as learn_in_dreams
    from .generative_policy import GenerativePolicy as GenerativePolicy
    from .model_predictive_control import ModelPredictiveControl as ModelPredictiveControl
    from .synthetic_replay import SyntheticReplay as SyntheticReplay
    from .synthetic_replay import add_synthetic_replay as add_synthetic_replay
    from .synthetic_replay_buffer import SyntheticReplayBuffer as SyntheticReplayBuffer
    from .trajectory_planner import TrajectoryPlanner as TrajectoryPlanner

__all__ = [
    "DecisionTransformer",
    "DreamSettings",
    "DreamTraining",
    "GenerativePolicy",
    "ModelPredictiveControl",
    "SyntheticReplay",
    "SyntheticReplayBuffer",
    "TrajectoryPlanner",
    "add_synthetic_replay",
    "imitate_adversarially",
    "learn_in_dreams",
]

__getattr__, __dir__ = export_lazily(
    __name__,
    {
        "DecisionTransformer": ".decision_transformer",
        "DreamSettings": ".dream_training",
        "DreamTraining": ".dream_training",
        "GenerativePolicy": ".generative_policy",
        "ModelPredictiveControl": ".model_predictive_control",
        "SyntheticReplay": ".synthetic_replay",
        "SyntheticReplayBuffer": ".synthetic_replay_buffer",
        "TrajectoryPlanner": ".trajectory_planner",
        "add_synthetic_replay": ".synthetic_replay",
        "imitate_adversarially": ".adversarial_imitation",
        "learn_in_dreams": ".dream_training",
    },
)
