"""The exact state of a vector environment in mid-episode, as data (see `environment_state`)."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import SyncVectorEnv, VectorEnv

from .environment_state import (
    capture,
    decode_generator,
    decode_value,
    encode_generator,
    encode_value,
    restore,
)
from .tabular_vector_env import TabularVectorEnv

__all__ = ["capture_vector", "restore_vector"]

_FORMAT = "gymagine-vector-environment-state-1"
_SYNC = ("_env_obs", "_rewards", "_terminations", "_truncations", "_autoreset_envs")
_TABULAR = ("states", "_clock", "_elapsed", "_ended", "_uniforms", "_used", "_seeds")


def capture_vector(env: VectorEnv[Any, Any, Any]) -> dict[str, Any] | None:
    """The state of a vector environment and of its copies.

    Args:
        env: A `TabularVectorEnv`, or a ``SyncVectorEnv`` over environments that `capture` knows.

    Returns:
        What JSON can hold of it, or None where it or a copy is of another kind.
    """
    if type(env) is TabularVectorEnv:
        generators = [encode_generator(generator) for generator in env._generators]
        values = {name: encode_value(getattr(env, name)) for name in _TABULAR}
        return {
            "format": _FORMAT,
            "type": "TabularVectorEnv",
            "values": values,
            "copies": generators,
        }
    if type(env) is SyncVectorEnv:
        copies = [_without_action_space(capture(copy)) for copy in env.envs]
        try:
            values = {name: encode_value(getattr(env, name)) for name in _SYNC}
        except TypeError:
            return None
        if any(copy is None for copy in copies):
            return None
        return {"format": _FORMAT, "type": "SyncVectorEnv", "values": values, "copies": copies}
    return None


def restore_vector(env: VectorEnv[Any, Any, Any], state: dict[str, Any]) -> None:
    """Put a captured state into a vector environment that was made in the same way.

    Args:
        env: A fresh one, of as many copies.
        state: From `capture_vector`, also by way of JSON.

    Raises:
        ValueError: The state is none of `capture_vector`, or is of another environment.
    """
    if state.get("format") != _FORMAT:
        raise ValueError(f"expected a state of format {_FORMAT}, got {state.get('format')!r}")
    expected = (state["type"], len(state["copies"]))
    found = (type(env).__name__, env.num_envs)
    if expected != found:
        raise ValueError(f"expected a {expected[0]} of {expected[1]} copies, got {found}")
    values = {name: decode_value(value) for name, value in state["values"].items()}
    if isinstance(env, TabularVectorEnv):
        env._generators = [decode_generator(copy) for copy in state["copies"]]
    elif isinstance(env, SyncVectorEnv):
        for copy, saved in zip(env.envs, state["copies"], strict=True):
            restore(_environment(copy), saved)
    for name, value in values.items():
        own = getattr(env, name)
        if isinstance(own, np.ndarray) and own.shape != np.shape(value):
            raise ValueError(f"expected {name} of shape {own.shape}, got {np.shape(value)}")
        setattr(env, name, value)


def _without_action_space(state: dict[str, Any] | None) -> dict[str, Any] | None:
    # building the batched space seeds that of a copy from the clock; nobody samples from it
    return None if state is None else {**state, "action_space_np_random": None}


def _environment(copy: Any) -> gymnasium.Env[Any, Any]:
    assert isinstance(copy, gymnasium.Env)
    return copy
