r"""The losses of policies and values, as functions of what networks gave for a batch.

.. math::
    L = -\frac1n \sum_t w_t A_t \log \pi(a_t \mid s_t)
        + c_v \frac1T \sum_t \bigl(G_t - V(s_t)\bigr)^2
        - \frac{c_h}{n} \sum_t \mathcal H\bigl(\pi(\cdot \mid s_t)\bigr)

with advantages :math:`A_t = G_t - V(s_t)`, which are constants here. The actor-critic's returns
:math:`G_t` are lambda-returns of its roll-out, computed in the update from the values of the very
network that acted, and n is T, the number of steps; REINFORCE's are those of whole episodes, and n
the number of steps or of episodes. The members' losses are added, which keeps their gradients
apart, for no parameter belongs to two of them.

References:
    R. J. Williams (1992), Simple statistical gradient-following algorithms for connectionist
        reinforcement learning, Machine Learning 8, section 2, equation 4.
    V. Mnih et al. (2016), Asynchronous methods for deep reinforcement learning, arXiv:1602.01783,
        algorithm S3 (its value loss carries no factor of a half).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Bool, Float, Num
from torch import Tensor

from .policy_distributions import AbstractPolicyDistribution
from .returns import generalised_returns

__all__ = [
    "Batch",
    "EpisodeBatch",
    "LossSettings",
    "LossWeights",
    "Outcome",
    "PolicyGradientResult",
    "RolloutBatch",
    "actor_critic_losses",
    "mean_over_steps",
    "reinforce_losses",
    "standardised",
]


@dataclass(frozen=True)
class LossSettings:
    """What is the same for all members.

    Attributes:
        standardise: Whether a batch's advantages are shifted and scaled to mean 0 and spread 1.
        explores: Whether any member's entropy counts.
    """

    standardise: bool
    explores: bool


class LossWeights(NamedTuple):
    """What members may differ in.

    Attributes:
        value: (M,) weights of the value losses.
        entropy: (M,) weights of the entropies.
        trace: (M,) lambda of the actor-critic's returns.
    """

    value: Float[Tensor, " members"]
    entropy: Float[Tensor, " members"]
    trace: Float[Tensor, " members"]


class RolloutBatch(NamedTuple):
    """T steps of N copies each; tensors alone, as a compiled graph takes them.

    Attributes:
        observations: Leaves (M, (T + 1) * N, *shape), step by step, those after the last step too.
        allowed: (M, T * N, A) the actions that could be chosen, or None.
        latents: (M, T * N, ...) what was drawn.
        rewards: (T, M, N) rewards.
        discounts: (T, M, N) 0 where the step terminated the episode.
        continues: (T, M, N) 1 where the next step belongs to the same episode.
        cut: (T, M, N) which steps' episodes were truncated, or None where none was.
        cut_values: (T, M, N) values of what those led to.
        weights: (M, T * N) 0 where no action was taken, or None where all were.
    """

    observations: tuple[Tensor, ...]
    allowed: Bool[Tensor, "members steps actions"] | None
    latents: Num[Tensor, "members steps *numbers"]
    rewards: Float[Tensor, "time members copies"]
    discounts: Float[Tensor, "time members copies"]
    continues: Float[Tensor, "time members copies"]
    cut: Bool[Tensor, "time members copies"] | None
    cut_values: Float[Tensor, "time members copies"]
    weights: Float[Tensor, "members steps"] | None


class EpisodeBatch(NamedTuple):
    """The steps of whole episodes.

    Attributes:
        observations: Leaves (M, T, *shape).
        allowed: (M, T, A) the actions that could be chosen, or None.
        latents: (M, T, ...) what was drawn.
        returns: (M, T) from each step on.
        factors: (M, T) of the steps in the policy's loss, or None for 1.
        weights: (M, T) 0 for steps that only fill the batch, or None where none does.
        divisors: (M,) n, or None for the number of steps.
    """

    observations: tuple[Tensor, ...]
    allowed: Bool[Tensor, "members steps actions"] | None
    latents: Num[Tensor, "members steps *numbers"]
    returns: Float[Tensor, "members steps"]
    factors: Float[Tensor, "members steps"] | None
    weights: Float[Tensor, "members steps"] | None
    divisors: Float[Tensor, " members"] | None


Batch: TypeAlias = RolloutBatch | EpisodeBatch


class PolicyGradientResult(NamedTuple):
    """What came of an update.

    Attributes:
        losses: (M,) each member's loss.
        policy_losses: (M,) its first term.
        value_losses: (M,) the value loss without its weight; 0 without values.
        entropies: (M,) the mean entropy of the policies.
        returns: (M, T) the returns.
        values: (M, T) the values before the update; 0 without.
    """

    losses: Float[Tensor, " members"]
    policy_losses: Float[Tensor, " members"]
    value_losses: Float[Tensor, " members"]
    entropies: Float[Tensor, " members"]
    returns: Float[Tensor, "members steps"]
    values: Float[Tensor, "members steps"]

    def scalars(self, member: int) -> dict[str, float]:
        """What to log of a member, by TensorBoard name."""
        returns, values = self.returns[member], self.values[member]
        spread = float(returns.var(correction=0))
        unexplained = float((returns - values).var(correction=0))
        return {
            "train/loss": float(self.losses[member]),
            "train/policy_loss": float(self.policy_losses[member]),
            "train/value_loss": float(self.value_losses[member]),
            "train/entropy_loss": -float(self.entropies[member]),
            "train/explained_variance": 1 - unexplained / spread if spread > 0 else math.nan,
        }


Outcome: TypeAlias = tuple[Tensor, PolicyGradientResult]


# ---- losses -------------------------------------------------------------------------------------


def mean_over_steps(
    x: Float[Tensor, "members steps"], weights: Float[Tensor, "members steps"] | None
) -> Float[Tensor, " members"]:
    """(M,) the mean over the steps, weighted where there are weights; 0 where all are 0.

    Example:
        >>> mean_over_steps(torch.tensor([[1.0, 3.0, 9.0]]), torch.tensor([[1.0, 1.0, 0.0]]))
        tensor([2.])
    """
    if weights is None:
        return x.mean(dim=1)
    return (x * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1.0)


def standardised(
    advantages: Float[Tensor, "members steps"], weights: Float[Tensor, "members steps"] | None
) -> Float[Tensor, "members steps"]:
    """(M, T) shifted and scaled so that each member's have mean 0 and standard deviation 1."""
    centred = advantages - mean_over_steps(advantages, weights).unsqueeze(1)
    spread = mean_over_steps(centred.square(), weights).sqrt().unsqueeze(1)
    return centred / (spread + 1e-8)


def actor_critic_losses(
    policy: AbstractPolicyDistribution,
    values: Float[Tensor, "members all_steps"] | None,
    batch: RolloutBatch,
    weights: LossWeights,
    settings: LossSettings,
) -> Outcome:
    """The sum of the members' losses of a roll-out, and what is told of them.

    Args:
        policy: Of the observations that actions were taken at.
        values: (M, (T + 1) * N) of all.
        batch: The roll-out.
        weights: Of the terms.
        settings: What is the same for all members.
    """
    assert values is not None
    time, members, copies = batch.rewards.shape
    v = values.detach().view(members, time + 1, copies).transpose(0, 1)
    v_t = v[1:] if batch.cut is None else torch.where(batch.cut, batch.cut_values, v[1:])
    decays = weights.trace.unsqueeze(1)
    over_time = generalised_returns(batch.rewards, batch.discounts, batch.continues, v_t, decays)
    returns = over_time.transpose(0, 1).flatten(1)
    predicted = values[:, : time * copies]
    advantages = returns - predicted.detach()
    if settings.standardise:
        advantages = standardised(advantages, batch.weights)
    log_p = policy.log_prob_of_latent(batch.latents)
    policy_losses = -mean_over_steps(advantages * log_p, batch.weights)
    value_losses = mean_over_steps((returns - predicted).square(), batch.weights)
    return _summed(
        policy_losses,
        value_losses,
        _mean_entropies(policy, batch.weights, None, settings),
        weights,
        (returns, predicted),
    )


def reinforce_losses(
    policy: AbstractPolicyDistribution,
    values: Float[Tensor, "members steps"] | None,
    batch: EpisodeBatch,
    weights: LossWeights,
    settings: LossSettings,
) -> Outcome:
    """The sum of the members' losses of whole episodes, and what is told of them.

    Args:
        policy: Of the observations.
        values: (M, T) of the observations; None without a baseline.
        batch: The episodes.
        weights: Of the terms.
        settings: What is the same for all members.
    """
    returns = batch.returns
    predicted = torch.zeros_like(returns) if values is None else values
    advantages = returns - predicted.detach()
    if settings.standardise:
        advantages = standardised(advantages, batch.weights)
    if batch.factors is not None:
        advantages = advantages * batch.factors
    log_p = policy.log_prob_of_latent(batch.latents)
    value_losses = torch.zeros_like(weights.value)
    if values is not None:
        value_losses = mean_over_steps((returns - values).square(), batch.weights)
    return _summed(
        -_sum_over(advantages * log_p, batch.weights, batch.divisors),
        value_losses,
        _mean_entropies(policy, batch.weights, batch.divisors, settings),
        weights,
        (returns, predicted),
    )


def _sum_over(x: Tensor, weights: Tensor | None, divisors: Tensor | None) -> Tensor:
    """(M,) the sum over the steps, divided by n."""
    if divisors is None:
        return mean_over_steps(x, weights)
    return (x if weights is None else x * weights).sum(dim=1) / divisors


def _mean_entropies(
    policy: AbstractPolicyDistribution,
    weights: Tensor | None,
    divisors: Tensor | None,
    settings: LossSettings,
) -> Tensor:
    """(M,) without a gradient where no member explores by it."""
    with torch.set_grad_enabled(settings.explores and torch.is_grad_enabled()):
        return _sum_over(policy.entropy(), weights, divisors)


def _summed(
    policy_losses: Tensor,
    value_losses: Tensor,
    entropies: Tensor,
    weights: LossWeights,
    of_steps: tuple[Tensor, Tensor],
) -> Outcome:
    losses = policy_losses + weights.value * value_losses - weights.entropy * entropies
    told = (losses, policy_losses, value_losses, entropies, *of_steps)
    return losses.sum(), PolicyGradientResult(*(x.detach() for x in told))
