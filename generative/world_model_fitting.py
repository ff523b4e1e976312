"""Training a world model on steps of an environment, and how far it can be trusted.

What is held out are whole episodes. Beside the model's error on them stand those of two controls:
that nothing changes (the last observation copied, the mean reward), and a linear model. One that
does not beat copying has learnt nothing, and a warning says so.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from .abstract_world_model import AbstractWorldModel
from .data.dataset import Dataset, Events
from .data.environments import Transitions
from .generator import AbstractDensity
from .latent_world_model import LatentWorldModel
from .metrics.likelihood import negative_log_likelihood
from .normalisers import Normaliser
from .observation_encoder import train_encoder
from .space_batches import rows_of
from .tabular_world_model import TabularWorldModel
from .trainable import AbstractTwoStage
from .training import FitResult, fit
from .world_model import WorldModel
from .world_model_data import episode_starts, histories, split_by_episodes, stacked_context

__all__ = ["TargetNoise", "WorldModelFit", "fit_scales", "fit_world_model"]

_ROUNDING = 1e-5


@dataclass(frozen=True)
class TargetNoise:
    """Noise on targets, so that densities of what is certain stay finite.

    Attributes:
        deviations: Of each entry.
    """

    deviations: tuple[float, ...]

    def __call__(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """(B, D) noisy targets."""
        noise = torch.randn(x.shape, generator=rng, dtype=x.dtype, device=x.device)
        return x + x.new_tensor(self.deviations) * noise


@dataclass(frozen=True)
class WorldModelFit:
    """What came of training.

    Errors are root mean squares over held-out steps and entries, in the deviations of the targets.

    Attributes:
        members: How each generator's training went.
        head: How that of the ends of episodes did; None where they are not learnt.
        error: Of one imagined step, without noise.
        copying_error: Of copying the last observation, and the mean reward.
        linear_error: Of a linear model.
        end_loss: Mean negative log-probability, in nats, of which held-out steps end episodes;
            None where it is not learnt.
        base_end_loss: The same of the share of steps that do.
    """

    members: tuple[FitResult, ...]
    head: FitResult | None
    error: float
    copying_error: float
    linear_error: float
    end_loss: float | None
    base_end_loss: float | None

    @property
    def beats_copying(self) -> bool:
        """Whether anything was learnt."""
        return self.error < self.copying_error


def fit_world_model(
    model: AbstractWorldModel,
    data: Transitions,
    *,
    seed: int = 0,
    held_out: float = 0.1,
    head_settings: Mapping[str, Any] | None = None,
    encoder_settings: Mapping[str, Any] | None = None,
    progress_bar: bool = False,
    **settings: Any,
) -> WorldModelFit:
    """Train a world model, in place; then it is in evaluation mode.

    Scales of observations, actions and targets are taken from the data the first time, and kept
    afterwards: a model can learn from more data later. What was always the same before is scaled
    then, and how far what is imagined may go is widened.

    Args:
        model: The world model. A `TabularWorldModel` counts the steps, and takes no settings in.
        data: Steps of the environment, in the order in which they were taken.
        seed: Of what is held out, of batches and of noise; members have seeds of their own.
        held_out: Share of steps in episodes that are held out, in (0, 1).
        head_settings: Of `fit`, for the ends of episodes.
        encoder_settings: Of `fit`, for the autoencoder of a `LatentWorldModel`, which is trained
            the first time, before all else; None leaves it as it is.
        progress_bar: Show one for each member.
        settings: Of `fit`, for the members.

    Raises:
        TypeError: Model or data are of another type, or a setting is unknown.
        ValueError: Data do not fit the model's spaces, are too few, or a setting is out of range.

    Warns:
        UserWarning: The model does not beat copying the last observation on what is held out.
    """
    if isinstance(model, LatentWorldModel):
        if encoder_settings is not None and not model.is_fitted:
            train_encoder(
                model.encoder.autoencoder,
                model.observation_space,
                data,
                codec=model.encoder.codec,
                seed=seed,
                progress_bar=progress_bar,
                **encoder_settings,
            )
        found = fit_world_model(
            model.inner,
            model.latent_transitions(data),
            seed=seed,
            held_out=held_out,
            head_settings=head_settings,
            progress_bar=progress_bar,
            **settings,
        )
        model.eval()
        return found
    if not isinstance(model, WorldModel | TabularWorldModel):
        raise TypeError(f"expected a WorldModel to fit, got {type(model).__name__}")
    if not isinstance(data, Transitions):
        raise TypeError(f"expected Transitions to fit to, got {type(data).__name__}")
    train, rest = split_by_episodes(episode_starts(data), held_out, seed)
    if isinstance(model, TabularWorldModel):
        found = _counted(model, data, train, rest)
    else:
        found = _trained(
            model,
            data,
            train,
            rest,
            seed=seed,
            head_settings=head_settings or {},
            progress_bar=progress_bar,
            settings=settings,
        )
    model.eval()
    if not found.beats_copying:
        warnings.warn(
            f"the world model's error on held-out steps, {found.error:.3g} deviations, is no "
            f"better than that of copying the last observation, {found.copying_error:.3g}: more "
            f"than {len(train)} steps or more updates are needed",
            stacklevel=2,
        )
    return found


def _trained(
    model: WorldModel,
    data: Transitions,
    train: NDArray[np.int64],
    rest: NDArray[np.int64],
    *,
    seed: int,
    head_settings: Mapping[str, Any],
    progress_bar: bool,
    settings: Mapping[str, Any],
) -> WorldModelFit:
    is_new = not bool(model.is_fitted)
    fit_scales(model, data, train)
    context, target = _encoded(model, data, episode_starts(data))
    ended = torch.from_numpy(data.terminated).to(context.dtype).unsqueeze(1)
    noise = TargetNoise(tuple(model.target_noise.tolist()))
    dataset = Dataset(
        Events(target[train], context[train]), Events(target[rest], context[rest]), prepare=noise
    )
    generators: Any = model.members
    members = tuple(
        fit(
            generator,
            dataset,
            seed=seed + i,
            progress_bar=progress_bar,
            initialise=is_new,
            **settings,
        )
        for i, generator in enumerate(generators)
    )
    for i, generator in enumerate(generators):
        if isinstance(generator, AbstractTwoStage):  # such as the prior of a VQ-VAE's codes
            generator.fit_second(dataset, seed=seed + i, progress_bar=progress_bar, **settings)
    head = None
    given = torch.cat([context, target], dim=1)
    if model.head is not None:
        ends = Dataset(Events(ended[train], given[train]), Events(ended[rest], given[rest]))
        head = fit(model.head, ends, seed=seed, progress_bar=progress_bar, **head_settings)
    model.eval()
    end_losses = None
    if model.head is not None:
        end_losses = _end_losses(model.head, ended[train], Events(ended[rest], given[rest]))
    return _measured(model, context, target, train, rest, members, head, end_losses)


def _counted(
    model: TabularWorldModel,
    data: Transitions,
    train: NDArray[np.int64],
    rest: NDArray[np.int64],
) -> WorldModelFit:
    model.count(_steps_of(data, train))
    observations = model.observation_codec.encode(data.observation).double()
    inputs = torch.cat([observations, model.action_codec.encode(data.action).double()], dim=1)
    after = model.observation_codec.encode(data.next_observation).double()
    reward = torch.from_numpy(data.reward)
    deviation, largest = float(reward[train].std(correction=0)), float(reward[train].abs().max())
    scale = deviation if deviation > _ROUNDING * largest else 1.0  # what is constant has none
    target = torch.cat([after, reward.unsqueeze(1) / scale], dim=1)
    following, earned, ended = model.expectations(
        rows_of(data.observation, rest), rows_of(data.action, rest)
    )
    guessed = torch.cat([following, earned.unsqueeze(1) / scale], dim=1)
    linear = torch.linalg.lstsq(inputs[train], target[train], driver="gelsd").solution
    mean = (reward[train].mean() / scale).expand(len(rest), 1)
    truth = torch.from_numpy(data.terminated).double()
    share = (truth[train].sum() + 0.5) / (len(train) + 1)
    return WorldModelFit(
        members=(),
        head=None,
        error=_distance(guessed, target[rest]),
        copying_error=_distance(torch.cat([observations[rest], mean], dim=1), target[rest]),
        linear_error=_distance(inputs[rest] @ linear, target[rest]),
        end_loss=float(functional.binary_cross_entropy(ended, truth[rest])),
        base_end_loss=float(functional.binary_cross_entropy(share.expand(len(rest)), truth[rest])),
    )


def fit_scales(
    model: AbstractWorldModel, data: Transitions, steps: NDArray[np.int64] | None = None
) -> None:
    """Take the scales of observations, actions and targets from data, as training does at first.

    A model that has them already keeps them, but for targets that never varied before: a first
    reward, say. How far what is imagined may go is widened. One that counts has none.

    Args:
        model: The world model, in place.
        data: Steps of the environment, in the order in which they were taken.
        steps: Numbers of those to look at; None is all.

    Raises:
        ValueError: The data do not fit the model's spaces.
    """
    if isinstance(model, LatentWorldModel):
        fit_scales(model.inner, model.latent_transitions(data), steps)
    if not isinstance(model, WorldModel):
        return
    steps = np.arange(len(data)) if steps is None else steps
    if not model.is_fitted:
        _fit_codecs(model, data, steps)
    _fit_targets(model, data, steps)
    _widen_ends(model, data, steps)
    model.is_fitted.fill_(True)


def _fit_codecs(model: WorldModel, data: Transitions, train: NDArray[np.int64]) -> None:
    for codec, values in (
        (model.observation_codec, data.observation),
        (model.action_codec, data.action),
    ):
        scaled = type(codec).fitted(codec.space, rows_of(values, train), "z-score")
        codec.normaliser.load_state_dict(scaled.normaliser.state_dict())


def _fit_targets(model: WorldModel, data: Transitions, train: NDArray[np.int64]) -> None:
    """Scales of targets; later on, of those only that were constant in all data before."""
    target = _raw_targets(model, data)
    numbers = Normaliser.fitted(target[train], "z-score")
    learnt = torch.cat([model.is_number, torch.ones(1, dtype=torch.bool)])
    deviations = target[train].double().std(dim=0, correction=0)
    # observations have deviations of 1: what changes by less than this changes by rounding
    smallest = torch.full_like(deviations, _ROUNDING)
    smallest[-1] *= float(target[train, -1].abs().max())
    constant = learnt & (deviations <= smallest)
    is_new = ~(model.varies & model.is_fitted)
    for own, found in (
        (model.varies, ~constant),
        (model.targets.shift, torch.where(learnt, numbers.shift, 0.0)),
        (model.targets.scale, torch.where(learnt & ~constant, numbers.scale, 1.0)),
    ):
        own.copy_(torch.where(is_new, found, own))


def _widen_ends(model: WorldModel, data: Transitions, train: NDArray[np.int64]) -> None:
    """How far imagined observations and rewards may go."""
    ends = []
    for values in (data.observation, data.next_observation):
        ends.append(model.observation_codec.encode(rows_of(values, train)))
    seen = torch.cat(ends)
    reward = torch.from_numpy(data.reward[train]).to(seen.dtype)
    low = torch.cat([seen.amin(dim=0), reward.amin().unsqueeze(0)])
    high = torch.cat([seen.amax(dim=0), reward.amax().unsqueeze(0)])
    low, high = 2 * low - high, 2 * high - low
    known = model.lowest.isfinite()
    model.lowest.copy_(torch.where(known, torch.minimum(model.lowest, low), low))
    model.highest.copy_(torch.where(known, torch.maximum(model.highest, high), high))


def _raw_targets(model: WorldModel, data: Transitions) -> Float[Tensor, "steps target"]:
    before, after = (
        model.observation_codec.encode(part) for part in (data.observation, data.next_observation)
    )
    return model.target(before, after, torch.from_numpy(data.reward))


def _encoded(
    model: WorldModel, data: Transitions, starts: NDArray[np.int64]
) -> tuple[Tensor, Tensor]:
    """(N, C) contexts and (N, D + 1) normalised targets, in PyTorch's default dtype."""
    target = model.targets(_raw_targets(model, data)).to(torch.get_default_dtype())
    steps, known = (torch.from_numpy(found) for found in histories(starts, model.history))
    observations = model.observation_codec.encode(data.observation)[steps]
    actions = model.action_codec.encode(data.action)[steps]
    return stacked_context(observations, actions, known), target


def _steps_of(data: Transitions, rows: NDArray[np.int64]) -> Transitions:
    parts: dict[str, Any] = {
        each.name: rows_of(getattr(data, each.name), rows) for each in fields(data)
    }
    return Transitions(**parts)


def _measured(
    model: WorldModel,
    context: Tensor,
    target: Tensor,
    train: NDArray[np.int64],
    rest: NDArray[np.int64],
    members: tuple[FitResult, ...],
    head: FitResult | None,
    end_losses: tuple[float, float] | None,
) -> WorldModelFit:
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        guessed = model.expected_targets(context[rest], rng=rng)
    ones = target.new_ones(len(context), 1)
    with_ones = torch.cat([context, ones], dim=1).double()
    linear = torch.linalg.lstsq(with_ones[train], target[train].double(), driver="gelsd").solution
    end_loss, base_end_loss = end_losses or (None, None)
    return WorldModelFit(
        members=members,
        head=head,
        error=_distance(guessed, target[rest]),
        copying_error=_distance(_copied(model, context[rest], target[train]), target[rest]),
        linear_error=_distance(with_ones[rest] @ linear, target[rest]),
        end_loss=end_loss,
        base_end_loss=base_end_loss,
    )


def _end_losses(head: AbstractDensity, train: Tensor, rest: Events) -> tuple[float, float]:
    """Of the head, and of the share of the steps to learn from that end episodes."""
    share = (train.sum() + 0.5) / (len(train) + 1)
    base = functional.binary_cross_entropy(share.expand(len(rest), 1), rest.x)
    return negative_log_likelihood(head, rest).nats, float(base)


def _copied(model: WorldModel, context: Tensor, train: Tensor) -> Tensor:
    """(B, D + 1) normalised targets if nothing changed, and rewards were the mean."""
    size = len(model.is_number)
    last = context[:, (model.history - 1) * size : model.history * size]
    unchanged = model.target(last, last, last.new_zeros(len(last)))
    found: Tensor = model.targets(unchanged).to(context.dtype)
    found[:, -1] = train[:, -1].mean()
    return found


def _distance(one: Tensor, other: Tensor) -> float:
    return float((one.double() - other.double()).square().mean().sqrt())
