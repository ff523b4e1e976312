"""Deep agents: networks in place of tables."""

from typing import TYPE_CHECKING

from ...lazy_exports import export_lazily

if TYPE_CHECKING:
    from .a2c import A2C as A2C
    from .configuration import DQNConfig as DQNConfig
    from .dqn import DQN as DQN
    from .policy_export import export_onnx as export_onnx
    from .policy_gradient_configuration import A2CConfig as A2CConfig
    from .policy_gradient_configuration import REINFORCEConfig as REINFORCEConfig
    from .population import Population as Population
    from .reinforce import REINFORCE as REINFORCE

__all__ = [
    "A2C",
    "DQN",
    "REINFORCE",
    "A2CConfig",
    "DQNConfig",
    "Population",
    "REINFORCEConfig",
    "export_onnx",
]

__getattr__, __dir__ = export_lazily(
    __name__,
    {
        "A2C": ".a2c",
        "A2CConfig": ".policy_gradient_configuration",
        "DQN": ".dqn",
        "DQNConfig": ".configuration",
        "Population": ".population",
        "REINFORCE": ".reinforce",
        "REINFORCEConfig": ".policy_gradient_configuration",
        "export_onnx": ".policy_export",
    },
)
