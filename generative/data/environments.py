"""What environments give to learn from: transitions, and rendered frames.

Both act with a policy, any object with ``predict`` (an agent of this package or of
Stable-Baselines3), or at random.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

import gymnasium
import numpy as np
import torch
from gymnasium.vector.utils import concatenate, create_empty_array
from jaxtyping import Bool, Float64, UInt8
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..generator import checked_shape

__all__ = [
    "Environment",
    "Predictor",
    "Transitions",
    "frames",
    "transitions",
]

Environment: TypeAlias = "str | gymnasium.Env[Any, Any]"
"""An environment, or the id of one."""


@runtime_checkable
class Predictor(Protocol):
    """Whatever says what to do."""

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[Any, Any]:
        """The action for one observation, and the state that the next call is given."""


@dataclass(frozen=True)
class Transitions:
    """N steps of an environment, in the order in which they were taken.

    Attributes:
        observation: (N, ...) before the step: an array or, as the space has it, a dict or tuple of
            arrays.
        action: (N, ...), likewise.
        reward: (N,).
        next_observation: (N, ...) after the step, the last of an episode included.
        terminated: (N,) whether the step ended its episode.
        truncated: (N,) whether its episode was cut off after it.

    Raises:
        ValueError: The parts are not of one length.
    """

    observation: Any
    action: Any
    reward: Float64[np.ndarray, " steps"]
    next_observation: Any
    terminated: Bool[np.ndarray, " steps"]
    truncated: Bool[np.ndarray, " steps"]

    def __post_init__(self) -> None:
        parts = (self.observation, self.action, self.next_observation)
        arrays = [array for part in parts for array in _arrays(part)]
        lengths = {len(array) for array in [*arrays, self.terminated, self.truncated]}
        if lengths != {len(self)}:
            raise ValueError(
                f"expected parts of {len(self)} steps each, got lengths {sorted(lengths)}"
            )

    def __len__(self) -> int:
        return len(self.reward)


def transitions(
    env: Environment,
    num: int,
    policy: Predictor | None = None,
    *,
    seed: int = 0,
    deterministic: bool = False,
) -> Transitions:
    """Act, and record every step.

    Args:
        env: An id, or an environment, which is reset and left open.
        num: N, steps.
        policy: Acts; None draws actions from the action space.
        seed: Of the first reset, and of the random actions.
        deterministic: What the policy is asked for.

    Raises:
        TypeError: The environment is a vector of several, or the policy has no ``predict``.
        ValueError: There are no steps to take.

    Example:
        >>> steps = transitions("CartPole-v1", 100)
        >>> steps.observation.shape, steps.action.dtype, int(steps.terminated.sum())
        ((100, 4), dtype('int64'), 6)
    """
    _check_number(num)
    with opened(env) as own:
        walk = Walk(own, policy, [seed], deterministic=deterministic)
        return stacked_steps(own, [walk.step() for _ in range(num)])


def frames(
    env: Environment,
    num: int,
    policy: Predictor | None = None,
    *,
    seed: int = 0,
    deterministic: bool = False,
    size: tuple[int, int] | None = None,
) -> UInt8[Tensor, "num channels height width"]:
    """Act, and draw what is seen before every step.

    Args:
        env: An id, or an environment with ``render_mode="rgb_array"``, which is reset and left
            open.
        num: N, frames.
        policy: Acts; None draws actions from the action space.
        seed: Of the first reset, and of the random actions.
        deterministic: What the policy is asked for.
        size: Height and width that frames are shrunk to, by the mean over areas; None leaves them.

    Returns:
        (N, 3, H, W) of ``torch.uint8``.

    Raises:
        TypeError: As `transitions`.
        ValueError: As `transitions`; or the environment renders no pictures, or a size is none.

    Example:
        >>> frames("CartPole-v1", 5, size=(40, 60)).shape
        torch.Size([5, 3, 40, 60])
    """
    if size is not None and len(checked_shape(size, "size")) != 2:
        raise ValueError(f"expected a size of height and width, got {size}")
    _check_number(num)
    with opened(env, render_mode="rgb_array") as own:
        if own.render_mode != "rgb_array":
            raise ValueError(
                f"expected an environment with render_mode='rgb_array', got {own.render_mode!r}"
            )
        walk, found = Walk(own, policy, [seed], deterministic=deterministic), []
        for _ in range(num):
            found.append(_shrunk(_picture(own), size))
            walk.step()
        return torch.stack(found)


@dataclass(frozen=True)
class Step:
    """What was seen, done, earned and seen then.

    Attributes:
        observation: Before the step.
        action: What was done.
        reward: What it earned.
        next_observation: After the step.
        terminated: Whether it ended its episode.
        truncated: Whether its episode was cut off after it.
        info: What the environment told besides.
    """

    observation: Any
    action: Any
    reward: float
    next_observation: Any
    terminated: bool
    truncated: bool
    info: Mapping[str, Any]


class Walk:
    """Steps of one environment, episode after episode.

    Args:
        env: It is reset at once.
        policy: Acts; None draws actions from the action space.
        seeds: Of the resets, one after the other; those without are given none. The first is that
            of the random actions, too.
        deterministic: What the policy is asked for.

    Raises:
        TypeError: The policy has no ``predict``.

    Example:
        >>> walk = Walk(gymnasium.make("CartPole-v1"), None, [3])
        >>> walk.step().reward
        1.0
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        policy: Predictor | None,
        seeds: Iterable[int],
        *,
        deterministic: bool = False,
    ) -> None:
        if not isinstance(policy, Predictor | None):
            raise TypeError(f"expected a policy with predict, got {type(policy).__name__}")
        self._env, self._policy, self._deterministic = env, policy, deterministic
        self._seeds = iter(seeds)
        seed = next(self._seeds, None)
        self._actions = copy.deepcopy(env.action_space)  # the caller's own goes on as it was
        self._actions.seed(seed)
        self._observation: Any = None
        self._state: Any = None
        self._begin(seed)

    def step(self) -> Step:
        """Go on by one step; after an episode's last, the next one begins."""
        before, action = self._observation, self._action()
        after, reward, terminated, truncated, info = self._env.step(action)
        # environments may write the next observation over the last
        self._observation, self._starts = copy.deepcopy(after), False
        ends = bool(terminated), bool(truncated)
        step = Step(before, action, float(reward), self._observation, *ends, info)
        if terminated or truncated:
            self.begin()
        return step

    def begin(self) -> None:
        """Begin the next episode, wherever this one stands."""
        self._begin(next(self._seeds, None))

    def _begin(self, seed: int | None) -> None:
        self._observation = copy.deepcopy(self._env.reset(seed=seed)[0])
        self._state, self._starts = None, True

    def _action(self) -> Any:
        if self._policy is None:
            return self._actions.sample()
        action, self._state = self._policy.predict(
            self._observation,
            state=self._state,
            episode_start=np.array([self._starts]),
            deterministic=self._deterministic,
        )
        return action


def stacked_steps(env: gymnasium.Env[Any, Any], steps: Sequence[Step]) -> Transitions:
    """At least one step, one after the other, in arrays as the environment's spaces have them."""
    observations, following = (
        _stacked(env.observation_space, [getattr(step, name) for step in steps])
        for name in ("observation", "next_observation")
    )
    return Transitions(
        observation=observations,
        action=_stacked(env.action_space, [step.action for step in steps]),
        reward=np.array([step.reward for step in steps], dtype=np.float64),
        next_observation=following,
        terminated=np.array([step.terminated for step in steps], dtype=bool),
        truncated=np.array([step.truncated for step in steps], dtype=bool),
    )


@contextmanager
def opened(env: Environment, **options: Any) -> Iterator[gymnasium.Env[Any, Any]]:
    """The environment; one that is made here is closed at the end.

    Args:
        env: An id, or an environment, which is left open.
        options: What one is made with.

    Raises:
        TypeError: The environment is a vector of several, or none.
    """
    if isinstance(env, str):
        made: gymnasium.Env[Any, Any] = gymnasium.make(env, **options)
        try:
            yield made
        finally:
            made.close()
        return
    if not isinstance(env, gymnasium.Env):
        raise TypeError(f"expected an id or one environment, got {type(env).__name__}")
    yield env


def _check_number(num: int) -> None:
    if isinstance(num, bool) or not isinstance(num, int):
        raise TypeError(f"expected a whole number of steps, got {num!r}")
    if num < 1:
        raise ValueError(f"expected at least 1 step, got {num}")


def _stacked(space: gymnasium.Space[Any], values: Sequence[Any]) -> Any:
    out: Any = create_empty_array(space, n=len(values))
    return concatenate(space, values, out)


def _picture(env: gymnasium.Env[Any, Any]) -> UInt8[Tensor, "channels height width"]:
    shown: Any = env.render()
    if not isinstance(shown, np.ndarray) or shown.dtype != np.uint8 or shown.ndim != 3:
        raise ValueError(
            f"expected {env} to render pictures (H, W, 3) of bytes, got {type(shown).__name__}"
        )
    return torch.from_numpy(shown.copy()).permute(2, 0, 1).contiguous()


def _shrunk(
    picture: UInt8[Tensor, "channels height width"], size: tuple[int, int] | None
) -> UInt8[Tensor, "channels small_height small_width"]:
    if size is None:
        return picture
    small = functional.interpolate(picture.unsqueeze(0).float(), size=size, mode="area")
    return small.squeeze(0).round().to(torch.uint8)


def _arrays(part: Any) -> Iterator[NDArray[Any]]:
    """The arrays in dicts and tuples."""
    if isinstance(part, dict | tuple):
        for inner in part.values() if isinstance(part, dict) else part:
            yield from _arrays(inner)
    else:
        yield part
