r"""How far imagined episodes stray from real ones that begin alike and in which the same is done.

From steps of real data a world model goes on by itself, :math:`\hat o_{t+k}` from
:math:`\hat o_{t+k-1}` and the real :math:`a_{t+k-1}`, and is compared with what was really seen,
horizon by horizon. Beside it stand two controls: the last observation copied, and a linear model
of a step, applied as often.

References:
    D. Ha, J. Schmidhuber (2018), World models, arXiv:1803.10122.
    M. Janner, J. Fu, M. Zhang, S. Levine (2019), When to trust your model: model-based policy
        optimization, arXiv:1906.08253, section 4 (errors that grow with the length of branches).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64, Int64
from numpy.typing import NDArray
from torch import Tensor

from .abstract_world_model import AbstractWorldModel
from .data.environments import Transitions
from .space_batches import rows_of
from .world_model_data import episode_starts

__all__ = ["OpenLoopErrors", "open_loop_errors"]


@dataclass(frozen=True)
class OpenLoopErrors:
    """Errors by horizon: root mean squares over entries and starts, in deviations of observations.

    Attributes:
        horizons: (K,) steps ahead.
        model: (K,) of the mean of what the world model imagines.
        copying: (K,) of the last real observation.
        linear: (K,) of a linear model of a step, applied as often.
        num_starts: Places in episodes that were gone on from, the same for all horizons.
    """

    horizons: tuple[int, ...]
    model: tuple[float, ...]
    copying: tuple[float, ...]
    linear: tuple[float, ...]
    num_starts: int


def open_loop_errors(
    model: AbstractWorldModel,
    data: Transitions,
    known: Transitions,
    *,
    horizons: Sequence[int] = (1, 2, 5, 10, 20),
    num_starts: int = 200,
    num_draws: int = 8,
    temperature: float = 1.0,
    seed: int = 0,
) -> OpenLoopErrors:
    """Errors of a trained world model on steps that it has not seen.

    Args:
        model: The world model.
        data: Steps of whole episodes, in the order in which they were taken.
        known: What the linear control is fitted to: what the model was trained on.
        horizons: Steps ahead, ascending; those longer than all episodes are left out.
        num_starts: Steps of the data, drawn at random, to begin at.
        num_draws: Imagined episodes of each, whose mean is compared.
        temperature: Of the draws.
        seed: Of the starts and the draws.

    Raises:
        ValueError: Horizons do not ascend from at least 1, no episode is as long as the first, or
            a number is below 1.
    """
    for name, number in (("num_starts", num_starts), ("num_draws", num_draws)):
        if number < 1:
            raise ValueError(f"expected {name} of at least 1, got {number}")
    for name, steps in (("data", data), ("known", known)):
        if not len(steps):
            raise ValueError(f"expected {name} of at least one step, got none")
    if not horizons or horizons[0] < 1 or any(np.diff(horizons) < 1):
        raise ValueError(f"expected horizons that ascend from at least 1, got {horizons}")
    left = _steps_left(data)
    if left.max() < horizons[0]:
        raise ValueError(
            f"expected an episode of at least {horizons[0]} steps, got {left.max()} at most"
        )
    reached = [length for length in horizons if length <= left.max()]
    rows = _starts(left, reached[-1], num_starts, seed)
    truth = model.observation_codec.encode(data.next_observation).flatten(1)
    first = model.observation_codec.encode(rows_of(data.observation, rows)).flatten(1)
    actions = model.action_codec.encode(data.action)
    weights = _linear_step(model, known)
    state = model.recall(data, np.repeat(rows, num_draws))
    rng = torch.Generator(device=truth.device).manual_seed(seed)
    ahead, linear = 0, first.double()
    errors: list[list[float]] = []
    while ahead < reached[-1]:
        now = rows + ahead
        taken = rows_of(data.action, np.repeat(now, num_draws))
        state, _ = model.step(state, taken, temperature=temperature, rng=rng)
        linear = _with_one(linear, actions[now]) @ weights
        ahead += 1
        if ahead in reached:
            drawn = model.encoded(state)
            imagined = drawn.view(len(rows), num_draws, -1).mean(dim=1)
            errors.append([_distance(guess, truth[now]) for guess in (imagined, first, linear)])
    of_model, of_copying, of_linear = (tuple(column) for column in zip(*errors, strict=True))
    return OpenLoopErrors(tuple(reached), of_model, of_copying, of_linear, len(rows))


def _steps_left(data: Transitions) -> Int64[np.ndarray, " steps"]:
    """(N,) steps from each to its episode's end, itself included."""
    starts = episode_starts(data)
    _, counts = np.unique(starts, return_counts=True)
    left: NDArray[np.int64] = np.repeat(counts, counts) - (np.arange(len(starts)) - starts)
    return left


def _starts(
    left: NDArray[np.int64], longest: int, num: int, seed: int
) -> Int64[np.ndarray, " starts"]:
    """Steps from which the longest horizon can be reached."""
    usable = np.flatnonzero(left >= longest)
    rng = np.random.default_rng(seed)
    return np.sort(rng.choice(usable, size=min(num, len(usable)), replace=False))


def _linear_step(
    model: AbstractWorldModel, known: Transitions
) -> Float64[Tensor, "inputs entries"]:
    """What an encoded observation, an action and a one are multiplied by."""
    observations = model.observation_codec.encode(known.observation).flatten(1)
    inputs = _with_one(observations.double(), model.action_codec.encode(known.action))
    after = model.observation_codec.encode(known.next_observation).flatten(1).double()
    solution: Tensor = torch.linalg.lstsq(inputs, after, driver="gelsd").solution
    return solution


def _with_one(observations: Tensor, actions: Tensor) -> Float64[Tensor, "batch inputs"]:
    ones = observations.new_ones(len(observations), 1)
    return torch.cat([observations, actions.double(), ones], dim=1)


def _distance(one: Tensor, other: Tensor) -> float:
    return float((one.double() - other.double()).square().mean().sqrt())
