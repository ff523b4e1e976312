"""What is wanted of events that are drawn, beside their context.

Two things can be asked for: entries that are as given (`known_entries`), and a function of the
events that is high (`tilting`). A sampler is told both as `Conditioning`, and asks them for what
it needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .known_entries import Time, keeping
from .tilting import LogWeight, tilted

__all__ = ["Conditioning"]


@dataclass(frozen=True)
class Conditioning:
    """Known entries and a function to be high, each of which there may be.

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
        self, denoise: Callable[[Tensor], Tensor], x: Tensor, *, alpha: float, sigma: float
    ) -> Tensor:
        """(B, *event) the data expected behind noisy events, tilted if that is wished.

        Args:
            denoise: From (B, *event) noisy events to what is expected without any of this.
            x: (B, *event) noisy events.
            alpha: Share of the data in them.
            sigma: Deviation of the noise in them.
        """
        if self.log_weight is None:
            return denoise(x)
        return tilted(
            denoise,
            x,
            self.log_weight,
            alpha=alpha,
            sigma=sigma,
            through_network=self.through_network,
        )

    def change(
        self,
        diffuse: Callable[[Tensor, Time, Tensor], Tensor],
        rng: torch.Generator | None,
    ) -> Callable[[Tensor, Time], Tensor] | None:
        """What puts known entries in their place after each step, or None if there are none.

        Args:
            diffuse: How the sampler's data become noisy (see `keeping`).
            rng: Of the noise.
        """
        if self.x is None or self.known is None:
            return None
        return keeping(self.x, self.known, diffuse, rng=rng)

    def fulfilled(self, x: Tensor) -> Tensor:
        """(B, *event) finished events with the known entries as given."""
        if self.x is None or self.known is None:
            return x
        return torch.where(self.known, self.x, x)

    def in_other_units(
        self, into: Callable[[Tensor], Tensor], back: Callable[[Tensor], Tensor]
    ) -> Conditioning:
        """The same, of events in other units.

        Args:
            into: To these units.
            back: From them.
        """
        x, weigh = self.x, self.log_weight
        return Conditioning(
            None if x is None else into(x),
            self.known,
            None if weigh is None else lambda y: weigh(back(y)),
            self.through_network,
            self.rounds,
        )
