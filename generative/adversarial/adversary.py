r"""What adversarial generators have in common: two networks, trained in turns.

A *generator* G turns noise :math:`z \sim N(0, I)` and a context c into events. A *discriminator*
(or *critic*) d gives every event a number, larger for what looks more like data. Samples are

.. math:: x = G(\tau z, c),

with the temperature :math:`\tau`. There is no likelihood: the distribution of samples is known by
samples alone.

What ``loss`` gives is the discriminator's, without penalties. On held-out events it shows how well
data and samples can still be told apart: *larger is better for the generator*, until it is what
the discriminator has of events that look alike. `fit` therefore reports it, and refuses patience.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import constraints

from ..family import AbstractFamily
from ..trainable import AbstractGame, Phase
from .losses import discriminator_loss

__all__ = ["AbstractAdversarial", "interval"]


class AbstractAdversarial(AbstractFamily, AbstractGame):
    """A generator with a discriminator.

    The discriminator is kept, saved and loaded with the rest, so that it may serve as a reward
    (`discriminate`).

    Args:
        event_shape: Of one event.
        context_shape: Of one context, or None.
        support: Where events lie.
        config: Hyper-parameters.
        generator: (B, *event) of (B, L) noise and a (B, *context) context or None.
        discriminator: (B,) of (B, *event) events and a context or None.
        latent_size: L.
        critic_steps: Updates of the discriminator for each of the generator.
        critic_step_factor: By which its learning rate is multiplied.

    Attributes:
        generator: G.
        discriminator: d.
        latent_size: L.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        context_shape: Sequence[int] | None,
        support: constraints.Constraint,
        config: Any,
        generator: nn.Module,
        discriminator: nn.Module,
        latent_size: int,
        critic_steps: int = 1,
        critic_step_factor: float = 1.0,
    ) -> None:
        super().__init__(event_shape, context_shape=context_shape, support=support, config=config)
        self.generator, self.discriminator = generator, discriminator
        self.latent_size = latent_size
        self._critic_steps, self._critic_step_factor = critic_steps, critic_step_factor

    # ---- what a family implements ---------------------------------------------------------------

    @abstractmethod
    def _generator_loss(
        self, x: Tensor, context: Tensor | None, rng: torch.Generator | None
    ) -> Tensor:
        """(B,) what the generator minimises."""

    # ---- what a family may have otherwise -------------------------------------------------------

    def _discriminator_loss(
        self, x: Tensor, context: Tensor | None, rng: torch.Generator | None
    ) -> Tensor:
        """(B,) what the discriminator minimises; nothing reaches the generator."""
        fake = self._fake(len(x), context, rng)
        return discriminator_loss(self._values(x, context), self._values(fake, context))

    def _loss(self, x: Tensor, context: Tensor | None, rng: torch.Generator | None) -> Tensor:
        return self._discriminator_loss(x, context, rng)

    # ---- what callers use -----------------------------------------------------------------------

    def generate(
        self, z: Float[Tensor, "batch latent"], context: Float[Tensor, "batch ..."] | None = None
    ) -> Float[Tensor, "batch ..."]:
        """(B, *event) the events of (B, L) noise, with gradients.

        Args:
            z: (B, L) noise.
            context: (B, *context), if the generator takes one.

        Raises:
            ValueError: A shape does not fit, or a context is missing or too much.
        """
        if z.shape[1:] != (self.latent_size,):
            raise ValueError(
                f"expected noise of shape (B, {self.latent_size}), got {tuple(z.shape)}"
            )
        self._check_context(context, len(z))
        made: Tensor = self.generator(z, context)
        return made

    def discriminate(
        self, x: Float[Tensor, "batch ..."], context: Float[Tensor, "batch ..."] | None = None
    ) -> Float[Tensor, " batch"]:
        """(B,) how much events look like data: the larger, the more; with gradients.

        The family says what the numbers are: logits, or the values of a critic, of which only
        differences mean something. Call ``eval()`` first, as `fit` and ``load`` do: where there is
        batch normalisation, an event's number would else depend on the others of its batch.

        Args:
            x: (B, *event) events.
            context: (B, *context), if the generator takes one.

        Raises:
            ValueError: A shape does not fit, or a context is missing or too much.
        """
        self._check_shapes(x, context)
        return self._values(x, context)

    def phases(self) -> Sequence[Phase]:
        """The discriminator's updates, then the generator's."""
        return [
            Phase(
                "discriminator",
                self._discriminator_loss,
                list(self.discriminator.parameters()),
                updates=self._critic_steps,
                step_factor=self._critic_step_factor,
            ),
            Phase("generator", self._generator_loss, list(self.generator.parameters())),
        ]

    # ---- inside ---------------------------------------------------------------------------------

    def _sample(
        self,
        num: int,
        context: Tensor | None,
        temperature: float,
        rng: torch.Generator | None,
    ) -> Tensor:
        made: Tensor = self.generator(temperature * self._noise(num, rng), context)
        return made

    def _made(self, num: int, context: Tensor | None, rng: torch.Generator | None) -> Tensor:
        """(num, *event) samples, with gradients."""
        made: Tensor = self.generator(self._noise(num, rng), context)
        return made

    @torch.no_grad()
    def _fake(self, num: int, context: Tensor | None, rng: torch.Generator | None) -> Tensor:
        """(num, *event) samples for the discriminator to learn from."""
        return self._made(num, context, rng)

    def _values(self, x: Tensor, context: Tensor | None) -> Tensor:
        values: Tensor = self.discriminator(x, context)
        return values

    def _noise(self, num: int, rng: torch.Generator | None) -> Tensor:
        like = self.example
        return torch.randn(
            num, self.latent_size, generator=rng, dtype=like.dtype, device=like.device
        )


def interval(low: float, high: float) -> constraints.Constraint:
    """The support of numbers between two."""
    make: Any = constraints.interval  # PyTorch has no types here
    found: constraints.Constraint = make(low, high)
    return found
