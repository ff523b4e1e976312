"""Tasks of Meta-World, a robot arm and a thing on a table, as environments like any other.

Meta-World fixes a task's goals when an environment is made, ignores the seed of ``reset`` and goes
on after success. Here a task has two sets of 50 goals, drawn as Meta-World draws them, one to
learn on (``goals="train"``) and one to be tested on; ``reset(seed=...)`` says which of them comes,
so that an episode can be played again; and success terminates the episode, unless that is not
wanted. The goal is part of the observation, of 39 numbers; actions move the hand and close the
fingers. Rewards are Meta-World's own, up to 10 a step.

It is registered as ``gymagine/MetaWorld-v3``::

    env = gymnasium.make("gymagine/MetaWorld-v3", task="reach", goals="test")

Pictures without a screen are drawn through EGL: ``MUJOCO_GL=egl`` is set in the process where
nothing else is.

References:
    R. McLean et al. (2025), Meta-World+: an improved, standardized, RL benchmark,
        arXiv:2505.11289.
    T. Yu et al. (2019), Meta-World: a benchmark and evaluation for multi-task and meta
        reinforcement learning, arXiv:1910.10897.
"""

from __future__ import annotations

import difflib
import importlib
import os
from functools import cache
from typing import Any, Literal, get_args

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import seeding
from jaxtyping import Float64

__all__ = [
    "GoalSet",
    "MetaWorldTask",
    "metaworld_library",
    "metaworld_names",
    "metaworld_task_name",
]

GoalSet = Literal["train", "test"]

_VERSION = "-v3"


class MetaWorldTask(gymnasium.Wrapper[Any, Any, Any, Any]):
    """One task.

    Args:
        task: Such as ``reach``, ``push``, ``drawer-close``; Meta-World's ``reach-v3`` is the same.
        goals: Which of its two sets of 50 goals.
        goal_seed: Of both sets.
        terminate_on_success: Whether success ends the episode.
        render_mode: ``human``, ``rgb_array`` or none.
        width: Of pictures.
        height: Of pictures.
        camera_name: From where they are taken.

    Attributes:
        goals: Positions of goals and things, as Meta-World has them.

    Raises:
        ValueError: There is no such task or set of goals; the nearest task is named.
        ModuleNotFoundError: Meta-World is not installed.
    """

    def __init__(
        self,
        task: str,
        *,
        goals: GoalSet = "train",
        goal_seed: int = 0,
        terminate_on_success: bool = True,
        render_mode: str | None = None,
        width: int = 480,
        height: int = 480,
        camera_name: str = "corner2",
    ) -> None:
        if goals not in get_args(GoalSet):
            raise ValueError(f"expected goals among {get_args(GoalSet)}, got {goals!r}")
        name = metaworld_task_name(task)
        self._tasks = _goals_of(name, goal_seed + (goals == "test"))
        self._terminate, self._is_corner = terminate_on_success, camera_name.startswith("corner")
        kind = metaworld_library().env_dict.ALL_V3_ENVIRONMENTS[name]
        if render_mode == "rgb_array" and not os.environ.get("DISPLAY"):
            # without a screen MuJoCo would abort the process at the second picture
            os.environ.setdefault("MUJOCO_GL", "egl")
        made: gymnasium.Env[Any, Any] = kind(
            render_mode=render_mode,
            camera_name=camera_name if render_mode else None,
            width=width,
            height=height,
        )
        super().__init__(made)
        self._set(0)
        # Meta-World's own space is made before there is a task, with goals of 0 (3.1.1)
        size = len(self.env.reset()[0])
        self.observation_space = spaces.Box(-np.inf, np.inf, (size,), np.float64)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float64[np.ndarray, " numbers"], dict[str, Any]]:
        """Begin an episode with a goal that the seed draws; without one, the next draw's."""
        if seed is not None:
            self.unwrapped.np_random, _ = seeding.np_random(seed)
        self._set(int(self.unwrapped.np_random.integers(len(self._tasks))))
        observation, info = self.env.reset()
        return observation, info

    def step(
        self, action: Any
    ) -> tuple[Float64[np.ndarray, " numbers"], float, bool, bool, dict[str, Any]]:
        """Move; ``info["success"]`` says whether the goal is reached."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        ended = terminated or (self._terminate and bool(info["success"]))
        return observation, float(reward), bool(ended), bool(truncated), info

    def render(self) -> Any:
        """A picture, upright: Meta-World's cameras in the corners hang upside down."""
        found = self.env.render()
        if self._is_corner and isinstance(found, np.ndarray):
            return np.ascontiguousarray(found[::-1, ::-1])
        return found

    def _set(self, goal: int) -> None:
        inner: Any = self.unwrapped
        inner.set_task(self._tasks[goal])


def metaworld_library() -> Any:
    """The library.

    Raises:
        ModuleNotFoundError: It is not installed; the message says what to install.
    """
    try:
        importlib.import_module("metaworld.policies")
        return importlib.import_module("metaworld")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "tasks of Meta-World need metaworld: pip install 'gymagine[metaworld]'",
            name=error.name,
        ) from error


def metaworld_names() -> tuple[str, ...]:
    """The tasks that there are.

    Raises:
        ModuleNotFoundError: Meta-World is not installed.
    """
    known = metaworld_library().env_dict.ALL_V3_ENVIRONMENTS
    return tuple(name.removesuffix(_VERSION) for name in known)


def metaworld_task_name(task: str) -> str:
    """A task's name as Meta-World has it, with its version.

    Raises:
        ValueError: There is none; the nearest is named.
        ModuleNotFoundError: Meta-World is not installed.
    """
    short = task.removesuffix(_VERSION)
    known = metaworld_names()
    if short not in known:
        near = difflib.get_close_matches(short, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"expected a task of Meta-World such as reach, got {task!r}{hint}")
    return short + _VERSION


@cache
def _goals_of(name: str, seed: int) -> tuple[Any, ...]:
    """Meta-World's 50 tasks of a seed, which take it 2 s to draw."""
    return tuple(metaworld_library().MT1(name, seed=seed).train_tasks)
