"""What learners share that estimate the values of a given policy."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...envs.environments import EnvLike
from .compilation import njit
from .configuration import PredictionConfig
from .learner import AbstractTabularAgent, Simulator
from .random_stream import random_unit
from .schedules import StepSize, compile_schedule, scheduled

__all__ = [
    "AbstractPrediction",
    "EvaluatedPolicy",
    "drawn_action",
    "drawn_probability",
    "policy_table",
]


class EvaluatedPolicy(NamedTuple):
    """A policy that does not change, as compiled loops take it.

    Attributes:
        probabilities: (S, A) of each action.
        allowed: (S, A) which actions may be taken; the others' probability goes to the rest.
        random: (4,) the random stream.
        clock: (1,) environment steps learnt from.
    """

    probabilities: NDArray[np.float64]
    allowed: NDArray[np.bool_]
    random: NDArray[np.uint64]
    clock: NDArray[np.int64]


@njit
def drawn_action(policy: EvaluatedPolicy, state: int) -> int:
    """Draw an action; the lowest allowed one where the policy's are all masked."""
    total = 0.0
    chosen = -1
    for action in range(policy.allowed.shape[1]):
        if policy.allowed[state, action]:
            total += policy.probabilities[state, action]
            if chosen < 0:
                chosen = action
    threshold = random_unit(policy.random) * total
    for action in range(policy.allowed.shape[1]):
        probability = policy.probabilities[state, action]
        if policy.allowed[state, action] and probability > 0.0:
            chosen = action
            threshold -= probability
            if threshold < 0.0:
                break
    return chosen


@njit
def drawn_probability(policy: EvaluatedPolicy, state: int, action: int) -> float:
    """With what probability `drawn_action` draws an action, masks included."""
    total = 0.0
    lowest = -1
    for other in range(policy.allowed.shape[1]):
        if policy.allowed[state, other]:
            total += policy.probabilities[state, other]
            if lowest < 0:
                lowest = other
    if total > 0.0 and policy.allowed[state, action]:
        return float(policy.probabilities[state, action] / total)
    return 1.0 if action == lowest else 0.0


def policy_table(policy: ArrayLike | None, allowed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """A policy as (S, A) probabilities.

    Args:
        policy: (S,) numbers of actions, (S, A) probabilities, or None for the uniform policy over
            the allowed actions.
        allowed: (S, A) which actions are allowed.

    Raises:
        ValueError: The shape is another, a row does not sum to 1, or a masked action has a
            probability.
    """
    num_states, num_actions = allowed.shape
    if policy is None:
        uniform: NDArray[np.float64] = allowed / np.maximum(allowed.sum(axis=1, keepdims=True), 1)
        return uniform
    given = np.asarray(policy)
    if given.shape == (num_states,) and given.dtype.kind in "iu":
        outside = np.flatnonzero((given < 0) | (given >= num_actions))
        if len(outside):
            raise ValueError(
                f"expected actions in [0, {num_actions}), got {given[outside[0]]} in state "
                f"{outside[0]}"
            )
        table = np.zeros((num_states, num_actions))
        table[np.arange(num_states), given] = 1.0
    elif given.shape == (num_states, num_actions):
        table = given.astype(np.float64)
    else:
        raise ValueError(
            f"expected a policy of shape ({num_states},) of integers or "
            f"({num_states}, {num_actions}), got {given.dtype} of shape {given.shape}"
        )
    bad = ~np.isfinite(table) | (table < 0) | (~allowed & (table > 0))
    wrong = np.flatnonzero(bad.any(axis=1) | (np.abs(table.sum(axis=1) - 1) > 1e-8))
    if len(wrong):
        raise ValueError(
            f"expected probabilities of allowed actions that sum to 1 in each state, got "
            f"{table[wrong[0]]} in state {wrong[0]}, where {allowed[wrong[0]]} are allowed"
        )
    return table


class AbstractPrediction(AbstractTabularAgent):
    """A learner whose memory has ``state_values`` (S, 1) and ``policy``.

    Args:
        env: As for `AbstractTabularAgent`.
        policy: The policy to evaluate: (S,) numbers of actions, (S, A) probabilities, or None for
            the uniform one.
        seed: As for `AbstractTabularAgent`.
        simulator: As for `AbstractTabularAgent`.
        hyperparameters: Fields of ``Config``.

    Raises:
        ValueError: Also if ``policy`` is none.
    """

    _given_policy: ArrayLike | None = None

    def __init__(
        self,
        env: EnvLike,
        *,
        policy: ArrayLike | None = None,
        seed: int | None = None,
        simulator: Simulator = "auto",
        **hyperparameters: Any,
    ) -> None:
        self._given_policy = policy
        super().__init__(env, seed=seed, simulator=simulator, **hyperparameters)

    @property
    def action_values(self) -> NDArray[np.float64]:
        """Not known: only the values of states are learnt."""
        raise AttributeError(f"{self.name} learns the values of states, not of actions")

    @property
    def state_values(self) -> NDArray[np.float64]:
        """(S,) a copy of the values of the states under the policy."""
        values: NDArray[np.float64] = self._memory.state_values[:, 0].copy()
        return values

    @property
    def policy(self) -> NDArray[np.int64]:
        """(S,) the likeliest action of each state under the policy, the lowest of equals."""
        weights = np.where(self._allowed, self._memory.policy.probabilities, -1.0)
        best: NDArray[np.int64] = weights.argmax(axis=1).astype(np.int64)
        return best

    @property
    def policy_probabilities(self) -> NDArray[np.float64]:
        """(S, A) a copy of the policy whose values are learnt."""
        table: NDArray[np.float64] = self._memory.policy.probabilities.copy()
        return table

    def _choose(self, state: int, allowed: NDArray[np.bool_], deterministic: bool) -> int:
        policy: EvaluatedPolicy = self._memory.policy
        row = policy.probabilities[state : state + 1]
        if not allowed.any():
            raise ValueError(f"expected an allowed action in state {state}, got none")
        if deterministic:
            return int(np.where(allowed, row[0], -1.0).argmax())
        own = policy._replace(
            probabilities=row, allowed=allowed[np.newaxis], random=self._prediction_random
        )
        return int(drawn_action(own, 0))

    def _scalars(self) -> dict[str, float]:
        if not isinstance(self.config, PredictionConfig):
            return {}
        schedule = self._memory.step_size.schedule
        return {"train/step_size": float(scheduled(schedule, self.num_timesteps))}

    # ---- parts of a memory, for the algorithms' _build_memory ----------------------------------

    def _initial_values(self) -> NDArray[np.float64]:
        return np.full((self.num_states, 1), float(self.config.initial_state_value))

    def _initial_counts(self) -> NDArray[np.int64]:
        return np.zeros((self.num_states, 1), dtype=np.int64)

    def _policy(self, random: NDArray[np.uint64]) -> EvaluatedPolicy:
        table = policy_table(self._given_policy, self._allowed)
        return EvaluatedPolicy(table, self._allowed, random, self._clock)

    def _step_size(self) -> StepSize:
        schedule = compile_schedule(self.config.step_size)
        return StepSize(schedule, float(self.config.step_size_decay))
