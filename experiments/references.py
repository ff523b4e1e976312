"""What agents of a comparison are measured by: the optimum and the random policy."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from ..agents.random_policy import RandomPolicy
from .environment_names import EnvironmentName
from .evaluation import evaluate, step_cap
from .exact_evaluation import affordable, exact_return, known_model, optimal_return, policy_table
from .records import RunSettings

__all__ = ["Reference", "reference"]

_log = logging.getLogger(__name__)
_CONTROL_EPISODES, _FIRST_EPISODES = 200, 10
_CONTROL_STEPS = 100_000  # episodes of games take thousands of steps each


@dataclass(frozen=True)
class Reference:
    """The two ends of one environment's scale.

    Attributes:
        optimum: The largest return that any policy has under the criterion, or None where the
            model is not known.
        control: The uniformly random policy's return, or None where the environment raised.
        episodes: Episodes behind ``control``, 0 where it is exact.
        max_steps: The step cap of the criterion.
    """

    optimum: float | None
    control: float | None
    episodes: int
    max_steps: int


def reference(environment: EnvironmentName, settings: RunSettings) -> Reference:
    """The optimum and the control of an environment.

    Args:
        environment: The environment that agents learn in.
        settings: Their ``discount`` and ``max_steps`` are the criterion.
    """
    environment = environment.for_evaluation
    env = environment.make()
    try:
        horizon = settings.max_steps or step_cap(env)
        random = RandomPolicy(env)
        model = known_model(environment)
        if model is not None and affordable(model, horizon):
            policy = policy_table(random, model, env, horizon=horizon)
            assert policy is not None, "a random policy has no memory"
            return Reference(
                optimal_return(model, discount=settings.discount, horizon=horizon),
                exact_return(model, policy, discount=settings.discount, horizon=horizon),
                episodes=0,
                max_steps=horizon,
            )
        control, episodes = _played(random, environment, settings.discount, horizon)
    finally:
        env.close()
    return Reference(None, control, episodes, horizon)


def _played(
    random: RandomPolicy, environment: EnvironmentName, discount: float, horizon: int
) -> tuple[float | None, int]:
    """The mean of episodes, and of how many: fewer where they are long.

    None where the environment raises, as the agents' runs then tell.
    """
    try:
        first = evaluate(
            random,
            environment,
            num_episodes=min(_FIRST_EPISODES, _CONTROL_EPISODES),
            discount=discount,
            max_steps=horizon,
        )
        longest = int(_CONTROL_STEPS / first.lengths.mean()) - len(first.seeds)
        more = min(_CONTROL_EPISODES - len(first.seeds), longest)
        if more < 1:
            return first.mean, len(first.seeds)
        rest = evaluate(
            random,
            environment,
            num_episodes=more,
            seed=len(first.seeds),
            discount=discount,
            max_steps=horizon,
        )
        returns = np.concatenate([first.returns, rest.returns])
        return float(returns.mean()), len(returns)
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        _log.warning("no random policy on %s: %s", environment.label, reason)
        return None, 0
