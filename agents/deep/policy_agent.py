"""What agents with a policy network share: state values, and the policy by itself."""

from __future__ import annotations

from abc import ABC
from typing import Any

import numpy as np
from gymnasium import spaces
from jaxtyping import Float32
from numpy.typing import NDArray

from .deep_agent import AbstractDeepAgent
from .policy_export import GreedyPolicy
from .policy_gradient_members import check_policy_action_space
from .policy_learners import AbstractPolicyLearners

__all__ = ["AbstractPolicyAgent"]


class AbstractPolicyAgent(AbstractDeepAgent, ABC):
    """A deep agent that learns a policy."""

    learners: AbstractPolicyLearners

    def state_values(self, observation: Any) -> Float32[NDArray[np.float32], "*batch"]:
        """The value of one observation, (), or of a batch, (B,); 0 where none are learnt."""
        leaves, is_batch = self._read(observation)
        values = self.learners.actor.values([leaf[None] for leaf in leaves], self._member)
        return values[0] if is_batch else np.asarray(values[0, 0])

    def policy_module(self) -> GreedyPolicy:
        """See `AbstractDeepAgent.policy_module`."""
        network = self.learners.actor.network_of(self._member)
        return GreedyPolicy(network, self._leaves, self.action_space)

    @classmethod
    def _check_action_space(cls, space: spaces.Space[Any]) -> None:
        check_policy_action_space(space)
