"""The exact state of an environment in mid-episode, as data, for resuming bit for bit.

`capture` walks the stack of wrappers down to the environment and notes what each layer remembers;
`restore` puts it into a fresh environment made in the same way. A layer that is not in the
tables below makes `capture` return None: half a state would resume to a different run in silence.

What is captured: the wrappers' counters, the environment's own variables, its random generator,
and the generator of the action space (which agents sample from). What is not: windows, and the
settings that the environment was made with.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import gymnasium
import numpy as np

__all__ = [
    "capture",
    "decode_generator",
    "decode_value",
    "encode_generator",
    "encode_value",
    "moment",
    "restore",
]

_FORMAT = "gymagine-environment-state-1"

# attributes by layer; a class is named, not imported, so that nothing is loaded for it
_WRAPPERS: dict[str, tuple[str, ...]] = {
    "gymnasium.wrappers.common.TimeLimit": ("_elapsed_steps",),
    "gymnasium.wrappers.common.OrderEnforcing": ("_has_reset",),
    "gymnasium.wrappers.common.Autoreset": ("autoreset",),
    "gymnasium.wrappers.common.PassiveEnvChecker": (
        "checked_reset",
        "checked_step",
        "checked_render",
        "close_called",
    ),
    "gymnasium.wrappers.common.RecordEpisodeStatistics": (
        "episode_count",
        "episode_returns",
        "episode_lengths",
        "time_queue",
        "return_queue",
        "length_queue",
    ),
    "gymnasium.wrappers.transform_observation.DiscretizeObservation": (),
    "gymagine.envs.discretize.BoundedObservation": (),
    "stable_baselines3.common.monitor.Monitor": (
        "rewards",
        "needs_reset",
        "episode_returns",
        "episode_lengths",
        "episode_times",
        "total_steps",
        "current_reset_info",
    ),
}
_BLACKJACK = ("player", "dealer", "dealer_top_card_suit", "dealer_top_card_value_str")
_ENVIRONMENTS: dict[str, tuple[str, ...]] = {
    "gymagine.envs.point_maze.PointMaze": ("_position", "_goal"),
    "gymagine.envs.two_ways.TwoWays": ("_trail",),
    "gymagine.envs.tabular_env.TabularEnv": ("s", "last_action", "steps_taken"),
    "gymnasium.envs.toy_text.frozen_lake.FrozenLakeEnv": ("s", "lastaction"),
    "gymnasium.envs.toy_text.cliffwalking.CliffWalkingEnv": ("s", "lastaction"),
    "gymnasium.envs.toy_text.taxi.TaxiEnv": (
        "s",
        "lastaction",
        "fickle_step",
        "taxi_orientation",
    ),
    "gymnasium.envs.toy_text.blackjack.BlackjackEnv": _BLACKJACK,
    "gymnasium.envs.classic_control.cartpole.CartPoleEnv": ("state", "steps_beyond_terminated"),
    "gymnasium.envs.classic_control.mountain_car.MountainCarEnv": ("state",),
    "gymnasium.envs.classic_control.continuous_mountain_car.Continuous_MountainCarEnv": ("state",),
    "gymnasium.envs.classic_control.acrobot.AcrobotEnv": ("state",),
    "gymnasium.envs.classic_control.pendulum.PendulumEnv": ("state", "last_u"),
}
# attributes that hold a moment on a clock: their age is kept
_CLOCKS = {
    "gymnasium.wrappers.common.RecordEpisodeStatistics": ("episode_start_time", time.perf_counter),
    "stable_baselines3.common.monitor.Monitor": ("t_start", time.time),
}
_CHECKER = "gymnasium.wrappers.common.PassiveEnvChecker"


def capture(env: gymnasium.Env[Any, Any]) -> dict[str, Any] | None:
    """The state of an environment and of every wrapper around it.

    Args:
        env: Any stack of TimeLimit, OrderEnforcing, PassiveEnvChecker, Autoreset,
            RecordEpisodeStatistics, DiscretizeObservation, BoundedObservation and
            Stable-Baselines3's Monitor over TabularEnv, toy text or classic control.

    Returns:
        What JSON can hold of it, or None where a layer is not one of these.

    Example:
        >>> env = gymnasium.make("FrozenLake-v1")
        >>> first = env.reset(seed=0)
        >>> state = capture(env)
        >>> other = gymnasium.make("FrozenLake-v1")
        >>> restore(other, state)
        >>> env.step(2)[0] == other.step(2)[0]
        True
    """
    layers = []
    for layer in _stack(env):
        attributes = _attributes(layer)
        if attributes is None:
            return None
        try:
            values = {name: encode_value(getattr(layer, name, None)) for name in attributes}
        except TypeError:
            return None
        layers.append({"type": _type_name(layer), "values": values, "age": _age(layer)})
    generator = encode_generator(env.unwrapped._np_random)
    action_generator = encode_generator(env.action_space._np_random)
    if "unknown" in (generator, action_generator):
        return None
    return {
        "format": _FORMAT,
        "layers": layers,
        "np_random": generator,
        "np_random_seed": env.unwrapped._np_random_seed,
        "action_space_np_random": action_generator,
    }


def restore(env: gymnasium.Env[Any, Any], state: dict[str, Any]) -> None:
    """Put a captured state into an environment that was made in the same way.

    Args:
        env: A fresh environment with the same stack of wrappers; it need not be reset.
        state: From `capture`, also by way of JSON.

    Raises:
        ValueError: The state is none of `capture`, or is of another stack.
    """
    if state.get("format") != _FORMAT:
        raise ValueError(f"expected a state of format {_FORMAT}, got {state.get('format')!r}")
    layers = list(_stack(env))
    expected = [layer["type"] for layer in state["layers"]]
    found = [_type_name(layer) for layer in layers]
    if expected != found:
        raise ValueError(f"expected the layers {expected}, got {found}")
    for layer, saved in zip(layers, state["layers"], strict=True):
        if set(saved["values"]) != set(_attributes(layer) or ()):
            raise ValueError(f"expected what {layer} remembers, got {sorted(saved['values'])}")
        for name, value in saved["values"].items():
            setattr(layer, name, decode_value(value))
        if saved["age"] is not None:
            name, clock = _CLOCKS[saved["type"]]
            setattr(layer, name, clock() - saved["age"])
        if saved["type"] == _CHECKER:
            # it compares two returns for shared memory; those of the captured run are gone
            layer.checked_data_reuse = True
            layer.checked_step = layer.checked_step or layer.checked_reset
            layer._previous_data = None
    env.unwrapped._np_random = decode_generator(state["np_random"])
    env.unwrapped._np_random_seed = state["np_random_seed"]
    env.action_space._np_random = decode_generator(state["action_space_np_random"])  # type: ignore[assignment]  # None until it is first used


def moment(env: gymnasium.Env[Any, Any]) -> Any:
    """What changes when an environment is stepped or reset; None where it does not tell."""
    state = capture(env)
    if state is None:
        return None
    # the checker also notes being rendered, and clocks run
    layers = [
        layer["values"] for layer in state["layers"] if "PassiveEnvChecker" not in layer["type"]
    ]
    return layers, state["np_random"]


def _stack(env: gymnasium.Env[Any, Any]) -> list[Any]:
    layers: list[Any] = [env]
    while isinstance(layers[-1], gymnasium.Wrapper):
        layers.append(layers[-1].env)
    return layers


def _type_name(layer: Any) -> str:
    return f"{type(layer).__module__}.{type(layer).__qualname__}"


def _attributes(layer: Any) -> tuple[str, ...] | None:
    table = _WRAPPERS if isinstance(layer, gymnasium.Wrapper) else _ENVIRONMENTS
    return table.get(_type_name(layer))


def _age(layer: Any) -> float | None:
    name, clock = _CLOCKS.get(_type_name(layer), (None, None))
    return None if name is None or clock is None else clock() - getattr(layer, name)


# ---- values: plain ones as they are, others as {"kind": ...} --------------------------------


def encode_value(value: Any) -> Any:
    """A value as JSON holds it.

    Raises:
        TypeError: It is none of numbers, text, arrays and containers of them.
    """
    # numpy's scalars are looked at first: float64 is a float, and would lose its type
    if isinstance(value, np.generic):
        return {"kind": "scalar", "dtype": value.dtype.str, "value": value.item()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return {
            "kind": "array",
            "dtype": value.dtype.str,
            "shape": list(value.shape),
            "value": value.ravel().tolist(),
        }
    if isinstance(value, deque):
        return {
            "kind": "deque",
            "maxlen": value.maxlen,
            "value": [encode_value(item) for item in value],
        }
    if isinstance(value, list | tuple):
        return {"kind": type(value).__name__, "value": [encode_value(item) for item in value]}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"kind": "dict", "value": {key: encode_value(item) for key, item in value.items()}}
    raise TypeError(f"expected numbers, text, arrays or containers of them, got {type(value)}")


def decode_value(value: Any) -> Any:
    """The value that `encode_value` wrote."""
    if not isinstance(value, dict):
        return value
    kind, content = value["kind"], value["value"]
    if kind == "scalar":
        return np.dtype(value["dtype"]).type(content)
    if kind == "array":
        return np.array(content, dtype=value["dtype"]).reshape(value["shape"])
    if kind == "dict":
        return {key: decode_value(item) for key, item in content.items()}
    items = [decode_value(item) for item in content]
    if kind == "deque":
        return deque(items, maxlen=value["maxlen"])
    return tuple(items) if kind == "tuple" else items


def encode_generator(generator: np.random.Generator | None) -> Any:
    """A generator's state as JSON holds it; ``unknown`` for one that Gymnasium does not make."""
    if generator is None:
        return None
    state = generator.bit_generator.state
    # Gymnasium makes PCG64 only; the others hold arrays in their state
    return state if state["bit_generator"] == "PCG64" else "unknown"


def decode_generator(state: Any) -> np.random.Generator | None:
    """The generator that `encode_generator` wrote."""
    if state is None:
        return None
    bits = np.random.PCG64()
    bits.state = state
    return np.random.Generator(bits)
