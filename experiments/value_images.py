"""What a tabular agent thinks of a grid: state values as a heat map, its policy as arrows.

TensorBoard shows one picture per evaluation, so that a slider over steps plays the learning.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.logger import Image

from ..agents.agent import AbstractAgent
from ..envs.grid_drawing import draw_model
from ..envs.mdp import TabularMDP

__all__ = ["value_image"]


def value_image(agent: AbstractAgent, mdp: TabularMDP) -> Image | None:
    """The picture, or None for an agent without tables or a model without a grid.

    Args:
        agent: Its ``state_values`` and ``policy`` are drawn.
        mdp: The model of the environment that it learns in.
    """
    values, policy = _table(agent, "state_values"), _table(agent, "policy")
    if mdp.layout is None or values is None or policy is None:
        return None
    if values.shape[0] != mdp.num_states or policy.shape[0] != mdp.num_states:
        return None
    return Image(draw_model(mdp, state_values=values, policy=policy), "HWC")


def _table(agent: AbstractAgent, name: str) -> NDArray[Any] | None:
    table = getattr(agent, name, None)
    return table if isinstance(table, np.ndarray) else None
