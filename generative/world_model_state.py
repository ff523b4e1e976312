"""What imagined episodes remember, and what an imagined step leads to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["AbstractWorldState", "ImaginedStep", "WorldModelState"]


@dataclass(frozen=True)
class AbstractWorldState:
    """What B imagined episodes remember. Nothing changes it: to branch, keep it.

    World models have dataclasses of their own, all of whose fields are tensors of B rows.
    """

    def _tensors(self) -> dict[str, Tensor]:
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def __len__(self) -> int:
        return len(next(iter(self._tensors().values())))

    def take(self, rows: Any) -> Self:
        """Those of some rows, in their order, each as often as it is named."""
        return type(self)(**{name: own[rows] for name, own in self._tensors().items()})

    def put(self, rows: Any, others: Any) -> Self:
        """These with other rows in some places, of a state of the same kind."""
        found = {}
        for name, own in self._tensors().items():
            found[name] = own.clone()
            found[name][rows] = getattr(others, name)
        return type(self)(**found)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The fields as arrays, for files."""
        return {name: own.cpu().numpy() for name, own in self._tensors().items()}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]], device: torch.device) -> Self:
        """The state that `arrays` told of."""
        return cls(**{name: torch.tensor(own, device=device) for name, own in arrays.items()})


@dataclass(frozen=True)
class WorldModelState(AbstractWorldState):
    """What B episodes of a `WorldModel` remember.

    Attributes:
        observations: (B, H, D) encoded, oldest first.
        actions: (B, H - 1, A) encoded, those between them.
        known: (B, H) which observations there are.
    """

    observations: Float[Tensor, "batch history observation"]
    actions: Float[Tensor, "batch earlier action"]
    known: Bool[Tensor, "batch history"]


@dataclass(frozen=True)
class ImaginedStep:
    """What B imagined steps led to.

    Attributes:
        observation: (B, ...) as the space has it; each row is a value of the space.
        reward: (B,).
        terminated: (B,) whether the episode ended there.
        disagreement: (B,) of the members, in deviations of what they draw; 0 of one alone. Other
            models have other measures of what they do not know.
        num_clipped: (B,) entries of observations that were moved into the space: to its bounds, or
            where it has whole numbers only, to the nearest.
    """

    observation: Any
    reward: Float64[np.ndarray, " batch"]
    terminated: Bool[np.ndarray, " batch"]
    disagreement: Float64[np.ndarray, " batch"]
    num_clipped: NDArray[np.int64]
