r"""A point has to pass an obstacle on its left or on its right, and the mean of both crashes.

The point :math:`(x, y)` starts at the left end of a room, near its middle line, and moves by
:math:`(0.16\,a_1, 0.32\,a_2)` for an action :math:`a \in [-1, 1]^2`. A block stands in the middle
of the room:

.. code-block:: text

    +1 +--------------------------+
       |          _____       |   |
       |         |     |      |   |
       | o -->   | ### |      | goal
       |         |_____|      |   |
       |                      |   |
    -1 +--------------------------+
      -1                         +1

Whoever touches it has crashed, which ends the episode with reward 0; whoever reaches the goal,
x > 0.9, has 1. A demonstrator goes straight on, and close before the block turns up or down at
random. What is done there has two modes and nothing between: least squares finds their mean, which
goes straight into the block.

The task is the smallest of those by which generative policies are compared with regression.

References:
    P. Florence et al. (2022), Implicit behavioral cloning, arXiv:2109.00137, section 3.
    C. Chi et al. (2023), Diffusion policy, arXiv:2303.04137, section 4.1 (multi-modal actions).
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from jaxtyping import Float32, UInt8
from numpy.typing import NDArray

__all__ = ["TwoWays", "TwoWaysExpert", "two_ways_expert"]

_STEP = np.array([0.16, 0.32])  # sideways twice as fast
_BLOCK = np.array([0.2, 0.3])  # half its width, and half its height
_GOAL = 0.9
_TURN = -0.7  # where the demonstrator decides
_CLEARANCE = 0.5  # of its way from the middle line
_PIXELS = 128
_FLOOR, _WALL, _END, _TRAIL, _POINT = (
    np.array(colour, dtype=np.uint8)
    for colour in ((246, 246, 243), (52, 56, 64), (176, 219, 191), (120, 140, 170), (240, 130, 30))
)


class TwoWays(gymnasium.Env[Float32[np.ndarray, "2"], Float32[np.ndarray, "2"]]):
    """The room with a block in its middle.

    Observations are (x, y) in [-1, 1]. ``info["success"]`` says whether the goal was reached, and
    so does ``info["is_success"]``, which Stable-Baselines3's tools look for.

    Args:
        render_mode: ``rgb_array`` draws the room, where the point is, and where it was.

    Example:
        >>> env = TwoWays()
        >>> observation, _ = env.reset(seed=0)
        >>> rewards = []
        >>> for _ in range(9):  # straight on
        ...     observation, reward, terminated, truncated, info = env.step(np.array([1.0, 0.0]))
        ...     rewards.append(reward)
        ...     if terminated:
        ...         break
        >>> len(rewards), rewards[-1], info["is_success"]
        (5, 0.0, False)
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012

    def __init__(self, *, render_mode: str | None = None) -> None:
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"expected render_mode None or 'rgb_array', got {render_mode!r}")
        self.render_mode = render_mode
        self.observation_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self._trail: list[NDArray[np.float64]] = []

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin at the left end, within 0.1 of the middle line."""
        super().reset(seed=seed)
        start = np.array([-0.95, 0.0]) + self.np_random.uniform(-0.05, 0.05, 2) * [1, 2]
        self._trail = [start]
        return self._observation, _info(succeeded=False)

    def step(
        self, action: NDArray[np.floating[Any]]
    ) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Move; numbers beyond the space count as its ends.

        Raises:
            ValueError: The action is no two finite numbers, or no episode was begun.
        """
        moved = np.asarray(action, dtype=np.float64)
        if moved.shape != (2,) or not np.isfinite(moved).all():
            raise ValueError(f"expected an action of 2 finite numbers, got {action!r}")
        if not self._trail:
            raise ValueError("expected an episode that was begun, got a step before reset")
        before = self._trail[-1]
        after = (before + _STEP * moved.clip(-1, 1)).clip(-1, 1)
        self._trail.append(after)
        crashed = _touches_block(before, after)
        succeeded = not crashed and bool(after[0] > _GOAL)
        ended = crashed or succeeded
        return self._observation, float(succeeded), ended, False, _info(succeeded=succeeded)

    def render(self) -> UInt8[np.ndarray, "height width 3"] | None:
        """(128, 128, 3) the room, y upwards; None without a render mode."""
        if self.render_mode is None:
            return None
        ends = np.linspace(-1, 1, _PIXELS)
        x, y = np.meshgrid(ends, -ends)
        picture = np.empty((_PIXELS, _PIXELS, 3), dtype=np.uint8)
        picture[:] = _FLOOR
        picture[x > _GOAL] = _END
        picture[(np.abs(x) <= _BLOCK[0]) & (np.abs(y) <= _BLOCK[1])] = _WALL
        for place in self._trail[:-1]:
            picture[np.hypot(x - place[0], y - place[1]) < 0.02] = _TRAIL
        for place in self._trail[-1:]:
            picture[np.hypot(x - place[0], y - place[1]) < 0.045] = _POINT
        return picture

    @property
    def _observation(self) -> NDArray[np.float32]:
        return self._trail[-1].astype(np.float32)


class TwoWaysExpert:
    """Goes straight on, turns up or down at random before the block, and passes it.

    Its memory is the side that it chose, of each environment that it plays in.

    Args:
        rng: Of its choices, and of the noise on its actions.
        noise: Deviation of that noise.

    Example:
        >>> expert = two_ways_expert(np.random.default_rng(0))
        >>> places = np.array([[-0.9, 0.0], [-0.6, 0.0]])
        >>> actions, sides = expert.predict(places, deterministic=True)
        >>> actions.tolist(), sides.tolist()
        ([[1.0, 0.0], [1.0, 1.0]], [1.0, 1.0])
    """

    def __init__(self, rng: np.random.Generator, *, noise: float = 0.1) -> None:
        self._rng, self._noise = rng, noise

    def predict(
        self,
        observation: NDArray[Any],
        state: NDArray[Any] | None = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[np.float32], NDArray[Any]]:
        """The actions for a place (2,) or places (B, 2), and the sides that were chosen.

        Args:
            observation: Places.
            state: (B,) 1 for up, -1 for down, as the last call gave it.
            episode_start: (B,) which episodes begin, where sides are chosen anew.
            deterministic: Without the noise; sides are chosen at random all the same.
        """
        places = np.asarray(observation, dtype=np.float64).reshape(-1, 2)
        chosen = self._rng.choice([-1.0, 1.0], len(places))
        if state is not None:
            begins = np.zeros(len(places), bool) if episode_start is None else episode_start
            chosen = np.where(begins, chosen, state)
        aims = np.stack([_aims(place, side) for place, side in zip(places, chosen, strict=True)])
        if not deterministic:
            aims = aims + self._noise * self._rng.standard_normal(aims.shape)
        actions = aims.clip(-1, 1).astype(np.float32)
        return actions.reshape(np.shape(observation)), chosen


def two_ways_expert(rng: np.random.Generator) -> TwoWaysExpert:
    """The demonstrator of `TwoWays`."""
    return TwoWaysExpert(rng)


def _info(*, succeeded: bool) -> dict[str, Any]:
    return {"success": succeeded, "is_success": succeeded}


def _aims(place: NDArray[np.float64], side: float) -> NDArray[np.float64]:
    """(2,) the action without noise."""
    x, y = place
    is_beside = _TURN < x < _BLOCK[0] + 0.05
    aim, haste = (side * _CLEARANCE, 1.0) if is_beside else (0.0, 0.3)
    return np.array([1.0, haste * (aim - y) / _STEP[1]])


def _touches_block(before: NDArray[np.float64], after: NDArray[np.float64]) -> bool:
    """Whether the straight way between two places meets the block: by its slabs."""
    way = np.where(after == before, 1e-12, after - before)
    enter, leave = (-np.sign(way) * _BLOCK - before) / way, (np.sign(way) * _BLOCK - before) / way
    return bool(max(enter.max(), 0.0) <= min(leave.min(), 1.0))
