r"""Deep convolutional generative adversarial network, with the paper's recipe.

Strided convolutions instead of pooling, batch normalisation in both networks but for the
generator's output and the discriminator's input, rectifiers in the generator, leaky ones in the
discriminator, a hyperbolic tangent at the end; all weights from N(0, 0.02^2); Adam with a learning
rate of 2e-4 and :math:`\beta_1 = 0.5`, in batches of 128 (``fit_defaults``, with an average of
parameters that the paper does not have). The losses are those of `gan`, non-saturating.

In training data and samples are normalised as batches of their own: digits of 8 by 8 come out
nearer to data so than with both in one batch (kernel distances of 0.02 against 0.14, and 0.08
against 0.46 with a smaller step; means of three seeds, 500 updates). In evaluation the
normalisations use statistics that `settle` takes from one large batch, half data and half samples
for the discriminator, which then judges each event by itself, and less sharply than it judged
whole batches. Where the discriminator is to be a reward, `gan` and `wgan_gp` are better: theirs
are the same in training and evaluation.

References:
    A. Radford, L. Metz, S. Chintala (2016), Unsupervised representation learning with deep
        convolutional generative adversarial networks, arXiv:1511.06434, sections 3 and 4.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ...configuration import build_config, check_fields
from ..generator import checked_shape
from ..networks.batch_norm import settle_batch_norms
from ..networks.strided_conv import StridedDown, StridedUp
from ..trainable import AbstractSettled
from .adversary import AbstractAdversarial, interval
from .losses import GeneratorLoss, generator_loss

__all__ = ["DCGAN", "DCGANConfig"]

_RANGES = {
    "latent_size": (1, math.inf, True),
    "channels": (1, math.inf, True),
    "critic_steps": (1, math.inf, True),
    "critic_step_factor": (0.0, math.inf, False),
}


@dataclass(frozen=True)
class DCGANConfig:
    """Hyper-parameters of `DCGAN`.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    latent_size: int = 100
    """L, numbers of the noise."""
    channels: tuple[int, ...] = (64, 128)
    """Of the maps after each halving, from the picture's end; the paper has 128, 256, 512, 1024
    for 64 by 64."""
    loss: GeneratorLoss = "non-saturating"
    """Of the generator: ``minimax``, log(1 - D(G(z))), or ``non-saturating``, -log D(G(z))."""
    critic_steps: int = 1
    """Updates of the discriminator for each of the generator."""
    critic_step_factor: float = 1.0
    """The discriminator's learning rate as a multiple of the generator's."""

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, {"loss": get_args(GeneratorLoss)})
        if not self.channels:
            raise ValueError("expected channels of at least one halving, got none")


class DCGAN(AbstractAdversarial, AbstractSettled):
    """Deep convolutional generative adversarial network (Radford, Metz & Chintala 2016).

    Pictures are between -1 and 1. `discriminate` gives logits of the probability that an event is
    data. The temperature scales the noise.

    Args:
        event_shape: (C, H, W), H and W of at least 2 to the number of ``channels``.
        context_shape: Of one context, or None.
        hyperparameters: Fields of `DCGANConfig`.

    Raises:
        TypeError: A hyper-parameter is unknown.
        ValueError: One is out of range, or events are no pictures, or too small ones.

    Example:
        >>> dcgan = DCGAN((1, 28, 28), channels=(8, 16))
        >>> dcgan.sample(3, rng=torch.Generator().manual_seed(0)).shape
        torch.Size([3, 1, 28, 28])
    """

    Config = DCGANConfig
    name = "dcgan"
    config: DCGANConfig
    fit_defaults: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "num_updates": 3_000,
            "batch_size": 128,
            "learning_rate": 2e-4,
            "beta_1": 0.5,
            "average_decay": 0.995,
        }
    )

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        context_shape: Sequence[int] | None = None,
        **hyperparameters: Any,
    ) -> None:
        config: DCGANConfig = build_config(DCGANConfig, hyperparameters, type(self).__name__)
        event_shape = checked_shape(event_shape, "event_shape")
        if context_shape is not None:
            context_shape = checked_shape(context_shape, "context_shape")
        if len(event_shape) != 3:
            raise ValueError(
                "expected pictures of shape (channels, height, width) for DCGAN, got events of "
                f"shape {event_shape}: GAN and WGANGP take others"
            )
        super().__init__(
            event_shape,
            context_shape=context_shape,
            support=interval(-1, 1),
            config=config,
            generator=_Generator(event_shape, context_shape, config),
            discriminator=_Discriminator(event_shape, context_shape, config),
            latent_size=config.latent_size,
            critic_steps=config.critic_steps,
            critic_step_factor=config.critic_step_factor,
        )

    @torch.no_grad()
    def settle(self, x: Tensor, context: Tensor | None, rng: torch.Generator | None) -> None:
        """Take the statistics of batch normalisation from as many samples as there are events."""
        z = self._noise(len(x), rng)
        settle_batch_norms(self.generator, lambda: self.generator(z, context))
        was_training = self.training
        both = torch.cat([x, self.eval().generator(z, context)])
        self.train(was_training)
        given = None if context is None else torch.cat([context, context])
        settle_batch_norms(self.discriminator, lambda: self.discriminator(both, given))

    def _generator_loss(
        self, x: Tensor, context: Tensor | None, rng: torch.Generator | None
    ) -> Tensor:
        fake = self._made(len(x), context, rng)
        return generator_loss(self.config.loss, self._values(fake, context))


class _Generator(nn.Module):
    def __init__(
        self,
        event_shape: Sequence[int],
        context_shape: Sequence[int] | None,
        config: DCGANConfig,
    ) -> None:
        super().__init__()
        self.network = StridedUp(
            config.latent_size,
            event_shape,
            config.channels,
            num_context=0 if context_shape is None else math.prod(context_shape),
        )

    def forward(
        self, z: Float[Tensor, "batch latent"], context: Float[Tensor, "batch ..."] | None
    ) -> Float[Tensor, "batch channels height width"]:
        made: Tensor = self.network(z, None if context is None else context.flatten(1))
        return made


class _Discriminator(nn.Module):
    def __init__(
        self,
        event_shape: Sequence[int],
        context_shape: Sequence[int] | None,
        config: DCGANConfig,
    ) -> None:
        super().__init__()
        self.network = StridedDown(
            event_shape,
            config.channels,
            num_context=0 if context_shape is None else math.prod(context_shape),
        )

    def forward(
        self,
        x: Float[Tensor, "batch channels height width"],
        context: Float[Tensor, "batch ..."] | None,
    ) -> Float[Tensor, " batch"]:
        values: Tensor = self.network(x, None if context is None else context.flatten(1))
        return values
