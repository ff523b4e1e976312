"""Deep agents: networks in place of tables."""

from typing import TYPE_CHECKING

from ...lazy_exports import export_lazily

if TYPE_CHECKING:
    from .configuration import DQNConfig as DQNConfig
    from .dqn import DQN as DQN

__all__ = ["DQN", "DQNConfig"]

__getattr__, __dir__ = export_lazily(__name__, {"DQN": ".dqn", "DQNConfig": ".configuration"})
