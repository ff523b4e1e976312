"""Scripted experts: policies that people wrote, which show what is to be imitated.

========================  =====================================================================
``cart-pole``             pushes towards where pole and cart are going to be
``lunar-lander``          Gymnasium's own heuristic, for discrete and continuous actions
``metaworld:TASK``        Meta-World's scripted policy of a task, such as ``metaworld:reach``
``point-maze``            goes through the centres of cells along a shortest path
``two-ways``              passes the block above or below, at random
========================  =====================================================================

An expert has ``predict``, as agents have: it can be evaluated, filmed, and collected from. Agents
of this package and of Stable-Baselines3 are experts as they are.

References:
    R. V. Florian (2007), Correct equations for the dynamics of the cart-pole system (what a push
        does to pole and cart).
    T. Yu et al. (2019), Meta-World: a benchmark and evaluation for multi-task and meta
        reinforcement learning, arXiv:1910.10897 (scripted policies).
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, TypeAlias

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ..generative.data.environments import Predictor
from .environments import EnvLike, make_env
from .metaworld_tasks import metaworld_library, metaworld_task_name
from .point_maze import PointMaze, WaypointController
from .two_ways import TwoWaysExpert

__all__ = ["EXPERTS", "ScriptedExpert", "expert_for", "expert_name_for", "expert_named"]

Rule: TypeAlias = Callable[[NDArray[Any]], Any]
"""The action for one observation."""

EXPERTS = ("cart-pole", "lunar-lander", "metaworld:TASK", "point-maze", "two-ways")
"""Names that there are."""

_NAMES = {  # by id, without the version
    "CartPole": "cart-pole",
    "LunarLander": "lunar-lander",
    "gymagine/PointMaze": "point-maze",
    "gymagine/TwoWays": "two-ways",
}
_METAWORLD = "metaworld:"
_METAWORLD_ID = "gymagine/MetaWorld"


class ScriptedExpert:
    """Acts by a rule, the same way every time.

    Args:
        name: Of the expert.
        rule: From one observation to an action.
        observation_shape: Of one observation.
        action_space: Where actions lie; those in a Box are clipped to it.

    Example:
        >>> expert = expert_named("cart-pole")
        >>> falling_right = np.array([0.0, 0.0, 0.1, 0.5])
        >>> expert.predict(falling_right)[0], expert.predict(np.stack([-falling_right] * 2))[0]
        (1, array([0, 0]))
    """

    def __init__(
        self,
        name: str,
        rule: Rule,
        observation_shape: tuple[int, ...],
        action_space: spaces.Space[Any],
    ) -> None:
        self.name, self.action_space = name, action_space
        self._rule, self._shape = rule, observation_shape

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = True,
    ) -> tuple[Any, Any]:
        """The action for one observation, or (B, ...) actions for (B, ...) observations.

        Raises:
            ValueError: Observations are of another shape.
        """
        seen = np.asarray(observation)
        if seen.shape == self._shape:
            return self._act(seen), state
        if seen.shape[1:] != self._shape:
            raise ValueError(
                f"expected observations of shape {self._shape} for the expert {self.name}, got "
                f"{seen.shape}"
            )
        return np.stack([np.asarray(self._act(one)) for one in seen]), state

    def check_fits(self, env: gymnasium.Env[Any, Any]) -> None:
        """Make sure that an environment has such observations and actions.

        Raises:
            ValueError: It has others.
        """
        shape, action_space = env.observation_space.shape, env.action_space
        if shape != self._shape or action_space != self.action_space:
            raise ValueError(
                f"expected observations of shape {self._shape} and actions in "
                f"{self.action_space} for the expert {self.name}, got {shape} and {action_space}"
            )

    def _act(self, observation: NDArray[Any]) -> Any:
        action = self._rule(observation)
        if isinstance(self.action_space, spaces.Box):
            low, high = self.action_space.low, self.action_space.high
            return np.clip(action, low, high).astype(self.action_space.dtype)
        return int(action)


def expert_named(name: str, env: EnvLike | None = None, *, seed: int = 0) -> Predictor:
    """The expert of a name.

    Args:
        name: One of `EXPERTS`, with a task in the place of ``TASK``.
        env: Where it is to act: ``lunar-lander`` has continuous actions where the environment has,
            and ``point-maze`` knows its walls.
        seed: Of the choices of experts that make some.

    Raises:
        ValueError: There is none of that name (the nearest is told), or it is one of another
            environment.
        ModuleNotFoundError: Meta-World is not installed.
        gymnasium.error.DependencyNotInstalled: Box2D is not installed.
    """
    own = None if env is None else make_env(env)
    try:
        if own is not None:
            _check_name(name, own)
        expert = _expert(name, own, seed)
        if own is not None and isinstance(expert, ScriptedExpert):
            expert.check_fits(own)
        return expert
    finally:
        if own is not None and own is not env:
            own.close()


def _expert(name: str, env: gymnasium.Env[Any, Any] | None, seed: int) -> Predictor:
    if name == "cart-pole":
        return ScriptedExpert(name, _balance, (4,), spaces.Discrete(2))
    if name == "lunar-lander":
        continuous = env is not None and isinstance(env.action_space, spaces.Box)
        space = spaces.Box(-1, 1, (2,), np.float32) if continuous else spaces.Discrete(4)
        return ScriptedExpert(name, _landing(continuous), (8,), space)
    if name == "two-ways":
        return TwoWaysExpert(np.random.default_rng(seed))
    if name == "point-maze":
        return WaypointController(PointMaze() if env is None else env, seed=seed)
    if name.startswith(_METAWORLD):
        space = spaces.Box(-1, 1, (4,), np.float32)
        return ScriptedExpert(name, _metaworld_rule(name), (39,), space)
    near = difflib.get_close_matches(name, EXPERTS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(EXPERTS)}"
    raise ValueError(f"unknown expert {name!r}; {hint}")


def expert_for(env: EnvLike, *, seed: int = 0) -> Predictor:
    """The expert of an environment.

    Args:
        env: Where it is to act.
        seed: Of the choices of experts that make some.

    Raises:
        ValueError: There is none.

    Example:
        >>> expert_for("CartPole-v1")
        ScriptedExpert('cart-pole')
    """
    own = make_env(env)
    try:
        return expert_named(expert_name_for(own), own, seed=seed)
    finally:
        if own is not env:
            own.close()


def expert_name_for(env: gymnasium.Env[Any, Any]) -> str:
    """What the expert of an environment is called.

    Raises:
        ValueError: There is none.
    """
    env_id = "" if env.spec is None else env.spec.id
    base = env_id.rpartition("-v")[0]
    if base == _METAWORLD_ID and env.spec is not None:
        return f"{_METAWORLD}{env.spec.kwargs['task']}"
    if base not in _NAMES:
        raise ValueError(
            f"expected an environment with a scripted expert ({', '.join(_NAMES)}, "
            f"{_METAWORLD_ID}), got {env_id or env}"
        )
    return _NAMES[base]


def _check_name(name: str, env: gymnasium.Env[Any, Any]) -> None:
    """Refuse the expert of an environment in another."""
    if name not in EXPERTS and not name.startswith(_METAWORLD):
        return  # there is none of that name at all
    try:
        own = expert_name_for(env)
    except ValueError:
        if name in _NAMES.values() and name not in ("two-ways", "point-maze"):
            return  # it may be the same in other words: shapes will tell
        raise
    if _plain(own) != _plain(name):
        raise ValueError(f"expected the expert {own} in {env.spec and env.spec.id}, got {name}")


def _plain(name: str) -> str:
    return name.removesuffix("-v3")


def _balance(observation: NDArray[Any]) -> int:
    """Right where pole and cart together lean right: gains of a stable linear feedback."""
    place, speed, angle, turning = observation
    return int(0.1 * place + 0.25 * speed + 2.0 * angle + 0.5 * turning > 0)


def _landing(continuous: bool) -> Rule:
    from gymnasium.envs.box2d.lunar_lander import heuristic

    rule: Any = heuristic  # which has no types
    # of the environment it asks no more than this
    asked = SimpleNamespace(unwrapped=SimpleNamespace(continuous=continuous))
    return lambda observation: rule(asked, observation)


def _metaworld_rule(name: str) -> Rule:
    task = metaworld_task_name(name.removeprefix(_METAWORLD))
    policy = metaworld_library().policies.ENV_POLICY_MAP[task]()

    def rule(observation: NDArray[Any]) -> Any:
        with warnings.catch_warnings():
            # it warns of actions beyond 1, which are meant and clipped
            warnings.simplefilter("ignore", UserWarning)
            return policy.get_action(observation)

    return rule
