"""Continuous observations cut into bins, so that tables can learn from them.

Gymnasium's ``DiscretizeObservation`` cuts each dimension of a Box into equal bins between its
bounds and needs them finite. CartPole's velocities have none, and its positions' bounds lie at
twice what an episode can reach; this module narrows them first.

References:
    A. G. Barto, R. S. Sutton, C. W. Anderson (1983), Neuronlike adaptive elements that can solve
    difficult learning control problems, section VI: a pole balanced from boxes of states.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from gymnasium.wrappers import DiscretizeObservation
from numpy.typing import NDArray

__all__ = ["BoundedObservation", "discretize"]

Bounds: TypeAlias = float | Sequence[float] | NDArray[Any]

# cart position (m), cart velocity (m/s), pole angle (rad), pole velocity (rad/s): the episode ends
# beyond +-2.4 and +-0.2095 (12 degrees); balanced poles stay well inside these velocities
_CARTPOLE = (2.4, 3.0, 0.2095, 3.5)
_DEFAULT_BOUNDS: dict[str, tuple[float, ...]] = {
    "CartPole-v0": _CARTPOLE,
    "CartPole-v1": _CARTPOLE,
}


class BoundedObservation(
    gymnasium.ObservationWrapper[NDArray[Any], Any, NDArray[Any]], RecordConstructorArgs
):
    """Observations of a Box clipped to narrower bounds.

    Args:
        env: An environment with Box observations.
        low: Lower bounds, of the observation's shape or one number.
        high: Upper bounds.

    Raises:
        ValueError: The observations are no Box, or a lower bound is not below its upper one.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], *, low: Bounds, high: Bounds) -> None:
        space = env.observation_space
        if not isinstance(space, spaces.Box):
            raise ValueError(f"expected Box observations to bound, got {space}")
        lower = np.broadcast_to(np.asarray(low, dtype=space.dtype), space.shape)
        upper = np.broadcast_to(np.asarray(high, dtype=space.dtype), space.shape)
        if not (np.isfinite(lower) & np.isfinite(upper) & (lower < upper)).all():
            raise ValueError(f"expected finite bounds with low < high, got {low!r} and {high!r}")
        RecordConstructorArgs.__init__(self, low=low, high=high)
        gymnasium.ObservationWrapper.__init__(self, env)
        self.observation_space = spaces.Box(lower, upper, dtype=space.dtype.type)

    def observation(self, observation: NDArray[Any]) -> NDArray[Any]:
        """The observation moved to the nearest point inside the bounds."""
        space = self.observation_space
        assert isinstance(space, spaces.Box)
        clipped: NDArray[Any] = np.clip(observation, space.low, space.high)
        return clipped


def discretize(
    env: str | gymnasium.Env[Any, Any],
    *,
    bins: int | Sequence[int] = 10,
    low: Bounds | None = None,
    high: Bounds | None = None,
    multidiscrete: bool = True,
) -> gymnasium.Env[Any, Any]:
    """Make an environment's continuous observations countable.

    Each dimension is cut into equal bins between its bounds, and observations outside the bounds
    fall into the outermost bins. Bounds are those given here, else the ones this function knows
    for CartPole (position 2.4, velocity 3, angle 0.2095, angular velocity 3.5, each plus and
    minus), else those of the observation space, as for MountainCar and Acrobot.

    Args:
        env: An id or an environment with Box observations.
        bins: Bins of every dimension, or of each, at least 1.
        low: Lower bounds, of the observation's shape or one number; needed, with ``high``, where
            the space has infinite ones.
        high: Upper bounds.
        multidiscrete: MultiDiscrete observations, one coordinate for each dimension; False
            numbers the bins in one Discrete space.

    Returns:
        The environment inside ``DiscretizeObservation``.

    Raises:
        ValueError: The observations are no Box, bins or bounds make no sense, or a bound is
            infinite.

    Example:
        >>> discretize("CartPole-v1", bins=(3, 3, 6, 6)).observation_space
        MultiDiscrete([3 3 6 6])
    """
    inner = gymnasium.make(env) if isinstance(env, str) else env
    space = inner.observation_space
    if not isinstance(space, spaces.Box):
        raise ValueError(f"expected Box observations to discretize, got {space}")
    counts = _checked_bins(bins, int(np.prod(space.shape)))
    if (low is None) != (high is None):
        raise ValueError(f"expected both low and high or neither, got {low!r} and {high!r}")
    if low is None or high is None:
        known = _DEFAULT_BOUNDS.get(inner.spec.id) if inner.spec is not None else None
        if known is not None:
            low, high = [-bound for bound in known], list(known)
    if low is not None and high is not None:
        inner = BoundedObservation(inner, low=low, high=high)
    elif not space.is_bounded():
        raise ValueError(
            f"expected finite bounds, got {space}: give low=[...] and high=[...] of shape "
            f"{space.shape}"
        )
    return DiscretizeObservation(inner, counts, multidiscrete=multidiscrete)


def _checked_bins(bins: int | Sequence[int], dimensions: int) -> tuple[int, ...]:
    counts = (bins,) * dimensions if isinstance(bins, int) else tuple(int(n) for n in bins)
    if len(counts) != dimensions or min(counts) < 1:
        raise ValueError(f"expected bins of at least 1 for {dimensions} dimensions, got {bins}")
    return counts
