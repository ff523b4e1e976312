"""What TensorBoard shows of a generator that learns: losses, and what it draws on the way."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from stable_baselines3.common.logger import Image, Logger

from ..generative.data.dataset import Dataset
from ..generative.generator import AbstractGenerator, AbstractLatent, AbstractMeanSampler
from .generation_pictures import Picture, drawn_events, write_picture

__all__ = [
    "Completing",
    "GenerationWatcher",
    "completions",
    "interpolations",
    "pictures_of",
    "reconstructions",
    "samples",
    "write_pictures",
]

_NUM_SAMPLES, _NUM_POINTS = 64, 2_000
_NUM_PAIRS, _NUM_BETWEEN = 8, 10


@runtime_checkable
class Completing(Protocol):
    """What can be asked to draw the rest of an event."""

    def complete(
        self,
        x: torch.Tensor,
        known: torch.Tensor,
        context: torch.Tensor | None = None,
        *,
        temperature: float = ...,
        rng: torch.Generator | None = ...,
    ) -> torch.Tensor:
        """(B, *event) with the known entries as given."""


class GenerationWatcher:
    """Writes scalars and pictures of a generator that learns.

    Args:
        logger: Where to.
        data: What it learns from.
        seed: Of what is drawn.
    """

    def __init__(self, logger: Logger, data: Dataset, *, seed: int) -> None:
        self._logger, self._data, self._seed = logger, data, seed
        self._last: tuple[dict[str, torch.Tensor], dict[str, Picture]] | None = None

    def logged(self, update: int, scalars: Mapping[str, float]) -> None:
        """See `FitWatcher`."""
        for name, value in scalars.items():
            self._logger.record(name, value)
        self._logger.record("time/total_timesteps", update, exclude="tensorboard")
        self._logger.dump(update)

    def evaluated(self, update: int, generator: AbstractGenerator) -> None:
        """See `FitWatcher`."""
        for name, picture in self.pictures(generator).items():
            self._logger.record(
                f"pictures/{name}", Image(picture, "HWC"), exclude=("csv", "stdout", "log")
            )
        self._logger.dump(update)

    def pictures(self, generator: AbstractGenerator) -> dict[str, Picture]:
        """Those of `pictures_of`, drawn once for the same parameters: some take minutes."""
        now = generator.state_dict()
        if self._last is None or not _same(self._last[0], now):
            kept = {name: value.clone() for name, value in now.items()}
            self._last = kept, pictures_of(generator, self._data, self._seed)
        return self._last[1]


def pictures_of(generator: AbstractGenerator, data: Dataset, seed: int) -> dict[str, Picture]:
    """Samples and what else the generator can show, by name.

    Those whose samples end in noise have what it is about (``means``); those with latents have
    reconstructions and interpolations.
    """
    found = {"samples": samples(generator, data, seed=seed)}
    if isinstance(generator, AbstractMeanSampler):
        found["means"] = samples(generator, data, seed=seed, means=True)
    if isinstance(generator, AbstractLatent):
        found["reconstructions"] = reconstructions(generator, data, seed=seed)
        x, context = _real_events(generator, data, 1, seed)
        with torch.no_grad():
            latent = generator.encode(x, context)
        if latent.is_floating_point():  # between two codes there is nothing
            found["interpolations"] = interpolations(generator, data, seed=seed)
    return found


def write_pictures(pictures: Mapping[str, Picture], folder: Path) -> None:
    """Write those of `pictures_of` as PNG files."""
    for name, picture in pictures.items():
        write_picture(folder / f"{name}.png", picture)


def samples(
    generator: AbstractGenerator,
    data: Dataset,
    *,
    num: int | None = None,
    temperature: float = 1.0,
    seed: int = 0,
    means: bool = False,
) -> Picture:
    """What the generator draws; in as many contexts as there are classes, a row of each.

    Args:
        generator: Trained.
        data: That it was trained on.
        num: How many; of each context.
        temperature: Of the draws.
        seed: Of the draws.
        means: Without the last noise, of a generator that can leave it out.
    """
    draw = generator.sample
    if means:
        assert isinstance(generator, AbstractMeanSampler), "only those have any"
        draw = generator.sample_means
    rng = torch.Generator(device=generator.example.device).manual_seed(seed)
    shape = data.train.x.shape[1:]
    if generator.context_shape is None:
        num = num or (_NUM_SAMPLES if len(shape) == 3 else _NUM_POINTS)
        drawn = draw(num, temperature=temperature, rng=rng)
        return drawn_events(drawn, data, reference=_real_events(generator, data, num, seed)[0])
    contexts = torch.eye(generator.context_shape[0]).to(generator.example)
    num = num or 8
    drawn = draw(num, contexts, temperature=temperature, rng=rng).transpose(0, 1)
    return drawn_events(drawn.flatten(0, 1), data, num_columns=num)


def reconstructions(generator: AbstractGenerator, data: Dataset, *, seed: int = 0) -> Picture:
    """Real events and, below them, what comes back from their latents."""
    assert isinstance(generator, AbstractLatent), "only those have any"
    x, context = _real_events(generator, data, 2 * _NUM_PAIRS, seed)
    with torch.no_grad():
        back = generator.decode(generator.encode(x, context), context)
    if data.train.x.dim() != 4:
        return drawn_events(back, data, reference=x)
    return drawn_events(torch.cat([x, back]), data, num_columns=len(x))


def interpolations(generator: AbstractGenerator, data: Dataset, *, seed: int = 0) -> Picture:
    """Straight lines between the latents of pairs of real events, a row of each."""
    assert isinstance(generator, AbstractLatent), "only those have any"
    x, context = _real_events(generator, data, 2 * _NUM_PAIRS, seed)
    with torch.no_grad():
        z = generator.encode(x, context)
        first, last = z[0::2], z[1::2]
        shares = torch.linspace(0, 1, _NUM_BETWEEN, dtype=z.dtype, device=z.device)
        between = shares.view(1, -1, *[1] * (z.dim() - 1))
        lines = (1 - between) * first.unsqueeze(1) + between * last.unsqueeze(1)
        own = None if context is None else context[0::2].repeat_interleave(_NUM_BETWEEN, dim=0)
        drawn = generator.decode(lines.flatten(0, 1), own)
    return drawn_events(drawn, data, num_columns=_NUM_BETWEEN)


def completions(
    generator: AbstractGenerator, data: Dataset, *, temperature: float = 1.0, seed: int = 0
) -> Picture:
    """Real events, what the generator is told of them, and what it draws: a row of each.

    Raises:
        ValueError: The generator cannot be told a part of an event.
    """
    if not isinstance(generator, Completing):
        raise ValueError(
            f"expected a generator that completes events, got {type(generator).__name__}, which "
            "does not"
        )
    x, context = _real_events(generator, data, 2 * _NUM_PAIRS, seed)
    known = torch.zeros(len(x), generator.num_entries, dtype=torch.bool, device=x.device)
    known[:, : generator.num_entries // 2] = True
    known = known.view_as(x)
    rng = torch.Generator(device=x.device).manual_seed(seed)
    drawn = generator.complete(x, known, context, temperature=temperature, rng=rng)
    told = torch.where(known, x, x.min())
    return drawn_events(torch.cat([x, told, drawn]), data, num_columns=len(x))


def _real_events(
    generator: AbstractGenerator, data: Dataset, num: int, seed: int
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The first events that were not learnt from, as the generator takes them, and contexts."""
    events = (data.test or data.held_out or data.train).take(slice(0, num))
    x = data.prepared(events.x, torch.Generator().manual_seed(seed))
    x = x.to(generator.example.device)
    return x, None if events.context is None else events.context.to(generator.example)


def _same(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)
