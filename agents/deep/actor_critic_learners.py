"""Actor-critics that learn from roll-outs of a few steps, all members at once.

After every n_steps rounds the roll-out is one batch: returns and advantages are worked out from
the values of the network that acted, and all members' networks are moved together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray

from ...envs.arguments import whole_number
from ...generative.devices import array_of
from .member_learners import (
    check_finite,
    fill_tensors,
    flag,
    part_of,
    with_prefix,
    without_prefix,
)
from .member_steps import AbstractMemberSteps, MemberTransitions
from .member_streams import Streams
from .observation_leaves import ObservationLeaves
from .policy_gradient_configuration import A2CConfig
from .policy_gradient_losses import PolicyGradientResult, actor_critic_losses
from .policy_gradient_members import (
    leaf_kinds,
    loss_weights,
    policy_parameters,
    update_settings,
)
from .policy_gradient_update import PolicyGradientUpdate, compiled_run
from .policy_learners import AbstractPolicyLearners
from .rollout import Rollout

__all__ = ["ActorCriticLearners"]

Array = NDArray[Any]
Leaves = tuple[Array, ...]
Masks = NDArray[np.bool_]


class ActorCriticLearners(AbstractPolicyLearners):
    """M actor-critics (see `AbstractMemberLearners`).

    Args:
        configs: Of each member; they differ in what changes no shapes.
        leaves: Of the observations.
        action_space: Of one action.
        steps: The environments of all rows; None for learners that only act.
        streams: The members' random numbers.
        num_rows: R.

    """

    def __init__(
        self,
        configs: Sequence[A2CConfig],
        leaves: ObservationLeaves,
        action_space: gymnasium.Space[Any],
        steps: AbstractMemberSteps | None,
        streams: Streams,
        num_rows: int,
    ) -> None:
        self._config, self._leaves = configs[0], leaves
        rngs = streams.parameters.generators
        flat = policy_parameters(configs[0], leaves, action_space, rngs, with_values=True)
        super().__init__(flat, configs, action_space, steps, streams, num_rows)
        settings = update_settings(configs, standardise=configs[0].normalise_advantages)
        self._update = PolicyGradientUpdate(
            flat,
            actor_critic_losses,
            loss_weights(configs, [config.gae_lambda for config in configs]),
            settings,
            run=compiled_run(flat, actor_critic_losses, settings) if configs[0].compile else None,
        )
        self._discounts = np.array([config.discount for config in configs], dtype=np.float32)
        self._rollout: Rollout | None = None
        self._told: PolicyGradientResult | None = None

    def scalars(self, member: int) -> dict[str, float]:
        """What to log of a member, by TensorBoard name."""
        told = {} if self._told is None else self._told.scalars(member)
        return told | {
            "train/learning_rate": self._rates.of_member(member, self.num_timesteps),
            "train/n_updates": float(self.num_updates),
        }

    # ---- rounds ---------------------------------------------------------------------------------

    def _begin(self, leaves: Leaves, masks: Masks | None) -> None:
        num_actions = 0 if masks is None else masks.shape[1]
        if self._rollout is None or self._rollout.masked != (num_actions > 0):
            self._rollout = self._new_rollout(num_actions)
        self._rollout.clear()

    def _act(self, leaves: Leaves, masks: Masks | None) -> Array:
        latents, actions = self._draw(leaves, masks)
        self._steps_so_far().begin_step(leaves, masks, latents)
        return actions

    def _learn(self, found: MemberTransitions, leaves: Leaves, masks: Masks | None) -> None:
        rollout = self._steps_so_far()
        cut_values = None
        if found.truncated.any():
            cut_values = self._values(found.next_leaves)
        rollout.end_step(
            found.rewards * self._scales,
            found.terminated,
            found.truncated,
            found.taken,
            cut_values,
        )
        if rollout.full:
            batch = rollout.batch(leaves, self._discounts, alike=self._config.compile)
            rates = torch.from_numpy(self._rates.at(self.num_timesteps)).float()
            self._told = self._update(batch, rates)
            self.num_updates += 1

    def _steps_so_far(self) -> Rollout:
        assert self._rollout is not None, "episodes begin before steps are taken"
        return self._rollout

    def _new_rollout(self, num_actions: int) -> Rollout:
        return Rollout(
            self.num_members,
            self._config.n_steps,
            self.num_rows // self.num_members,
            leaves=leaf_kinds(self._leaves),
            latent=self.actor.latent,
            num_actions=num_actions,
        )

    # ---- for checkpoints ------------------------------------------------------------------------

    def _arrays(self, member: int | None) -> dict[str, Array]:
        found = {name: array_of(tensor) for name, tensor in self._update.tensors().items()}
        if self._rollout is not None:
            found |= with_prefix("rollout.", self._rollout.arrays())
        return {name: part_of(array, member) for name, array in found.items()}

    def _facts(self, member: int | None) -> dict[str, Any]:
        return {"num_updates": self.num_updates}

    def _restore(self, arrays: Mapping[str, Array], facts: Mapping[str, Any]) -> None:
        fill_tensors(self._update.tensors(), arrays)
        saved = without_prefix("rollout.", arrays)
        if saved or flag(facts["begun"]):
            allowed = saved.get("allowed")
            self._rollout = self._new_rollout(0 if allowed is None else allowed.shape[-1])
            self._rollout.restore(saved)
            check_finite(saved)
            self.actor.check_latents(saved["latents"])
            if self._rollout.full:  # Ctrl-C came before it was learnt from
                self._rollout.clear()
        self.num_updates = whole_number(facts["num_updates"], "num_updates", least=0)
