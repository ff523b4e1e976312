r"""Exact returns through the model, where it is known and the observations are countable.

A policy :math:`\pi` is evaluated under a cap of H steps by backward recursion,

.. math:: V_0 = 0, \qquad V_{h+1}(s) = \sum_a \pi(a \mid s) \sum_{s', r} p(s', r \mid s, a)
    \bigl(r + \gamma\, [\text{not terminated}]\, V_h(s')\bigr),

and its expected return is :math:`\sum_s \mu(s) V_H(s)` with the initial distribution :math:`\mu`.
Without a cap it is the fixed point. The optimum of the same criterion replaces the sum over
actions by a maximum. Under a cap, the best policy depends on the time to go and beats every
stationary one: FrozenLake's 0.7442 against 0.7402 of the best at a discount of 0.99.

An agent is read by asking it for its action in every state at once, so that any agent with a
memoryless policy over finite observations, a network's too, is evaluated without noise. One that
learnt under masks is asked with the mask of every state; where the environment does not tell them
all, there is no exact return (the log says so), and episodes are played instead.

References:
    M. L. Puterman (1994), Markov Decision Processes, section 4.2 (policy evaluation) and
    section 4.5 (backward induction).
"""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import cache, lru_cache
from typing import Any, TypeAlias

import gymnasium
import numpy as np
from numpy.typing import NDArray

from ..agents.planning.backward_induction import backward_induction
from ..agents.planning.planner import AbstractPlanner
from ..agents.planning.policy_evaluation import policy_evaluation
from ..agents.planning.solve import solve
from ..agents.random_policy import RandomPolicy
from ..agents.tabular.learner import AbstractTabularAgent
from ..agents.tabular.prediction import AbstractPrediction
from ..envs.mdp import TabularMDP
from ..envs.state_index import StateIndex
from .action_masks import masks_of_states, wants_masks
from .environment_names import EnvironmentName
from .evaluation import Predictor, batched

Policy: TypeAlias = "NDArray[np.int64] | NDArray[np.float64]"

__all__ = [
    "affordable",
    "exact_length",
    "exact_return",
    "exact_return_of",
    "known_model",
    "optimal_return",
    "policy_table",
]

_log = logging.getLogger(__name__)
_MOST_WORK = 3e9  # outcomes times steps that an exact evaluation may visit: some seconds


def known_model(source: EnvironmentName | gymnasium.Env[Any, Any]) -> TabularMDP | None:
    """The environment's exact model, or None where it tells none."""
    if isinstance(source, EnvironmentName):
        return _model_of_label(source.label)
    try:
        return TabularMDP.from_env(source)
    except ValueError:
        return None


@lru_cache(maxsize=8)  # the many runs of a comparison share it
def _model_of_label(label: str) -> TabularMDP | None:
    env = EnvironmentName.parse(label).make()
    try:
        return known_model(env)
    finally:
        env.close()


def affordable(mdp: TabularMDP, horizon: int | None) -> bool:
    """Whether an exact evaluation takes seconds rather than minutes."""
    return mdp.num_outcomes * (horizon or 1_000) <= _MOST_WORK


def policy_table(
    agent: Predictor, mdp: TabularMDP, env: gymnasium.Env[Any, Any], *, horizon: int
) -> Policy | None:
    """The policy that an agent acts by, as a table over the model's states.

    Args:
        agent: What is asked for its action in every state, in one batch, without exploration.
        mdp: The model of ``env``.
        env: Tells the spaces.
        horizon: The cap on the steps of an episode.

    Returns:
        (S,) actions, or (S, A) probabilities of a random policy, or (H, S) actions by time of a
        planner that looks at the clock. None where an agent has a memory of another kind, or
        learnt under masks that the environment tells of the current state only, so that no table
        tells what it does.
    """
    shown = np.arange(mdp.num_states) if mdp.observation_index is None else mdp.observation_index
    if isinstance(agent, RandomPolicy):
        return agent.action_probabilities(mdp.allowed)
    if wants_masks(agent):
        try:
            masks = masks_of_states(env, mdp)
        except ValueError as error:
            _say_once(str(error))
            return None
        if masks is not None:
            return _masked_policy(agent, masks, shown, env)
    if isinstance(agent, AbstractPrediction):
        return agent.policy_probabilities[shown]
    if isinstance(agent, AbstractTabularAgent):
        return agent.policy[shown]
    batch = _observations(env, np.arange(mdp.num_observations))
    start = np.ones(mdp.num_observations, dtype=np.bool_)
    numbers = StateIndex(env.action_space)
    actions, memory = agent.predict(batch, state=None, episode_start=start, deterministic=True)
    table: NDArray[np.int64] = numbers.encode_batch(actions)[shown]
    if memory is None:
        return table
    if not isinstance(agent, AbstractPlanner):
        return None
    by_time = [table]
    for _ in range(horizon - 1):
        actions, memory = agent.predict(batch, state=memory, deterministic=True)
        by_time.append(numbers.encode_batch(actions)[shown])
    return np.stack(by_time)


def _masked_policy(
    agent: Predictor,
    masks: NDArray[np.bool_],
    shown: NDArray[np.int64],
    env: gymnasium.Env[Any, Any],
) -> Policy | None:
    """The policy under (S, A) masks of states whose observations have the numbers ``shown``."""
    if isinstance(agent, AbstractPrediction):
        weights = np.where(masks, agent.policy_probabilities[shown], 0.0)
        lowest = np.arange(masks.shape[1]) == masks.argmax(axis=1)[:, np.newaxis]
        weights = np.where(weights.any(axis=1, keepdims=True), weights, lowest)
        table: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
        return table
    options: dict[str, Any] = {"action_mask": masks}
    actions, memory = agent.predict(
        _observations(env, shown),
        state=None,
        episode_start=np.ones(len(shown), dtype=np.bool_),
        deterministic=True,
        **options,
    )
    return None if memory is not None else StateIndex(env.action_space).encode_batch(actions)


def _observations(env: gymnasium.Env[Any, Any], numbers: NDArray[np.int64]) -> Any:
    """The observations of these numbers as one batch."""
    states = StateIndex(env.observation_space)
    space = env.observation_space
    return batched(space, [states.decode(int(number)) for number in numbers])


@cache
def _say_once(reason: str) -> None:
    _log.warning("no exact return, episodes are played instead: %s", reason)


def exact_return(
    mdp: TabularMDP,
    policy: Policy,
    *,
    discount: float = 1.0,
    horizon: int | None = None,
) -> float:
    """The expected return of a policy, from the model's initial distribution.

    Args:
        mdp: The model.
        policy: (S,) actions, (S, A) probabilities, or (H, S) actions by time.
        discount: In [0, 1].
        horizon: The cap on the steps of an episode, or None for none.

    Raises:
        ValueError: An argument is out of range, or the return is not finite (no cap, no discount
            and a policy that never ends).
    """
    if policy.ndim == 2 and policy.dtype.kind in "iu":
        values = _values_by_time(mdp, policy, discount, horizon)
    else:
        # under a horizon only rounding errs, in proportion to the values, so no warning is due
        tolerance = 1e-8 if horizon is None else 1e-4
        values = policy_evaluation(
            mdp, policy, discount=discount, horizon=horizon, tolerance=tolerance
        ).state_values
    return float(mdp.initial_distribution @ values)


def exact_return_of(
    agent: Predictor, environment: EnvironmentName, *, discount: float, horizon: int
) -> float | None:
    """The expected return of an agent's policy, or None where it cannot be told exactly.

    Args:
        agent: Acts without exploration.
        environment: Where it acts.
        discount: In [0, 1].
        horizon: The cap on the steps of an episode.
    """
    model = known_model(environment)
    if model is None or not affordable(model, horizon):
        return None
    env = environment.make()
    try:
        policy = policy_table(agent, model, env, horizon=horizon)
    finally:
        env.close()
    if policy is None:
        return None
    return exact_return(model, policy, discount=discount, horizon=horizon)


def exact_length(mdp: TabularMDP, policy: Policy, *, horizon: int) -> float:
    """The expected steps of an episode under a cap: the return where every step pays 1."""
    clock = replace(mdp, rewards=np.ones(mdp.num_outcomes))
    return exact_return(clock, policy, discount=1.0, horizon=horizon)


def _values_by_time(
    mdp: TabularMDP, policy: Policy, discount: float, horizon: int | None
) -> NDArray[np.float64]:
    """(S,) values of a policy that is given for each time; its last row holds from then on."""
    if horizon is None:
        raise ValueError("expected a horizon for a policy that looks at the clock, got none")
    following, rewards = mdp.continuation_matrix(), mdp.expected_rewards
    states = np.arange(mdp.num_states)
    values = np.zeros(mdp.num_states)
    for time in reversed(range(horizon)):
        ahead = (following @ values).reshape(rewards.shape)
        action_values = rewards + discount * ahead
        values = action_values[states, policy[min(time, len(policy) - 1)]]
    return values


def optimal_return(mdp: TabularMDP, *, discount: float = 1.0, horizon: int | None = None) -> float:
    """The largest expected return of any policy under the same criterion.

    Args:
        mdp: The model.
        discount: In [0, 1].
        horizon: The cap on the steps of an episode, or None for none.

    Raises:
        ValueError: An argument is out of range, or the optimum is not finite.
    """
    if horizon is None:
        values = solve(mdp, discount=discount).state_values
    else:
        values = backward_induction(mdp, horizon=horizon, discount=discount).state_values
    return float(mdp.initial_distribution @ values)
