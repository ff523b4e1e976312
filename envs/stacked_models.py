"""One or several models of equal sizes, read for many states at once."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .mdp import TabularMDP
from .outcome_sampling import cumulative_rows, start_states

__all__ = ["StackedModels"]

IntArray: TypeAlias = NDArray[np.int64]
FloatArray: TypeAlias = NDArray[np.float64]


class StackedModels:
    """The rows of M models one after another: row ``(m * S + s) * A + a``.

    Of a single model the arrays are its own, not copies, but for the running sums.

    Attributes:
        models: The M models.
        next_states: (K,) of all models' outcomes; so ``probabilities, rewards, terminated``.
    """

    def __init__(self, models: tuple[TabularMDP, ...]) -> None:
        self.models = models
        self.next_states = self._stack("next_states")
        self.probabilities = self._stack("probabilities")
        self.rewards = self._stack("rewards")
        self.terminated = self._stack("terminated")
        counts = [model.num_outcomes for model in models]
        offsets = np.concatenate(([0], np.cumsum(counts)))
        starts = [
            model.row_starts[:-1] + offset
            for model, offset in zip(models, offsets[:-1], strict=True)
        ]
        self._row_starts = np.concatenate([*starts, offsets[-1:]])
        lengths = np.diff(self._row_starts)
        self._bounds = np.concatenate([cumulative_rows(model) for model in models])
        # rounding may leave the last sum below a uniform number: the last outcome takes the rest
        self._bounds[self._row_starts[1:][lengths > 0] - 1] = np.inf
        self._halvings = int(lengths.max() - 1).bit_length()
        self._has_mask = models[0].action_mask is not None
        self._starts = [start_states(model) for model in models]

    def rows(self, phases: IntArray | None, states: IntArray, actions: IntArray) -> IntArray:
        """(N,) rows of the pairs; phases None is the first model."""
        mdp = self.models[0]
        rows = states * mdp.num_actions + actions
        if phases is not None:
            rows += phases * (mdp.num_states * mdp.num_actions)
        return rows

    def illegal(self, rows: IntArray) -> int | None:
        """The position of the first row that has no outcomes, if there is one."""
        if not self._has_mask:
            return None
        empty = self._row_starts[rows] == self._row_starts[rows + 1]
        return int(np.argmax(empty)) if empty.any() else None

    def outcomes(self, rows: IntArray, uniforms: FloatArray) -> IntArray:
        """(N,) the outcome of each row that its uniform number falls on."""
        low = self._row_starts[rows]
        if self._halvings == 0:
            return low
        high = self._row_starts[rows + 1] - 1
        for _ in range(self._halvings):
            middle = (low + high) >> 1
            beyond = self._bounds[middle] <= uniforms
            low = np.where(beyond, middle + 1, low)
            high = np.where(beyond, high, middle)
        return low

    def starts(self, phases: IntArray, uniforms: FloatArray) -> tuple[IntArray, FloatArray]:
        """(N,) start states that uniform numbers fall on, and their probabilities."""
        states = np.empty(len(phases), dtype=np.int64)
        probabilities = np.empty(len(phases))
        for phase in set(phases.tolist()):
            here = phases == phase
            candidates, bounds = self._starts[phase]
            states[here] = candidates[np.searchsorted(bounds, uniforms[here], side="right")]
            probabilities[here] = self.models[phase].initial_distribution[states[here]]
        return states, probabilities

    def masks(self, phases: IntArray, states: IntArray) -> NDArray[np.int8]:
        """(N, A) which actions are allowed."""
        masks = np.empty((len(states), self.models[0].num_actions), dtype=np.int8)
        for phase in set(phases.tolist()):
            here = phases == phase
            masks[here] = self.models[phase].allowed[states[here]]
        return masks

    def _stack(self, name: str) -> NDArray[Any]:
        arrays = [getattr(model, name) for model in self.models]
        return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
