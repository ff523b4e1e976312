"""What agents of a comparison are measured by: the optimum and the random policy."""

from __future__ import annotations

from dataclasses import dataclass

from ..agents.random_policy import RandomPolicy
from .environment_names import EnvironmentName
from .evaluation import evaluate, step_cap
from .exact_evaluation import affordable, exact_return, known_model, optimal_return, policy_table
from .records import RunSettings

__all__ = ["Reference", "reference"]

_CONTROL_EPISODES = 200


@dataclass(frozen=True)
class Reference:
    """The two ends of one environment's scale.

    Attributes:
        optimum: The largest return that any policy has under the criterion, or None where the
            model is not known.
        control: The uniformly random policy's return.
        episodes: Episodes behind ``control``, 0 where it is exact.
        max_steps: The step cap of the criterion.
    """

    optimum: float | None
    control: float
    episodes: int
    max_steps: int


def reference(environment: EnvironmentName, settings: RunSettings) -> Reference:
    """The optimum and the control of an environment.

    Args:
        environment: The environment.
        settings: Their ``discount`` and ``max_steps`` are the criterion.
    """
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
        played = evaluate(
            random,
            environment,
            num_episodes=_CONTROL_EPISODES,
            discount=settings.discount,
            max_steps=horizon,
        )
    finally:
        env.close()
    return Reference(None, played.mean, _CONTROL_EPISODES, horizon)
