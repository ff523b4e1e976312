r"""Models estimated from samples, by maximum likelihood.

Of :math:`n(s, a)` tries of a pair, :math:`n(s, a, s', r, \text{terminated})` had that outcome, and

.. math:: \hat p(s', r, \text{terminated} \mid s, a)
          = \frac{n(s, a, s', r, \text{terminated})}{n(s, a)} ;

the initial distribution is the relative frequency of the first states. A truncated transition
counts as what it is, one that goes on; the next episode starts at a reset.

References:
    R. S. Sutton (1990), Integrated Architectures for Learning, Planning, and Reacting Based on
    Approximating Dynamic Programming, ICML (learning the model that is planned with).
    P. R. Kumar and P. Varaiya (1986), Stochastic Systems, chapter 12 (certainty equivalence).
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from .arguments import real_array, whole_number
from .environments import EnvLike, make_env, step_cap
from .mdp import TabularMDP
from .state_index import StateIndex

__all__ = ["estimate_model"]


@dataclass(frozen=True)
class _Samples:
    """Transitions, one per row, and the states that the episodes started in."""

    rows: NDArray[np.int64]
    next_states: NDArray[np.int32]
    rewards: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    starts: NDArray[np.int64]


def estimate_model(
    env: EnvLike, *, num_steps: int, seed: int, policy: NDArray[np.float64] | None = None
) -> TabularMDP:
    """See `TabularMDP.estimate`."""
    num_steps = whole_number(num_steps, "num_steps", least=1)
    made = make_env(env)
    try:
        states = _index(made.observation_space, "observations")
        actions = _index(made.action_space, "actions")
        samples = _sample(made, states, actions, num_steps, seed, policy)
        spec = made.spec
    finally:
        if made is not env:
            made.close()
    name = type(made.unwrapped).__name__ if spec is None else spec.id
    return _counted(
        samples, states.num_states, actions.num_states, step_cap(made), f"{name} (estimated)"
    )


def _index(space: spaces.Space[Any], what: str) -> StateIndex:
    try:
        return StateIndex(space)
    except ValueError as error:
        raise ValueError(f"expected finitely many {what}: {error}") from error


def _sample(
    env: gymnasium.Env[Any, Any],
    states: StateIndex,
    actions: StateIndex,
    num_steps: int,
    seed: int,
    policy: NDArray[np.float64] | None,
) -> _Samples:
    chosen = _ActionSource(policy, states.num_states, actions.num_states, seed)
    elements = [actions.decode(action) for action in range(actions.num_states)]
    rows = np.empty(num_steps, dtype=np.int64)
    next_states = np.empty(num_steps, dtype=np.int32)
    rewards = np.empty(num_steps)
    terminations = np.empty(num_steps, dtype=np.bool_)
    state = _state(states, env.reset(seed=seed)[0])
    starts = [state]
    for step in range(num_steps):
        action = chosen.draw(state)
        observation, reward, terminated, truncated, _ = env.step(elements[action])
        if not math.isfinite(reward):
            raise ValueError(
                f"expected finite rewards, got {reward} from state {state}, action {action}"
            )
        rows[step] = state * actions.num_states + action
        state = _state(states, observation)
        next_states[step], rewards[step], terminations[step] = state, reward, terminated
        if terminated or truncated:
            state = _state(states, env.reset()[0])
            starts.append(state)
    return _Samples(rows, next_states, rewards, terminations, np.array(starts))


def _state(states: StateIndex, observation: Any) -> int:
    if observation not in states.space:
        raise ValueError(f"expected an observation in {states.space}, got {observation!r}")
    return states.encode(observation)


class _ActionSource:
    """Draws actions from a tabular policy, uniform where there is none.

    Its stream is spawned from the seed, not seeded with it: the environment's own generator would
    otherwise give the very same numbers, and actions would foretell their outcomes.
    """

    def __init__(
        self, policy: NDArray[np.float64] | None, num_states: int, num_actions: int, seed: int
    ) -> None:
        self._rng = np.random.default_rng(np.random.SeedSequence(seed).spawn(1)[0])
        self._num_actions = num_actions
        self._bounds: NDArray[np.float64] | None = None
        if policy is not None:
            checked = _checked_policy(policy, num_states, num_actions)
            self._bounds = np.cumsum(checked, axis=1) / checked.sum(axis=1, keepdims=True)

    def draw(self, state: int) -> int:
        uniform = self._rng.random()
        if self._bounds is None:
            return int(uniform * self._num_actions)
        return int(np.searchsorted(self._bounds[state], uniform, side="right"))


def _checked_policy(
    policy: NDArray[np.float64], num_states: int, num_actions: int
) -> NDArray[np.float64]:
    checked = real_array(policy, "a policy")
    if checked.shape != (num_states, num_actions):
        raise ValueError(
            f"expected a policy of shape {(num_states, num_actions)}, got {checked.shape}"
        )
    bad = ~(np.isfinite(checked) & (checked >= 0)).all(axis=1)
    bad |= ~(np.abs(checked.sum(axis=1) - 1) <= 1e-8)
    if bad.any():
        state = int(np.argmax(bad))
        raise ValueError(
            f"state {state}: expected action probabilities that sum to 1, got {checked[state]}"
        )
    return checked


def _counted(
    samples: _Samples, num_states: int, num_actions: int, cap: int | None, name: str
) -> TabularMDP:
    num_rows = num_states * num_actions
    order = np.lexsort((samples.terminated, samples.rewards, samples.next_states, samples.rows))
    rows, next_states = samples.rows[order], samples.next_states[order]
    rewards, terminated = samples.rewards[order], samples.terminated[order]
    columns: tuple[NDArray[Any], ...] = (rows, next_states, rewards, terminated)
    new = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    heads = np.flatnonzero(np.concatenate(([True], new)))
    counts = np.diff(np.concatenate((heads, [len(order)])))
    rows, next_states = rows[heads], next_states[heads]
    rewards, terminated = rewards[heads], terminated[heads]
    unseen = _unseen(rows, num_rows)
    tries = np.bincount(samples.rows, minlength=num_rows)
    probabilities = counts / tries[rows]
    place = np.searchsorted(rows, unseen)
    lengths = np.bincount(rows, minlength=num_rows)
    lengths[unseen] = 1
    starts = np.bincount(samples.starts, minlength=num_states)
    return TabularMDP(
        row_starts=np.concatenate(([0], np.cumsum(lengths))),
        next_states=np.insert(next_states, place, (unseen // num_actions).astype(np.int32)),
        probabilities=np.insert(probabilities, place, 1.0),
        rewards=np.insert(rewards, place, 0.0),
        terminated=np.insert(terminated, place, False),
        initial_distribution=starts / starts.sum(),
        num_actions=num_actions,
        max_episode_steps=cap,
        name=name,
    )


def _unseen(rows: NDArray[np.int64], num_rows: int) -> NDArray[np.int64]:
    seen = np.zeros(num_rows, dtype=np.bool_)
    seen[rows] = True
    unseen = np.flatnonzero(~seen)
    if len(unseen):
        warnings.warn(
            f"{len(unseen)} of {num_rows} pairs of state and action were never tried; in the "
            f"model they loop on their state without reward",
            stacklevel=5,
        )
    return unseen
