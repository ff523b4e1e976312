"""What users may name an environment by, and the environment that they mean."""

from __future__ import annotations

import difflib
from typing import Any, TypeAlias

import gymnasium
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import VectorEnv
from gymnasium.wrappers import TimeLimit

__all__ = ["EnvLike", "make_env", "spaces_of", "step_cap"]

EnvLike: TypeAlias = str | EnvSpec | gymnasium.Env[Any, Any]


def make_env(env: EnvLike) -> gymnasium.Env[Any, Any]:
    """The environment that an id, a spec or an environment means.

    An environment is returned as it is; from an id or a spec a new one is made, which the caller
    closes.

    Raises:
        ValueError: The id is unknown (the message suggests the nearest), deprecated or malformed.
        TypeError: The thing is none of the three.
        gymnasium.error.DependencyNotInstalled: The environment needs a package that is missing.
    """
    given: object = env
    if isinstance(given, gymnasium.Env):
        return given
    if not isinstance(given, str | EnvSpec):
        kind = "its class" if isinstance(given, type) else type(given).__name__
        raise TypeError(f"expected an environment, its id or its spec, got {kind}")
    try:
        return gymnasium.make(given)
    except gymnasium.error.UnregisteredEnv as error:
        near = difflib.get_close_matches(str(env), gymnasium.registry, n=1)
        hint = f"; did you mean {near[0]}?" if near else f": {error}"
        raise ValueError(f"expected a registered environment, got {env!r}{hint}") from error
    except gymnasium.error.DependencyNotInstalled:
        raise
    except (gymnasium.error.Error, ModuleNotFoundError) as error:
        # deprecated versions, malformed ids, and ids "module:name" of a module that is not there
        if isinstance(error, ModuleNotFoundError) and ":" not in str(env):
            raise
        raise ValueError(f"expected a registered environment, got {env!r}: {error}") from error


def step_cap(env: gymnasium.Env[Any, Any]) -> int | None:
    """After how many steps the environment truncates: its least time limit, or None."""
    caps = []
    while isinstance(env, gymnasium.Wrapper):
        if isinstance(env, TimeLimit):
            caps.append(int(env._max_episode_steps))
        env = env.env
    return min(caps, default=None)


def spaces_of(
    env: gymnasium.Env[Any, Any] | VectorEnv[Any, Any, Any],
) -> tuple[spaces.Space[Any], spaces.Space[Any]]:
    """The observation and the action space of an environment, or of one copy of a vector's."""
    if isinstance(env, VectorEnv):
        return env.single_observation_space, env.single_action_space
    return env.observation_space, env.action_space
