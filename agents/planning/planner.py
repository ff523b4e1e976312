"""The planners as agents: they read the environment's model, solve it, and act on the solution.

``learn`` takes no environment steps, whatever its budget: ``num_timesteps`` stays 0. It plans, so
that a planner stands beside learners in a comparison, with the same ``predict``, ``save`` and
``load``. Where several states of the model show the same observation (Blackjack's naturals),
tables and actions are those of the first such state.

Example:
    >>> agent = PolicyIteration("FrozenLake-v1", discount=0.95).learn(1)
    >>> float(agent.state_values[0].round(6)), int(agent.predict(0)[0])
    (0.180472, 0)
"""

from __future__ import annotations

import dataclasses
import os
from abc import abstractmethod
from typing import Any, Self, TypeAlias, final

import gymnasium
import numpy as np
from gymnasium import spaces
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from ...configuration import build_config, config_from_json
from ...envs.environments import EnvLike, make_env
from ...envs.mdp import TabularMDP
from ...envs.state_index import StateIndex
from ...space_json import space_from_json, space_to_json
from ...storage import read_arrays, write_arrays
from ..action_masks import ActionMask, masks_of_batch
from ..agent import AbstractAgent, Callback
from ..checkpoint import check_same_space, package_versions
from ..tabular.observations import batch_of_states
from .backward_induction import FiniteHorizonSolution, backward_induction
from .configuration import (
    BackwardInductionConfig,
    PlannerConfig,
    PolicyIterationConfig,
    ValueIterationConfig,
)
from .linear_programming import linear_programming
from .modified_policy_iteration import modified_policy_iteration
from .policy_iteration import policy_iteration
from .prioritized_sweeping import prioritized_sweeping
from .progress import PlanningProgress
from .solution import Solution, SweepWatcher
from .value_iteration import value_iteration

__all__ = [
    "AbstractPlanner",
    "BackwardInduction",
    "LinearProgramming",
    "ModifiedPolicyIteration",
    "PolicyIteration",
    "PrioritizedSweeping",
    "ValueIteration",
]

Plan: TypeAlias = "Solution | FiniteHorizonSolution"
Ints = NDArray[np.int64]

_FORMAT = "gymagine-planner-1"


class AbstractPlanner(AbstractAgent):
    """What all planners share; each implements `_solve` and `_actions`.

    Args:
        env: The environment whose model is solved: an id, a spec or an environment.
        seed: Accepted like every agent's; planning is not random.
        model: The model to solve in place of the environment's own, such as an estimated one.
        hyperparameters: Fields of ``Config``.

    Attributes:
        mdp: The model, or None for an agent loaded without an environment.
        solution: What the planner found, or None before `learn`.

    Raises:
        ValueError: The environment tells no model, or a hyper-parameter is out of range.
        TypeError: A keyword is no hyper-parameter, or ``model`` no `TabularMDP`.
    """

    mdp: TabularMDP | None
    solution: Plan | None
    reads_masks = False

    def __init__(
        self,
        env: EnvLike,
        *,
        seed: int = 0,
        model: TabularMDP | None = None,
        **hyperparameters: Any,
    ) -> None:
        config = build_config(self.Config, hyperparameters, type(self).__name__)
        made = make_env(env)
        mdp = TabularMDP.from_env(made) if model is None else model
        self._set_up(made, made.observation_space, made.action_space, mdp, config, seed)

    # ---- what a planner is ----------------------------------------------------------------------

    @abstractmethod
    def _solve(self, mdp: TabularMDP, on_sweep: SweepWatcher | None) -> Plan:
        """The solution of the model with the agent's settings."""

    @abstractmethod
    def _actions(self, states: Ints, clock: Ints) -> Ints:
        """(B,) the actions in these states when so many steps have been taken."""

    @property
    @abstractmethod
    def _keeps_time(self) -> bool:
        """Whether the actions depend on the clock."""

    # ---- the contract of agents -----------------------------------------------------------------

    def learn(
        self,
        total_timesteps: int = 1,
        callback: Callback = None,
        *,
        log_interval: int = 4,
        tb_log_name: str = "run",
        reset_num_timesteps: bool = False,
        progress_bar: bool = False,
    ) -> Self:
        """Solve the model; the budget is ignored and no step is taken (see `AbstractAgent`).

        Callbacks see the start and the end; the logger gets ``plan/sweeps``, ``plan/residual`` and
        ``plan/error_bound``.

        Raises:
            ValueError: The budget is not positive, there is no environment, or the model has no
                finite solution.
        """
        if total_timesteps < 1:
            raise ValueError(f"expected a budget of at least 1 step, got {total_timesteps}")
        if self.mdp is None:
            raise ValueError(
                "expected an environment to plan in, got none: load the agent with env=..."
            )
        with PlanningProgress(self, callback, progress_bar=progress_bar) as progress:
            self.solution = self._solve(self.mdp, progress.on_sweep)
        return self

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = True,
        *,
        action_mask: ActionMask | None = None,
    ) -> tuple[Any, Any]:
        """The best action for one observation, or for each of a batch (see `AbstractAgent`).

        Args:
            observation: One observation or a batch.
            state: (B,) steps taken in the episode so far, for `BackwardInduction`; passed through
                by the others.
            episode_start: (B,) where an episode begins and the clock starts again.
            deterministic: Planners have no other way.
            action_mask: (A,) or (B, A) which actions are allowed; where the best is not, the best
                of those that are is taken, by the action values (`BackwardInduction`: of time 0).

        Raises:
            ValueError: Nothing has been planned, an observation is outside the space, no action
                is allowed, or the state is no number of steps.
        """
        solution = self._solution_or_raise()
        numbers, is_batch = batch_of_states(self._observations, observation)
        states = self._state_of_observation[numbers]
        clock = _clock(state if self._keeps_time else None, episode_start, len(states))
        chosen = self._actions(states, clock)
        if action_mask is not None:
            mask = masks_of_batch(action_mask, len(states), solution.action_values.shape[1:])
            chosen = _best_allowed(solution.action_values[states], chosen, mask)
        actions = chosen + self._first_action
        ahead = (clock + 1 if is_batch else clock[0] + 1) if self._keeps_time else state
        return (actions if is_batch else actions[0]), ahead

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write settings and solution to one file (see `AbstractAgent`)."""
        arrays: dict[str, NDArray[Any]] = {"state_of_observation": self._state_of_observation}
        numbers: dict[str, Any] | None = None
        if self.solution is not None:
            numbers = {}
            for field in dataclasses.fields(self.solution):
                value = getattr(self.solution, field.name)
                (arrays if isinstance(value, np.ndarray) else numbers)[field.name] = value
        header = {
            "format": _FORMAT,
            "agent": self.name,
            "config": dataclasses.asdict(self.config),
            "seed": self.seed,
            "observation_space": space_to_json(self.observation_space),
            "action_space": space_to_json(self.action_space),
            "solution": numbers,
            "versions": package_versions(),
        }
        write_arrays(path, arrays, header)

    @classmethod
    def load(cls, path: str | os.PathLike[str], env: EnvLike | None = None) -> Self:
        """Read what `save` wrote (see `AbstractAgent`)."""
        arrays, header = read_arrays(path, expected_format=_FORMAT)
        made = None if env is None else make_env(env)
        try:
            if header["agent"] != cls.name:
                raise ValueError(f"expected a {cls.name} agent, got {path} of {header['agent']}")
            return cls._restored(arrays, header, made)
        except (KeyError, TypeError) as error:  # a field too few or too many, or of another type
            raise ValueError(f"expected a planner in {os.fspath(path)}, got {error!r}") from error

    @classmethod
    def _restored(
        cls,
        arrays: dict[str, NDArray[Any]],
        header: dict[str, Any],
        env: gymnasium.Env[Any, Any] | None,
    ) -> Self:
        observation_space = space_from_json(header["observation_space"])
        action_space = space_from_json(header["action_space"])
        mdp = None
        if env is not None:
            check_same_space("observation", observation_space, env.observation_space)
            check_same_space("action", action_space, env.action_space)
            mdp = TabularMDP.from_env(env)
        config = config_from_json(cls.Config, header["config"])
        agent = cls.__new__(cls)
        agent._set_up(env, observation_space, action_space, mdp, config, header["seed"])
        agent._state_of_observation = arrays.pop("state_of_observation")
        if header["solution"] is not None:
            fields: dict[str, Any] = {**header["solution"], **arrays}
            agent.solution = (
                FiniteHorizonSolution(**fields) if agent._keeps_time else Solution(**fields)
            )
        return agent

    # ---- the solution by observation ------------------------------------------------------------

    @property
    def state_values(self) -> Float64[NDArray[np.float64], " states"]:
        """(S,) values by number of observation; at time 0 for `BackwardInduction`."""
        return self._solution_or_raise().state_values[self._state_of_observation]

    @property
    def action_values(self) -> Float64[NDArray[np.float64], "states actions"]:
        """(S, A) values of the actions by number of observation; -inf where masked."""
        return self._solution_or_raise().action_values[self._state_of_observation]

    @property
    def policy(self) -> Int64[Ints, " states"]:
        """(S,) best actions, counted from 0, by number of observation."""
        return self._solution_or_raise().policy[self._state_of_observation]

    # ---- inside ---------------------------------------------------------------------------------

    def _set_up(
        self,
        env: gymnasium.Env[Any, Any] | None,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        mdp: TabularMDP | None,
        config: Any,
        seed: int,
    ) -> None:
        self.env, self.mdp, self.config, self.seed = env, mdp, config, seed
        self.observation_space, self.action_space = observation_space, action_space
        self.num_timesteps = 0
        self.solution = None
        self._observations = StateIndex(observation_space)
        if not isinstance(action_space, spaces.Discrete):
            raise ValueError(f"expected a Discrete action space, got {action_space}")
        self._first_action = np.int64(action_space.start)
        if mdp is not None:
            _check_sizes(mdp, self._observations, action_space)
            self._state_of_observation = _first_states(mdp)

    def _solution_or_raise(self) -> Plan:
        if self.solution is None:
            raise ValueError(f"expected a solution, got none yet: call learn() of {self.name}")
        return self.solution


def _check_sizes(mdp: TabularMDP, observations: StateIndex, actions: spaces.Discrete) -> None:
    model: object = mdp
    if not isinstance(model, TabularMDP):
        raise TypeError(f"expected a TabularMDP as model, got {type(model).__name__}")
    found = (mdp.num_observations, mdp.num_actions)
    expected = (observations.num_states, int(actions.n))
    if found != expected:
        raise ValueError(
            f"expected a model with {expected[0]} observations and {expected[1]} actions, as the "
            f"environment has, got {found[0]} and {found[1]}"
        )


def _first_states(mdp: TabularMDP) -> Ints:
    """(number of observations,) the first state that shows each observation."""
    if mdp.observation_index is None:
        return np.arange(mdp.num_states)
    first = np.zeros(mdp.num_observations, dtype=np.int64)
    shown, state = np.unique(mdp.observation_index, return_index=True)
    first[shown] = state
    return first


def _clock(state: Any, episode_start: NDArray[np.bool_] | None, size: int) -> Ints:
    if state is None:
        return np.zeros(size, dtype=np.int64)
    given = np.asarray(state)
    whole = given.dtype.kind in "iu" and bool((given >= 0).all())
    if not whole or given.shape not in ((), (1,), (size,)):
        raise ValueError(
            f"expected the steps taken as state, one number of at least 0 or {size}, got {state!r}"
        )
    clock = np.broadcast_to(given.astype(np.int64), (size,)).copy()
    if episode_start is not None:
        clock[np.broadcast_to(episode_start, (size,))] = 0
    return clock


def _best_allowed(
    action_values: NDArray[np.float64], chosen: Ints, mask: NDArray[np.bool_]
) -> Ints:
    best = np.where(mask, action_values, -np.inf).argmax(axis=1)
    return np.where(mask[np.arange(len(chosen)), chosen], chosen, best)


@final
class ValueIteration(AbstractPlanner):
    """Value iteration as an agent (see `value_iteration` and `AbstractPlanner`)."""

    Config = ValueIterationConfig
    name = "value-iteration"
    _keeps_time = False

    def _solve(self, mdp: TabularMDP, on_sweep: SweepWatcher | None) -> Plan:
        return value_iteration(mdp, **dataclasses.asdict(self.config), on_sweep=on_sweep)

    def _actions(self, states: Ints, clock: Ints) -> Ints:
        return self._solution_or_raise().policy[states]


@final
class PolicyIteration(AbstractPlanner):
    """Policy iteration as an agent (see `policy_iteration` and `AbstractPlanner`)."""

    Config = PolicyIterationConfig
    name = "policy-iteration"
    _keeps_time = False

    def _solve(self, mdp: TabularMDP, on_sweep: SweepWatcher | None) -> Plan:
        return policy_iteration(mdp, **dataclasses.asdict(self.config), on_sweep=on_sweep)

    def _actions(self, states: Ints, clock: Ints) -> Ints:
        return self._solution_or_raise().policy[states]


@final
class ModifiedPolicyIteration(AbstractPlanner):
    """Modified policy iteration as an agent (see `modified_policy_iteration`)."""

    Config = PlannerConfig
    name = "modified-policy-iteration"
    _keeps_time = False

    def _solve(self, mdp: TabularMDP, on_sweep: SweepWatcher | None) -> Plan:
        settings = dataclasses.asdict(self.config)
        return modified_policy_iteration(mdp, **settings, on_sweep=on_sweep)

    def _actions(self, states: Ints, clock: Ints) -> Ints:
        return self._solution_or_raise().policy[states]


@final
class PrioritizedSweeping(AbstractPlanner):
    """Prioritised sweeping as an agent (see `prioritized_sweeping`)."""

    Config = PlannerConfig
    name = "prioritized-sweeping"
    _keeps_time = False

    def _solve(self, mdp: TabularMDP, on_sweep: SweepWatcher | None) -> Plan:
        return prioritized_sweeping(mdp, **dataclasses.asdict(self.config), on_sweep=on_sweep)

    def _actions(self, states: Ints, clock: Ints) -> Ints:
        return self._solution_or_raise().policy[states]


@final
class LinearProgramming(AbstractPlanner):
    """Linear programming as an agent (see `linear_programming`)."""

    Config = PlannerConfig
    name = "linear-programming"
    _keeps_time = False

    def _solve(self, mdp: TabularMDP, on_sweep: SweepWatcher | None) -> Plan:
        return linear_programming(mdp, **dataclasses.asdict(self.config), on_sweep=on_sweep)

    def _actions(self, states: Ints, clock: Ints) -> Ints:
        return self._solution_or_raise().policy[states]


@final
class BackwardInduction(AbstractPlanner):
    """Backward induction as an agent: the best play under the environment's step cap.

    The best action depends on the steps taken. ``predict`` returns that count as its state and
    takes it back; without a state it is the beginning of an episode.

    Raises:
        ValueError: Also where neither ``horizon`` nor the environment limits the steps.
    """

    Config = BackwardInductionConfig
    name = "backward-induction"
    _keeps_time = True

    def _solve(self, mdp: TabularMDP, on_sweep: SweepWatcher | None) -> Plan:
        return backward_induction(mdp, **dataclasses.asdict(self.config), on_sweep=on_sweep)

    def _actions(self, states: Ints, clock: Ints) -> Ints:
        solution = self._solution_or_raise()
        assert isinstance(solution, FiniteHorizonSolution)
        times = np.minimum(clock, solution.horizon - 1)
        return solution.policies_by_time[times, states]
