"""What makes an environment another one: its id, what it is made with, and its spaces."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import gymnasium
from gymnasium.envs.registration import EnvSpec

__all__ = ["EnvironmentIdentity", "options_of"]

# which part of an environment's goals is meant, and how it is drawn: not what it is
_NOT_IDENTITY = {"goals", "render_mode", "width", "height", "camera_name", "camera_id"}


@dataclass(frozen=True)
class EnvironmentIdentity:
    """An environment, as far as data of it go.

    Attributes:
        environment: Its id; None where that is not known.
        options: What it is made with besides.
        observation_space: Of it.
        action_space: Of it.

    Example:
        >>> lake = EnvironmentIdentity.of(gymnasium.make("FrozenLake-v1"))
        >>> sure = EnvironmentIdentity.of(gymnasium.make("FrozenLake-v1", is_slippery=False))
        >>> lake.difference(sure)
        ('FrozenLake-v1', 'FrozenLake-v1@is_slippery=False')
    """

    environment: str | None
    options: Mapping[str, Any]
    observation_space: gymnasium.Space[Any]
    action_space: gymnasium.Space[Any]

    @classmethod
    def of(cls, env: gymnasium.Env[Any, Any]) -> Self:
        """That of an environment; one without a spec has the name of its class."""
        spaces = env.observation_space, env.action_space
        if env.spec is None:
            return cls(type(env.unwrapped).__name__, {}, *spaces)
        return cls(env.spec.id, options_of(env.spec), *spaces)

    def difference(self, other: EnvironmentIdentity) -> tuple[str, str] | None:
        """This side and the other, in words, where they differ; else None.

        How they are drawn (``render_mode`` and the like) and which part of their goals they set
        (``goals``) makes them no others.
        """
        if self.environment is not None and other.environment is not None:
            ours, theirs = self._label, other._label
            if ours != theirs:
                return ours, theirs
        for name in ("observation_space", "action_space"):
            space, its = getattr(self, name), getattr(other, name)
            if space != its:
                kind = name.replace("_", " ")
                return f"{self._label} with the {kind} {space}", f"{other._label} with {its}"
        return None

    @property
    def _label(self) -> str:
        if self.environment is None:
            return "an unknown environment"
        chosen = {key: self.options[key] for key in sorted(self.options)}
        listed = ",".join(f"{k}={v}" for k, v in chosen.items() if k not in _NOT_IDENTITY)
        return f"{self.environment}@{listed}" if listed else self.environment


def options_of(spec: EnvSpec) -> dict[str, Any]:
    """What an environment is made with besides what its id says, as JSON holds it.

    Example:
        >>> options_of(gymnasium.make("FrozenLake-v1", is_slippery=False).spec)
        {'is_slippery': False}
    """
    known = gymnasium.registry.get(spec.id)
    usual = {} if known is None else known.kwargs
    found: dict[str, Any] = json.loads(json.dumps(spec.kwargs, default=repr))
    return {
        key: value
        for key, value in found.items()
        if key != "render_mode" and usual.get(key, ...) != spec.kwargs[key]
    }
