"""The exact state of a vector environment in mid-episode, as data (see `environment_state`)."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from .environment_state import (
    capture,
    decode_generator,
    decode_value,
    encode_generator,
    encode_value,
    moment,
    restore,
)
from .tabular_vector_env import TabularVectorEnv

__all__ = ["capture_vector", "moment_of_copies", "restore_vector"]

_FORMAT = "gymagine-vector-environment-state-2"
_SYNC = ("_env_obs", "_rewards", "_terminations", "_truncations", "_autoreset_envs")
_IMAGINED = ("memory", "_elapsed", "_ended")
_IMAGINED_CLASS = "gymagine.envs.imagined.ImaginedVectorEnv"
_TABULAR = ("states", "_clock", "_elapsed", "_ended", "_uniforms", "_used", "_seeds")


def capture_vector(env: VectorEnv[Any, Any, Any]) -> dict[str, Any] | None:
    """The state of a vector environment and of its copies.

    Args:
        env: A `TabularVectorEnv`, an `ImaginedVectorEnv` (without its model), or a
            ``SyncVectorEnv`` over environments that `capture` knows.

    Returns:
        What JSON can hold of it, or None where it or a copy is of another kind.
    """
    if type(env) is TabularVectorEnv:
        generators = [encode_generator(generator) for generator in env._generators]
        values = {name: encode_value(getattr(env, name)) for name in _TABULAR}
        return _state(env, values, generators)
    if type(env) is SyncVectorEnv:
        copies = [_without_action_space(capture(copy)) for copy in env.envs]
        try:
            values = {name: encode_value(getattr(env, name)) for name in _SYNC}
        except TypeError:
            return None
        return None if None in copies else _state(env, values, copies)
    if _is_imagined(env):
        values = {name: encode_value(getattr(env, name)) for name in _IMAGINED}
        return _state(env, values, [encode_generator(env._np_random)])
    return None


def _is_imagined(env: VectorEnv[Any, Any, Any]) -> bool:
    # named, not imported, so that no generator is loaded for it
    return f"{type(env).__module__}.{type(env).__qualname__}" == _IMAGINED_CLASS


def _state(
    env: VectorEnv[Any, Any, Any], values: dict[str, Any], copies: list[Any]
) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "type": type(env).__name__,
        "autoreset_mode": _mode(env),
        "values": values,
        "copies": copies,
    }


def moment_of_copies(env: VectorEnv[Any, Any, Any]) -> Any:
    """What changes when a vector environment is stepped or reset; None where it does not tell."""
    if type(env) is not SyncVectorEnv:
        return capture_vector(env)
    moments = [moment(_environment(copy)) for copy in env.envs]
    return None if None in moments else (moments, env._autoreset_envs.tolist())


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
    _check(env, state)
    values = {name: decode_value(value) for name, value in state["values"].items()}
    for name, value in values.items():
        own = getattr(env, name)
        if type(own) is not type(value) or len(own) != len(value):
            raise ValueError(f"expected {name} of the kind of {own!r}, got {value!r}")
        if isinstance(own, np.ndarray) and (own.shape, own.dtype) != (value.shape, value.dtype):
            raise ValueError(f"expected {name} of shape {own.shape}, got {value.shape}")
    if isinstance(env, TabularVectorEnv):
        env._generators = [decode_generator(copy) for copy in state["copies"]]
    elif _is_imagined(env):
        env._np_random = decode_generator(state["copies"][0])
    elif isinstance(env, SyncVectorEnv):
        for copy, saved in zip(env.envs, state["copies"], strict=True):
            restore(_environment(copy), saved)
    for name, value in values.items():
        setattr(env, name, value)


def _check(env: VectorEnv[Any, Any, Any], state: dict[str, Any]) -> None:
    """Refuse the state of another kind, autoreset mode or number of copies."""
    if type(env) not in (TabularVectorEnv, SyncVectorEnv) and not _is_imagined(env):
        raise ValueError(
            f"expected a TabularVectorEnv, an ImaginedVectorEnv or a SyncVectorEnv, got {env}"
        )
    num_copies = 1 if _is_imagined(env) else env.num_envs  # one generator for all
    expected = (state["type"], len(state["copies"]), state["autoreset_mode"])
    found = (type(env).__name__, num_copies, _mode(env))
    if expected != found:
        raise ValueError(
            f"expected a {expected[0]} of {expected[1]} copies, mode {expected[2]}, got {found}"
        )
    names = _IMAGINED if _is_imagined(env) else _SYNC
    if set(state["values"]) != set(_TABULAR if isinstance(env, TabularVectorEnv) else names):
        raise ValueError(f"expected what {found[0]} remembers, got {sorted(state['values'])}")


def _mode(env: Any) -> str:
    value: str = AutoresetMode(env.autoreset_mode).value
    return value


def _without_action_space(state: dict[str, Any] | None) -> dict[str, Any] | None:
    # building the batched space seeds that of a copy from the clock; nobody samples from it
    return None if state is None else {**state, "action_space_np_random": None}


def _environment(copy: Any) -> gymnasium.Env[Any, Any]:
    assert isinstance(copy, gymnasium.Env)
    return copy
