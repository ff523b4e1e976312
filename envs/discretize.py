"""Continuous observations cut into bins, so that tables can learn from them.

Gymnasium's ``DiscretizeObservation`` cuts each dimension of a Box into equal bins between its
bounds and needs them finite. CartPole's velocities have none, and its positions' bounds lie at
twice what an episode can reach; this module narrows them first. Tabular learners cut continuous
observations themselves, in the same way (``bins`` of their hyper-parameters).

References:
    A. G. Barto, R. S. Sutton, C. W. Anderson (1983), Neuronlike adaptive elements that can solve
    difficult learning control problems, section VI: a pole balanced from boxes of states.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from gymnasium.wrappers import DiscretizeObservation
from numpy.typing import NDArray

from .arguments import real_array, whole_number
from .environments import EnvLike, make_env

__all__ = ["BoundedObservation", "bins_of_each", "default_bounds", "discretize"]

Bounds: TypeAlias = float | Sequence[float] | NDArray[Any]

# cart position (m), cart velocity (m/s), pole angle (rad), pole velocity (rad/s): the episode ends
# beyond +-2.4 and +-0.2095 (12 degrees); balanced poles stay well inside these velocities
_CARTPOLE = (2.4, 3.0, 0.2095, 3.5)
_MOST_DIGITS = 10.0  # more than 2^31 has
_CARTPOLE_SPACE = (4.8, math.inf, math.radians(24), math.inf)


class BoundedObservation(
    gymnasium.ObservationWrapper[NDArray[Any], Any, NDArray[Any]], RecordConstructorArgs
):
    """Observations of a Box clipped to narrower bounds.

    Args:
        env: An environment with Box observations.
        low: Lower bounds, of the observation's shape or one number.
        high: Upper bounds.

    Raises:
        ValueError: The observations are no Box, or the bounds are infinite, of another shape, not
            rising, or beyond what the observations' numbers can hold.
        TypeError: The bounds are no numbers.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], *, low: Bounds, high: Bounds) -> None:
        space = env.observation_space
        if not isinstance(space, spaces.Box):
            raise ValueError(f"expected Box observations to bound, got {space}")
        lower, upper = _checked_bound(low, space, "low"), _checked_bound(high, space, "high")
        # a dimension that never changes is the space's own
        if not ((lower < upper) | (space.low == space.high)).all():
            raise ValueError(f"expected finite bounds with low < high, got {low!r} and {high!r}")
        RecordConstructorArgs.__init__(self, low=low, high=high)
        gymnasium.ObservationWrapper.__init__(self, env)
        self.observation_space = spaces.Box(lower, upper, dtype=space.dtype.type)

    def observation(self, observation: NDArray[Any]) -> NDArray[Any]:
        """The observation moved to the nearest point inside the bounds.

        Raises:
            ValueError: It has a NaN, which would fall into some bin unseen.
        """
        if np.isnan(observation).any():
            raise ValueError(f"expected an observation of numbers, got {observation}")
        space = self.observation_space
        assert isinstance(space, spaces.Box)
        clipped: NDArray[Any] = np.clip(observation, space.low, space.high)
        return clipped


def _checked_bound(bound: Bounds, space: spaces.Box, name: str) -> NDArray[Any]:
    given = real_array(bound, name)
    try:
        given = np.broadcast_to(given, space.shape)
    except ValueError:
        raise ValueError(
            f"expected {name} as one number or of shape {space.shape}, got shape {given.shape}"
        ) from None
    kind = space.dtype
    limits = np.iinfo(kind) if np.issubdtype(kind, np.integer) else np.finfo(kind)  # type: ignore[type-var]  # a Box has numbers
    if not ((given >= limits.min) & (given <= limits.max)).all():
        raise ValueError(f"expected finite bounds with low < high in {kind}, got {name}={bound!r}")
    return given.astype(kind)


def discretize(
    env: EnvLike,
    *,
    bins: int | Sequence[int] = 10,
    low: Bounds | None = None,
    high: Bounds | None = None,
    multidiscrete: bool = True,
) -> gymnasium.Env[Any, Any]:
    """Make an environment's continuous observations countable.

    Each dimension is cut into equal bins between its bounds, and observations outside the bounds
    fall into the outermost bins. Bounds are those given here, else those of `default_bounds`.

    Args:
        env: An id, a spec or an environment with Box observations.
        bins: Bins of every dimension, or of each, at least 1.
        low: Lower bounds, of the observation's shape or one number; needed, with ``high``, where
            the space has infinite ones.
        high: Upper bounds.
        multidiscrete: MultiDiscrete observations, one coordinate for each dimension; False
            numbers the bins in one Discrete space.

    Returns:
        The environment inside ``DiscretizeObservation``.

    Raises:
        ValueError: The observations are no Box, bins or bounds make no sense, a bound is infinite,
            or the id is unknown. Later, from ``reset`` and ``step``: an observation has a NaN.
        TypeError: ``env`` is no environment, or bins or bounds are no numbers.

    Example:
        >>> discretize("CartPole-v1", bins=(3, 3, 6, 6)).observation_space
        MultiDiscrete([3 3 6 6])
    """
    inner = make_env(env)
    space = inner.observation_space
    if not isinstance(space, spaces.Box):
        raise ValueError(f"expected Box observations to discretize, got {space}")
    counts = bins_of_each(bins, math.prod(space.shape))
    if (low is None) != (high is None):
        raise ValueError(f"expected both low and high or neither, got {low!r} and {high!r}")
    if low is None or high is None:
        low, high = default_bounds(space)
    bounded = BoundedObservation(inner, low=low, high=high)
    return DiscretizeObservation(bounded, counts, multidiscrete=multidiscrete)


def default_bounds(space: spaces.Box) -> tuple[NDArray[Any], NDArray[Any]]:
    """Between which bounds the observations of a space are cut where nobody says.

    They are the space's own, as for MountainCar and Acrobot, but for CartPole's space: position
    2.4, velocity 3, angle 0.2095, angular velocity 3.5, each plus and minus.

    Args:
        space: Of the observations.

    Returns:
        Lower and upper bounds of the space's shape and dtype.

    Raises:
        ValueError: A bound is infinite.

    Example:
        >>> _, high = default_bounds(gymnasium.make("CartPole-v1").observation_space)
        >>> high
        array([2.4   , 3.    , 0.2095, 3.5   ], dtype=float32)
    """
    low, high = space.low, space.high
    cartpole = np.array(_CARTPOLE_SPACE)
    if space.shape == (4,) and np.allclose([-low.astype(float), high], cartpole, rtol=1e-6):
        high = np.array(_CARTPOLE, dtype=space.dtype)
        return -high, high
    # the largest number of a dtype stands for infinity in older environments
    most = np.finfo(space.dtype).max if np.issubdtype(space.dtype, np.floating) else math.inf  # type: ignore[type-var]  # a Box has numbers
    if not ((low > -most) & (high < most)).all():
        raise ValueError(
            f"expected finite bounds, got {space}: give gymagine.envs.discretize(env, bins=..., "
            f"low=[...], high=[...]) bounds of shape {space.shape}"
        )
    return low, high


def bins_of_each(bins: int | Sequence[int], dimensions: int) -> tuple[int, ...]:
    """How many bins each dimension has.

    Args:
        bins: Of every dimension, or of each, at least 1.
        dimensions: Of an observation.

    Raises:
        ValueError: There are fewer than 1 of one dimension, or more than 2^31 - 1 in all, or
            ``bins`` is of another length.
        TypeError: They are no whole numbers.

    Example:
        >>> bins_of_each(10, 4)
        (10, 10, 10, 10)
    """
    if np.ndim(bins) == 0:
        counts = (whole_number(bins, "bins"),) * dimensions
    else:
        counts = tuple(whole_number(count, "bins") for count in bins)  # type: ignore[union-attr]  # ndim tells
    if len(counts) != dimensions or min(counts, default=0) < 1:
        raise ValueError(f"expected bins of at least 1 for {dimensions} dimensions, got {bins}")
    # the product itself would take minutes where an observation is a picture
    digits = sum(math.log10(count) for count in counts)
    if digits > _MOST_DIGITS or math.prod(counts) > np.iinfo(np.int32).max:
        raise ValueError(
            f"expected at most 2^31 - 1 bins in all, got about 10^{digits:.0f}, the product of "
            f"{bins} for {dimensions} dimensions: tables are for observations of few numbers, not "
            "for pictures"
        )
    return counts
