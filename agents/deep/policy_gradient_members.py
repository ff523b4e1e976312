"""What the learners of policies have in common: how members are made of their hyper-parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import gymnasium
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from .devices import device_for
from .encoders import Encoder
from .flat_parameters import FlatParameters
from .observation_leaves import ObservationLeaves
from .policy_gradient_configuration import A2CConfig, REINFORCEConfig
from .policy_gradient_losses import LossSettings, LossWeights
from .policy_gradient_update import UpdateSettings
from .policy_networks import ActorCritic, PolicyHead, PolicyNetwork, ValueHead

__all__ = [
    "check_policy_action_space",
    "leaf_kinds",
    "loss_weights",
    "policy_parameters",
    "update_settings",
]


PolicyGradientConfig: TypeAlias = A2CConfig | REINFORCEConfig


def policy_parameters(
    config: PolicyGradientConfig,
    leaves: ObservationLeaves,
    action_space: gymnasium.Space[Any],
    rngs: Sequence[np.random.Generator],
    *,
    with_values: bool,
) -> FlatParameters:
    """The parameters of new policies, with state values on the same encoder where wanted.

    Args:
        config: Of any of the members: what it says of networks is the same for all.
        leaves: Of the observations.
        action_space: Of one action.
        rngs: M generators.
        with_values: Whether the policies have state values beside them.
    """
    layers: dict[str, Any] = {"hidden_sizes": config.hidden_sizes, "activation": config.activation}
    encoder = Encoder(leaves.spaces, leaves.names, rngs=rngs, gain=math.sqrt(2))
    policy = PolicyHead(
        encoder.num_features,
        action_space,
        rngs=rngs,
        squash=config.squash,
        state_dependent_sigma=config.state_dependent_sigma,
        initial_log_sigma=config.initial_log_sigma,
        **layers,
    )
    if not with_values:
        network: PolicyNetwork | ActorCritic = PolicyNetwork(encoder, policy)
    else:
        value = ValueHead(encoder.num_features, rngs=rngs, **layers)
        network = ActorCritic(encoder, policy, value)
    return FlatParameters(network.to(device_for(config.device, encoder)))


def check_policy_action_space(space: gymnasium.Space[Any]) -> None:
    """Make sure that a policy can act in a space.

    Raises:
        ValueError: It is neither Discrete, MultiDiscrete, MultiBinary nor a Box of floats.
    """
    PolicyHead(1, space, rngs=[np.random.default_rng(0)], hidden_sizes=())


def leaf_kinds(leaves: ObservationLeaves) -> list[tuple[tuple[int, ...], np.dtype[Any]]]:
    """Shape and dtype of each leaf, for storages."""
    return list(zip(leaves.shapes, leaves.dtypes, strict=True))


def loss_weights(configs: Sequence[PolicyGradientConfig], traces: Sequence[float]) -> LossWeights:
    """The members' own weights.

    Args:
        configs: Of M members.
        traces: Lambda of each.
    """
    return LossWeights(
        value=_floats([config.value_weight for config in configs]),
        entropy=_floats([config.entropy_weight for config in configs]),
        trace=_floats(traces),
    )


def update_settings(
    configs: Sequence[PolicyGradientConfig], *, standardise: bool
) -> UpdateSettings:
    """What the members' updates have in common."""
    return UpdateSettings(
        optimiser=configs[0].optimiser,
        epsilon=configs[0].optimiser_epsilon,
        max_grad_norm=configs[0].max_grad_norm,
        loss=LossSettings(
            standardise=standardise,
            explores=any(config.entropy_weight > 0 for config in configs),
        ),
    )


def _floats(values: Sequence[float]) -> Float[Tensor, " members"]:
    return torch.tensor(values, dtype=torch.float32)
