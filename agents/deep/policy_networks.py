r"""Networks for policies and state values of a population.

An encoder turns observations into features; a head, hidden layers and a linear one, turns these
into a distribution over actions, or into the value of the state. Encoders and heads are put
together as an agent needs them: `PolicyNetwork` and `ValueNetwork` each have their own encoder;
`ActorCritic` has both heads on one encoder, or on two.

Categorical policies take the last layer's outputs as logits; Gaussian ones as means, and as
logarithms of standard deviations where these depend on the observation.

References:
    R. J. Williams (1992), Simple statistical gradient-following algorithms for connectionist
        reinforcement learning, Machine Learning 8, section 6 (Gaussian units).
    V. Mnih et al. (2016), Asynchronous methods for deep reinforcement learning, arXiv:1602.01783,
        sections 4 and 5.
    L. Engstrom et al. (2020), Implementation matters in deep policy gradients, arXiv:2005.12729,
        section 3 (orthogonal weights and their gains).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from .encoders import Encoder
from .layers import Activation, MemberLinear, MemberMLP
from .policy_distributions import (
    AbstractPolicyDistribution,
    DiagonalGaussian,
    SquashedGaussian,
    categorical,
    multi_categorical,
)

__all__ = ["ActorCritic", "PolicyHead", "PolicyNetwork", "ValueHead", "ValueNetwork"]

_HIDDEN_GAIN, _POLICY_GAIN, _VALUE_GAIN = math.sqrt(2), 0.01, 1.0
_LOG_SIGMA_RANGE = (-5.0, 2.0)  # within it 32-bit floats still tell samples from the mean


class PolicyHead(nn.Module):
    """From features to a distribution over actions.

    Args:
        num_features: F.
        action_space: Discrete, MultiDiscrete, MultiBinary or Box.
        rngs: M generators, one for each member.
        hidden_sizes: Units of the hidden layers.
        activation: After each hidden layer.
        orthogonal: Orthogonal weights with gains of the square root of 2 for hidden layers and
            0.01 for the last, so that a policy starts near uniform; else PyTorch's distribution.
        squash: Keeps a Box's actions between its bounds by tanh; else they are normal numbers,
            which acting clips.
        state_dependent_sigma: A Box's sigma depends on the observation, and its logarithm is
            clamped to [-5, 2]; else it is a free parameter for each number.
        initial_log_sigma: Where the logarithm of sigma starts, exactly or, where it depends on
            the observation, about.

    Raises:
        ValueError: Another space; a Box of whole numbers; or ``squash`` for a Box with an
            infinite bound or without room between two.
    """

    low: Tensor
    high: Tensor

    def __init__(
        self,
        num_features: int,
        action_space: gymnasium.Space[Any],
        *,
        rngs: Sequence[np.random.Generator],
        hidden_sizes: Sequence[int] = (),
        activation: Activation = "tanh",
        orthogonal: bool = True,
        squash: bool = False,
        state_dependent_sigma: bool = False,
        initial_log_sigma: float = 0.0,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.choices = _choices(action_space)
        self.squash = squash and isinstance(action_space, spaces.Box)
        numbers = _numbers(action_space)
        self.state_dependent_sigma = state_dependent_sigma and numbers > 0
        self.initial_log_sigma = initial_log_sigma
        outputs = sum(self.choices) + (1 + self.state_dependent_sigma) * numbers
        self.body, self.last = _body_and_last(
            (num_features, *hidden_sizes, outputs),
            activation,
            rngs,
            _POLICY_GAIN if orthogonal else None,
        )
        if squash and isinstance(action_space, spaces.Box):
            for name, bound in zip(("low", "high"), _finite_bounds(action_space), strict=True):
                self.register_buffer(name, bound, persistent=False)
        if numbers and not self.state_dependent_sigma:
            start = torch.full((len(rngs), 1, numbers), initial_log_sigma, dtype=torch.float32)
            self.log_sigma = nn.Parameter(start)
        self.is_choice = isinstance(action_space, spaces.Discrete)

    def forward(
        self,
        features: Float[Tensor, "members batch features"],
        allowed: Bool[Tensor, "members batch actions"] | None = None,
    ) -> AbstractPolicyDistribution:
        """The distribution over actions, of batch shape (M, B).

        Args:
            features: (M, B, F).
            allowed: (M, B, A) which actions may be chosen, those of several choices one choice
                after another; None for all. A Box takes none.

        Raises:
            ValueError: Allowed actions for a Box.
        """
        return self.distribution(self.last(self.body(features)), allowed)

    def distribution(
        self,
        out: Float[Tensor, "members batch outputs"],
        allowed: Bool[Tensor, "members batch actions"] | None = None,
    ) -> AbstractPolicyDistribution:
        """The distribution that the last layer's outputs stand for; see `forward`."""
        if self.is_choice:
            return categorical(out, allowed)
        if self.choices:
            return multi_categorical(out, self.choices, allowed)
        if allowed is not None:
            raise ValueError("expected no mask of allowed actions for a Box, got one")
        gaussian = self._gaussian(out)
        return SquashedGaussian(gaussian, self.low, self.high) if self.squash else gaussian

    def _gaussian(self, out: Tensor) -> DiagonalGaussian:
        if not self.state_dependent_sigma:
            return DiagonalGaussian(out, self.log_sigma)
        mean, log_sigma = out.chunk(2, dim=-1)
        return DiagonalGaussian(
            mean, (log_sigma + self.initial_log_sigma).clamp(*_LOG_SIGMA_RANGE)
        )


def _choices(space: gymnasium.Space[Any]) -> tuple[int, ...]:
    """How many actions each choice has; () for a Box."""
    if isinstance(space, spaces.Discrete):
        return (int(space.n),)
    if isinstance(space, spaces.MultiDiscrete):
        return tuple(space.nvec.flatten().tolist())
    if isinstance(space, spaces.MultiBinary):
        return (2,) * int(np.prod(space.shape))
    if isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating):
        return ()
    raise ValueError(
        "expected Discrete, MultiDiscrete, MultiBinary or a Box of floats as the action space, "
        f"got {space}"
    )


def _numbers(space: gymnasium.Space[Any]) -> int:
    """How many numbers an action of a Box has; 0 for choices."""
    return int(np.prod(space.shape)) if isinstance(space, spaces.Box) else 0


def _finite_bounds(space: spaces.Box) -> tuple[Tensor, Tensor]:
    """(D,) lower and (D,) upper bounds."""
    low, high = (
        np.asarray(bound, dtype=np.float32).flatten() for bound in (space.low, space.high)
    )
    if not (np.isfinite(low) & np.isfinite(high) & (low < high)).all():
        raise ValueError(
            "expected finite bounds, the lower below the upper, to squash actions between, got "
            f"{space}; without squash any Box will do"
        )
    return torch.from_numpy(low), torch.from_numpy(high)


def _body_and_last(
    sizes: Sequence[int],
    activation: Activation,
    rngs: Sequence[np.random.Generator],
    gain: float | None,
) -> tuple[MemberMLP, MemberLinear]:
    """Hidden layers, and a last one whose orthogonal weights have their own gain."""
    hidden_gain = None if gain is None else _HIDDEN_GAIN
    body = MemberMLP(sizes[:-1], activation, rngs=rngs, activate_last=True, gain=hidden_gain)
    return body, MemberLinear(*sizes[-2:], rngs=rngs, gain=gain)


class ValueHead(nn.Module):
    """From features to the value of the state.

    Args:
        num_features: F.
        rngs: M generators, one for each member.
        hidden_sizes: Units of the hidden layers.
        activation: After each hidden layer.
        orthogonal: Orthogonal weights with gains of the square root of 2 for hidden layers and 1
            for the last; else PyTorch's distribution.
    """

    def __init__(
        self,
        num_features: int,
        *,
        rngs: Sequence[np.random.Generator],
        hidden_sizes: Sequence[int] = (),
        activation: Activation = "tanh",
        orthogonal: bool = True,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.body, self.last = _body_and_last(
            (num_features, *hidden_sizes, 1),
            activation,
            rngs,
            _VALUE_GAIN if orthogonal else None,
        )

    def forward(
        self, features: Float[Tensor, "members batch features"]
    ) -> Float[Tensor, "members batch"]:
        """(M, B) values of (M, B, F) features."""
        out: Tensor = self.last(self.body(features))
        return out.squeeze(2)


def _check_features(encoder: Encoder, head: PolicyHead | ValueHead) -> None:
    if encoder.num_features != head.num_features:
        raise ValueError(
            f"expected a head for the encoder's {encoder.num_features} features, got one for "
            f"{head.num_features}"
        )


class PolicyNetwork(nn.Module):
    """A policy with an encoder of its own.

    Args:
        encoder: Of the observations.
        head: The policy, of as many features as the encoder has.

    Example:
        >>> rngs = [np.random.default_rng(0)]
        >>> encoder = Encoder([spaces.Box(-1, 1, (3,))], rngs=rngs)
        >>> head = PolicyHead(3, spaces.Box(-2, 2, (1,)), rngs=rngs, hidden_sizes=(64, 64))
        >>> policy = PolicyNetwork(encoder, head)((torch.zeros(1, 5, 3),))
        >>> policy.noise_kind, policy.sample(torch.zeros(policy.noise_shape)).shape
        ('normal', torch.Size([1, 5, 1]))
    """

    def __init__(self, encoder: Encoder, head: PolicyHead) -> None:
        super().__init__()
        _check_features(encoder, head)
        self.encoder, self.head = encoder, head

    def forward(
        self,
        observation: tuple[Shaped[Tensor, "members batch ..."], ...],
        allowed: Bool[Tensor, "members batch actions"] | None = None,
    ) -> AbstractPolicyDistribution:
        """The distribution over actions; see `PolicyHead.forward`."""
        policy: AbstractPolicyDistribution = self.head(self.encoder(observation), allowed)
        return policy


class ValueNetwork(nn.Module):
    """State values with an encoder of their own.

    Args:
        encoder: Of the observations.
        head: The values, of as many features as the encoder has.
    """

    def __init__(self, encoder: Encoder, head: ValueHead) -> None:
        super().__init__()
        _check_features(encoder, head)
        self.encoder, self.head = encoder, head

    def forward(
        self, observation: tuple[Shaped[Tensor, "members batch ..."], ...]
    ) -> Float[Tensor, "members batch"]:
        """(M, B) values."""
        values: Tensor = self.head(self.encoder(observation))
        return values


class ActorCritic(nn.Module):
    """A policy and state values, on the same features or each on its own.

    Plain vectors have no parameters to share: there the two are apart but for the input.

    Args:
        encoder: Of the observations, for both or for the policy.
        policy: The policy.
        value: The state values.
        value_encoder: Of the observations, for the values; None shares the policy's.
    """

    def __init__(
        self,
        encoder: Encoder,
        policy: PolicyHead,
        value: ValueHead,
        *,
        value_encoder: Encoder | None = None,
    ) -> None:
        super().__init__()
        _check_features(encoder, policy)
        _check_features(value_encoder or encoder, value)
        self.encoder, self.value_encoder = encoder, value_encoder
        self.policy, self.value = policy, value

    def forward(
        self,
        observation: tuple[Shaped[Tensor, "members batch ..."], ...],
        allowed: Bool[Tensor, "members acted actions"] | None = None,
        acted: int | None = None,
    ) -> tuple[AbstractPolicyDistribution, Float[Tensor, "members batch"]]:
        """The distribution over actions, and (M, B) values; see `PolicyHead.forward`.

        Args:
            observation: The leaves, (M, B, *shape) each.
            allowed: Which actions may be chosen; None for all.
            acted: How many observations, the first ones, the distribution is of; None for all.
        """
        features = self.encoder(observation)
        own = features if self.value_encoder is None else self.value_encoder(observation)
        return self.policy(features[:, :acted], allowed), self.value(own)

    def values(
        self, observation: tuple[Shaped[Tensor, "members batch ..."], ...]
    ) -> Float[Tensor, "members batch"]:
        """(M, B) values alone."""
        values: Tensor = self.value((self.value_encoder or self.encoder)(observation))
        return values
