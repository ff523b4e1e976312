"""What `fit` asks of those generators that need more than a gradient step on one loss.

Each is a type that a family inherits from beside its capabilities; most need none of them.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from .data.dataset import Dataset

__all__ = [
    "AbstractAdjusted",
    "AbstractGame",
    "AbstractInitialised",
    "AbstractPhased",
    "AbstractSettled",
    "AbstractTwoStage",
    "Loss",
    "Phase",
]

Loss = Callable[[Tensor, Tensor | None, torch.Generator | None], Tensor]
"""(B,) losses of (B, *event) events, given (B, *context) or None, with noise from a generator."""


@dataclass(frozen=True)
class Phase:
    """One of several losses that are minimised in turns, each over parameters of its own.

    Attributes:
        name: Under which its loss is logged, such as ``critic``.
        loss: What is minimised.
        parameters: Over these; no other phase has them.
        updates: Before the next phase's turn, each on a batch of its own.
        step_factor: By which the learning rate is multiplied for this phase.

    Raises:
        ValueError: There are no parameters, or no updates, or the factor is not positive.
    """

    name: str
    loss: Loss
    parameters: Sequence[nn.Parameter]
    updates: int = 1
    step_factor: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.step_factor < math.inf:
            raise ValueError(
                f"expected a positive step_factor of {self.name}, got {self.step_factor}"
            )
        if not self.parameters or self.updates < 1:
            raise ValueError(
                f"expected parameters and at least 1 update of {self.name}, got "
                f"{len(self.parameters)} parameters and {self.updates} updates"
            )


class AbstractPhased(ABC):
    """A generator that is trained in turns, as adversaries are."""

    @abstractmethod
    def phases(self) -> Sequence[Phase]:
        """The turns of one round, in their order; `fit` counts a round as one update."""


class AbstractGame(AbstractPhased):
    """A generator whose phases work against each other, as a discriminator and what it judges.

    Each loss is measured by the other player: none tells how good samples are, and that of
    held-out events rises as they get better. `fit` reports it and refuses to wait for it to fall
    (``patience``). Samples are compared with data by `metrics`.
    """


class AbstractInitialised(ABC):
    """A generator whose parameters start from data, such as an activation normalisation."""

    @abstractmethod
    def initialise(self, x: Tensor, context: Tensor | None) -> None:
        """Set the parameters; called once, with the first batch, before the first update."""


class AbstractAdjusted(ABC):
    """A generator with numbers that no gradient moves: code books, multipliers, statistics."""

    @abstractmethod
    def adjust(self, x: Tensor, context: Tensor | None, rng: torch.Generator | None) -> None:
        """Move them; called after every update, with its batch. They belong in buffers."""


class AbstractSettled(ABC):
    """A generator with statistics that evaluation needs and training does not.

    Those of batch normalisation are an example: they follow from the parameters as they stand, and
    an average of parameters has others.
    """

    @abstractmethod
    def settle(self, x: Tensor, context: Tensor | None, rng: torch.Generator | None) -> None:
        """Set them; called with many events before every evaluation, on what is evaluated.

        They belong in buffers, and no phase's loss may depend on them.
        """


class AbstractTwoStage(ABC):
    """A generator of which one part learns what another part, trained before, makes of data."""

    @abstractmethod
    def fit_second(self, data: Dataset, *, seed: int, **arguments: Any) -> Any:
        """Train the second part, once `fit` has trained the first.

        Args:
            data: What the first was trained on.
            seed: Of the batches and all noise.
            arguments: Of `fit`: settings, a watcher, a checkpoint.
        """
