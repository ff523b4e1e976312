"""Copies of an environment, to step several together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import gymnasium
from gymnasium.vector import VectorEnv

from ...envs.environments import EnvLike, make_env, spaces_of
from ..checkpoint import check_same_space

__all__ = ["EnvironmentCopies", "EnvironmentSource", "copies_of", "num_rows_of"]

EnvironmentSource: TypeAlias = (
    EnvLike | VectorEnv[Any, Any, Any] | Callable[[], gymnasium.Env[Any, Any]]
)
_KINDS = ("observation", "action")
EnvironmentCopies: TypeAlias = list[gymnasium.Env[Any, Any]] | VectorEnv[Any, Any, Any]


def copies_of(env: EnvironmentSource, num_copies: int) -> EnvironmentCopies:
    """So many environments of a kind; a vector environment is taken as it is.

    Args:
        env: An id, a spec, a function that makes one, or an environment: the first copy, of which
            Gymnasium makes the others by its spec.
        num_copies: At least 1.

    Raises:
        ValueError: The environment cannot be made a second time, the id is unknown, or the copies
            that a function made have different spaces.
        TypeError: The thing is none of these.
    """
    if isinstance(env, VectorEnv):
        return env
    if isinstance(env, gymnasium.Env):
        return [env, *(_another(env) for _ in range(1, num_copies))]
    copies = [env() if callable(env) else make_env(env) for _ in range(num_copies)]
    for copy in copies[1:]:
        for kind, one, other in zip(_KINDS, spaces_of(copies[0]), spaces_of(copy), strict=True):
            check_same_space(kind, one, other)
    return copies


def num_rows_of(copies: EnvironmentCopies) -> int:
    """How many there are."""
    return copies.num_envs if isinstance(copies, VectorEnv) else len(copies)


def _another(env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    try:
        if env.spec is None:
            raise ValueError("it has no spec")
        return gymnasium.make(env.spec)
    except (ValueError, gymnasium.error.Error) as error:
        raise ValueError(
            "expected an id, a vector environment, or an environment that Gymnasium can make a "
            f"second time, to step several copies, got {env} ({error}); or take num_envs=1"
        ) from error
