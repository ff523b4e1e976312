r"""The exact models of Gymnasium environments that tell them.

Toy text's environments keep their model in an attribute ``P``,
``P[s][a] = [(probability, next state, reward, terminated), ...]``, with traps handled here:

* wrappers do not forward ``P``, so it is read from ``unwrapped``, and only through wrappers that
  change neither observations nor rewards nor actions;
* goal and cliff cells are not absorbing in it (CliffWalking's goal state steps on), so outcomes go
  by their terminated flag, never by the rows of the state they lead to;
* a list may name the same next state several times, and as ``numpy.int64``;
* an environment may do more in ``step`` than ``P`` says (Taxi's fickle passenger).

Blackjack has no ``P``; its model is built from its rules in `blackjack_model`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces, wrappers
from gymnasium.envs.toy_text.blackjack import BlackjackEnv
from gymnasium.envs.toy_text.cliffwalking import CliffWalkingEnv
from gymnasium.envs.toy_text.frozen_lake import FrozenLakeEnv
from numpy.typing import ArrayLike

from .blackjack_model import blackjack_model
from .environments import EnvLike, make_env, step_cap
from .grid_layout import GridLayout
from .mdp import TabularMDP
from .mdp_validation import check_initial_distribution
from .outcome_models import compress_outcomes
from .state_index import StateIndex

__all__ = ["model_from_env"]

_HARMLESS = (
    wrappers.TimeLimit,
    wrappers.OrderEnforcing,
    wrappers.PassiveEnvChecker,
    wrappers.RecordEpisodeStatistics,
    wrappers.RecordVideo,
    wrappers.RenderCollection,
    wrappers.HumanRendering,
    wrappers.Autoreset,
)
# named, not imported: Stable-Baselines3 would bring torch along
_HARMLESS_NAMES = ("stable_baselines3.common.monitor.Monitor",)
_LEFT, _DOWN, _RIGHT, _UP = (0, -1), (1, 0), (0, 1), (-1, 0)


def model_from_env(
    env: EnvLike, *, initial_distribution: ArrayLike | int | None = None
) -> TabularMDP:
    """See `TabularMDP.from_env`."""
    made = make_env(env)
    try:
        return _read_model(made, initial_distribution)
    finally:
        if made is not env:
            made.close()


def _read_model(
    env: gymnasium.Env[Any, Any], initial_distribution: ArrayLike | int | None
) -> TabularMDP:
    _check_wrappers(env)
    cap = step_cap(env)
    base: Any = env.unwrapped
    if getattr(base, "model_changes", ()):
        steps = [step for step, _ in base.model_changes]
        raise ValueError(
            f"expected an environment with one model, got {base.mdp.name}, whose model changes "
            f"after {steps} steps: env.unwrapped.mdp is the one in force"
        )
    if isinstance(getattr(base, "mdp", None), TabularMDP):
        return _adjusted(base.mdp, cap, initial_distribution)
    name = env.spec.id if env.spec is not None else type(base).__name__
    if type(base) is BlackjackEnv:
        rules = {"natural": bool(base.natural), "sab": bool(base.sab)}
        return _adjusted(blackjack_model(**rules, name=name), cap, initial_distribution)
    rows = _read_table(base, env, name)
    if initial_distribution is None:
        initial_distribution = _own_start(base, name)
    num_states = (len(rows["row_starts"]) - 1) // rows["num_actions"]
    return TabularMDP(
        **rows,
        initial_distribution=check_initial_distribution(initial_distribution, num_states),
        max_episode_steps=cap,
        layout=_layout(base),
        name=name,
    )


def _adjusted(
    mdp: TabularMDP, cap: int | None, initial_distribution: ArrayLike | int | None
) -> TabularMDP:
    """The model itself, unless a wrapper caps it anew or it is started elsewhere."""
    if cap is not None and cap != mdp.max_episode_steps:
        mdp = replace(mdp, max_episode_steps=cap)
    if initial_distribution is not None:
        mdp = mdp.with_initial_distribution(initial_distribution)
    return mdp


def _check_wrappers(env: gymnasium.Env[Any, Any]) -> None:
    while isinstance(env, gymnasium.Wrapper):
        kind = type(env)
        name = f"{kind.__module__}.{kind.__qualname__}"
        if kind not in _HARMLESS and name not in _HARMLESS_NAMES:
            raise ValueError(
                f"expected wrappers that leave the model as it is, got {kind.__name__}, which may "
                f"change observations, rewards or actions: use TabularMDP.estimate for the "
                f"wrapped environment, or from_env(env.unwrapped) for the one inside"
            )
        env = env.env


def _no_model(env: gymnasium.Env[Any, Any], name: str, why: str) -> str:
    hint = "TabularMDP.estimate makes a model from samples"
    if isinstance(env.observation_space, spaces.Box):
        hint += (
            ", once gymagine.envs.discretize(env, bins=...) has made the observations countable"
        )
    return f"expected an environment that tells its model, got {name}: {why}; {hint}"


# ---- toy text's table ---------------------------------------------------------------------------


def _read_table(base: Any, env: gymnasium.Env[Any, Any], name: str) -> dict[str, Any]:
    table = getattr(base, "P", None)
    if not isinstance(table, Mapping | Sequence) or len(table) == 0:
        raise ValueError(_no_model(env, name, "it has no table P"))
    if getattr(base, "fickle_passenger", False):
        raise ValueError(_no_model(env, name, "its table P leaves the fickle passenger out"))
    try:
        num_states = StateIndex(base.observation_space).num_states
        num_actions = StateIndex(base.action_space).num_states
    except ValueError as error:
        raise ValueError(_no_model(env, name, f"{error}")) from error
    if len(table) != num_states:
        reason = f"its table P has {len(table)} states, but {num_states} observations"
        raise ValueError(_no_model(env, name, reason))
    first_state = _first_key(table, base.observation_space)
    first_actions = table[first_state]
    if not isinstance(first_actions, Mapping | Sequence) or isinstance(first_actions, str):
        raise ValueError(_no_model(env, name, "its P is no table of lists of outcomes"))
    first_action = _first_key(first_actions, base.action_space)
    if first_state or first_action:
        table = _shifted(table, first_state, first_action)
    try:
        return compress_outcomes(table, num_actions=num_actions)
    except (TypeError, ValueError) as error:
        raise ValueError(f"expected toy text's table P in {name}: {error}") from error


def _first_key(table: Any, space: gymnasium.Space[Any]) -> int:
    """Where the keys of a dictionary begin: at 0, or where the space itself begins."""
    start = int(space.start) if isinstance(space, spaces.Discrete) else 0
    counts_from_start = isinstance(table, Mapping) and start in table and 0 not in table
    return start if counts_from_start else 0


def _shifted(table: Any, first_state: int, first_action: int) -> dict[int, dict[int, Any]]:
    """The table with states and actions counted from 0, as in `StateIndex`."""

    def items(values: Any, first: int) -> Any:
        pairs = values.items() if isinstance(values, Mapping) else enumerate(values, first)
        return ((key - first, value) for key, value in pairs)

    return {
        state: {
            action: [(p, next_state - first_state, *rest) for p, next_state, *rest in outcomes]
            for action, outcomes in items(actions, first_action)
        }
        for state, actions in items(table, first_state)
    }


def _own_start(base: Any, name: str) -> Any:
    for attribute in ("initial_state_distrib", "isd"):
        start = getattr(base, attribute, None)
        if start is not None:
            return start
    raise ValueError(
        f"expected an initial distribution in {name} (initial_state_distrib or isd), got none: "
        f"give initial_distribution="
    )


def _layout(base: Any) -> GridLayout | None:
    if isinstance(base, FrozenLakeEnv):
        letters = np.asarray(base.desc)
        rows = [b"".join(row).decode().replace("F", ".") for row in letters]
        directions = (_LEFT, _DOWN, _RIGHT, _UP)
    elif isinstance(base, CliffWalkingEnv):
        num_rows, num_columns = base.shape
        middle = num_columns - 2
        rows = ["." * num_columns] * (num_rows - 1) + ["S" + "H" * middle + "G"]
        directions = (_UP, _RIGHT, _DOWN, _LEFT)
    else:
        return None
    states = np.arange(len(rows) * len(rows[0])).reshape(len(rows), len(rows[0]))
    return GridLayout(tuple(rows), states, directions)
