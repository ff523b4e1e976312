"""REINFORCE over whole episodes, each member as soon as enough of its own have ended.

Members' episodes end at different times, so each is updated alone, on its row of the parameters,
with an optimiser of its own. Acting is for all members at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from jaxtyping import Int64
from numpy.typing import NDArray

from ...generative.devices import array_of
from .episode_storage import EpisodeStorage
from .member_learners import (
    check_finite,
    fill_tensors,
    fitting,
    flag,
    part_of,
    with_prefix,
    without_prefix,
)
from .member_steps import AbstractMemberSteps, MemberTransitions
from .member_streams import Streams
from .observation_leaves import ObservationLeaves
from .policy_gradient_configuration import REINFORCEConfig
from .policy_gradient_losses import PolicyGradientResult, reinforce_losses
from .policy_gradient_members import (
    leaf_kinds,
    loss_weights,
    policy_parameters,
    update_settings,
)
from .policy_gradient_update import PolicyGradientUpdate, compiled_run
from .policy_learners import AbstractPolicyLearners

__all__ = ["ReinforceLearners"]

Array = NDArray[Any]
Leaves = tuple[Array, ...]
Masks = NDArray[np.bool_]


class ReinforceLearners(AbstractPolicyLearners):
    """M members that learn by REINFORCE (see `AbstractMemberLearners`).

    Args:
        configs: Of each member; they differ in what changes no shapes.
        leaves: Of the observations.
        action_space: Of one action.
        steps: The environments of all rows; None for learners that only act.
        streams: The members' random numbers.
        num_rows: R.

    Attributes:
        updates: (M,) each member's updates so far.
    """

    updates: Int64[NDArray[np.int64], " members"]

    def __init__(
        self,
        configs: Sequence[REINFORCEConfig],
        leaves: ObservationLeaves,
        action_space: gymnasium.Space[Any],
        steps: AbstractMemberSteps | None,
        streams: Streams,
        num_rows: int,
    ) -> None:
        self._configs, self._leaves = list(configs), leaves
        rngs = streams.parameters.generators
        with_values = configs[0].baseline
        flat = policy_parameters(configs[0], leaves, action_space, rngs, with_values=with_values)
        super().__init__(flat, configs, action_space, steps, streams, num_rows)
        settings = update_settings(configs, standardise=configs[0].normalise_returns)
        parts = [flat.of_member(member) for member in range(self.num_members)]
        # one graph for all members: their shapes are the same
        run = compiled_run(parts[0], reinforce_losses, settings) if configs[0].compile else None
        self._updates = [
            PolicyGradientUpdate(
                part, reinforce_losses, loss_weights([config], [1.0]), settings, run=run
            )
            for part, config in zip(parts, configs, strict=True)
        ]
        self._storage: EpisodeStorage | None = None
        self._latents: Array = np.zeros(0)
        self._seen: tuple[Leaves, Masks | None] = ((), None)
        self._told: list[PolicyGradientResult | None] = [None] * self.num_members
        self.updates = np.zeros(self.num_members, dtype=np.int64)

    def scalars(self, member: int) -> dict[str, float]:
        """What to log of a member, by TensorBoard name."""
        told = self._told[member]
        return ({} if told is None else told.scalars(0)) | {
            "train/learning_rate": self._rates.of_member(member, self.num_timesteps),
            "train/n_updates": float(self.updates[member]),
        }

    # ---- rounds ---------------------------------------------------------------------------------

    def _begin(self, leaves: Leaves, masks: Masks | None) -> None:
        num_actions = 0 if masks is None else masks.shape[1]
        if self._storage is None or self._storage.masked != (num_actions > 0):
            self._storage = self._new_storage(num_actions)
        self._storage.forget_running()

    def _act(self, leaves: Leaves, masks: Masks | None) -> Array:
        latents, actions = self._draw(leaves, masks)
        self._latents = latents.reshape(-1, *latents.shape[2:])
        self._seen = leaves, masks
        return actions

    def _learn(self, found: MemberTransitions, leaves: Leaves, masks: Masks | None) -> None:
        storage = self._storage
        assert storage is not None, "episodes begin before steps are taken"
        storage.add(*self._seen, self._latents, found.rewards * self._scales, found.taken)
        over = found.terminated | found.truncated
        if not over.any():
            return
        last_values = np.zeros(self.num_rows)
        cut = found.truncated & ~found.terminated
        if cut.any():
            last_values[cut] = self._values(found.next_leaves)[cut]
        copies = self.num_rows // self.num_members
        for row in np.flatnonzero(over).tolist():
            discount = self._configs[row // copies].discount
            storage.end(row, discount, float(last_values[row]))
        for member, config in enumerate(self._configs):
            if storage.ended[member] >= config.episodes_per_update:
                self._update(storage, member)

    def _update(self, storage: EpisodeStorage, member: int) -> None:
        config = self._configs[member]
        batch = storage.take(
            member,
            discount=config.discount if config.discount_in_gradient else None,
            over_episodes=config.average_over == "episodes",
            padded=config.compile,
        )
        rates = torch.tensor(
            [self._rates.of_member(member, self.num_timesteps)], dtype=torch.float32
        )
        self._told[member] = self._updates[member](batch, rates)
        self.updates[member] += 1
        self.num_updates = int(self.updates[0])

    def _new_storage(self, num_actions: int) -> EpisodeStorage:
        return EpisodeStorage(
            self.num_members,
            self.num_rows // self.num_members,
            leaves=leaf_kinds(self._leaves),
            latent=self.actor.latent,
            num_actions=num_actions,
        )

    # ---- for checkpoints ------------------------------------------------------------------------

    def _arrays(self, member: int | None) -> dict[str, Array]:
        members = range(self.num_members) if member is None else (member,)
        each = [self._updates[i].tensors() for i in members]
        found: dict[str, Array] = {
            name: np.concatenate([array_of(tensors[name]) for tensors in each]) for name in each[0]
        }
        found["updates"] = part_of(self.updates, member)
        if self._storage is not None:
            found |= with_prefix("waiting.", self._storage.arrays(member))
        return found

    def _facts(self, member: int | None) -> dict[str, Any]:
        return {}

    def _restore(self, arrays: Mapping[str, Array], facts: Mapping[str, Any]) -> None:
        for member, update in enumerate(self._updates):
            of_member = {name: part_of(array, member) for name, array in arrays.items()}
            fill_tensors(update.tensors(), of_member)
        self.updates[:] = fitting(arrays.get("updates"), "updates", self.updates)
        self.num_updates = int(self.updates[0])
        saved = without_prefix("waiting.", arrays)
        if saved or flag(facts["begun"]):
            allowed = saved.get("allowed")
            self._storage = self._new_storage(0 if allowed is None else allowed.shape[-1])
            self._storage.restore(saved)
            check_finite(saved)
            self.actor.check_latents(saved["latents"])
