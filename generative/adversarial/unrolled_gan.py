r"""Unrolled generative adversarial network: a generator that sees the discriminator's answer.

The generator descends the value of a discriminator that has taken K more steps against it,

.. math:: \theta_D^{k+1} = \theta_D^k + \eta\, \nabla_{\theta_D} f(\theta_G, \theta_D^k), \qquad
    f_K(\theta_G, \theta_D) = f(\theta_G, \theta_D^K(\theta_G, \theta_D)),

with gradients through all K steps. Putting all samples where the discriminator is fooled now does
not pay when it answers, which keeps the generator from falling onto few modes. The steps are on
the generator's own batch and noise, and are forgotten afterwards: the discriminator itself then
takes one step of its own from :math:`\theta_D^0`. K = 0 is the usual game.

``fit_defaults`` are the paper's settings of Adam on its ring of Gaussians but for an average of
parameters: without one the generator circles around the data, and samples of digits of 8 by 8 are
further from digits than those of a full Gaussian.

References:
    L. Metz, B. Poole, D. Pfau, J. Sohl-Dickstein (2017), Unrolled generative adversarial networks,
        arXiv:1611.02163, equations 7 to 11.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, get_args

import torch
from torch import Tensor
from torch.func import functional_call

from ...configuration import build_config
from .adversary import AbstractAdversarial
from .event_networks import AbstractNetworksConfig, players
from .losses import GeneratorLoss, discriminator_loss, non_saturating_loss

__all__ = ["Parameters", "UnrolledGAN", "UnrolledGANConfig", "unrolled"]

Parameters = Mapping[str, Tensor]


# a compiled function's gradient has no gradient
@torch.compiler.disable  # type: ignore[untyped-decorator]  # PyTorch has no types here
def unrolled(
    parameters: Parameters,
    loss: Callable[[Parameters], Tensor],
    *,
    num_steps: int,
    learning_rate: float,
) -> Parameters:
    """Parameters after steps of gradient descent, with gradients through the steps.

    Args:
        parameters: The first, by name; they stay as they are.
        loss: () of parameters.
        num_steps: K.
        learning_rate: Of each step.

    Example:
        >>> goal = torch.tensor(2.0, requires_grad=True)
        >>> start = {"d": torch.tensor(0.0, requires_grad=True)}
        >>> after = unrolled(
        ...     start, lambda p: (p["d"] - goal) ** 2 / 2, num_steps=1, learning_rate=0.1
        ... )
        >>> after["d"], torch.autograd.grad(after["d"], goal)
        (tensor(0.2000, grad_fn=<SubBackward0>), (tensor(0.1000),))
    """
    names, values = list(parameters), list(parameters.values())
    for _ in range(num_steps):
        now = dict(zip(names, values, strict=True))
        slopes = torch.autograd.grad(loss(now), values, create_graph=True)
        values = [
            value - learning_rate * slope for value, slope in zip(values, slopes, strict=True)
        ]
    return dict(zip(names, values, strict=True))


@dataclass(frozen=True)
class UnrolledGANConfig(AbstractNetworksConfig):
    """Hyper-parameters of `UnrolledGAN`.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    num_unrolled: int = 5
    """K, steps of the discriminator that the generator looks ahead."""
    unrolled_learning_rate: float = 0.03
    """Eta, of these steps of gradient descent."""
    critic_step_factor: float = 0.1
    """The discriminator's learning rate as a multiple of the generator's; the paper's too."""
    loss: GeneratorLoss = "minimax"
    """Of the generator: ``minimax``, the whole value f_K as in the paper, or ``non-saturating``,
    -log D_K(G(z))."""

    @classmethod
    def _words(cls) -> dict[str, tuple[str, ...]]:
        return {"loss": get_args(GeneratorLoss)}


class UnrolledGAN(AbstractAdversarial):
    """Unrolled generative adversarial network (Metz et al. 2017).

    `discriminate` gives logits of the probability that an event is data. The temperature scales
    the noise. A generator's update costs about 2 K + 1 times as much as a `GAN`'s.

    Args:
        event_shape: Vectors (D,), pictures (C, H, W) or others, which are flattened.
        context_shape: Of one context, or None.
        hyperparameters: Fields of `UnrolledGANConfig`.

    Raises:
        TypeError: A hyper-parameter is unknown.
        ValueError: One is out of range, or convolutions are asked for what is no picture.

    Example:
        >>> gan = UnrolledGAN((2,), num_unrolled=3, hidden_sizes=(16,))
        >>> gan.sample(3, rng=torch.Generator().manual_seed(0)).shape
        torch.Size([3, 2])
    """

    Config = UnrolledGANConfig
    name = "unrolled-gan"
    config: UnrolledGANConfig
    fit_defaults: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"num_updates": 5_000, "learning_rate": 1e-3, "beta_1": 0.5, "average_decay": 0.995}
    )

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        context_shape: Sequence[int] | None = None,
        **hyperparameters: Any,
    ) -> None:
        name = type(self).__name__
        config: UnrolledGANConfig = build_config(UnrolledGANConfig, hyperparameters, name)
        super().__init__(event_shape, **players(event_shape, context_shape, config))

    def _generator_loss(
        self, x: Tensor, context: Tensor | None, rng: torch.Generator | None
    ) -> Tensor:
        made = self._made(len(x), context, rng)

        def values(parameters: Parameters, of: Tensor) -> Tensor:
            found: Tensor = functional_call(self.discriminator, dict(parameters), (of, context))
            return found

        ahead: Parameters = unrolled(
            dict(self.discriminator.named_parameters()),
            lambda parameters: discriminator_loss(
                values(parameters, x), values(parameters, made)
            ).mean(),
            num_steps=self.config.num_unrolled,
            learning_rate=self.config.unrolled_learning_rate,
        )
        fake = values(ahead, made)
        if self.config.loss == "non-saturating":
            return non_saturating_loss(fake)
        return -discriminator_loss(values(ahead, x), fake)  # the answer depends on G in both terms
