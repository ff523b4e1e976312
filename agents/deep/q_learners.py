r"""Deep Q-learners in their environments: acting, remembering, updating.

One round steps all copies of all members once; every fourth environment step (or as many as
``train_freq`` says) a batch is drawn from each member's memory and the networks are updated.

References:
    V. Mnih et al. (2015), Human-level control through deep reinforcement learning, Nature 518,
        algorithm 1.
    M. Fortunato et al. (2018), Noisy networks for exploration, arXiv:1706.10295, section 3.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from numpy.typing import NDArray
from torch import Tensor

from ...envs.arguments import whole_number
from ...generative.devices import array_of, on_device
from .action_value_targets import importance_weights, masked_values
from .categorical_values import expected_values
from .layers import layer_noise
from .member_learners import (
    AbstractMemberLearners,
    fill_tensors,
    flag,
    part_of,
    with_prefix,
    without_prefix,
)
from .member_rates import MemberRates
from .member_steps import AbstractMemberSteps, MemberTransitions
from .member_streams import MemberStreams, Streams
from .networks import QNetwork
from .q_losses import UpdateBatch, UpdateResult
from .q_update import QUpdate
from .quick_values import QuickValues, quick_values
from .replay_memory import ReplayMemory

__all__ = ["QLearners", "QSettings"]

Array = NDArray[Any]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Masks = NDArray[np.bool_]
Leaves = tuple[Array, ...]


@dataclass(frozen=True)
class QSettings:
    """When learners act at random, and when they learn; in environment steps of a member.

    Attributes:
        batch_size: B, transitions of a member in one update.
        learning_starts: Steps taken at random before the first update, which waits for the first
            n-step return if that is later.
        train_freq: Steps between updates.
        gradient_steps: Updates each time.
        target_update_interval: Steps between two moves of the target network.
        tau: Its share of the way.
        atoms: (N,) of the values' distributions, or None for plain values.
        action_start: The environment's first action.
        exploration: Epsilon of each member.
        importance: Beta of each member, for prioritised replay.
        learning_rates: Of each member, to be told.
    """

    batch_size: int
    learning_starts: int
    train_freq: int
    gradient_steps: int
    target_update_interval: int
    tau: float
    atoms: Tensor | None
    action_start: int
    exploration: MemberRates
    importance: MemberRates
    learning_rates: tuple[float, ...]


class QLearners(AbstractMemberLearners):
    """M deep Q-learners with N copies of their environment each.

    Args:
        network: Of all members.
        update: Moves it.
        remember: Makes the members' memory, with or without masks, when it is known whether the
            environments give any.
        steps: The environments, M * N rows; None for learners that only act.
        streams: The members' random numbers.
        settings: When they do what.
        num_rows: M * N.

    Attributes:
        memory: The members' transitions; None before the first step.
        last_update: What came of the latest one, or None before the first.
    """

    def __init__(
        self,
        network: QNetwork,
        update: QUpdate,
        remember: Callable[[bool], ReplayMemory],
        steps: AbstractMemberSteps | None,
        streams: Streams,
        settings: QSettings,
        *,
        num_rows: int,
    ) -> None:
        super().__init__(steps, streams, num_rows)
        self.network, self.update, self.settings = network, update, settings
        self.memory: ReplayMemory | None = None
        self.last_update: UpdateResult | None = None
        self._remember = remember
        self._device = update.values.device
        self._quick: QuickValues | None = quick_values(network, update.values)
        self._chosen: Ints = np.zeros(num_rows, dtype=np.int64)  # counted from 0
        self._at_random = np.ones(self.num_members)

    def values(
        self, leaves: Leaves, noise: Sequence[Tensor] | None = None
    ) -> Float32[Array, "members batch actions"]:
        """(M, B, A) values of the actions.

        Args:
            leaves: (M, B, ...) leaves of observations.
            noise: Of noisy layers.
        """
        if self._quick is not None:
            return self._quick(leaves)
        with torch.no_grad():
            tensors = tuple(
                torch.from_numpy(np.require(leaf, None, ["C", "W"])) for leaf in leaves
            )
            out: Tensor = self.network(on_device(tensors, self._device), noise)
            if self.settings.atoms is not None:
                out = expected_values(out, self.settings.atoms)
            return array_of(out)

    def choose(
        self,
        member: int,
        leaves: Leaves,
        masks: Bool[Masks, "batch actions"] | None,
        deterministic: bool,
    ) -> Int64[Ints, " batch"]:
        """(B,) a member's actions for observations that are nobody's steps."""
        stream = self.streams.prediction.generators[member]
        shapes = self.network.noise_shapes
        noise = None
        if shapes and not deterministic:
            own = layer_noise(shapes, [stream])
            noise = tuple(part.expand(self.num_members, -1).to(self._device) for part in own)
        actions = _best(self._values_of(member, leaves, noise), masks)
        if not deterministic:
            rate = self.settings.exploration.at(self.num_timesteps)[member]
            uniforms = stream.random((len(actions), 2))
            random = _random_actions(uniforms[:, 1], masks, self.network.num_actions)
            actions = np.where(uniforms[:, 0] < rate, random, actions)
        return actions + self.settings.action_start

    def member_values(self, member: int, leaves: Leaves) -> Float32[Array, "batch actions"]:
        """(B, A) a member's values of the actions, without noise."""
        return self._values_of(member, leaves, None)

    def scalars(self, member: int) -> dict[str, float]:
        """The update's loss and values, and the rates."""
        scalars = {
            "train/n_updates": float(self.num_updates),
            "train/learning_rate": self.settings.learning_rates[member],
        }
        if not self.network.noise_shapes:
            rate = self.settings.exploration.at(self.num_timesteps)[member]
            scalars["rollout/exploration_rate"] = float(rate)
        told = self.last_update
        if told is not None:
            scalars["train/loss"] = float(told.losses[member])
            scalars["train/q_values"] = float(told.values[member].mean())
        return scalars

    # ---- rounds ---------------------------------------------------------------------------------

    def _begin(self, leaves: Leaves, masks: Masks | None) -> None:
        if self.memory is None:
            self.memory = self._remember(masks is not None)
        self.memory.begin(np.ones(self.num_rows, dtype=np.bool_), leaves, masks)

    def _act(self, leaves: Leaves, masks: Masks | None) -> Int64[Ints, " rows"]:
        rows, members = self.num_rows, self.num_members
        uniforms = self.streams.acting.uniforms(rows // members, 2).reshape(rows, 2)
        rates = self._at_random
        if self.num_timesteps >= self.settings.learning_starts:
            rates = self.settings.exploration.at(self.num_timesteps)
        if masks is None and self._quick is not None and self._quick.chooses:
            self._chosen = self._quick.choose(leaves, uniforms, rates)
        else:
            self._chosen = self._choose(leaves, masks, uniforms, rates)
        start = self.settings.action_start
        return self._chosen + start if start else self._chosen

    def _choose(
        self,
        leaves: Leaves,
        masks: Masks | None,
        uniforms: Float[Floats, "rows two"],
        rates: Float[Floats, " members"],
    ) -> Int64[Ints, " rows"]:
        rows, members = self.num_rows, self.num_members
        explores = uniforms[:, 0] < rates.repeat(rows // members)
        if explores.all():
            return _random_actions(uniforms[:, 1], masks, self.network.num_actions)
        shaped = tuple(leaf.reshape(members, -1, *leaf.shape[1:]) for leaf in leaves)
        values = self.values(shaped, self._noise(self.streams.noise))
        actions = _best(values.reshape(rows, -1), masks)
        if explores.any():
            random = _random_actions(uniforms[:, 1], masks, self.network.num_actions)
            actions = np.where(explores, random, actions)
        return actions

    def _learn(self, found: MemberTransitions, leaves: Leaves, masks: Masks | None) -> None:
        memory = self.memory
        assert memory is not None, "episodes begin before steps are taken"
        memory.add(
            found.taken,
            self._chosen,
            found.rewards,
            found.terminated,
            found.truncated,
            found.next_leaves,
            found.next_masks,
        )
        if found.any_begun:
            memory.begin(found.begun, leaves, masks)
        self._update_if_due(memory, found.num_taken // self.num_members)

    def _update_if_due(self, memory: ReplayMemory, taken: int) -> None:
        settings, now = self.settings, self.num_timesteps
        before = now - taken
        # by then some copy has taken n steps, so that every member remembers a transition
        copies = self.num_rows // self.num_members
        first = max(settings.learning_starts, copies * (memory.layout.n_step - 1))
        if now > first:
            due = now // settings.train_freq - max(before, first) // settings.train_freq
            for _ in range(due * settings.gradient_steps):
                self._update(memory)
        interval = settings.target_update_interval
        moves = now // interval - before // interval
        if moves:
            tau = settings.tau
            self.update.move_targets(tau if moves == 1 else 1 - (1 - tau) ** moves)

    def _update(self, memory: ReplayMemory) -> None:
        drawn = memory.sample(self.settings.batch_size, self.streams.sampling.generators)
        weights = None
        prioritised = memory.layout.prioritised
        if prioritised:
            betas = torch.from_numpy(self.settings.importance.at(self.num_timesteps)).float()
            size = torch.from_numpy(memory.size)
            weights = importance_weights(drawn.probabilities, size, betas)
        batch = UpdateBatch(
            observations=drawn.observations,
            actions=drawn.actions,
            rewards=drawn.rewards,
            discounts=drawn.discounts,
            next_observations=drawn.next_observations,
            next_masks=drawn.next_masks,
            weights=weights,
        )
        before, after, of_target = (self._noise(self.streams.noise) for _ in range(3))
        batch = on_device(batch, self._device)
        self.last_update = self.update(batch, (before, after, of_target))
        self.num_updates += 1
        if prioritised:
            memory.update_priorities(drawn.indices, self.last_update.errors.cpu())

    # ---- inside ---------------------------------------------------------------------------------

    def _values_of(
        self, member: int, leaves: Leaves, noise: Sequence[Tensor] | None
    ) -> Float32[Array, "batch actions"]:
        """A member's values; where PyTorch is asked, of the others too, for nothing."""
        if self._quick is not None:
            return self._quick.of_member(member, leaves)
        shape = (self.num_members,)
        shaped = tuple(np.broadcast_to(leaf, shape + leaf.shape) for leaf in leaves)
        values: Array = self.values(shaped, noise)[member]
        return values

    def _noise(self, streams: MemberStreams) -> tuple[Tensor, ...] | None:
        shapes = self.network.noise_shapes
        if not shapes:
            return None
        return on_device(tuple(layer_noise(shapes, streams.generators)), self._device)

    # ---- for checkpoints ------------------------------------------------------------------------

    def _arrays(self, member: int | None) -> dict[str, Array]:
        found = {
            name: part_of(array_of(tensor), member)
            for name, tensor in self.update.tensors().items()
        }
        if self.memory is not None:
            whose = None if self.num_members == 1 else member
            found |= with_prefix("memory.", self.memory.arrays(whose))
        return found

    def _facts(self, member: int | None) -> dict[str, Any]:
        return {
            "num_updates": self.num_updates,
            "remembers": self.memory is not None,
            "masks": self.memory is not None and self.memory.layout.mask_size > 0,
        }

    def _restore(self, arrays: Mapping[str, Array], facts: Mapping[str, Any]) -> None:
        fill_tensors(self.update.tensors(), arrays)
        self.num_updates = whole_number(facts["num_updates"], "num_updates", least=0)
        if flag(facts["remembers"]) or flag(facts["begun"]):
            self.memory = self._remember(flag(facts["masks"]))
            self.memory.restore(without_prefix("memory.", arrays))


def _best(
    values: Float32[Array, "rows actions"], masks: Bool[Masks, "rows actions"] | None
) -> Int64[Ints, " rows"]:
    """(R,) the allowed action of the greatest value, the first among equals."""
    if masks is not None:
        values = masked_values(torch.from_numpy(values), torch.from_numpy(masks.copy())).numpy()
    best: Ints = values.argmax(axis=1)
    return best


def _random_actions(
    uniforms: Float[Array, " rows"], masks: Bool[Masks, "rows actions"] | None, num_actions: int
) -> Int64[Ints, " rows"]:
    """(R,) an allowed action for each uniform number."""
    if masks is None:
        return (uniforms * num_actions).astype(np.int64)
    counts = masks.sum(axis=1)
    nth = (uniforms * counts).astype(np.int64)  # of the allowed ones
    chosen: Ints = (masks.cumsum(axis=1) > nth[:, np.newaxis]).argmax(axis=1)
    return chosen
