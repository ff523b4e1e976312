r"""Imitation by a game: the learner is paid for looking like the expert, the judge learns too.

In turns, the learner takes some steps and learns from them as it always does, by the rewards of an
`AdversarialReward`; then the discriminator learns to tell the expert's steps from the learner's
last ones, by

.. math:: -\mathbb E_E[\log D] - \mathbb E_\pi[\log (1 - D)],

with the expert's part and the learner's of equal weight. With ``gail`` it is Ho's and Ermon's
algorithm, with ``airl`` (and the reward ``logit``) Fu's. The learner may be any that learns from
an environment: A2C and REINFORCE of this package, PPO or A2C of Stable-Baselines3. For ``airl`` it
has to tell the probabilities of actions.

Give the learner an ``entropy_weight`` (or, in Stable-Baselines3, an ``ent_coef``): a policy that
is sure of one action before the judge has learnt anything is never paid for another.

References:
    J. Ho, S. Ermon (2016), Generative adversarial imitation learning, arXiv:1606.03476, algorithm
        1 (there with TRPO).
    J. Fu, K. Luo, S. Levine (2018), Learning robust rewards with adversarial inverse reinforcement
        learning, arXiv:1710.11248, algorithm 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ...configuration import build_config, check_fields
from ...envs.adversarial_reward import AdversarialReward, LogPolicy
from ...envs.transition_discriminator import EncodedSteps, TransitionDiscriminator
from ...generative.arithmetic import learning_arithmetic
from ...generative.data.environments import Transitions
from ..deep.policy_agent import AbstractPolicyAgent

__all__ = [
    "AdversarialFit",
    "AdversarialImitationConfig",
    "RewardLearner",
    "imitate_adversarially",
    "log_policy_of",
]

_RANGES = {
    "round_steps": (1, math.inf, True),
    "discriminator_updates": (1, math.inf, True),
    "batch_size": (1, math.inf, True),
    "learning_rate": (0.0, math.inf, False),
    "gradient_penalty": (0.0, math.inf, True),
}


@runtime_checkable
class RewardLearner(Protocol):
    """Whatever learns from an environment's rewards."""

    def learn(self, total_timesteps: int, *, reset_num_timesteps: bool) -> Any:
        """Learn for so many more steps."""


@dataclass(frozen=True)
class AdversarialImitationConfig:
    """Settings of `imitate_adversarially`.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    round_steps: int = 1_000
    """Steps of the learner before the discriminator's turn."""
    discriminator_updates: int = 16
    """Of each turn."""
    batch_size: int = 256
    """Steps of an update, of the expert and of the learner each."""
    learning_rate: float = 1e-3
    """Of the discriminator's Adam."""
    gradient_penalty: float = 0.0
    """Weight of the squared norm of the logit's gradient by observations, at the learner's steps;
    it keeps a discriminator smooth that has few demonstrations."""
    seed: int = 0
    """Of the discriminator's batches."""

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, {})


@dataclass(frozen=True)
class AdversarialFit:
    """How the game went, round by round.

    Attributes:
        losses: (R,) mean loss of the discriminator's updates; 2 log 2 where it cannot tell.
        expert_accuracy: (R,) share of the expert's steps it was right about, at the last update.
        learner_accuracy: (R,) the same of the learner's.
        environment_rewards: (R,) mean reward of the environment itself, a step, of the learner's
            last steps; nobody learns from it.
        num_timesteps: Steps of the learner, in all.
    """

    losses: NDArray[np.float64]
    expert_accuracy: NDArray[np.float64]
    learner_accuracy: NDArray[np.float64]
    environment_rewards: NDArray[np.float64]
    num_timesteps: int


def imitate_adversarially(
    learner: RewardLearner,
    env: AdversarialReward,
    demonstrations: Transitions,
    total_timesteps: int,
    **settings: Any,
) -> AdversarialFit:
    """Train a learner, and the discriminator that pays it, in turns.

    Args:
        learner: Made for ``env``, and trained in place.
        env: What it learns in, or the first copy of it.
        demonstrations: The expert's steps; with the environment's horizon, if it has one
            (`with_horizon`).
        total_timesteps: Of the learner.
        settings: Fields of `AdversarialImitationConfig`.

    Raises:
        TypeError: An argument is of another type, or a setting is unknown.
        ValueError: Demonstrations do not fit the environment, a setting is out of range, or the
            learner cannot tell probabilities of actions, which ``airl`` needs.

    Example:
        >>> import gymnasium
        >>> from gymagine.agents import A2C
        >>> from gymagine.generative.data.environments import transitions
        >>> env = gymnasium.make("CartPole-v1")
        >>> judge = TransitionDiscriminator(env.observation_space, env.action_space)
        >>> env = AdversarialReward(env, judge)
        >>> fit = imitate_adversarially(
        ...     A2C(env, num_envs=1), env, transitions("CartPole-v1", 300), 600, round_steps=300
        ... )
        >>> fit.num_timesteps, fit.losses.shape
        (600, (2,))
    """
    config: AdversarialImitationConfig = build_config(
        AdversarialImitationConfig, settings, "imitate_adversarially"
    )
    _check(learner, env, demonstrations, total_timesteps)
    judge = env.discriminator
    log_policy = log_policy_of(learner) if judge.form == "airl" else None
    env.log_policy = log_policy
    turn = _DiscriminatorTurn(judge, demonstrations, config, log_policy)
    rounds, taken = [], 0
    while taken < total_timesteps:
        steps = min(config.round_steps, total_timesteps - taken)
        learner.learn(steps, reset_num_timesteps=False)
        taken += steps
        with learning_arithmetic(1):
            rounds.append(turn.take(env.recent_transitions()))
    losses, expert, own, rewards = (np.array(column) for column in zip(*rounds, strict=True))
    return AdversarialFit(losses, expert, own, rewards, taken)


class _DiscriminatorTurn:
    """What the discriminator does when it is its turn."""

    def __init__(
        self,
        judge: TransitionDiscriminator,
        demonstrations: Transitions,
        config: AdversarialImitationConfig,
        log_policy: LogPolicy | None,
    ) -> None:
        self._judge, self._demonstrations, self._config = judge, demonstrations, config
        self._log_policy = log_policy
        self._expert = judge.encode(demonstrations)
        self._optimiser = torch.optim.Adam(judge.parameters(), lr=config.learning_rate)
        self._random = np.random.default_rng(config.seed)

    def take(self, recent: Transitions) -> tuple[float, float, float, float]:
        """Mean loss, accuracies at the last update, and the environment's mean reward."""
        judge, config = self._judge, self._config
        own = judge.encode(recent)
        if not bool(judge.is_fitted):
            judge.fit_scales(torch.cat([self._expert.observation, own.observation]))
        known = [self._log_probs(self._demonstrations), self._log_probs(recent)]
        losses, right = [], (0.0, 0.0)
        for _ in range(config.discriminator_updates):
            batches = []
            for steps, log_probs in zip((self._expert, own), known, strict=True):
                drawn = self._random.integers(len(steps), size=config.batch_size)
                rows = torch.from_numpy(drawn)
                batches.append((steps.take(rows), None if log_probs is None else log_probs[rows]))
            logits = [judge(steps, log_probs) for steps, log_probs in batches]
            loss = functional.softplus(-logits[0]).mean() + functional.softplus(logits[1]).mean()
            if config.gradient_penalty:
                loss = loss + config.gradient_penalty * _squared_slope(judge, batches[1][0])
            self._optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # PyTorch has no types here
            self._optimiser.step()
            losses.append(float(loss.detach()))
            right = float((logits[0] > 0).double().mean()), float((logits[1] < 0).double().mean())
        return float(np.mean(losses)), *right, float(recent.reward.mean())

    def _log_probs(self, data: Transitions) -> Tensor | None:
        """(N,) of the policy as it is now."""
        if self._log_policy is None:
            return None
        found = self._log_policy(data.observation, data.action)
        return torch.as_tensor(found, dtype=torch.get_default_dtype())


def log_policy_of(learner: object) -> LogPolicy:
    """How probable a learner's actions are, as it learns.

    Args:
        learner: A2C or REINFORCE of this package, or Stable-Baselines3's PPO or A2C.

    Raises:
        ValueError: It is none of these.
    """
    if isinstance(learner, AbstractPolicyAgent):
        return lambda observations, actions: _own_log_probs(learner, observations, actions)
    policy: Any = getattr(learner, "policy", None)
    if not hasattr(policy, "get_distribution"):
        raise ValueError(
            "expected a learner that tells the probabilities of actions, which airl needs, got a "
            f"{type(learner).__name__}"
        )

    def log_policy(observations: Any, actions: Any) -> NDArray[Any]:
        seen, _ = policy.obs_to_tensor(observations)
        with torch.no_grad():
            taken = torch.as_tensor(np.asarray(actions), device=policy.device)
            found: NDArray[Any] = policy.get_distribution(seen).log_prob(taken).cpu().numpy()
        return found

    return log_policy


def _own_log_probs(learner: AbstractPolicyAgent, observations: Any, actions: Any) -> NDArray[Any]:
    leaves, _ = learner._read(observations)
    rows = [leaf[np.newaxis] for leaf in leaves]
    policy = learner.learners.actor.policy(rows, member=learner._member)
    taken = np.asarray(actions)
    if isinstance(learner.action_space, spaces.Discrete):
        taken = taken - learner.action_space.start
    found: NDArray[Any] = policy.log_prob(torch.from_numpy(taken)[None]).cpu().numpy()[0]
    return found


def _squared_slope(judge: TransitionDiscriminator, steps: EncodedSteps) -> Tensor:
    """() mean squared norm of the logit's gradient by what is observed."""
    seen = steps.observation.detach().requires_grad_()
    moved = EncodedSteps(seen, steps.action, steps.next_observation, steps.terminated)
    (slope,) = torch.autograd.grad(judge(moved).sum(), [seen], create_graph=True)
    return slope.square().sum(dim=1).mean()


def _check(
    learner: RewardLearner, env: AdversarialReward, demonstrations: Transitions, steps: int
) -> None:
    if not isinstance(learner, RewardLearner):
        raise TypeError(f"expected a learner, got {type(learner).__name__}")
    if not isinstance(env, AdversarialReward):
        raise TypeError(f"expected an AdversarialReward to learn in, got {type(env).__name__}")
    if not isinstance(demonstrations, Transitions):
        raise TypeError(f"expected Transitions to imitate, got {type(demonstrations).__name__}")
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ValueError(f"expected a budget of at least 1 step, got {steps!r}")
