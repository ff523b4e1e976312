"""How a generator is trained; each setting is declared and documented once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch

from ..configuration import build_config, check_fields
from .family import AbstractFamily
from .generator import AbstractGenerator
from .trainable import AbstractGame

__all__ = ["FitSettings", "StepSizes", "check_run", "settings_for"]

StepSizes = Literal["constant", "linear", "cosine"]

_RANGES = {
    "num_updates": (1, math.inf, True),
    "batch_size": (1, math.inf, True),
    "learning_rate": (0.0, math.inf, False),
    "warm_up": (0, math.inf, True),
    "weight_decay": (0.0, math.inf, True),
    "beta_1": (0.0, 1.0, True),
    "beta_2": (0.0, 1.0, True),
    "max_grad_norm": (0.0, math.inf, False),
    "average_decay": (0.0, 1.0, True),
    "log_interval": (1, math.inf, True),
    "evaluation_interval": (1, math.inf, True),
    "held_out_events": (1, math.inf, True),
    "patience": (1, math.inf, True),
    "num_threads": (1, math.inf, True),
}
_CHOICES = {"step_sizes": get_args(StepSizes)}


@dataclass(frozen=True)
class FitSettings:
    """Settings of `fit`.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    num_updates: int = 2_000
    """Updates in all, those before a resume included."""
    batch_size: int = 128
    """Events of an update, of all processes together; at most those that there are."""
    learning_rate: float = 1e-3
    """Of Adam."""
    step_sizes: StepSizes = "constant"
    """The learning rate after the warm-up: constant, or falling to 0 at the end."""
    warm_up: int = 0
    """Updates over which the learning rate rises from 0."""
    weight_decay: float = 0.0
    """Of AdamW: the share by which parameters shrink in every update, times the learning rate."""
    beta_1: float = 0.9
    """Of Adam's running mean of gradients."""
    beta_2: float = 0.999
    """Of their squares."""
    max_grad_norm: float | None = None
    """To which the norm of an update's gradient is clipped; None does not clip."""
    average_decay: float | None = None
    """Of an exponential moving average of the parameters, which is evaluated and, at the end, what
    the generator holds; None keeps none."""
    log_interval: int = 50
    """Updates between two reports of the mean loss."""
    evaluation_interval: int = 500
    """Updates between two evaluations on held-out events."""
    held_out_events: int | None = 2_000
    """How many held-out events an evaluation takes, the first; None takes all. Of ten thousand
    pictures some families would spend more time on evaluations than on updates."""
    patience: int | None = None
    """Evaluations without a better loss after which training stops; the best parameters are then
    what the generator holds. None trains to the end and keeps the last."""
    mixed_precision: bool = False
    """Let PyTorch compute in bfloat16 where it holds that to be safe."""
    compile: bool = False
    """Compile the loss and its gradient: half a minute at first."""
    num_threads: int | None = 1
    """Of torch; None leaves them, which large convolutions gain from. With a second one a small
    network is no faster, and many times slower while another program uses the core."""
    device: str = "auto"
    """Where to train: ``cpu``, ``cuda``, ``cuda:1`` and so on; ``auto`` takes CUDA if there is."""

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, _CHOICES)
        if self.warm_up >= self.num_updates:
            raise ValueError(
                f"expected a warm_up of fewer than {self.num_updates} updates, got {self.warm_up}"
            )

    def learning_rate_at(self, update: int) -> float:
        """Of an update, counted from 0."""
        if update < self.warm_up:
            return self.learning_rate * (update + 1) / self.warm_up
        left = 1 - (update - self.warm_up) / (self.num_updates - self.warm_up)
        if self.step_sizes == "linear":
            return self.learning_rate * left
        if self.step_sizes == "cosine":
            return self.learning_rate * (1 - math.cos(math.pi * left)) / 2
        return self.learning_rate

    def optimiser(self, parameters: list[torch.nn.Parameter]) -> torch.optim.AdamW:
        """A new one."""
        # one kernel for all parameters: half as long again for a small network otherwise
        return torch.optim.AdamW(
            parameters,
            lr=self.learning_rate,
            betas=(self.beta_1, self.beta_2),
            weight_decay=self.weight_decay,
            fused=True,
        )


def settings_for(generator: AbstractGenerator, given: Mapping[str, Any]) -> FitSettings:
    """The settings with which `fit` trains a generator.

    Args:
        generator: Of a family, which may have defaults of its own (``fit_defaults``), or not.
        given: Fields of `FitSettings` that the user chose.

    Raises:
        TypeError: A setting is unknown.
        ValueError: A setting is out of range, or means nothing for the generator.
    """
    own = generator.fit_defaults if isinstance(generator, AbstractFamily) else {}
    settings: FitSettings = build_config(FitSettings, {**own, **given}, "FitSettings")
    if settings.patience is not None and isinstance(generator, AbstractGame):
        raise ValueError(
            f"expected no patience for a {type(generator).__name__}, whose loss is measured by an "
            f"opponent that learns too and does not fall as samples get better, got "
            f"{settings.patience}"
        )
    return settings


def check_run(seed: int, checkpoint_interval: int) -> None:
    """Make sure of what belongs to a run of `fit`, not to how a generator is trained.

    Args:
        seed: Of the batches and all noise.
        checkpoint_interval: Updates between two checkpoints.

    Raises:
        TypeError: One is no integer.
        ValueError: One is out of range.
    """
    for name, number in (("seed", seed), ("checkpoint_interval", checkpoint_interval)):
        if not isinstance(number, int) or isinstance(number, bool):
            raise TypeError(f"expected {name} as an integer, got {number!r}")
    if seed < 0:
        raise ValueError(f"expected a seed of at least 0, got {seed}")
    if checkpoint_interval < 1:
        raise ValueError(
            f"expected at least 1 update between checkpoints, got {checkpoint_interval}"
        )
