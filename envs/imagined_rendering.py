"""Pictures of imagined observations, drawn by the real environment put where they say.

Where an environment's state follows from what is seen, as in classic control and toy text, it is
set, and the environment draws it. Pictures draw themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import gymnasium
import numpy as np
from numpy.typing import NDArray

__all__ = ["ObservationRenderer", "Picture", "Placement", "Renderer", "draw_observation"]

Picture: TypeAlias = NDArray[np.uint8]
Renderer: TypeAlias = Callable[[Any], Picture]
"""A picture (H, W, 3) of an observation."""

Placement: TypeAlias = Callable[[Any, Any], None]
"""Puts an environment, without its wrappers, into the state that an observation tells."""


def _place_state(env: Any, observation: Any) -> None:
    env.state = np.asarray(observation, dtype=np.float64)


def _place_pendulum(env: Any, observation: Any) -> None:
    cosine, sine, velocity = (float(value) for value in observation)
    env.state, env.last_u = np.array([np.arctan2(sine, cosine), velocity]), None


def _place_acrobot(env: Any, observation: Any) -> None:
    first, second = np.arctan2(observation[1::2][:2], observation[0::2][:2])
    env.state = np.array([first, second, observation[4], observation[5]], dtype=np.float64)


def _place_number(env: Any, observation: Any) -> None:
    env.s = int(observation)


# a class is named, not imported, so that nothing is loaded for it
_CONTROL = "gymnasium.envs.classic_control"
_PLACEMENTS: dict[str, Placement] = {
    f"{_CONTROL}.cartpole.CartPoleEnv": _place_state,
    f"{_CONTROL}.mountain_car.MountainCarEnv": _place_state,
    f"{_CONTROL}.continuous_mountain_car.Continuous_MountainCarEnv": _place_state,
    f"{_CONTROL}.pendulum.PendulumEnv": _place_pendulum,
    f"{_CONTROL}.acrobot.AcrobotEnv": _place_acrobot,
    "gymnasium.envs.toy_text.frozen_lake.FrozenLakeEnv": _place_number,
    "gymnasium.envs.toy_text.cliffwalking.CliffWalkingEnv": _place_number,
    "gymnasium.envs.toy_text.taxi.TaxiEnv": _place_number,
    "gymagine.envs.tabular_env.TabularEnv": _place_number,
}


class ObservationRenderer:
    """Draws observations by a real environment.

    Args:
        env: One with ``render_mode="rgb_array"``. It is reset, and put where observations say.
        place: Puts it there; None where this module knows how.

    Raises:
        ValueError: It renders no pictures, or no way is known to put it where observations say.

    Example:
        >>> env = gymnasium.make("CartPole-v1", render_mode="rgb_array")
        >>> ObservationRenderer(env)(np.zeros(4)).shape
        (400, 600, 3)
    """

    def __init__(self, env: gymnasium.Env[Any, Any], place: Placement | None = None) -> None:
        if env.render_mode != "rgb_array":
            raise ValueError(
                f"expected an environment with render_mode='rgb_array', got {env.render_mode!r}"
            )
        if place is None:
            base = type(env.unwrapped)
            place = _PLACEMENTS.get(f"{base.__module__}.{base.__qualname__}")
        if place is None:
            raise ValueError(
                f"expected a function that puts {env.unwrapped} where an observation says, as "
                f"`place`: none is known for it"
            )
        self._env, self._place = env, place
        env.reset(seed=0)

    @staticmethod
    def knows(env: gymnasium.Env[Any, Any]) -> bool:
        """Whether a way is known to put an environment where observations say."""
        base = type(env.unwrapped)
        return f"{base.__module__}.{base.__qualname__}" in _PLACEMENTS

    def __call__(self, observation: Any) -> Picture:
        """(H, W, 3) the picture."""
        self._place(self._env.unwrapped, observation)
        shown: Any = self._env.render()
        return np.array(shown, dtype=np.uint8)


def draw_observation(observation: Any) -> Picture:
    """An observation that is a picture itself.

    Args:
        observation: (H, W, 3) or (H, W, 1) or (H, W) of bytes.

    Raises:
        ValueError: It is none.

    Example:
        >>> draw_observation(np.zeros((4, 5), dtype=np.uint8)).shape
        (4, 5, 3)
    """
    shown = np.asarray(observation)
    if shown.ndim == 2:
        shown = shown[:, :, None]
    if shown.ndim != 3 or shown.shape[2] not in (1, 3) or shown.dtype != np.uint8:
        raise ValueError(f"expected a picture of bytes, got {shown.dtype} of shape {shown.shape}")
    return np.broadcast_to(shown, (*shown.shape[:2], 3)).copy()
