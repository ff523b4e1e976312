"""What imagined episodes remember, and what an imagined step leads to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["ImaginedStep", "WorldModelState"]


@dataclass(frozen=True)
class WorldModelState:
    """What B imagined episodes remember. Nothing changes it: to branch, keep it.

    Attributes:
        observations: (B, H, D) encoded, oldest first.
        actions: (B, H - 1, A) encoded, those between them.
        known: (B, H) which observations there are.
    """

    observations: Float[Tensor, "batch history observation"]
    actions: Float[Tensor, "batch earlier action"]
    known: Bool[Tensor, "batch history"]

    def __len__(self) -> int:
        return len(self.known)

    def take(self, rows: Any) -> WorldModelState:
        """Those of some rows, in their order, each as often as it is named."""
        return WorldModelState(self.observations[rows], self.actions[rows], self.known[rows])

    def put(self, rows: Any, others: WorldModelState) -> WorldModelState:
        """These with other rows in some places."""
        parts = [
            (self.observations, others.observations),
            (self.actions, others.actions),
            (self.known, others.known),
        ]
        return WorldModelState(*(_put(own, rows, new) for own, new in parts))


@dataclass(frozen=True)
class ImaginedStep:
    """What B imagined steps led to.

    Attributes:
        observation: (B, ...) as the space has it; each row is a value of the space.
        reward: (B,).
        terminated: (B,) whether the episode ended there.
        disagreement: (B,) of the members, in deviations of what they draw; 0 of one alone.
        num_clipped: (B,) entries of observations that were moved into the space: to its bounds, or
            where it has whole numbers only, to the nearest.
    """

    observation: Any
    reward: Float64[np.ndarray, " batch"]
    terminated: Bool[np.ndarray, " batch"]
    disagreement: Float64[np.ndarray, " batch"]
    num_clipped: NDArray[np.int64]


def _put(own: Tensor, rows: Any, new: Tensor) -> Tensor:
    found = own.clone()
    found[rows] = new
    return found
