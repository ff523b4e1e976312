r"""What autoregressive families share: an event's probability is a product of conditionals.

With the D entries of an event in some order, any distribution is

.. math:: p(x \mid c) = \prod_{d=1}^{D} p(x_d \mid x_1, \dots, x_{d-1}, c) .

A network gives the parameters of all D factors in one pass over an event that is known, so that
the likelihood is exact and training needs no sampling (teacher forcing). A sample takes D steps:
each entry is drawn from its conditional given those drawn before.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor
from torch.nn import functional

from ..conditionals import AbstractConditional, ConditionalName, conditional_named
from ..family import AbstractFamily
from ..generator import AbstractDensity

__all__ = [
    "CONDITIONAL_CHOICES",
    "CONDITIONAL_RANGES",
    "AbstractAutoregressive",
    "AbstractConditionalConfig",
    "KnownEntries",
    "network_inputs",
    "raster_event",
    "raster_sequence",
]


@dataclass(frozen=True)
class KnownEntries:
    """Entries that are not drawn.

    Attributes:
        x: (B, *event) events; what is not known is zero.
        known: (B, *event) which entries are kept.
    """

    x: Shaped[Tensor, "batch ..."]
    known: Bool[Tensor, "batch ..."]

    def arranged(self, arrange: Callable[[Tensor], Tensor]) -> KnownEntries:
        """The same of events whose entries are arranged in another way, or of some of them."""
        return KnownEntries(arrange(self.x), arrange(self.known))

    def over(self, drawn: Shaped[Tensor, " batch"], entry: int) -> Shaped[Tensor, " batch"]:
        """(B,) what is drawn of an entry, but for what is known; of (B, D) events."""
        return torch.where(self.known[:, entry], self.x[:, entry].to(drawn.dtype), drawn)


CONDITIONAL_RANGES = {
    "num_levels": (2, math.inf, True),
    "num_components": (1, math.inf, True),
}
CONDITIONAL_CHOICES = {"conditional": get_args(ConditionalName)}


@dataclass(frozen=True)
class AbstractConditionalConfig:
    """What the conditionals of entries are, of all families alike."""

    conditional: ConditionalName = "bernoulli"
    """Distribution of an entry given those before it."""
    num_levels: int = 256
    """Values of an entry, where the conditional is categorical or a discretised logistic."""
    num_components: int = 10
    """Of the conditionals that are mixtures."""


class AbstractAutoregressive(AbstractFamily, AbstractDensity):
    """A family whose events are drawn entry by entry.

    Implement ``_loss``, ``_log_prob`` and ``_complete``.

    Args:
        event_shape: Of one event.
        context_shape: Of one context, or None.
        config: A ``Config``, which says what the conditionals are.

    Attributes:
        conditional: What every entry's distribution is of, given the entries before it.
    """

    conditional: AbstractConditional

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        context_shape: Sequence[int] | None,
        config: Any,
    ) -> None:
        conditional = conditional_named(
            config.conditional, num_levels=config.num_levels, num_components=config.num_components
        )
        super().__init__(
            event_shape,
            context_shape=context_shape,
            support=conditional.support,
            config=config,
        )
        self.conditional = conditional

    @abstractmethod
    def _complete(
        self,
        num: int,
        context: Tensor | None,
        temperature: float,
        rng: torch.Generator | None,
        given: KnownEntries | None,
    ) -> Tensor:
        """(num, *event) samples, but for the entries that are given; no gradient."""

    def _sample(
        self,
        num: int,
        context: Tensor | None,
        temperature: float,
        rng: torch.Generator | None,
    ) -> Tensor:
        return self._complete(num, context, temperature, rng, None)

    def complete(
        self,
        x: Shaped[Tensor, "batch ..."],
        known: Bool[Tensor, "entries ..."],
        context: Float[Tensor, "batch ..."] | None = None,
        *,
        temperature: float = 1.0,
        rng: torch.Generator | None = None,
    ) -> Shaped[Tensor, "batch ..."]:
        """Draw what is not known of events.

        An entry is drawn given those before it in the model's order, drawn or known. These are
        exact draws of the unknown entries given the known ones where the known ones come first,
        such as the upper part of a picture; known entries after an unknown one are kept, but do
        not tell it anything.

        Args:
            x: (B, *event) events; what is not known may be anything.
            known: Which entries to keep: (B, *event), or (*event) for all events alike.
            context: (B, *context), if the generator takes one.
            temperature: As of ``sample``.
            rng: Of the draws.

        Returns:
            (B, *event) events.

        Raises:
            TypeError: What is known is marked by other than bools.
            ValueError: A shape or a dtype does not fit, a known entry is outside the support, or
                the temperature is out of range.

        Warns:
            UserWarning: As ``sample``.
        """
        self._warn_in_training_mode()
        self._check_temperature(temperature)
        self._check_shapes(x, context)
        spread = self._spread_known(known, x)
        kept = x.masked_fill(~spread, 0)
        self.check_events(kept, context)
        with torch.no_grad():
            given = KnownEntries(kept, spread)
            return self._complete(len(x), context, temperature, rng, given)


def network_inputs(
    conditional: AbstractConditional,
    x: Shaped[Tensor, "batch ..."],
    dtype: torch.dtype,
    *,
    one_hot: bool,
) -> Float[Tensor, "batch ... inputs"]:
    """(B, ..., I) what a network is told of entries.

    Args:
        conditional: What they are drawn from.
        x: (B, ...) entries.
        dtype: Of the network.
        one_hot: Whether it takes K indicators in place of one number.
    """
    if one_hot and conditional.num_values is not None:
        return functional.one_hot(x.long(), conditional.num_values).to(dtype)
    return conditional.scaled(x, dtype).unsqueeze(-1)


def raster_sequence(x: Shaped[Tensor, "batch ..."]) -> Shaped[Tensor, "batch entries"]:
    """(B, D) the entries of events in a row.

    Pictures (B, C, H, W) are read line by line, all channels of a pixel in turn; events of other
    shapes are flattened.

    Example:
        >>> raster_sequence(torch.tensor([[[[1, 2], [3, 4]], [[5, 6], [7, 8]]]]))
        tensor([[1, 5, 2, 6, 3, 7, 4, 8]])
    """
    return (x.permute(0, 2, 3, 1) if x.dim() == 4 else x).flatten(1)


def raster_event(
    entries: Shaped[Tensor, "batch entries ..."], event_shape: tuple[int, ...]
) -> Shaped[Tensor, "batch ..."]:
    """(B, *event, ...) the events of which `raster_sequence` gives (B, D, ...)."""
    if len(event_shape) != 3:
        return entries.reshape(len(entries), *event_shape, *entries.shape[2:])
    channels, *sides = event_shape
    found: Tensor = entries.reshape(len(entries), *sides, channels, *entries.shape[2:])
    return found.movedim(3, 1)
