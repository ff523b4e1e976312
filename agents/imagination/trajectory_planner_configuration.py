"""The hyper-parameters of trajectory planners; each is declared and documented once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from ...configuration import check_fields
from ...generative.chunk_coding import ChunkLayout

__all__ = ["PlanningMethod", "TrajectoryPlannerConfig"]

PlanningMethod = Literal["auto", "guidance", "ranking", "return-conditioned"]

_RANGES = {
    "horizon": (2, math.inf, True),
    "action_horizon": (1, math.inf, True),
    "num_plans": (1, math.inf, True),
    "guidance_scale": (0.0, math.inf, True),
    "rounds": (1, math.inf, True),
    "temperature": (0.0, math.inf, True),
    "discount": (0.0, 1.0, True),
    "target_return": (-math.inf, math.inf, False),
    "target_quantile": (0.0, 1.0, True),
    "noise": (0.0, 1.0, True),
    "hidden_sizes": (1, math.inf, True),
    "num_threads": (1, math.inf, True),
}
_CHOICES = {"method": get_args(PlanningMethod), "layout": get_args(ChunkLayout)}


@dataclass(frozen=True)
class TrajectoryPlannerConfig:
    """Hyper-parameters of `TrajectoryPlanner`.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    method: PlanningMethod = "auto"
    """How plans become good ones; ``auto`` is guidance for diffusion and ranking for others."""
    horizon: int = 16
    """H, steps of a window."""
    action_horizon: int = 4
    """Actions of a plan that are executed before the next plan is made."""
    num_plans: int = 4
    """Drawn at a time, of which the one with the highest predicted return is executed; a
    return-conditioned planner draws one. Among many there is one that the predictor is wrong
    about: in a maze one guided plan reached more goals than the best of eight."""
    guidance_scale: float = 1.0
    """Of the predicted return, in its deviations, in the logarithm of plans' weights."""
    start_as_context: bool = True
    """Tell diffusion of the start in its context too, not by known entries alone, as Diffuser
    does. Other families always have it there."""
    rounds: int = 1
    """Of each step of a diffusion sampler, which multiply the time. With the start as known
    entries alone one is too few for what follows to fit it (see `known_entries`)."""
    temperature: float = 1.0
    """Of the draws."""
    discount: float = 0.99
    """Of returns."""
    target_return: float | None = None
    """That a return-conditioned planner asks for; None takes the quantile below."""
    target_quantile: float = 0.95
    """Of the returns-to-go in the data, which is asked for."""
    layout: ChunkLayout = "vector"
    """A window as one vector, or as a sequence over time for networks of the families that take
    some: convolutional, unet, transformer."""
    noise: float = 0.01
    """On windows while they are learnt, whose numbers are from -1 to 1."""
    hidden_sizes: tuple[int, ...] = (128, 128)
    """Of the network that predicts returns, or actions between observations."""
    num_threads: int | None = 1
    """Of torch while it acts; None leaves them."""

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, _CHOICES)
        if self.action_horizon >= self.horizon:
            raise ValueError(
                f"expected an action_horizon below the horizon, {self.horizon}, got "
                f"{self.action_horizon}"
            )
