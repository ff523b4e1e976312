"""Steps that an agent takes in an environment, one after the other, and keeps to learn from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ...generative.data.environments import Transitions
from .value_batches import leaf_spaces, leaves, nested

__all__ = ["CollectedSteps"]

_VALUES = ("observation", "action", "next_observation")
_NUMBERS = (("reward", np.float64), ("terminated", np.bool_), ("truncated", np.bool_))


class CollectedSteps:
    """All steps so far, in the order in which they were taken.

    Args:
        observation_space: Of the environment.
        action_space: Likewise.

    Example:
        >>> steps = CollectedSteps(spaces.Discrete(3), spaces.Discrete(2))
        >>> steps.add(0, 1, 2.5, 2, terminated=False, truncated=False)
        >>> steps.cut()
        >>> data = steps.transitions()
        >>> data.next_observation, data.truncated
        (array([2]), array([ True]))
    """

    def __init__(
        self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]
    ) -> None:
        self._spaces = (observation_space, action_space, observation_space)
        self._values: dict[str, list[list[NDArray[Any]]]] = {
            name: [[] for _ in leaf_spaces(space)]
            for name, space in zip(_VALUES, self._spaces, strict=True)
        }
        self._numbers: dict[str, list[float]] = {name: [] for name, _ in _NUMBERS}

    def __len__(self) -> int:
        return len(self._numbers["reward"])

    def add(
        self,
        observation: Any,
        action: Any,
        reward: float,
        next_observation: Any,
        *,
        terminated: bool,
        truncated: bool,
    ) -> None:
        """Keep a step; values are copied, as environments may write over them."""
        values = (observation, action, next_observation)
        for name, space, value in zip(_VALUES, self._spaces, values, strict=True):
            for kept, leaf in zip(self._values[name], leaves(space, value), strict=True):
                kept.append(leaf.copy())
        for (name, _), number in zip(_NUMBERS, (reward, terminated, truncated), strict=True):
            self._numbers[name].append(number)

    def cut(self) -> None:
        """Say that the last step's episode does not go on, so that no history reaches over it."""
        if len(self) and not self._numbers["terminated"][-1]:
            self._numbers["truncated"][-1] = True

    def transitions(self) -> Transitions:
        """All of them.

        Raises:
            ValueError: There are none.
        """
        if not len(self):
            raise ValueError("expected at least one step, got none")
        values = [
            nested(space, iter([np.stack(kept) for kept in self._values[name]]))
            for name, space in zip(_VALUES, self._spaces, strict=True)
        ]
        numbers = {name: np.array(self._numbers[name], dtype) for name, dtype in _NUMBERS}
        observation, action, following = values
        return Transitions(observation, action, next_observation=following, **numbers)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What a file holds of them; nothing where there are none."""
        if not len(self):
            return {}
        found: dict[str, NDArray[Any]] = {
            f"{name}.{i}": np.stack(kept)
            for name in _VALUES
            for i, kept in enumerate(self._values[name])
        }
        return found | {name: np.array(self._numbers[name], dtype) for name, dtype in _NUMBERS}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take over what `arrays` gave.

        Raises:
            KeyError: A part is missing.
            ValueError: Parts are of different lengths.
        """
        if not arrays:
            return
        found = {
            name: [list(arrays[f"{name}.{i}"]) for i in range(len(self._values[name]))]
            for name in _VALUES
        }
        numbers = {name: arrays[name].tolist() for name, _ in _NUMBERS}
        lengths = {len(leaf) for kept in found.values() for leaf in kept}
        lengths |= {len(own) for own in numbers.values()}
        if len(lengths) != 1:
            raise ValueError(f"expected steps of one length, got {sorted(lengths)}")
        self._values, self._numbers = found, numbers
