r"""Wasserstein GAN with gradient penalty: a critic whose slope is held near 1.

For data p and samples q the critic descends

.. math:: E_q d(\tilde x) - E_p d(x) + \lambda\, E_{\hat x} (\|\nabla d(\hat x)\|_2 - 1)^2,

with :math:`\hat x` uniform on the lines between pairs of data and samples, n steps for each of the
generator, which descends :math:`-E_q d(\tilde x)`. As long as the critic is 1-Lipschitz, minus the
loss of held-out events is a lower bound of the Wasserstein distance, in the units of events.

The penalty is on the slope at each event by itself, so there is no batch normalisation in the
critic. In a context both ends of a line have the same one. The penalty gives way a little: where
data are samples shifted by m, the critic's slope is :math:`1 + m / (2 \lambda)`.

``fit_defaults`` are the paper's settings of Adam but for the step size, which is five times as
large: 1e-4 is made for a hundred thousand updates, and reaches little in the few thousand here.
The average of parameters is not the paper's either.

References:
    I. Gulrajani, F. Ahmed, M. Arjovsky, V. Dumoulin, A. Courville (2017), Improved training of
        Wasserstein GANs, arXiv:1704.00028, equation 3, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...configuration import build_config
from .adversary import AbstractAdversarial
from .event_networks import AbstractNetworksConfig, players
from .losses import critic_loss, gradient_penalty, mixed_events

__all__ = ["WGANGP", "WGANGPConfig"]


@dataclass(frozen=True)
class WGANGPConfig(AbstractNetworksConfig):
    """Hyper-parameters of `WGANGP`.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    critic_steps: int = 5
    """Updates of the critic for each of the generator."""
    penalty: float = 10.0
    """Lambda, the weight of the penalty on the critic's slope."""


class WGANGP(AbstractAdversarial):
    """Wasserstein GAN with gradient penalty (Gulrajani et al. 2017).

    `discriminate` gives the critic's values, of which only differences mean something. The
    temperature scales the noise.

    Args:
        event_shape: Vectors (D,), pictures (C, H, W) or others, which are flattened.
        context_shape: Of one context, or None.
        hyperparameters: Fields of `WGANGPConfig`.

    Raises:
        TypeError: A hyper-parameter is unknown.
        ValueError: One is out of range, or convolutions are asked for what is no picture.

    Example:
        >>> gan = WGANGP((2,), hidden_sizes=(16,))
        >>> x = gan.sample(3, rng=torch.Generator().manual_seed(0))
        >>> x.shape, gan.discriminate(x).shape
        (torch.Size([3, 2]), torch.Size([3]))
    """

    Config = WGANGPConfig
    name = "wgan-gp"
    config: WGANGPConfig
    fit_defaults: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "num_updates": 5_000,
            "batch_size": 64,
            "learning_rate": 5e-4,
            "beta_1": 0.0,
            "beta_2": 0.9,
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
        config: WGANGPConfig = build_config(WGANGPConfig, hyperparameters, type(self).__name__)
        super().__init__(event_shape, **players(event_shape, context_shape, config))

    def _discriminator_loss(
        self, x: Tensor, context: Tensor | None, rng: torch.Generator | None
    ) -> Tensor:
        fake = self._fake(len(x), context, rng)
        loss = critic_loss(self._values(x, context), self._values(fake, context))
        shares = torch.rand(len(x), generator=rng, dtype=x.dtype, device=x.device)
        between = mixed_events(x, fake, shares)
        steep: Tensor = gradient_penalty(lambda at: self._values(at, context), between)
        return loss + self.config.penalty * steep

    def _generator_loss(
        self, x: Tensor, context: Tensor | None, rng: torch.Generator | None
    ) -> Tensor:
        return -self._values(self._made(len(x), context, rng), context)

    def _loss(self, x: Tensor, context: Tensor | None, rng: torch.Generator | None) -> Tensor:
        fake = self._fake(len(x), context, rng)
        return critic_loss(self._values(x, context), self._values(fake, context))
