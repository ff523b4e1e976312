r"""Training a generator of action chunks on demonstrations, and how far its actions are off.

What is held out are whole episodes. There the policy's chunks stand beside two controls: the mean
action, and a linear function of the observations. Two numbers are measured of each, over the
actions that were really done (no padding), in their deviations:

- the *error*, root mean square, of the mean of some draws. Least squares is the best there is by
  it, also where the mean action is a wrong one;
- the *energy score* :math:`\mathbb E \lVert a - A \rVert - \tfrac12 \mathbb E \lVert A - A'
  \rVert` of draws A and A', which is least for the demonstrators' own distribution.

References:
    T. Gneiting, A. E. Raftery (2007), Strictly proper scoring rules, prediction, and estimation,
        Journal of the American Statistical Association 102(477), equation 22.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from ...generative.chunks import ChunkWindows
from ...generative.training import FitResult
from ...generative.world_model_data import split_by_episodes

__all__ = ["ActionErrors", "GenerativePolicyFit", "action_errors", "split_windows"]

_NUM_DRAWS = 8
_MOST_WINDOWS = 512


@dataclass(frozen=True)
class ActionErrors:
    """How far actions on held-out windows are off, in the deviations of the demonstrators'.

    Attributes:
        error: Root mean square, of the mean of the policy's draws.
        constant_error: Of the mean action.
        linear_error: Of a linear function of the observations.
        energy_score: Of the policy's draws.
        constant_energy_score: Of the mean action.
        linear_energy_score: Of the linear function.
    """

    error: float
    constant_error: float
    linear_error: float
    energy_score: float
    constant_energy_score: float
    linear_energy_score: float

    @property
    def beats_controls(self) -> bool:
        """Whether draws are closer to the demonstrators', by the energy score, than controls."""
        return self.energy_score < min(self.constant_energy_score, self.linear_energy_score)


@dataclass(frozen=True)
class GenerativePolicyFit:
    """What came of training.

    Attributes:
        training: How the generator's went.
        second: How that of its second part did, of families that have one.
        num_windows: That were learnt from.
        num_held_out: Windows that were not.
        errors: On those.
    """

    training: FitResult
    second: FitResult | None
    num_windows: int
    num_held_out: int
    errors: ActionErrors


def split_windows(
    windows: ChunkWindows, starts: NDArray[np.int64], held_out: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of the windows to learn from, and of those in whole episodes that are held out.

    Args:
        windows: All of them.
        starts: (N,) of `world_model_data.episode_starts`.
        held_out: Share of the steps, about.
        seed: Of the draw.

    Raises:
        ValueError: A part would be empty.
    """
    train, rest = split_by_episodes(starts, held_out, seed)
    # where one episode is cut in two, no window lies in both parts
    in_train = np.isin(windows.acted, train).all(axis=1)
    in_rest = np.isin(windows.acted, rest).all(axis=1)
    found = np.flatnonzero(in_train), np.flatnonzero(in_rest)
    if not all(map(len, found)):
        raise ValueError(
            f"expected episodes with windows to learn from and others to hold out, got "
            f"{len(found[0])} and {len(found[1])} windows of {len(starts)} steps"
        )
    return found


def action_errors(
    draw: Callable[[Tensor], Tensor],
    train: tuple[Tensor, Tensor],
    held_out: tuple[Tensor, Tensor],
    known: Bool[Tensor, "batch time"],
) -> ActionErrors:
    """How far draws are off, beside controls.

    Args:
        draw: From (B, C) contexts to (B, Tp, A) rows of actions.
        train: (N, C) contexts and (N, Tp, A) rows that were learnt from.
        held_out: (M, C) and (M, Tp, A) that were not; some of them are taken if they are many.
        known: (M, Tp) which of these are no padding.
    """
    context, rows = train
    chosen = torch.linspace(0, len(known) - 1, min(len(known), _MOST_WINDOWS)).long()
    at, truth, known = held_out[0][chosen], held_out[1][chosen], known[chosen]
    flat = rows.flatten(0, 1).double()
    deviation = flat.std(dim=0, correction=0)
    deviation = torch.where(deviation > 1e-6, deviation, 1.0)
    mean = rows.double().mean(dim=0).expand(len(at), -1, -1)
    linear = _linear(context, rows, at)
    drawn = torch.stack([draw(at).double() for _ in range(_NUM_DRAWS)])
    measured = [
        _measured(candidate / deviation, truth.double() / deviation, known)
        for candidate in (drawn, mean.unsqueeze(0), linear.unsqueeze(0))
    ]
    (error, score), (constant, constant_score), (straight, straight_score) = measured
    return ActionErrors(error, constant, straight, score, constant_score, straight_score)


def _linear(context: Tensor, rows: Tensor, at: Tensor) -> Float[Tensor, "batch time entries"]:
    """(M, Tp, A) by least squares."""
    given, asked = (
        torch.cat([part.double(), part.new_ones(len(part), 1).double()], dim=1)
        for part in (context, at)
    )
    found = torch.linalg.lstsq(given, rows.flatten(1).double(), driver="gelsd").solution
    answered: Tensor = asked @ found
    return answered.view(len(at), *rows.shape[1:])


def _measured(
    drawn: Float[Tensor, "draws batch time entries"],
    truth: Float[Tensor, "batch time entries"],
    known: Bool[Tensor, "batch time"],
) -> tuple[float, float]:
    """Error and energy score."""
    shown = known.unsqueeze(2)
    off = (drawn.mean(dim=0) - truth)[known]
    apart = ((drawn - truth) * shown).flatten(2).norm(dim=2).mean(dim=0)
    num = len(drawn)
    if num > 1:
        rows = (drawn * shown).flatten(2).transpose(0, 1)
        pairs = torch.cdist(rows, rows)
        apart = apart - pairs.sum(dim=(1, 2)) / (2 * num * (num - 1))
    return float(off.square().mean().sqrt()), float(apart.mean())
