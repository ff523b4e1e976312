r"""Acting with the policies of a population: from observations to what is drawn, and to actions.

A choice among actions is drawn by inversion: with cumulative probabilities :math:`C_a` the first
action with :math:`C_a > u\,C_A` for a uniform u, which is never one of probability 0. Plain
observations go through numpy (see `quick_layers`), and choices are drawn there too; everything
else is PyTorch's.

References:
    L. Devroye (1986), Non-uniform random variate generation, section III.2 (inversion).
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Bool, Float, Int64, Num, Shaped
from numpy.typing import NDArray
from torch import Tensor, nn

from ...generative.devices import array_of
from .encoders import Encoder
from .environment_actions import environment_actions
from .flat_parameters import FlatParameters
from .member_streams import MemberStreams
from .policy_distributions import AbstractPolicyDistribution
from .policy_networks import ActorCritic, PolicyHead, PolicyNetwork
from .quick_layers import QuickDense, quick_dense, quick_encoder

__all__ = ["NEVER", "PolicyActor", "drawn_choices"]

Array = NDArray[Any]
Leaves = Sequence[Shaped[Array, "members batch ..."]]

NEVER = np.finfo(np.float32).min / 2  # a logit whose distance to any other is finite


class PolicyActor:
    """Draws actions of M members, and values what they see.

    Args:
        flat: The parameters of an `ActorCritic` or a `PolicyNetwork`; the actor sees every change.
        action_space: Of one action.
    """

    def __init__(self, flat: FlatParameters, action_space: gymnasium.Space[Any]) -> None:
        self._flat, self._space = flat, action_space
        self._num_members = len(flat.values)
        self._modules: dict[int | None, nn.Module] = {None: flat.module}
        encoder, head = _parts(flat.module)
        self._quick_encoder = quick_encoder(encoder)
        self._quick_policy: QuickDense | None = None
        self._quick_value: QuickDense | None = None
        if self._quick_encoder is not None:
            self._quick_policy = quick_dense(head.body, head.last)
            if isinstance(flat.module, ActorCritic) and flat.module.value_encoder is None:
                self._quick_value = quick_dense(flat.module.value.body, flat.module.value.last)
        self._is_choice = isinstance(action_space, spaces.Discrete)
        self._start = int(action_space.start) if isinstance(action_space, spaces.Discrete) else 0

    @property
    def latent(self) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Shape and dtype of what is drawn for one observation."""
        if self._is_choice:
            return (), np.dtype(np.int64)
        kind = np.float32 if isinstance(self._space, spaces.Box) else np.int64
        return (int(np.prod(self._space.shape or ())),), np.dtype(kind)

    def check_latents(self, latents: Array) -> None:
        """Make sure that what a file says was drawn can be drawn.

        Args:
            latents: Any number of them, of the shape and dtype of `latent`.

        Raises:
            ValueError: A choice is beyond the actions, or a number none: the file is damaged.
        """
        space = self._space
        if isinstance(space, spaces.Box):
            fits = np.isfinite(latents).all()
        else:
            counts = space.nvec.reshape(-1) if isinstance(space, spaces.MultiDiscrete) else 2
            if isinstance(space, spaces.Discrete):
                counts = space.n
            fits = ((latents >= 0) & (latents < counts)).all()
        if not fits:
            raise ValueError(f"expected choices within {space}, got others: the file is damaged")

    def draw(
        self,
        leaves: Leaves,
        allowed: Bool[Array, "members batch actions"] | None,
        streams: MemberStreams,
    ) -> tuple[Num[Array, "members batch *numbers"], Array]:
        """Draw an action of each member for each of its observations.

        Args:
            leaves: (M, B, ...) leaves of the observations.
            allowed: (M, B, A) the actions that may be chosen, or None for all.
            streams: Of the M members.

        Returns:
            (M, B, ...) latents, as a roll-out stores them, and (M * B, ...) actions in the
            environment's own terms.
        """
        noise = self._noise(streams, leaves[0].shape[1])
        if self._is_choice and self._quick_policy is not None:
            choices = drawn_choices(self._quick_outputs(leaves, None), allowed, noise)
            return choices, choices.reshape(-1) + self._start
        policy = self.policy(leaves, allowed)
        with torch.no_grad():  # a free sigma is a parameter
            latents = policy.sample_latent(self._tensor(noise))
            return array_of(latents), self._in_space(policy.action(latents))

    def choose(
        self,
        member: int,
        leaves: Sequence[Shaped[Array, "batch ..."]],
        allowed: Bool[Array, "batch actions"] | None,
        streams: MemberStreams | None,
    ) -> Array:
        """(B, ...) a member's actions in the environment's own terms.

        Args:
            member: Which.
            leaves: (B, ...) leaves of the observations.
            allowed: (B, A) the actions that may be chosen, or None for all.
            streams: Of all members, the member's own is drawn from; None takes the policy's mode.
        """
        masks = None if allowed is None else allowed[np.newaxis]
        policy = self.policy([leaf[np.newaxis] for leaf in leaves], masks, member)
        if streams is None:
            return self._in_space(policy.mode())
        own = MemberStreams(streams.generators[member : member + 1])
        return self._in_space(policy.sample(self._tensor(self._noise(own, len(leaves[0])))))

    def policy(
        self,
        leaves: Leaves,
        allowed: Bool[Array, "members batch actions"] | None = None,
        member: int | None = None,
    ) -> AbstractPolicyDistribution:
        """The distributions over actions, of batch shape (M, B).

        Args:
            leaves: (M, B, ...) leaves of the observations.
            allowed: (M, B, A) the actions that may be chosen, or None for all.
            member: The one whose policy it is, with M = 1; None for all members.
        """
        masks = None if allowed is None else self._tensor(allowed)
        encoder, head = _parts(self._module(member))
        with torch.no_grad():
            if self._quick_policy is not None:
                out = torch.from_numpy(self._quick_outputs(leaves, member))
                return head.distribution(out, masks)
            features = encoder(tuple(self._tensor(leaf) for leaf in leaves))
            policy: AbstractPolicyDistribution = head(features, masks)
        return policy

    def values(
        self, leaves: Leaves, member: int | None = None
    ) -> Float[NDArray[np.float32], "members batch"]:
        """(M, B) values of the observations; 0 where the policies have none beside them.

        Args:
            leaves: (M, B, ...) leaves of the observations.
            member: The one whose values they are, with M = 1; None for all members.
        """
        module = self._module(member)
        if not isinstance(module, ActorCritic):
            return np.zeros(leaves[0].shape[:2], dtype=np.float32)
        if self._quick_encoder is not None and self._quick_value is not None:
            layers = self._quick_value if member is None else self._quick_value.of_member(member)
            return layers(self._quick_encoder(leaves))[..., 0]
        with torch.no_grad():
            return array_of(module.values(tuple(self._tensor(leaf) for leaf in leaves)))

    def network_of(self, member: int) -> ActorCritic | PolicyNetwork:
        """A member's network on the processor, which what is learnt later does not change."""
        own = deepcopy(self._flat.of_member(member).module).cpu()
        assert isinstance(own, ActorCritic | PolicyNetwork)
        return own

    # ---- inside ---------------------------------------------------------------------------------

    def _module(self, member: int | None) -> nn.Module:
        if self._num_members == 1 or member is None:
            return self._modules[None]
        if member not in self._modules:
            self._modules[member] = self._flat.of_member(member).module
        return self._modules[member]

    def _quick_outputs(self, leaves: Leaves, member: int | None) -> Array:
        assert self._quick_encoder is not None and self._quick_policy is not None
        layers = self._quick_policy if member is None else self._quick_policy.of_member(member)
        return layers(self._quick_encoder(leaves))

    def _tensor(self, array: Array) -> Tensor:
        # the caller's may be read-only, of which torch would warn
        tensor = torch.from_numpy(np.require(array, None, ["C", "W"]))
        return tensor.to(self._flat.values.device)

    def _in_space(self, actions: Tensor) -> Array:
        """(M * B, ...)."""
        found = environment_actions(actions, self._space)
        return found.reshape(-1, *found.shape[2:])

    def _noise(self, streams: MemberStreams, batch: int) -> Array:
        """(M, B, ...) uniforms of 64 bits, which stay below 1, or normals of 32."""
        numbers = self.latent[0]
        if isinstance(self._space, spaces.Box):
            return streams.normals(batch, *numbers).astype(np.float32)
        return streams.uniforms(batch, *numbers)


def drawn_choices(
    logits: Float[Array, "members batch actions"],
    allowed: Bool[Array, "members batch actions"] | None,
    uniforms: Float[Array, "members batch"],
) -> Int64[Array, "members batch"]:
    """(M, B) choices among actions, as `Categorical.sample_latent` draws them.

    Args:
        logits: (M, B, A), which are written over.
        allowed: (M, B, A) the actions that may be chosen, or None for all; where there is none,
            all are equally probable.
        uniforms: (M, B) in [0, 1).
    """
    if allowed is not None:
        logits[~allowed] = NEVER
    logits -= np.maximum.reduce(logits, axis=-1, keepdims=True)
    cumulative = np.exp(logits, out=logits).cumsum(axis=-1)
    thresholds = uniforms[..., np.newaxis] * cumulative[..., -1:]
    chosen: NDArray[np.int64] = (cumulative > thresholds).argmax(axis=-1)
    return chosen


def _parts(module: nn.Module) -> tuple[Encoder, PolicyHead]:
    if isinstance(module, PolicyNetwork):
        return module.encoder, module.head
    if isinstance(module, ActorCritic):
        return module.encoder, module.policy
    raise TypeError(f"expected an ActorCritic or a PolicyNetwork, got {type(module).__name__}")
