r"""The gradient of a policy-gradient loss for small dense networks, without PyTorch.

The losses of `policy_gradient_losses` are simple functions of log-probabilities, entropies and
values, whose derivatives are written down here. With :math:`w_t` the share of step t in a mean,
advantages that are constants and the weights of the value loss and the entropy,

.. math::
    \frac{\partial L}{\partial \log \pi(a_t)} = -w_t A_t, \qquad
    \frac{\partial L}{\partial \mathcal H_t} = -c_h w_t, \qquad
    \frac{\partial L}{\partial V_t} = -2 c_v w_t (G_t - V_t)

and for a choice among actions with logits z and probabilities p

.. math::
    \frac{\partial \log \pi(a)}{\partial z_j} = [j = a] - p_j, \qquad
    \frac{\partial \mathcal H}{\partial z_j} = -p_j (\log p_j + \mathcal H) .

Other distributions' derivatives come from autograd; the layers' from `quick_gradients`.

References:
    R. J. Williams (1992), Simple statistical gradient-following algorithms for connectionist
        reinforcement learning, Machine Learning 8, section 4 (characteristic eligibilities).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float32
from numpy.typing import NDArray
from torch import Tensor, nn

from .flat_parameters import FlatParameters
from .policy_actor import NEVER
from .policy_gradient_losses import (
    Batch,
    EpisodeBatch,
    LossSettings,
    LossWeights,
    PolicyGradientResult,
    RolloutBatch,
)
from .policy_networks import ActorCritic, PolicyHead
from .quick_gradients import QuickBackprop, quick_backprop
from .quick_layers import QuickEncoder, quick_encoder

__all__ = ["QuickPass", "quick_pass"]

Array = NDArray[Any]
Floats = NDArray[np.float32]


class _Terms(NamedTuple):
    """What the loss is made of, step by step.

    Attributes:
        returns: (M, T).
        predicted: (M, T) the values.
        policy: (M, T) advantages times the steps' shares.
        policy_share: (M, T) or (M, 1) each step's share in the mean of the policy's loss.
        value_share: The same of the value loss.
    """

    returns: Floats
    predicted: Floats
    policy: Floats
    policy_share: Floats
    value_share: Floats


class QuickPass:
    """Writes the gradients of dense actor-critics.

    Args:
        encoder: Of the observations.
        head: The policy.
        layers: The policy's and the values'.
        rest: Parameters of the head itself, and where their gradients go.
        settings: Of the losses.
    """

    def __init__(
        self,
        encoder: QuickEncoder,
        head: PolicyHead,
        layers: tuple[QuickBackprop, QuickBackprop],
        rest: dict[nn.Parameter, Tensor],
        settings: LossSettings,
    ) -> None:
        self._encoder, self._head, self._rest = encoder, head, rest
        self._policy, self._value = layers
        self._settings = settings

    def __call__(self, batch: Batch, weights: LossWeights) -> PolicyGradientResult:
        """Write the gradients of a batch's losses, and tell of these."""
        x = self._encoder([leaf.numpy() for leaf in batch.observations])
        acted = batch.latents.shape[1]
        out = self._policy.forward(x[:, :acted])
        values = self._value.forward(x)[..., 0]
        terms = _terms(values, batch, weights, self._settings.standardise)
        by_entropy = -weights.entropy.numpy()[:, np.newaxis] * terms.policy_share
        through = self._choices if self._head.is_choice else self._others
        log_p, entropies, by_out = through(out, batch, -terms.policy, by_entropy)
        self._policy.backward(by_out)
        errors = terms.returns - terms.predicted
        of_errors = terms.value_share * errors
        by_values = np.zeros_like(values)
        by_values[:, :acted] = -2 * weights.value.numpy()[:, np.newaxis] * of_errors
        self._value.backward(by_values[..., np.newaxis])
        policy_losses = -np.add.reduce(terms.policy * log_p, axis=1)
        value_losses = np.add.reduce(of_errors * errors, axis=1)
        mean_entropies = np.add.reduce(entropies * terms.policy_share, axis=1)
        losses = (
            policy_losses
            + weights.value.numpy() * value_losses
            - weights.entropy.numpy() * mean_entropies
        )
        told = (losses, policy_losses, value_losses, mean_entropies, *terms[:2])
        return PolicyGradientResult(*map(torch.from_numpy, told))

    def _choices(
        self, logits: Floats, batch: Batch, by_log_p: Floats, by_entropy: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """(M, T) log-probabilities and entropies of choices, and (M, T, A) derivatives."""
        never = None if batch.allowed is None else ~batch.allowed.numpy()
        if never is not None:
            logits[never] = NEVER
        logits -= np.maximum.reduce(logits, axis=-1, keepdims=True)
        p = np.exp(logits)
        sums = np.add.reduce(p, axis=-1, keepdims=True)
        p /= sums
        logits -= np.log(sums)
        entropies = -np.add.reduce(p * logits, axis=-1)
        steps = np.arange(by_log_p.size), batch.latents.numpy().reshape(-1)
        log_p = logits.reshape(-1, p.shape[-1])[steps].reshape(by_log_p.shape)
        by_out = p * -by_log_p[..., np.newaxis]
        by_out.reshape(-1, p.shape[-1])[steps] += by_log_p.reshape(-1)
        if self._settings.explores:
            by_out -= by_entropy[..., np.newaxis] * p * (logits + entropies[..., np.newaxis])
        if never is not None:
            by_out[never] = 0.0
        return log_p, entropies, by_out

    def _others(
        self, out: Floats, batch: Batch, by_log_p: Floats, by_entropy: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """The same of any distribution, by autograd."""
        leaf = torch.from_numpy(out).requires_grad_()
        policy = self._head.distribution(leaf, batch.allowed)
        log_p = policy.log_prob_of_latent(batch.latents)
        with torch.set_grad_enabled(self._settings.explores):
            entropies = policy.entropy()
        outputs, slopes = [log_p], [torch.from_numpy(by_log_p)]
        if self._settings.explores:
            outputs.append(entropies)
            slopes.append(torch.from_numpy(np.broadcast_to(by_entropy, by_log_p.shape).copy()))
        by_out, *rest = torch.autograd.grad(outputs, [leaf, *self._rest], slopes)
        for own, gradient in zip(self._rest.values(), rest, strict=True):
            own.copy_(gradient)
        return log_p.detach().numpy(), entropies.detach().numpy(), by_out.numpy()


def quick_pass(flat: FlatParameters, settings: LossSettings) -> QuickPass | None:
    """For an actor-critic; None for networks that numpy cannot do.

    Args:
        flat: Its parameters.
        settings: Of the losses.
    """
    module = flat.module
    if not isinstance(module, ActorCritic) or module.value_encoder is not None:
        return None
    encoder = quick_encoder(module.encoder)
    policy = quick_backprop(flat, module.policy.body, module.policy.last)
    value = quick_backprop(flat, module.value.body, module.value.last)
    if encoder is None or policy is None or value is None:
        return None
    # a free sigma belongs to no layer
    rest = {own: flat.slopes[own] for own in module.policy.parameters(recurse=False)}
    return QuickPass(encoder, module.policy, (policy, value), rest, settings)


def _terms(values: Floats, batch: Batch, weights: LossWeights, standardise: bool) -> _Terms:
    if isinstance(batch, RolloutBatch):
        returns = _lambda_returns(values, batch, weights.trace.numpy())
    else:
        returns = batch.returns.numpy()
    used = None if batch.weights is None else batch.weights.numpy()
    if used is None:
        share = np.full((1, 1), 1 / returns.shape[1], dtype=np.float32)
    else:
        share = used / np.maximum(used.sum(axis=1, keepdims=True), 1)
    predicted = values[:, : returns.shape[1]]
    advantages = returns - predicted
    if standardise:
        advantages = advantages - np.sum(advantages * share, axis=1, keepdims=True)
        spread = np.sqrt(np.sum(advantages * advantages * share, axis=1, keepdims=True))
        advantages /= spread + 1e-8
    policy_share = share
    if isinstance(batch, EpisodeBatch):
        if batch.divisors is not None:
            ones = np.ones((1, 1), np.float32) if used is None else used
            policy_share = ones / batch.divisors.numpy()[:, np.newaxis]
        if batch.factors is not None:
            advantages = advantages * batch.factors.numpy()
    return _Terms(returns, predicted, advantages * policy_share, policy_share, share)


def _lambda_returns(
    values: Float32[Floats, "members all_steps"],
    batch: RolloutBatch,
    traces: Float32[Floats, " members"],
) -> Float32[Floats, "members steps"]:
    """(M, T * N) as `generalised_returns`."""
    time, members, copies = batch.rewards.shape
    v_t = values.reshape(members, time + 1, copies).transpose(1, 0, 2)[1:]
    if batch.cut is not None:
        v_t = np.where(batch.cut.numpy(), batch.cut_values.numpy(), v_t)
    share_t = traces[:, np.newaxis] * batch.continues.numpy()
    share_t[-1] = 0.0  # the last step's episode goes on with its value
    discount_t = batch.discounts.numpy()
    start_t = batch.rewards.numpy() + discount_t * (1 - share_t) * v_t
    weight_t = discount_t * share_t
    returns = np.empty((members, time, copies), np.float32)
    after: Floats = start_t[-1]
    returns[:, -1] = after
    for t in range(time - 2, -1, -1):
        after = start_t[t] + weight_t[t] * after
        returns[:, t] = after
    return returns.reshape(members, -1)
