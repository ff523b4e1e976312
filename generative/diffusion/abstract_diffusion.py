"""What diffusion families have in common: a network that is asked, and wishes beside the context.

A family says how events are drawn, given `Wishes`; this gives it ways to state them: entries that
are known, and a function that is to be high.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.distributions import constraints

from ...configuration import build_config
from ..family import AbstractFamily
from .ddim import guided
from .denoising_network import NETWORK_CHOICES, NETWORK_RANGES, DenoisingNetwork, NetworkSettings
from .tilting import LogWeight, tilted

__all__ = [
    "DIFFUSION_CHOICES",
    "DIFFUSION_RANGES",
    "AbstractDiffusion",
    "DiffusionSettings",
    "Wishes",
    "normal_like",
]

DIFFUSION_RANGES = NETWORK_RANGES | {
    "drop_context": (0.0, 1.0, True),
    "guidance": (-1.0, math.inf, True),
}
DIFFUSION_CHOICES = NETWORK_CHOICES


@dataclass(frozen=True)
class DiffusionSettings(NetworkSettings):
    """What every diffusion family can be told."""

    drop_context: float = 0.1
    """Probability that training leaves a context out."""
    guidance: float = 0.0
    """w of classifier-free guidance in sampling: (1 + w) conditional less w unconditional, which
    needs a network that was trained without contexts too (``drop_context``)."""

    def _check_guidance(self) -> None:
        if self.guidance != 0 and self.drop_context == 0:
            raise ValueError(
                f"expected drop_context above 0 for guidance of {self.guidance}, which asks what "
                "the network predicts without a context, got 0: it would never learn that"
            )


@dataclass(frozen=True)
class Wishes:
    """What is wanted of events that are drawn, beside their context.

    Attributes:
        x: (B, *event) with what is known; None for nothing.
        known: (B, *event) which entries are.
        log_weight: A function that is to be high (see `tilting`); None for none.
        through_network: Whether its derivative is taken through the network.
        rounds: How often each step is taken, for the sake of what is known.
    """

    x: Tensor | None = None
    known: Tensor | None = None
    log_weight: LogWeight | None = None
    through_network: bool = False
    rounds: int = 1

    def expected(
        self,
        denoise: Callable[[Tensor], Tensor],
        x: Tensor,
        *,
        alpha: float,
        sigma: float,
        deviation: float = 1.0,
    ) -> Tensor:
        """(B, *event) the data expected behind noisy events, tilted if that is wished."""
        if self.log_weight is None:
            return denoise(x)
        return tilted(
            denoise,
            x,
            self.log_weight,
            alpha=alpha,
            sigma=sigma,
            deviation=deviation,
            through_network=self.through_network,
        )

    def seen_by(
        self, into: Callable[[Tensor], Tensor], back: Callable[[Tensor], Tensor]
    ) -> Wishes:
        """The same wishes of events in other units.

        Args:
            into: To these units.
            back: From them.
        """
        x, weigh = self.x, self.log_weight
        return Wishes(
            None if x is None else into(x),
            self.known,
            None if weigh is None else lambda y: weigh(back(y)),
            self.through_network,
            self.rounds,
        )

    def fulfilled(self, x: Tensor) -> Tensor:
        """(B, *event) finished events with the known entries as given."""
        if self.x is None or self.known is None:
            return x
        return torch.where(self.known, self.x, x)


class AbstractDiffusion(AbstractFamily):
    """A family with a denoising network, of real events.

    Args:
        event_shape: (D,) of vectors, (C, L) of sequences or (C, H, W) of pictures.
        context_shape: Of one context, or None.
        hyperparameters: Fields of ``Config``.

    Attributes:
        network: Which is asked.

    Raises:
        TypeError: A hyper-parameter is unknown.
        ValueError: One is out of range, or guidance is wanted without contexts.
    """

    network: DenoisingNetwork
    _time_scale: ClassVar[float]
    fit_defaults: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"batch_size": 64, "average_decay": 0.995}
    )

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        context_shape: Sequence[int] | None = None,
        **hyperparameters: Any,
    ) -> None:
        config = build_config(self.Config, hyperparameters, type(self).__name__)
        super().__init__(
            event_shape, context_shape=context_shape, support=constraints.real, config=config
        )
        if config.guidance != 0 and context_shape is None:
            raise ValueError(
                f"expected a context_shape for guidance of {config.guidance}, got none: guidance "
                "is by contexts, such as classes"
            )
        self.network = DenoisingNetwork(
            self.event_shape, self.context_shape, config, time_scale=self._time_scale
        )

    @abstractmethod
    def _drawn(
        self,
        num: int,
        context: Tensor | None,
        temperature: float,
        rng: torch.Generator | None,
        wishes: Wishes,
    ) -> Tensor:
        """(num, *event) samples, one for each of the (num, *context) contexts."""

    def sample_tilted(
        self,
        num: int,
        log_weight: LogWeight,
        context: Tensor | None = None,
        *,
        through_network: bool = False,
        temperature: float = 1.0,
        rng: torch.Generator | None = None,
    ) -> Tensor:
        """Draw events where a function of them is high: from p(x | context) exp f(x), about.

        Args:
            num: How many; of each context.
            log_weight: f, from (B, *event) to (B,), differentiable; B is what is drawn in all.
            context: (B, *context), if the generator takes one.
            through_network: Whether f's derivative is taken through the network (see `tilting`):
                closer for correlated entries, and about three times as long.
            temperature: As in `sample`.
            rng: Of the draws.

        Returns:
            (num, *event) events or, with contexts, (num, B, *event).

        Raises:
            ValueError: As for `sample`, or the function's values have another shape or do not
                depend on events, or its derivative is not finite.
        """
        wishes = Wishes(log_weight=log_weight, through_network=through_network)
        draw = partial(self._drawn, wishes=wishes)
        return self._of_each_context(draw, num, context, temperature, rng)

    def complete(
        self,
        x: Tensor,
        known: Tensor,
        context: Tensor | None = None,
        *,
        log_weight: LogWeight | None = None,
        through_network: bool = False,
        rounds: int = 5,
        temperature: float = 1.0,
        rng: torch.Generator | None = None,
    ) -> Tensor:
        """(B, *event) events with the known entries as given and the others drawn, to fit them.

        They fit about. Of two entries of normal data that correlate by 0.95, an exact network and
        the usual samplers draw the unknown one around 0.91 to 0.98 times its conditional mean with
        5 rounds, 0.95 to 0.99 times with 10, and 0.5 to 0.8 times with 1. Rounds of few ancestral
        steps make draws too narrow instead, for each step errs in that direction.

        Args:
            x: (B, *event) with what is known, in the generator's dtype; the rest may be NaN.
            known: (B, *event) of bools, which entries are: all or none too, if one likes.
            context: (B, *context), if the generator takes one.
            log_weight: A function that is to be high too, from (B, *event) to (B,).
            through_network: Whether its derivative is taken through the network (see `tilting`).
            rounds: How often each step is taken (see `ddim`): the time that it takes goes with it.
            temperature: As in `sample`.
            rng: Of the draws.

        Raises:
            TypeError: What is known is marked by other than bools, or of another dtype.
            ValueError: A shape does not fit, a context is missing or too much, an entry that is
                known is not finite, or as for `sample_tilted`.
        """
        self._check_shapes(x, context)
        if not (temperature >= 0 and math.isfinite(temperature)):
            raise ValueError(f"expected a temperature of at least 0, got {temperature}")
        if known.shape != x.shape:
            raise ValueError(f"expected known entries {tuple(x.shape)}, got {tuple(known.shape)}")
        if known.dtype != torch.bool:
            raise TypeError(f"expected known entries marked by torch.bool, got {known.dtype}")
        if x.dtype != self.example.dtype:
            raise TypeError(f"expected events of {self.example.dtype}, got {x.dtype}")
        if not x[known].isfinite().all():
            raise ValueError("expected finite numbers where they are known, got NaN or infinity")
        if rounds < 1:
            raise ValueError(f"expected at least 1 round, got {rounds}")
        wishes = Wishes(x, known, log_weight, through_network, rounds)
        with torch.no_grad():
            return self._drawn(len(x), context, temperature, rng, wishes)

    # ---- what families use ----------------------------------------------------------------------

    def _check_question(self, x: Tensor, context: Tensor | None) -> None:
        """What `denoised` is asked: a context may be left out."""
        if tuple(x.shape[1:]) != self.event_shape or context is not None:
            self._check_shapes(x, context)

    def _sample(
        self,
        num: int,
        context: Tensor | None,
        temperature: float,
        rng: torch.Generator | None,
    ) -> Tensor:
        return self._drawn(num, context, temperature, rng, Wishes())

    def _present(self, context: Tensor | None, rng: torch.Generator | None) -> Tensor | None:
        """(B,) whose context counts in training."""
        if context is None:
            return None
        kept = torch.rand(len(context), generator=rng, device=context.device)
        present: Tensor = kept >= self.config.drop_context
        return present

    def _predictor(
        self, times: Sequence[float], context: Tensor | None, guidance: float
    ) -> Callable[[Tensor, float], Tensor]:
        """What the network predicts of (B, *event) at a time, with classifier-free guidance.

        Predictions of data, noise and velocity are affine in each other, so that guidance is the
        same in all.

        Args:
            times: At which it will be asked, so that what does not depend on events is made once.
            context: (B, *context), or None.
            guidance: w.
        """
        network, like = self.network, self.example
        rows: dict[float, Tensor] = {}
        if times and (context is None or guidance != 0):
            table = network.told(torch.tensor(times, dtype=like.dtype, device=like.device))
            rows = dict(zip(times, torch.split(table, 1), strict=True))

        def told(time: float, of: Tensor | None) -> Tensor:
            return network.told(like.new_full((1,), time), of)

        def alone(x: Tensor, time: float) -> Tensor:
            row = rows.get(time)
            return network.denoise(x, told(time, None) if row is None else row)

        def predict(x: Tensor, time: float) -> Tensor:
            if context is None or guidance == -1:
                return alone(x, time)
            own = network.denoise(x, told(time, context))
            return own if guidance == 0 else guided(own, alone(x, time), guidance)

        return predict


def normal_like(like: Tensor, rng: torch.Generator | None) -> Tensor:
    """Standard normal noise of a tensor's shape."""
    return torch.randn(like.shape, generator=rng, dtype=like.dtype, device=like.device)
