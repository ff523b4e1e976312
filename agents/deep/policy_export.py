"""A deep agent's greedy policy by itself: as a PyTorch module, and as an ONNX file.

What an agent learnt often acts where Gymagine is not installed: on a robot, in a browser, behind a
server. The policy alone is one function, of a batch of observations as the environment gives them
to a batch of actions as it takes them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from ...storage import write_whole
from .categorical_values import expected_values
from .networks import QNetwork
from .observation_leaves import ObservationLeaves
from .policy_networks import ActorCritic, PolicyNetwork

if TYPE_CHECKING:
    from .deep_agent import AbstractDeepAgent

__all__ = ["GreedyPolicy", "export_onnx"]


class GreedyPolicy(nn.Module):
    """From a batch of observations to the actions of greatest value or probability.

    Args:
        network: Of one member.
        leaves: Of the observations.
        action_space: Of one action.
        atoms: (N,) of a Q-network's distributions, or None.
    """

    def __init__(
        self,
        network: QNetwork | PolicyNetwork | ActorCritic,
        leaves: ObservationLeaves,
        action_space: gymnasium.Space[Any],
        atoms: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self._starts = [
            torch.from_numpy(np.array(start)) if np.any(start) else None for start in leaves.starts
        ]
        self._kinds = [torch.from_numpy(np.zeros(0, dtype)).dtype for dtype in leaves.dtypes]
        self._space, self._atoms = action_space, atoms

    def forward(self, *observation: Tensor) -> Tensor:
        """(B, ...) actions.

        Args:
            observation: The leaves (B, ...) in the order of `ObservationLeaves`, with the
                environment's own numbers; one for a plain space.
        """
        stored = tuple(
            (leaf if start is None else leaf - start).to(kind).unsqueeze(0)
            for leaf, start, kind in zip(observation, self._starts, self._kinds, strict=True)
        )
        if isinstance(self.network, QNetwork):
            values: Tensor = self.network(stored)
            if self._atoms is not None:
                values = expected_values(values, self._atoms)
            return self._in_space(values.argmax(dim=-1))
        head = self.network.head if isinstance(self.network, PolicyNetwork) else None
        head = self.network.policy if isinstance(self.network, ActorCritic) else head
        assert head is not None, "one of the three"
        return self._in_space(head(self.network.encoder(stored)).mode())

    def _in_space(self, actions: Tensor) -> Tensor:
        """(B, ...) as the environment takes them."""
        space = self._space
        own = actions[0].reshape(actions.shape[1], *(space.shape or ()))
        if isinstance(space, spaces.Box):
            low, high = (torch.from_numpy(bound) for bound in (space.low, space.high))
            return own.clamp(low, high)
        if isinstance(space, spaces.Discrete):
            return own + int(space.start)
        if isinstance(space, spaces.MultiDiscrete):
            return own + torch.from_numpy(space.start)
        return own


def export_onnx(agent: AbstractDeepAgent, path: str | os.PathLike[str]) -> Path:
    """Write an agent's greedy policy to an ONNX file, whole or not at all.

    Its inputs are the leaves of the observation, ``observation`` for a plain space, each with a
    batch axis of any length; its output is ``action``.

    Args:
        agent: The agent.
        path: The file.

    Returns:
        The path.

    Raises:
        ModuleNotFoundError: A package that PyTorch needs for it is missing.

    Example:
        >>> import tempfile
        >>> from gymagine.agents.deep.dqn import DQN
        >>> path = export_onnx(DQN("CartPole-v1"), tempfile.mkdtemp() + "/policy.onnx")
        >>> path.name
        'policy.onnx'
    """
    try:
        import onnxscript  # noqa: F401  # PyTorch's exporter needs it
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "exporting needs onnx and onnxscript: pip install 'gymagine[onnx]'"
        ) from error
    leaves = ObservationLeaves(agent.observation_space)
    examples = tuple(_example(space) for space in leaves.spaces)
    names = [name or "observation" for name in leaves.names]
    batch = torch.export.Dim("batch")
    program = torch.onnx.export(
        agent.policy_module().eval(),
        examples,
        input_names=names,
        output_names=["action"],
        dynamic_shapes=(tuple({0: batch} for _ in examples),),
        dynamo=True,
        verbose=False,
    )
    assert program is not None, "the exporter gives a program"
    return write_whole(path, program.model_proto.SerializeToString())


def _example(space: spaces.Space[Any]) -> Tensor:
    """Two observations of a leaf, in the environment's own numbers."""
    kind: Sequence[Any] = [space.sample(), space.sample()]
    return torch.from_numpy(np.array(kind, dtype=space.dtype))
