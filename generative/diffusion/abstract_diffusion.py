"""What diffusion families have in common: settings, a denoising network, guided draws.

A family implements its loss and how events are drawn. `AbstractDiffusion` makes its network,
leaves contexts out in training, and lets users wish for more than a context says: entries that are
as given (``complete``) and a function that is high (``sample_tilted``). The family is told of both
as `Conditioning`.
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

from ...configuration import Ranges, build_config, check_fields
from ..family import AbstractFamily
from .conditioning import Conditioning
from .denoising_network import NETWORK_CHOICES, NETWORK_RANGES, DenoisingNetwork, NetworkSettings
from .gaussian_diffusion import normal_like
from .guidance import predictor
from .tilting import LogWeight

__all__ = ["DIFFUSION_RANGES", "AbstractDiffusion", "ClippedSettings", "DiffusionSettings"]

DIFFUSION_RANGES = NETWORK_RANGES | {
    "drop_context": (0.0, 1.0, True),
    "guidance": (-1.0, math.inf, True),
    "clip": (0.0, math.inf, False),
}


@dataclass(frozen=True)
class DiffusionSettings(NetworkSettings):
    """Hyper-parameters of every diffusion family.

    Families add their own, and list in ``_ranges`` and ``_choices`` what all of them may be.
    """

    _ranges: ClassVar[Ranges] = DIFFUSION_RANGES
    _choices: ClassVar[Mapping[str, tuple[str, ...]]] = NETWORK_CHOICES

    drop_context: float = 0.1
    """Probability that training leaves a context out."""
    guidance: float = 0.0
    """w of classifier-free guidance in sampling (see `guidance`): 0 is none. It needs a network
    that was trained without contexts too (``drop_context``)."""

    def __post_init__(self) -> None:
        check_fields(self, self._ranges, self._choices)
        if self.guidance != 0 and self.drop_context == 0:
            raise ValueError(
                f"expected drop_context above 0 for guidance of {self.guidance}, which asks what "
                "the network predicts without a context, got 0: it would never learn that"
            )


@dataclass(frozen=True)
class ClippedSettings(DiffusionSettings):
    """Settings of families whose networks may predict noise.

    Where there is hardly anything but noise, data are what remains when the predicted noise is
    taken away, many times enlarged: a small error of the network puts them far from all data, and
    sampling never finds back. Data of a known range need not go there.
    """

    clip: float | None = None
    """The data that the network implies are kept between minus this and this, in sampling and in
    the likelihood of what is sampled; None leaves them alone. Training does not clip."""

    def clipped(self, x_0: Tensor) -> Tensor:
        """(B, *event) data that are implied, within the range."""
        return x_0 if self.clip is None else x_0.clamp(-self.clip, self.clip)


class AbstractDiffusion(AbstractFamily):
    """A diffusion family of real events.

    Args:
        event_shape: (D,) of vectors, (C, L) of sequences or (C, H, W) of pictures.
        context_shape: Of one context, or None.
        hyperparameters: Fields of ``Config``.

    Attributes:
        network: The denoising network.

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
        conditioning: Conditioning,
    ) -> Tensor:
        """(num, *event) samples, one for each of the (num, *context) contexts; no gradient."""

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

        Warns:
            UserWarning: As `sample`.
        """
        self._warn_in_training_mode()
        conditioning = Conditioning(log_weight=log_weight, through_network=through_network)
        draw = partial(self._drawn, conditioning=conditioning)
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

        The fit is approximate, and better with more rounds (see `known_entries`). Where two
        entries of normal data correlate by 0.95, an exact network and the usual samplers draw the
        unknown one around 0.5 to 0.8 times its conditional mean with 1 round, 0.91 to 0.98 times
        with 5, and 0.95 to 0.99 times with 10. But rounds also repeat the error of a step, and if
        ancestral steps are few, each of them leaves draws too narrow.

        Args:
            x: (B, *event) with what is known, in the generator's dtype; the rest may be NaN.
            known: (B, *event) or (*event) of bools, which entries are; it may be all, or none.
            context: (B, *context), if the generator takes one.
            log_weight: A function that is to be high too, from (B, *event) to (B,).
            through_network: Whether its derivative is taken through the network (see `tilting`).
            rounds: How often each step is taken, which multiplies the time.
            temperature: As in `sample`.
            rng: Of the draws.

        Raises:
            TypeError: What is known is marked by other than bools, the rounds are no number, or
                as for `sample`.
            ValueError: A shape or the dtype does not fit, a context is missing or too much, an
                entry that is known is not finite, or as for `sample_tilted`.

        Warns:
            UserWarning: As `sample`.
        """
        self._warn_in_training_mode()
        self._check_shapes(x, context)
        self._check_temperature(temperature)
        known = self._spread_known(known, x)
        if not x[known].isfinite().all():
            raise ValueError("expected finite numbers where they are known, got NaN or infinity")
        if isinstance(rounds, bool) or not isinstance(rounds, int):
            raise TypeError(f"expected a whole number of rounds, got {rounds!r}")
        if rounds < 1:
            raise ValueError(f"expected at least 1 round, got {rounds}")
        conditioning = Conditioning(x, known, log_weight, through_network, rounds)
        with torch.no_grad():
            return self._drawn(len(x), context, temperature, rng, conditioning)

    # ---- what families use ----------------------------------------------------------------------

    def _check_question(self, x: Tensor, context: Tensor | None, guidance: float) -> None:
        """Check what ``denoised`` is given, from which a context may be left out.

        Raises:
            ValueError: A shape or a dtype does not fit, or guidance is wanted without a context,
                or of a network that was never asked without one.
        """
        self._check_kind(x)
        if context is not None:
            self._check_context(context, len(x))
        if not -1 <= guidance < math.inf:
            raise ValueError(f"expected guidance of at least -1, got {guidance}")
        if guidance != 0 and (context is None or self.config.drop_context == 0):
            raise ValueError(
                f"expected a context, and drop_context above 0, for guidance of {guidance}, got "
                f"{'none' if context is None else 'a network that always learnt with contexts'}"
            )

    def _sample(
        self,
        num: int,
        context: Tensor | None,
        temperature: float,
        rng: torch.Generator | None,
    ) -> Tensor:
        return self._drawn(num, context, temperature, rng, Conditioning())

    def _pure_noise(self, num: int, rng: torch.Generator | None) -> Tensor:
        """(num, *event) standard normal noise, which samples start from."""
        return normal_like(self.example.new_empty(num, *self.event_shape), rng)

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
        """What the network predicts of (B, *event) at a time, guided: see `guidance.predictor`."""
        return predictor(self.network, times, context, guidance, self.example)
