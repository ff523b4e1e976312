"""What the learners of policies share: how all members act, and value what they see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from jaxtyping import Bool, Float32
from numpy.typing import NDArray

from .flat_parameters import FlatParameters
from .member_learners import AbstractMemberLearners
from .member_rates import MemberRates
from .member_steps import AbstractMemberSteps
from .member_streams import Streams
from .policy_actor import PolicyActor
from .policy_gradient_configuration import A2CConfig, REINFORCEConfig

__all__ = ["AbstractPolicyLearners"]

Array = NDArray[Any]
Leaves = tuple[Array, ...]
Masks = NDArray[np.bool_]


class AbstractPolicyLearners(AbstractMemberLearners):
    """M members with a policy each (see `AbstractMemberLearners`).

    Args:
        flat: The parameters of all members.
        configs: Of each member; they differ in what changes no shapes.
        action_space: Of one action.
        steps: The environments of all rows; None for learners that only act.
        streams: The members' random numbers.
        num_rows: R.

    Attributes:
        actor: Acts.
    """

    def __init__(
        self,
        flat: FlatParameters,
        configs: Sequence[A2CConfig] | Sequence[REINFORCEConfig],
        action_space: gymnasium.Space[Any],
        steps: AbstractMemberSteps | None,
        streams: Streams,
        num_rows: int,
    ) -> None:
        super().__init__(steps, streams, num_rows)
        self.actor = PolicyActor(flat, action_space)
        self._scales = np.repeat([c.reward_scale for c in configs], num_rows // len(configs))
        self._rates = MemberRates([config.learning_rate for config in configs])

    def choose(
        self,
        member: int,
        leaves: Leaves,
        masks: Bool[Masks, "batch actions"] | None,
        deterministic: bool,
    ) -> Array:
        """(B, ...) a member's actions (see `AbstractMemberLearners`)."""
        streams = None if deterministic else self.streams.prediction
        return self.actor.choose(member, leaves, masks, streams)

    def _draw(self, leaves: Leaves, masks: Masks | None) -> tuple[Array, Array]:
        """(M, N, ...) latents, and (R, ...) actions in the environment's own terms."""
        allowed = None if masks is None else self._of_members(masks)
        seen = [self._of_members(leaf) for leaf in leaves]
        return self.actor.draw(seen, allowed, self.streams.acting)

    def _values(self, leaves: Leaves) -> Float32[NDArray[np.float32], " rows"]:
        """(R,) values of observations."""
        return self.actor.values([self._of_members(leaf) for leaf in leaves]).reshape(-1)

    def _of_members(self, rows: Array) -> Array:
        """(M, N, ...)."""
        return rows.reshape(self.num_members, -1, *rows.shape[1:])
