r"""How much a generator learns from seeing an event once: the measure of how new the event was.

A generator that is updated once on every event that comes tells, by the gain of one update,

.. math:: \text{PG}(x) = \log p'(x) - \log p(x), \qquad \text{PG}_+ = \max(0, \text{PG}),

p before and p' after it, how often it has seen events like this. The *pseudo-count*

.. math:: \hat N(x) = \frac{p(x) (1 - p'(x))}{p'(x) - p(x)}
          = \frac{1 - p'(x)}{e^{\text{PG}(x)} - 1}

is the count that an empirical distribution would have with the same two probabilities. Where p is
a density, or p' is small, the numerator is left out; and since the steps of an optimiser of
constant rate do not get smaller by themselves, the gain of the n-th update is made so,

.. math:: \hat N(x) = \frac{1}{e^{c\,n^{-\kappa}\,\text{PG}_+(x)} - 1} .

What stands for log p is, by what the generator is able to tell, *exact* (`AbstractDensity`), a
lower *bound* (`AbstractBound`), or minus the loss, a *surrogate* that is no probability: what
comes of it is called by these words. Bound and loss are estimated with the same noise before and
after, so that their difference has little; the update has noise of its own.

References:
    M. G. Bellemare, S. Srinivasan, G. Ostrovski, T. Schaul, D. Saxton, R. Munos (2016), Unifying
        count-based exploration and intrinsic motivation, arXiv:1606.01868, equations 2 and 6.
    G. Ostrovski, M. G. Bellemare, A. van den Oord, R. Munos (2017), Count-based exploration with
        neural density models, arXiv:1703.01310, section 3 (:math:`c = 0.1, \kappa = 1/2`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import torch
from jaxtyping import Shaped
from numpy.typing import NDArray
from torch import Tensor, nn

from .arithmetic import learning_arithmetic
from .generator import AbstractBound, AbstractDensity, AbstractGenerator
from .module_state import module_arrays, optimiser_arrays, restore_module, restore_optimiser
from .trainable import AbstractAdjusted, AbstractPhased, Phase

__all__ = [
    "GainKind",
    "OptimiserName",
    "PredictionGain",
    "PredictionGainMeter",
    "gain_kind_of",
    "pseudo_count",
]

GainKind = Literal["exact", "bound", "surrogate"]
OptimiserName = Literal["rmsprop", "adam", "sgd"]

_OPTIMISERS: Mapping[str, type[torch.optim.Optimizer]] = {
    "rmsprop": torch.optim.RMSprop,
    "adam": torch.optim.Adam,
    "sgd": torch.optim.SGD,
}
_LARGEST_EXPONENT = 700.0  # of a 64-bit number

Arrays: TypeAlias = dict[str, NDArray[Any]]


def pseudo_count(gain: float, log_prob_after: float = -math.inf) -> float:
    r""":math:`\hat N`, how often an event was seen; infinite where nothing was gained.

    Args:
        gain: Of an update, in nats, already scaled where it is to be.
        log_prob_after: log p' where it is the logarithm of a probability, for the exact formula;
            minus infinity leaves the numerator out.

    Example:
        >>> before, after = (3 + 1) / (10 + 2), (4 + 1) / (11 + 2)  # seen 3 times of 10, prior 1
        >>> round(pseudo_count(math.log(after / before), math.log(after)), 9)
        4.0
    """
    if not gain > 0:
        return math.inf
    return -math.expm1(log_prob_after) / math.expm1(min(gain, _LARGEST_EXPONENT))


def gain_kind_of(generator: AbstractGenerator) -> GainKind:
    """The best that a generator can tell of log p.

    Example:
        >>> from gymagine.generative import MADE, VAE
        >>> [gain_kind_of(family((2,))) for family in (MADE, VAE)]
        ['exact', 'bound']
    """
    if isinstance(generator, AbstractDensity):
        return "exact"
    return "bound" if isinstance(generator, AbstractBound) else "surrogate"


@dataclass(frozen=True)
class PredictionGain:
    """What an event told.

    Attributes:
        before: log p before the update, or what stands for it.
        after: The same after it.
        num_updates: n, this one included.
    """

    before: float
    after: float
    num_updates: int

    @property
    def nats(self) -> float:
        """PG."""
        return self.after - self.before


class PredictionGainMeter:
    """A generator that learns event by event, and tells the gain of each.

    The generator is kept in evaluation mode, for batches of one have no statistics. It may have
    learnt before (`fit`); it goes on from there.

    Args:
        generator: Without a context; it is trained in place.
        kind: What stands for log p; None is the best that the generator can tell.
        optimiser: Its name.
        learning_rate: Of the optimiser.
        num_samples: Draws of noise that bound and surrogate, and the update's loss, are the mean
            of; of no effect where the gain is exact.
        seed: Of that noise.

    Attributes:
        generator: The generator.
        kind: ``exact``, ``bound`` or ``surrogate``.
        num_updates: So far.

    Raises:
        TypeError: There is no generator.
        ValueError: It takes a context, cannot tell what is asked for, or cannot learn; or a
            setting is out of range.

    Example:
        >>> from gymagine.generative.baselines.categorical_counts import CategoricalCounts
        >>> meter = PredictionGainMeter(CategoricalCounts(4, prior=0.5))
        >>> x = torch.eye(4)[:1].double()
        >>> gains = [meter.learn(x) for _ in range(3)]
        >>> [round(pseudo_count(gain.nats, gain.after), 6) for gain in gains]
        [0.5, 1.5, 2.5]
    """

    def __init__(
        self,
        generator: AbstractGenerator,
        *,
        kind: GainKind | None = None,
        optimiser: OptimiserName = "rmsprop",
        learning_rate: float = 1e-3,
        num_samples: int = 1,
        seed: int = 0,
    ) -> None:
        self.kind = _checked_kind(generator, kind)
        if optimiser not in _OPTIMISERS:
            raise ValueError(
                f"expected optimiser as one of {get_args(OptimiserName)}, got {optimiser!r}"
            )
        if not 0 < learning_rate < math.inf:
            raise ValueError(f"expected a learning_rate above 0, got {learning_rate}")
        if num_samples < 1:
            raise ValueError(f"expected num_samples of at least 1, got {num_samples}")
        self.generator = generator.eval()
        self._num_samples = 1 if self.kind == "exact" else num_samples
        self._phases = _phases_of(generator)
        make: Any = _OPTIMISERS[optimiser]
        self._optimisers: list[torch.optim.Optimizer] = [
            make(list(phase.parameters), lr=learning_rate * phase.step_factor)
            for phase in self._phases
        ]
        self._random = np.random.default_rng(seed)
        self.num_updates = 0

    def learn(self, x: Shaped[Tensor, "1 ..."]) -> PredictionGain:
        """Look at an event, learn it, and look again.

        Args:
            x: (1, *event) the event.

        Raises:
            ValueError: The event is outside the generator's support or of another shape; or what
                it tells is not finite any more.
        """
        measured, learnt = (int(seed) for seed in self._random.integers(2**62, size=2))
        with learning_arithmetic(1):
            before = self._score(x, measured)
            self._update(x, learnt)
            after = self._score(x, measured)
        self.num_updates += 1
        if not math.isfinite(before) or not math.isfinite(after):
            raise ValueError(
                f"expected finite numbers from {type(self.generator).__name__}, got {before} "
                f"before and {after} after update {self.num_updates}: the learning rate may be "
                "too high, or observations of a scale that a fitted Codec would change"
            )
        return PredictionGain(before, after, self.num_updates)

    # ---- files ----------------------------------------------------------------------------------

    def state(self) -> tuple[Arrays, dict[str, Any]]:
        """A copy of everything that learning goes on from: arrays, and what JSON holds."""
        arrays = {f"generator.{k}": v for k, v in module_arrays(self.generator).items()}
        for i, optimiser in enumerate(self._optimisers):
            arrays |= {f"optimiser{i}.{k}": v for k, v in optimiser_arrays(optimiser).items()}
        numbers = {
            "generator": type(self.generator).__name__,
            "kind": self.kind,
            "num_updates": self.num_updates,
            "random": self._random.bit_generator.state,
        }
        return arrays, numbers

    def restore(self, arrays: Mapping[str, NDArray[Any]], numbers: Mapping[str, Any]) -> None:
        """Go on from what `state` gave.

        Raises:
            ValueError: It is of another generator, or of another kind of gain.
        """
        found = (numbers.get("generator"), numbers.get("kind"))
        if found != (type(self.generator).__name__, self.kind):
            raise ValueError(
                f"expected the state of a {type(self.generator).__name__} whose gain is "
                f"{self.kind}, got {found[0]} and {found[1]}"
            )
        restore_module(self.generator, _part(arrays, "generator"))
        for i, optimiser in enumerate(self._optimisers):
            restore_optimiser(optimiser, _part(arrays, f"optimiser{i}"))
        self.num_updates = int(numbers["num_updates"])
        self._random.bit_generator.state = numbers["random"]

    # ---- inside ---------------------------------------------------------------------------------

    @torch.no_grad()
    def _score(self, x: Tensor, seed: int) -> float:
        """Of log p, or what stands for it, the estimate."""
        generator: Any = self.generator
        if self.kind == "exact":
            return float(generator.log_prob(x))
        rng = torch.Generator(device=x.device).manual_seed(seed)
        many = self._repeated(x)
        if self.kind == "bound":
            return float(generator.log_prob_bound(many, rng=rng).mean())
        return -float(generator.loss(many, rng=rng).mean())

    def _repeated(self, x: Tensor) -> Tensor:
        """The event as often as noise is drawn for it."""
        return x.expand(self._num_samples, *x.shape[1:])

    def _update(self, x: Tensor, seed: int) -> None:
        """One round of gradient steps, and what no gradient moves."""
        rng = torch.Generator(device=x.device).manual_seed(seed)
        many = self._repeated(x)
        for phase, optimiser in zip(self._phases, self._optimisers, strict=True):
            for _ in range(phase.updates):
                parameters = list(phase.parameters)
                loss = phase.loss(many, None, rng).mean()
                # not backward(), which would leave gradients in other phases' parameters
                found = torch.autograd.grad(loss, parameters, allow_unused=True)
                for parameter, gradient in zip(parameters, found, strict=True):
                    parameter.grad = gradient
                optimiser.step()
        if isinstance(self.generator, AbstractAdjusted):
            self.generator.adjust(x, None, rng)


def _checked_kind(generator: AbstractGenerator, kind: GainKind | None) -> GainKind:
    if not isinstance(generator, AbstractGenerator):
        raise TypeError(f"expected a generator to learn events, got {type(generator).__name__}")
    if generator.context_shape is not None:
        raise ValueError(
            f"expected a generator without a context, got a {type(generator).__name__} with one "
            f"of shape {generator.context_shape}"
        )
    if kind is None:
        return gain_kind_of(generator)
    needed = {"exact": AbstractDensity, "bound": AbstractBound, "surrogate": AbstractGenerator}
    if kind not in needed:
        raise ValueError(f"expected kind as one of {get_args(GainKind)}, got {kind!r}")
    if not isinstance(generator, needed[kind]):
        raise ValueError(
            f"expected {needed[kind].__name__} for a gain that is {kind}, got a "
            f"{type(generator).__name__}, whose gain is {gain_kind_of(generator)}"
        )
    return kind


def _phases_of(generator: AbstractGenerator) -> list[Phase]:
    if isinstance(generator, AbstractPhased):
        return list(generator.phases())
    parameters: list[nn.Parameter] = [p for p in generator.parameters() if p.requires_grad]
    if parameters:
        return [Phase("loss", generator._loss, parameters)]
    if isinstance(generator, AbstractAdjusted):
        return []
    raise ValueError(f"expected a generator that learns, got a {type(generator).__name__} without")


def _part(arrays: Mapping[str, NDArray[Any]], name: str) -> Arrays:
    start = f"{name}."
    return {key[len(start) :]: array for key, array in arrays.items() if key.startswith(start)}
