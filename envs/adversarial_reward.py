r"""A reward for looking like the expert, in place of the environment's own.

With the logit d of a discriminator (see `transition_discriminator`), a step earns

============  =================================================  ==================
``positive``  :math:`-\log(1 - D) = -\log \sigma(-d) > 0`         *survival bias*
``negative``  :math:`\log D = \log \sigma(d) < 0`                 *termination bias*
``logit``     :math:`d`, the AIRL reward f - log pi               of either sign
============  =================================================  ==================

*The trap.* Where episodes end early, after an end nothing is earned. Rewards that are all positive
then pay for staying alive, whatever one does there, and those that are all negative for ending it
soon: on CartPole the first look good with a discriminator that knows nothing, on a task that is to
be finished the second do (Kostrikov et al. 2019). Numbers on such tasks are no evidence.

*The cure.* With a ``horizon`` all episodes are of one length: one that ends earlier stays in what
it ended in (an *absorbing* state) until the horizon. The environment pays nothing there, but the
steps are judged like all others: were they worth 0 whatever the discriminator says, that would be
the value of an end, and the bias what it was. Demonstrations that end early are to be lengthened
alike (`with_horizon`).

References:
    J. Ho, S. Ermon (2016), Generative adversarial imitation learning, arXiv:1606.03476.
    J. Fu, K. Luo, S. Levine (2018), Learning robust rewards with adversarial inverse reinforcement
        learning, arXiv:1710.11248.
    I. Kostrikov, K. K. Agrawal, D. Dwibedi, S. Levine, J. Tompson (2019), Discriminator-actor-
        critic, arXiv:1809.02925 (absorbing states).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Literal, TypeAlias, get_args

import gymnasium
import numpy as np
import torch
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector.utils import concatenate, create_empty_array
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..generative.arithmetic import acting_arithmetic
from ..generative.data.environments import Transitions
from ..generative.world_model_data import episode_starts
from .arguments import whole_number
from .transition_discriminator import TransitionDiscriminator

__all__ = ["AdversarialReward", "LogPolicy", "RewardForm", "reward_of_logit", "with_horizon"]

RewardForm = Literal["positive", "negative", "logit"]

LogPolicy: TypeAlias = Callable[[Any, Any], NDArray[Any]]
"""(B,) log-probabilities of a batch of actions, given a batch of observations."""

Step: TypeAlias = tuple[Any, Any, float, Any, bool, bool]


def reward_of_logit(logit: Float[Tensor, " batch"], form: RewardForm) -> Float[Tensor, " batch"]:
    """(B,) what steps earn.

    Example:
        >>> d = torch.zeros(1)
        >>> [round(float(reward_of_logit(d, form)), 3) for form in ("positive", "negative")]
        [0.693, -0.693]
    """
    if form == "positive":
        return -functional.logsigmoid(-logit)
    return functional.logsigmoid(logit) if form == "negative" else logit


class AdversarialReward(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """An environment that pays what a discriminator says.

    Info has under ``adversarial`` the ``logit``, the environment's own ``reward``, and whether the
    step was ``absorbed``. Its last steps are kept for the discriminator to learn from; copies that
    are made from its spec share discriminator and steps.

    Args:
        env: The environment.
        discriminator: Judges steps.
        reward: In which form.
        horizon: Steps of every episode (see the module); None lets episodes end as they do. The
            environment's own limit, if any, must not be shorter.
        num_recent: Steps that are kept.
        recent: Where to keep them; None is a place of its own.

    Attributes:
        discriminator: Judges steps.
        recent: The last steps, the oldest first.
        log_policy: Gives log pi(a | s), for ``airl``; None leaves it out of the reward.

    Raises:
        TypeError: There is no environment or no discriminator.
        ValueError: The discriminator is of other spaces, or an argument is out of range.

    Example:
        >>> env = gymnasium.make("CartPole-v1")
        >>> judge = TransitionDiscriminator(env.observation_space, env.action_space)
        >>> env = AdversarialReward(env, judge, horizon=50)
        >>> _ = env.reset(seed=0)
        >>> steps = [env.step(0) for _ in range(50)]
        >>> steps[-1][2:4], steps[-1][4]["adversarial"]["absorbed"]
        ((False, True), True)
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        discriminator: TransitionDiscriminator,
        *,
        reward: RewardForm = "positive",
        horizon: int | None = None,
        num_recent: int = 4_096,
        recent: deque[Step] | None = None,
    ) -> None:
        if not isinstance(env, gymnasium.Env):
            raise TypeError(f"expected one environment, got {type(env).__name__}")
        if not isinstance(discriminator, TransitionDiscriminator):
            raise TypeError(
                f"expected a TransitionDiscriminator, got {type(discriminator).__name__}"
            )
        if reward not in get_args(RewardForm):
            raise ValueError(f"expected reward as one of {get_args(RewardForm)}, got {reward!r}")
        judged = (discriminator.observation_codec.space, discriminator.action_codec.space)
        if judged != (env.observation_space, env.action_space):
            raise ValueError(
                f"expected a discriminator of {env.observation_space} and {env.action_space}, got "
                f"one of {judged[0]} and {judged[1]}"
            )
        size = whole_number(num_recent, "num_recent", least=1)
        self.recent: deque[Step] = deque(maxlen=size) if recent is None else recent
        # not copied: copies of the environment are judged by the same, and are learnt from alike
        RecordConstructorArgs.__init__(
            self,
            discriminator=discriminator,
            reward=reward,
            horizon=horizon,
            num_recent=num_recent,
            recent=self.recent,
            _disable_deepcopy=True,
        )
        gymnasium.Wrapper.__init__(self, env)
        self.discriminator, self._form = discriminator, reward
        self._horizon = None if horizon is None else whole_number(horizon, "horizon", least=1)
        self.log_policy: LogPolicy | None = None
        self._observation: Any = None
        self._elapsed, self._absorbed = 0, False

    # ---- an environment -------------------------------------------------------------------------

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        self._observation, info = self.env.reset(seed=seed, options=options)
        self._elapsed, self._absorbed = 0, False
        return self._observation, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take a step, or stay where the episode ended, and be judged."""
        before, absorbed = self._observation, self._absorbed
        info: dict[str, Any]
        if absorbed:
            after, own, terminated, truncated, info = before, 0.0, False, False, {}
        else:
            after, reward, terminated, truncated, info = self.env.step(action)
            own = float(reward)
        self._elapsed += 1
        if self._horizon is not None:
            self._absorbed = absorbed or bool(terminated)
            terminated = False
            truncated = bool(truncated) or self._elapsed >= self._horizon
        self._observation = after
        self.recent.append((before, action, own, after, bool(terminated), bool(truncated)))
        logit = self._logit(before, action, after, bool(terminated))
        paid = float(reward_of_logit(logit, self._form))
        judged = {"logit": float(logit), "reward": own, "absorbed": absorbed}
        return after, paid, terminated, truncated, {**info, "adversarial": judged}

    @torch.no_grad()
    def _logit(self, before: Any, action: Any, after: Any, terminated: bool) -> Tensor:
        """(1,) d of a step."""
        judge = self.discriminator
        known = None
        if judge.form == "airl" and self.log_policy is not None:
            seen, taken = _stacked(self.observation_space, [before]), np.asarray(action)[None]
            known = torch.as_tensor(self.log_policy(seen, taken), dtype=torch.get_default_dtype())
        following = after if judge.form == "airl" else before  # which gail does not look at
        with acting_arithmetic(1):
            step = judge.encode_step(before, action, following, terminated)
            found: Tensor = judge(step, known)
        return found

    # ---- learning -------------------------------------------------------------------------------

    def recent_transitions(self) -> Transitions:
        """The last steps, of all copies; not in episodes.

        Raises:
            ValueError: There were none yet.
        """
        if not self.recent:
            raise ValueError("expected steps to learn from, got none: step the environment first")
        parts = list(zip(*self.recent, strict=True))
        observations, actions, rewards, following, terminated, truncated = parts
        return Transitions(
            observation=_stacked(self.observation_space, observations),
            action=_stacked(self.action_space, actions),
            reward=np.array(rewards, dtype=np.float64),
            next_observation=_stacked(self.observation_space, following),
            terminated=np.array(terminated, dtype=bool),
            truncated=np.array(truncated, dtype=bool),
        )


def with_horizon(data: Transitions, horizon: int, *, seed: int = 0) -> Transitions:
    """Demonstrations whose episodes all have one length, as in an environment with a horizon.

    Those that terminated earlier stay in what they ended in, taking actions of the demonstrations
    at random; the others keep their length.

    Args:
        data: Episode after episode; observations and actions are arrays.
        horizon: Steps of an episode.
        seed: Of the actions.

    Example:
        >>> from gymagine.generative.data.environments import transitions
        >>> longer = with_horizon(transitions("CartPole-v1", 60), 100)
        >>> bool(longer.terminated.any()), bool((longer.reward[-40:] == 0).all())
        (False, False)
    """
    starts, random = episode_starts(data), np.random.default_rng(seed)
    rows, absorbed = [], []
    for start in np.unique(starts):
        own = np.flatnonzero(starts == start)
        missing = max(0, horizon - len(own)) if data.terminated[own[-1]] else 0
        rows += [own, np.full(missing, own[-1])]
        absorbed += [np.zeros(len(own), bool), np.ones(missing, bool)]
    index, extra = np.concatenate(rows), np.concatenate(absorbed)
    observation, following = data.observation[index].copy(), data.next_observation[index]
    observation[extra] = following[extra]
    action = data.action[index].copy()
    action[extra] = data.action[random.integers(len(data), size=int(extra.sum()))]
    return Transitions(
        observation=observation,
        action=action,
        reward=np.where(extra, 0.0, data.reward[index]),
        next_observation=following,
        terminated=np.zeros(len(index), dtype=bool),
        truncated=data.truncated[index],
    )


def _stacked(space: gymnasium.Space[Any], values: Any) -> Any:
    out: Any = create_empty_array(space, n=len(values))
    return concatenate(space, values, out)
