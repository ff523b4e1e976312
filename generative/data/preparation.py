r"""From stored levels to what a generator takes, batch by batch, and back for viewing.

Pictures are stored as levels k = 0 ... K-1, bytes mostly (K = 256; the digits of scikit-learn have
17). A preparation is a `Dataset.prepare`, called with each batch on the device that computes:

==============================  ==================================  ===============================
`Levels`                        :math:`k`, as ``torch.int64``       categorical likelihoods
`Scaling`                       :math:`l + (h - l)\, k / (K - 1)`   adversarial, diffusion
`Dequantisation`                :math:`l + (h - l) (k + u) / K`,    densities: flows, diffusion
                                u in [0, 1)
`ThresholdBinarisation`         1 where :math:`k / (K - 1) \ge t`   Bernoulli likelihoods
`DynamicBinarisation`           1 with probability
                                :math:`k / (K - 1)`                 the same, drawn anew each time
==============================  ==================================  ===============================

*Fixed* and *dynamic* binarisation give likelihoods that must not be compared: dynamic ones augment
the data. Fixed pictures are therefore made once, when data are loaded (`binarised_once`), and
stored with K = 2; a preparation of them draws nothing.

The density of dequantised events is that of data scaled to [0, 1], or to another interval; in bits
per dimension, where the interval's width counts (`metrics.likelihood.bits_per_dimension`), it
bounds the negative log-probability of the levels from above.

References:
    H. Larochelle, I. Murray (2011), The neural autoregressive distribution estimator, AISTATS
        (fixed binarisation, drawn once).
    R. Salakhutdinov, I. Murray (2008), On the quantitative analysis of deep belief networks, ICML
        (dynamic binarisation).
    L. Theis, A. van den Oord, M. Bethge (2016), A note on the evaluation of generative models,
        arXiv:1511.01844, section 3.1 (dequantisation).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int, Shaped, UInt8
from torch import Tensor
from torch.distributions import constraints

__all__ = [
    "AbstractPreparation",
    "Dequantisation",
    "DynamicBinarisation",
    "Levels",
    "Scaling",
    "ThresholdBinarisation",
    "binarised_once",
]

_MARGIN = 2.0**-15  # four times the distance of float32 numbers near 255


@dataclass(frozen=True)
class AbstractPreparation(ABC):
    """What is done to a batch of levels.

    Attributes:
        num_levels: K, from 2 to 256.

    Raises:
        ValueError: A number is out of range.
    """

    num_levels: int = 256

    def __post_init__(self) -> None:
        if not 2 <= self.num_levels <= 256:
            raise ValueError(f"expected num_levels from 2 to 256, got {self.num_levels}")

    @property
    @abstractmethod
    def support(self) -> constraints.Constraint:
        """Where prepared events lie, which a generator of them must have as its support."""

    @property
    def is_binary(self) -> bool:
        """Whether prepared events are zeros and ones, which tell less than the levels."""
        return isinstance(self.support, type(constraints.boolean))

    @abstractmethod
    def __call__(
        self, x: Shaped[Tensor, "batch ..."], rng: torch.Generator | None = None
    ) -> Shaped[Tensor, "batch ..."]:
        """(B, ...) prepared events of (B, ...) levels; noise, if any, from ``rng``."""

    @abstractmethod
    def inverse(self, x: Shaped[Tensor, "batch ..."]) -> UInt8[Tensor, "batch ..."]:
        """(B, ...) levels nearest to prepared or generated events."""

    def grey(self, x: Shaped[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """(B, ...) in [0, 1], for viewing."""
        return self.inverse(x).to(torch.get_default_dtype()) / (self.num_levels - 1)


@dataclass(frozen=True)
class Levels(AbstractPreparation):
    """The levels themselves, as ``torch.int64``.

    Example:
        >>> Levels(17)(torch.tensor([[0, 16]], dtype=torch.uint8))
        tensor([[ 0, 16]])
    """

    @property
    def support(self) -> constraints.Constraint:
        """Whole numbers from 0 to K - 1."""
        interval: Any = constraints.integer_interval  # PyTorch has no types here
        found: constraints.Constraint = interval(0, self.num_levels - 1)
        return found

    def __call__(
        self, x: Shaped[Tensor, "batch ..."], rng: torch.Generator | None = None
    ) -> Int[Tensor, "batch ..."]:
        """(B, ...) whole numbers."""
        return x.to(torch.int64)

    def inverse(self, x: Shaped[Tensor, "batch ..."]) -> UInt8[Tensor, "batch ..."]:
        """(B, ...) levels."""
        return _bytes(x, self.num_levels)

    def grey(self, x: Shaped[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """(B, ...) in [0, 1]: also expected levels, which are no whole numbers."""
        return x.clamp(0, self.num_levels - 1).to(torch.get_default_dtype()) / (
            self.num_levels - 1
        )


@dataclass(frozen=True)
class Scaling(AbstractPreparation):
    """Levels on equal steps from ``low`` to ``high``.

    Attributes:
        low: Of level 0.
        high: Of level K - 1.

    Example:
        >>> Scaling(low=-1.0)(torch.tensor([[0, 255]], dtype=torch.uint8))
        tensor([[-1.,  1.]])
    """

    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_ends(self.low, self.high)

    @property
    def support(self) -> constraints.Constraint:
        """Numbers from low to high."""
        return _interval(self.low, self.high)

    def __call__(
        self, x: Shaped[Tensor, "batch ..."], rng: torch.Generator | None = None
    ) -> Float[Tensor, "batch ..."]:
        """(B, ...) numbers from low to high."""
        share = x.to(torch.get_default_dtype()) / (self.num_levels - 1)
        return self.low + (self.high - self.low) * share

    def inverse(self, x: Shaped[Tensor, "batch ..."]) -> UInt8[Tensor, "batch ..."]:
        """(B, ...) nearest levels."""
        share = (x - self.low) / (self.high - self.low)
        return _bytes((share * (self.num_levels - 1)).round(), self.num_levels)


@dataclass(frozen=True)
class Dequantisation(AbstractPreparation):
    """Levels plus uniform noise, scaled to an interval.

    Attributes:
        low: Its lower end.
        high: Its upper end.

    Example:
        >>> x = torch.tensor([[0, 16]], dtype=torch.uint8)
        >>> noisy = Dequantisation(17)(x, torch.Generator().manual_seed(0))
        >>> noisy, Dequantisation(17).inverse(noisy)
        (tensor([[0.0292, 0.9864]]), tensor([[ 0, 16]], dtype=torch.uint8))
    """

    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_ends(self.low, self.high)

    @property
    def width(self) -> float:
        """Of the interval, which a density of its numbers must be told with."""
        return self.high - self.low

    @property
    def support(self) -> constraints.Constraint:
        """Numbers from low to high."""
        return _interval(self.low, self.high)

    def __call__(
        self, x: Shaped[Tensor, "batch ..."], rng: torch.Generator | None = None
    ) -> Float[Tensor, "batch ..."]:
        """(B, ...) numbers from low to high."""
        # off the ends, where rounding would change the level
        noise = _MARGIN + (1 - 2 * _MARGIN) * _uniform(x, rng)
        return self.low + self.width * ((x + noise) / self.num_levels)

    def inverse(self, x: Shaped[Tensor, "batch ..."]) -> UInt8[Tensor, "batch ..."]:
        """(B, ...) levels in whose interval the numbers lie."""
        share = (x - self.low) / self.width
        return _bytes((share * self.num_levels).floor(), self.num_levels)


@dataclass(frozen=True)
class ThresholdBinarisation(AbstractPreparation):
    """Zeros and ones: whether a level reaches a share of the highest. Nothing is drawn.

    Attributes:
        threshold: The share, in (0, 1].

    Example:
        >>> ThresholdBinarisation()(torch.tensor([[0, 127, 128]], dtype=torch.uint8))
        tensor([[0., 0., 1.]])
    """

    threshold: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.threshold <= 1:
            raise ValueError(f"expected a threshold in (0, 1], got {self.threshold}")

    @property
    def support(self) -> constraints.Constraint:
        """Zeros and ones."""
        return constraints.boolean

    def __call__(
        self, x: Shaped[Tensor, "batch ..."], rng: torch.Generator | None = None
    ) -> Float[Tensor, "batch ..."]:
        """(B, ...) zeros and ones."""
        return (x >= self.threshold * (self.num_levels - 1)).to(torch.get_default_dtype())

    def inverse(self, x: Shaped[Tensor, "batch ..."]) -> UInt8[Tensor, "batch ..."]:
        """(B, ...) the lowest and the highest level."""
        return _extremes(x, self.num_levels)

    def grey(self, x: Shaped[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """(B, ...) in [0, 1]: also probabilities of ones."""
        return x.clamp(0, 1).to(torch.get_default_dtype())


@dataclass(frozen=True)
class DynamicBinarisation(AbstractPreparation):
    """Zeros and ones that are drawn anew in every batch, as likely as the levels are high.

    Example:
        >>> DynamicBinarisation()(torch.tensor([[0, 255]], dtype=torch.uint8))
        tensor([[0., 1.]])
    """

    @property
    def support(self) -> constraints.Constraint:
        """Zeros and ones."""
        return constraints.boolean

    def __call__(
        self, x: Shaped[Tensor, "batch ..."], rng: torch.Generator | None = None
    ) -> Float[Tensor, "batch ..."]:
        """(B, ...) zeros and ones."""
        uniform = _uniform(x, rng)
        return (uniform * (self.num_levels - 1) < x).to(uniform.dtype)

    def inverse(self, x: Shaped[Tensor, "batch ..."]) -> UInt8[Tensor, "batch ..."]:
        """(B, ...) the lowest and the highest level."""
        return _extremes(x, self.num_levels)

    def grey(self, x: Shaped[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """(B, ...) in [0, 1]: also probabilities of ones."""
        return x.clamp(0, 1).to(torch.get_default_dtype())


def binarised_once(
    x: Shaped[Tensor, "batch ..."],
    preparation: ThresholdBinarisation | DynamicBinarisation,
    *,
    seed: int = 0,
) -> UInt8[Tensor, "batch ..."]:
    """Fixed binary pictures: zeros and ones, to be stored as levels with K = 2.

    Args:
        x: (N, ...) levels.
        preparation: How.
        seed: Of the draw, if there is one.

    Returns:
        (N, ...) of ``torch.uint8``.
    """
    return preparation(x, torch.Generator().manual_seed(seed)).to(torch.uint8)


def _check_ends(low: float, high: float) -> None:
    if not low < high:
        raise ValueError(f"expected low below high, got {low} and {high}")


def _interval(low: float, high: float) -> constraints.Constraint:
    interval: Any = constraints.interval  # PyTorch has no types here
    found: constraints.Constraint = interval(low, high)
    return found


def _uniform(like: Tensor, rng: torch.Generator | None) -> Tensor:
    dtype = torch.get_default_dtype()
    return torch.rand(like.shape, generator=rng, dtype=dtype, device=like.device)


def _bytes(x: Tensor, num_levels: int) -> Tensor:
    return x.clamp(0, num_levels - 1).to(torch.uint8)


def _extremes(x: Tensor, num_levels: int) -> Tensor:
    return (x >= 0.5).to(torch.uint8) * (num_levels - 1)
