r"""A point in a maze: continuous motion in the plane, walls, a goal; and who knows the way.

The point is at :math:`p`, in units of cells, and moves by

.. math:: p' = p + v\, a, \qquad a \in [-1, 1]^2,

unless a wall is in the way: then it slides along it, each axis on its own. The observation is
:math:`(p_x, p_y, g_x, g_y)` with the goal g. The reward is 1 where the point comes within reach of
the goal, which terminates the episode, and 0 before.

`WaypointController` knows the maze. It goes through the centres of cells along a shortest path,
found by breadth-first search, to the goal, or first to some other cell: its demonstrations then
reach every goal, and most of them on detours. Who imitates them on average gets lost; who plans
with what they know does not.

References:
    J. Fu, A. Kumar, O. Nachum, G. Tucker, S. Levine (2020), D4RL: datasets for deep data-driven
        reinforcement learning, arXiv:2004.07219, section 4 (Maze2D: waypoint controllers).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from jaxtyping import Float32, UInt8
from numpy.typing import NDArray

__all__ = ["DEFAULT_MAZE", "PointMaze", "WaypointController", "distances_to"]

Cell = tuple[int, int]

DEFAULT_MAZE = (
    "#########",
    "#   #   #",
    "# # # # #",
    "# #   # #",
    "# ##### #",
    "#   #   #",
    "# # # # #",
    "# #   # #",
    "#########",
)
"""Seven cells wide and high; ``#`` is a wall."""

_GAP = 1e-3  # between a point and the wall that stopped it
_PIXELS = 24  # of a cell
_COLOURS = {
    "floor": (245, 245, 240),
    "wall": (60, 60, 70),
    "goal": (60, 170, 90),
    "point": (40, 90, 200),
}


class PointMaze(gymnasium.Env[NDArray[np.float32], NDArray[Any]]):
    """A point that looks for a goal in a maze.

    Args:
        maze: Rows of the same length, ``#`` for walls; a wall goes round it.
        speed: v, cells that a step moves by at most, on each axis; at most 0.5.
        reach: Distance from the goal at which it is reached.
        render_mode: None or ``rgb_array``.

    Attributes:
        free_cells: (row, column) of all cells without a wall.

    Raises:
        ValueError: The maze has no wall round it, rows differ, two free cells are not to be
            reached from each other, or a number is out of range.

    Example:
        >>> env = PointMaze()
        >>> observation, _ = env.reset(seed=0, options={"start": (1.5, 1.5), "goal": (1.5, 3.5)})
        >>> observation, reward, *_ = env.step(np.array([0.0, 1.0], np.float32))
        >>> observation.tolist(), reward
        ([1.5, 1.75, 1.5, 3.5], 0.0)
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012

    def __init__(
        self,
        maze: Sequence[str] = DEFAULT_MAZE,
        *,
        speed: float = 0.25,
        reach: float = 0.3,
        render_mode: str | None = None,
    ) -> None:
        self._walls = _walls(maze)
        self.free_cells: list[Cell] = [(int(r), int(c)) for r, c in np.argwhere(~self._walls)]
        if not 0 < speed <= 0.5:
            raise ValueError(f"expected a speed in (0, 0.5], got {speed}")
        if not 0 < reach <= 1:
            raise ValueError(f"expected a reach in (0, 1], got {reach}")
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"expected render_mode None or 'rgb_array', got {render_mode!r}")
        self.speed, self.reach, self.render_mode = speed, reach, render_mode
        height, width = self._walls.shape
        high = np.array([width, height, width, height], dtype=np.float32)
        self.observation_space = spaces.Box(np.zeros(4, dtype=np.float32), high)
        self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self._position, self._goal = np.zeros(2), np.zeros(2)

    @property
    def walls(self) -> NDArray[np.bool_]:
        """(rows, columns) where walls are."""
        return self._walls.copy()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float32[np.ndarray, 4], dict[str, Any]]:
        """Begin at the centre of a cell, with a goal in another.

        Args:
            seed: Of the draw.
            options: ``start`` and ``goal``, (x, y) each, instead of drawn ones.

        Raises:
            ValueError: One is no free place.
        """
        super().reset(seed=seed)
        first, second = self.np_random.choice(len(self.free_cells), 2, replace=False)
        given = options or {}
        self._position = self._place(given.get("start"), self.free_cells[first], "start")
        self._goal = self._place(given.get("goal"), self.free_cells[second], "goal")
        return self._observation(), {"success": False}

    def step(
        self, action: NDArray[Any]
    ) -> tuple[Float32[np.ndarray, 4], float, bool, bool, dict[str, Any]]:
        """Move, as far as walls allow.

        Args:
            action: (2,) in [-1, 1]; what is outside is cut.

        Raises:
            ValueError: It has another shape, or is not finite.
        """
        wanted = np.asarray(action, dtype=np.float64)
        if wanted.shape != (2,) or not np.isfinite(wanted).all():
            raise ValueError(f"expected an action of 2 finite numbers, got {action!r}")
        move = self.speed * np.clip(wanted, -1, 1)
        for axis in (0, 1):
            self._slide(axis, float(move[axis]))
        reached = math.dist(self._position, self._goal) <= self.reach
        return self._observation(), float(reached), reached, False, {"success": reached}

    def render(self) -> UInt8[np.ndarray, "height width 3"] | None:
        """(H, W, 3) the maze from above, y downwards; None without a render mode."""
        if self.render_mode is None:
            gymnasium.logger.warn("render() needs render_mode='rgb_array'")
            return None
        sides = np.repeat(np.repeat(self._walls, _PIXELS, axis=0), _PIXELS, axis=1)
        wall, floor = (np.array(_COLOURS[name], dtype=np.uint8) for name in ("wall", "floor"))
        picture = np.where(sides[:, :, None], wall, floor)
        y, x = (np.indices(sides.shape) + 0.5) / _PIXELS
        for name, centre, radius in (
            ("goal", self._goal, self.reach),
            ("point", self._position, 0.18),
        ):
            picture[np.hypot(x - centre[0], y - centre[1]) <= radius] = _COLOURS[name]
        return picture

    def _observation(self) -> Float32[np.ndarray, 4]:
        return np.concatenate([self._position, self._goal]).astype(np.float32)

    def _place(self, given: Any, cell: Cell, name: str) -> NDArray[np.float64]:
        if given is None:
            return np.array([cell[1] + 0.5, cell[0] + 0.5])
        place = np.asarray(given, dtype=np.float64)
        if place.shape != (2,) or _cell_of(place) not in self.free_cells:
            raise ValueError(f"expected a {name} (x, y) in a free cell, got {given!r}")
        return place.copy()

    def _slide(self, axis: int, move: float) -> None:
        """Move along one axis, up to the wall."""
        target = self._position.copy()
        target[axis] += move
        row, column = _cell_of(target)
        if self._walls[row, column]:
            edge = math.floor(target[axis]) + (0 if move > 0 else 1)
            target[axis] = edge - math.copysign(_GAP, move)
        self._position = target


class WaypointController:
    """Goes to the goal through the centres of cells, perhaps by way of some other cell first.

    It has ``predict``, so that `transitions` and other tools take it as a policy. What it
    remembers of an episode, ``state``, is the cell that it goes to first, or None after that.

    Args:
        env: The maze, also in wrappers.
        detour: Probability of an episode that goes to some other cell first.
        noise: Deviation of what is added to actions.
        seed: Of both.

    Raises:
        TypeError: The environment is no `PointMaze`.
        ValueError: A number is out of range.

    Example:
        >>> env = PointMaze()
        >>> observation, _ = env.reset(seed=0, options={"start": (1.5, 1.5), "goal": (1.5, 3.5)})
        >>> WaypointController(env).predict(observation)[0]
        array([0., 1.], dtype=float32)
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        *,
        detour: float = 0.0,
        noise: float = 0.0,
        seed: int = 0,
    ) -> None:
        maze = env.unwrapped
        if not isinstance(maze, PointMaze):
            raise TypeError(f"expected a PointMaze, got {env}")
        if not 0 <= detour <= 1:
            raise ValueError(f"expected a detour in [0, 1], got {detour}")
        if not noise >= 0:
            raise ValueError(f"expected noise of at least 0, got {noise}")
        self._walls, self._cells = maze.walls, maze.free_cells
        self._speed, self._detour, self._noise = maze.speed, detour, noise
        self._rng = np.random.default_rng(seed)
        self._distances: dict[Cell, NDArray[np.int64]] = {}

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[np.float32], Any]:
        """The action for one observation, and the cell on the way.

        Args:
            observation: (4,).
            state: What the last call returned.
            episode_start: (1,) whether an episode begins; None for yes if there is no state.
            deterministic: Leave out the noise.
        """
        seen = np.asarray(observation, dtype=np.float64)
        position, goal = seen[:2], seen[2:]
        begins = state is None if episode_start is None else bool(np.any(episode_start))
        via: Cell | None = state["via"] if state else None
        if begins:
            takes_one = self._rng.random() < self._detour
            via = self._cells[self._rng.integers(len(self._cells))] if takes_one else None
        if via is not None and _cell_of(position) == via:
            via = None
        target = self._waypoint(position, via or _cell_of(goal), goal if via is None else None)
        action = (target - position) / self._speed
        action = action / max(1.0, float(np.abs(action).max()))
        if not deterministic:
            action = action + self._noise * self._rng.standard_normal(2)
        return np.clip(action, -1, 1).astype(np.float32), {"via": via}

    def _waypoint(
        self, position: NDArray[np.float64], end: Cell, goal: NDArray[np.float64] | None
    ) -> NDArray[np.float64]:
        """Where to go now: the goal itself in its cell, else a neighbour's centre."""
        if end not in self._distances:
            self._distances[end] = distances_to(self._walls, end)
        distances, cell = self._distances[end], _cell_of(position)
        if distances[cell] == 0:
            return _centre(cell) if goal is None else goal
        nearer = [c for c in _neighbours(cell) if distances[c] == distances[cell] - 1]
        following = _centre(nearer[0])
        # around corners: first to the middle of the lane
        offset = position - _centre(cell)
        across = 1 if nearer[0][0] == cell[0] else 0
        if abs(offset[across]) > 0.3:
            return _centre(cell)
        return following


def distances_to(walls: NDArray[np.bool_], end: Cell) -> NDArray[np.int64]:
    """(rows, columns) cells on a shortest path to a cell, by breadth-first search; -1 for none.

    Example:
        >>> walls = np.array([[True] * 4, [True, False, False, True], [True] * 4])
        >>> distances_to(walls, (1, 1))[1]
        array([-1,  0,  1, -1])
    """
    found = np.full(walls.shape, -1, dtype=np.int64)
    found[end] = 0
    waiting = deque([end])
    while waiting:
        cell = waiting.popleft()
        for near in _neighbours(cell):
            if not walls[near] and found[near] < 0:
                found[near] = found[cell] + 1
                waiting.append(near)
    return found


def _walls(maze: Sequence[str]) -> NDArray[np.bool_]:
    lengths = {len(row) for row in maze}
    if len(lengths) != 1:
        raise ValueError(f"expected rows of one length, got {sorted(lengths)}")
    walls = np.array([[mark == "#" for mark in row] for row in maze])
    edges = [walls[0], walls[-1], walls[:, 0], walls[:, -1]]
    if not all(edge.all() for edge in edges):
        raise ValueError("expected a maze with a wall round it")
    free = np.argwhere(~walls)
    if len(free) < 2:
        raise ValueError(f"expected a maze with at least two free cells, got {len(free)}")
    first = int(free[0][0]), int(free[0][1])
    if (distances_to(walls, first)[~walls] < 0).any():
        raise ValueError("expected a maze of which all free cells can be reached from each other")
    return walls


def _cell_of(place: NDArray[np.float64]) -> Cell:
    return int(place[1]), int(place[0])


def _centre(cell: Cell) -> NDArray[np.float64]:
    return np.array([cell[1] + 0.5, cell[0] + 0.5])


def _neighbours(cell: Cell) -> list[Cell]:
    row, column = cell
    return [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
