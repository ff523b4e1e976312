r"""Exact returns through the model, where it is known and the observations are countable.

A policy :math:`\pi` is evaluated under a cap of H steps by backward recursion,

.. math:: V_0 = 0, \qquad V_{h+1}(s) = \sum_a \pi(a \mid s) \sum_{s', r} p(s', r \mid s, a)
    \bigl(r + \gamma\, [\text{not terminated}]\, V_h(s')\bigr),

and its expected return is :math:`\sum_s \mu(s) V_H(s)` with the initial distribution :math:`\mu`.
Without a cap it is the fixed point. The optimum of the same criterion replaces the sum over
actions by a maximum. Under a cap, the best policy depends on the time to go and beats every
stationary one: FrozenLake's 0.7442 against 0.7402 of the best at a discount of 0.99.

An agent is read by asking it for its action in every state at once, so that any agent with a
memoryless policy over finite observations, a network's too, is evaluated without noise.

References:
    M. L. Puterman (1994), Markov Decision Processes, section 4.2 (policy evaluation) and
    section 4.5 (backward induction).
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from ..agents.planning.backward_induction import backward_induction
from ..agents.planning.policy_evaluation import policy_evaluation
from ..agents.planning.solve import solve
from ..agents.random_policy import RandomPolicy
from ..agents.tabular.learner import AbstractTabularAgent
from ..envs.mdp import TabularMDP
from ..envs.state_index import StateIndex
from .environment_names import EnvironmentName
from .evaluation import Predictor, batched

__all__ = [
    "affordable",
    "exact_length",
    "exact_return",
    "exact_return_of",
    "known_model",
    "optimal_return",
    "policy_table",
]

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
    agent: Predictor, mdp: TabularMDP, env: gymnasium.Env[Any, Any]
) -> NDArray[np.int64] | NDArray[np.float64] | None:
    """The policy that an agent acts by, as a table over the model's states.

    Args:
        agent: What is asked for its action in every state, in one batch, without exploration.
        mdp: The model of ``env``.
        env: Tells the spaces.

    Returns:
        (S,) actions, or (S, A) probabilities of a random policy. None where the agent has a
        memory, so that one table does not tell what it does.
    """
    shown = np.arange(mdp.num_states) if mdp.observation_index is None else mdp.observation_index
    if isinstance(agent, RandomPolicy):
        return agent.action_probabilities(mdp.allowed)
    if isinstance(agent, AbstractTabularAgent):
        return agent.policy[shown]
    states = StateIndex(env.observation_space)
    items = [states.decode(index) for index in range(mdp.num_observations)]
    batch = batched(env.observation_space, items)
    start = np.ones(len(items), dtype=np.bool_)
    actions, memory = agent.predict(batch, state=None, episode_start=start, deterministic=True)
    if memory is not None:
        return None
    table: NDArray[np.int64] = StateIndex(env.action_space).encode_batch(actions)[shown]
    return table


def exact_return(
    mdp: TabularMDP,
    policy: NDArray[np.int64] | NDArray[np.float64],
    *,
    discount: float = 1.0,
    horizon: int | None = None,
) -> float:
    """The expected return of a policy, from the model's initial distribution.

    Args:
        mdp: The model.
        policy: (S,) actions or (S, A) probabilities.
        discount: In [0, 1].
        horizon: The cap on the steps of an episode, or None for none.

    Raises:
        ValueError: An argument is out of range, or the return is not finite (no cap, no discount
            and a policy that never ends).
    """
    values = policy_evaluation(mdp, policy, discount=discount, horizon=horizon).state_values
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
        policy = policy_table(agent, model, env)
    finally:
        env.close()
    if policy is None:
        return None
    return exact_return(model, policy, discount=discount, horizon=horizon)


def exact_length(
    mdp: TabularMDP, policy: NDArray[np.int64] | NDArray[np.float64], *, horizon: int
) -> float:
    """The expected steps of an episode under a cap: the return where every step pays 1."""
    clock = replace(mdp, rewards=np.ones(mdp.num_outcomes))
    return exact_return(clock, policy, discount=1.0, horizon=horizon)


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
