"""Data sets by the names that the command line has for them; nothing is loaded until asked for."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from . import pictures, toys
from .dataset import Dataset, Events
from .sequences import NoisySines, SecondOrderProcess

__all__ = ["DATASETS", "TOYS", "Toy", "dataset_named"]


@dataclass(frozen=True)
class Toy:
    """A distribution of which everything is known.

    Attributes:
        sample: (N, D) events of a number and a source of noise.
        log_prob: (N,) log-densities of (N, D) events; None where there is no closed form.
        entropy_rate: Nats per step of a sequence; None for points.
    """

    sample: Callable[[int, toys.Noise], Float[Tensor, "batch entries"]]
    log_prob: Callable[[Float[Tensor, "batch entries"]], Float[Tensor, " batch"]] | None
    entropy_rate: float | None = None


_LENGTH = 64  # steps of the sequences
_PROCESS, _SINES = SecondOrderProcess(), NoisySines()


def _process_sample(num: int, rng: toys.Noise) -> Tensor:
    return _PROCESS.sample(num, _LENGTH, rng)


def _sines_sample(num: int, rng: toys.Noise) -> Tensor:
    return _SINES.sample(num, _LENGTH, rng)


TOYS: Mapping[str, Toy] = MappingProxyType(
    {
        "eight-gaussians": Toy(toys.eight_gaussians, toys.eight_gaussians_log_prob),
        "moons": Toy(toys.two_moons, toys.two_moons_log_prob),
        "spirals": Toy(toys.two_spirals, toys.two_spirals_log_prob),
        "checkerboard": Toy(toys.checkerboard, toys.checkerboard_log_prob),
        "pinwheel": Toy(toys.pinwheel, toys.pinwheel_log_prob),
        "second-order": Toy(_process_sample, _PROCESS.log_prob, _PROCESS.entropy_rate),
        "noisy-sines": Toy(_sines_sample, None, _SINES.entropy_rate),
    }
)
"""Points in the plane, and sequences of 64 steps."""


def _drawn(name: str, *, num: int = 20_000, seed: int = 0) -> Dataset:
    """Events of a toy: eight tenths to train on, one held out, one to test on."""
    if num < 10:
        raise ValueError(f"expected num of at least 10, got {num}")
    x = TOYS[name].sample(num, torch.Generator().manual_seed(seed))
    tenth = num // 10
    return Dataset(
        Events(x[2 * tenth :]), Events(x[:tenth]), Events(x[tenth : 2 * tenth]), name=name
    )


DATASETS: Mapping[str, Callable[..., Dataset]] = MappingProxyType(
    {name: partial(_drawn, name) for name in TOYS}
    | {
        "digits": pictures.digits,
        "fashion-mnist": pictures.fashion_mnist,
        "mnist-5k": pictures.mnist_5k,
    }
)
"""What makes each data set: toys take ``num`` and ``seed``, pictures what their functions say."""


def dataset_named(name: str, **options: Any) -> Dataset:
    """Make or load a data set.

    Args:
        name: Among `DATASETS`.
        options: Keyword arguments of what makes it.

    Raises:
        FileNotFoundError: Its files are missing.
        ModuleNotFoundError: A library that brings it is missing.
        TypeError: An option is unknown.
        ValueError: The name is unknown, or an option out of range.

    Example:
        >>> dataset_named("moons", num=1_000).train.x.shape
        torch.Size([800, 2])
        >>> dataset_named("digits", form="thresholded").prepare.support
        Boolean()
    """
    if name not in DATASETS:
        near = difflib.get_close_matches(name, DATASETS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"expected a data set among {', '.join(DATASETS)}, got {name!r}{hint}")
    make = DATASETS[name]
    known = [
        parameter.name
        for parameter in inspect.signature(make).parameters.values()
        if parameter.kind is not parameter.POSITIONAL_ONLY
    ]
    for option in options:
        if option not in known:
            raise TypeError(f"{name} has no option {option!r}; known: {', '.join(known)}")
    return make(**options)
