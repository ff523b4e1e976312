r"""A Gaussian whose mean and deviations a network gives, from a context: the usual regression.

.. math:: p(x \mid c) = \prod_d N\big(x_d;\, \mu_d(c), \sigma_d^2(c)\big)

The control of every conditional generator: whatever has several modes, or entries that depend on
each other given the context, is worth its time only where it beats this. An ensemble of these is
the usual model of an environment's dynamics.

Gradients of a mean are divided by its variance, so that where a model errs most, and therefore
takes its deviation to be large, it would learn least: it may never find the mean there. The loss
of each entry is hence weighted with :math:`\sigma_d^{2\beta}`, through which no gradient flows; it
is in nats where beta is 0, as `log_prob` is always.

Log-deviations are kept between two ends by a logistic function: at contexts unlike those learnt
from they would run away.

References:
    D. A. Nix, A. S. Weigend (1994), Estimating the mean and variance of the target probability
        distribution, ICNN.
    K. Chua, R. Calandra, R. McAllister, S. Levine (2018), Deep reinforcement learning in a handful
        of trials using probabilistic dynamics models, arXiv:1805.12114, equation 1 and appendix
        A.1 (ends, too; there they are learnt, and softplus keeps to them).
    M. Seitzer, A. Tavakoli, D. Antic, G. Martius (2022), On the pitfalls of heteroscedastic
        uncertainty estimation with probabilistic neural networks, arXiv:2203.09168, equation 5.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.distributions import constraints

from ...configuration import build_config, check_fields
from ..family import AbstractFamily
from ..generator import AbstractDensity, AbstractMeanSampler
from ..networks.mlp import MLP, Activation

__all__ = ["ConditionalGaussian", "ConditionalGaussianConfig", "drawn_of_several"]

_RANGES = {
    "hidden_sizes": (1, math.inf, True),
    "lowest_deviation": (0.0, math.inf, False),
    "highest_deviation": (0.0, math.inf, False),
    "beta": (0.0, 1.0, True),
}
_CHOICES = {"activation": get_args(Activation)}


@dataclass(frozen=True)
class ConditionalGaussianConfig:
    """Hyper-parameters of `ConditionalGaussian`.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    hidden_sizes: tuple[int, ...] = (200, 200)
    """Units of the hidden layers."""
    activation: Activation = "silu"
    """After each hidden layer."""
    lowest_deviation: float = 1e-3
    """Of any entry, in any context."""
    highest_deviation: float = 10.0
    """Likewise."""
    beta: float = 0.5
    """The loss of an entry is weighted with its variance to this power; 0 is the likelihood's."""

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, _CHOICES)
        if self.lowest_deviation >= self.highest_deviation:
            raise ValueError(
                f"expected lowest_deviation below highest_deviation, got {self.lowest_deviation} "
                f"and {self.highest_deviation}"
            )


class ConditionalGaussian(AbstractFamily, AbstractDensity, AbstractMeanSampler):
    """Independent Gaussians with a network's means and deviations.

    The temperature scales the deviations. `sample_means` gives the means.

    Args:
        event_shape: Vectors (D,) or others, which are flattened.
        context_shape: Of what the network is given, or None: then mean and deviations are those
            of all events.
        hyperparameters: Fields of `ConditionalGaussianConfig`.

    Raises:
        TypeError: A hyper-parameter is unknown.
        ValueError: One is out of range.

    Example:
        >>> model = ConditionalGaussian((2,), context_shape=(3,), hidden_sizes=(16,))
        >>> model.log_prob(torch.zeros(5, 2), torch.zeros(5, 3)).shape
        torch.Size([5])
    """

    Config = ConditionalGaussianConfig
    name = "conditional-gaussian"
    config: ConditionalGaussianConfig

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        context_shape: Sequence[int] | None = None,
        **hyperparameters: Any,
    ) -> None:
        config = build_config(ConditionalGaussianConfig, hyperparameters, type(self).__name__)
        super().__init__(
            event_shape, context_shape=context_shape, support=constraints.real, config=config
        )
        self._num_context = math.prod(self.context_shape or (1,))
        self.network = MLP(
            self._num_context,
            2 * self.num_entries,
            hidden_sizes=config.hidden_sizes,
            activation=config.activation,
        )

    def moments(
        self, context: Float[Tensor, "batch ..."] | None, num: int
    ) -> tuple[Float[Tensor, "batch entries"], Float[Tensor, "batch entries"]]:
        """(num, D) means and (num, D) log-deviations in (num, *context) contexts."""
        given = self.example.new_ones(num, 1) if context is None else context.flatten(1)
        mean, raw = self.network(given).chunk(2, dim=1)
        low, high = math.log(self.config.lowest_deviation), math.log(self.config.highest_deviation)
        first = min(max(-low / (high - low), 0.1), 0.9)  # where a deviation of 1 is, if it is
        place = torch.sigmoid(4 * raw / (high - low) + math.log(first / (1 - first)))
        return mean, low + (high - low) * place

    def _loss(self, x: Tensor, context: Tensor | None, rng: torch.Generator | None) -> Tensor:
        losses, log_deviation = self._losses(x, context)
        return (losses * torch.exp(2 * self.config.beta * log_deviation).detach()).sum(dim=1)

    def _log_prob(self, x: Tensor, context: Tensor | None) -> Tensor:
        return -self._losses(x, context)[0].sum(dim=1)

    def _losses(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """(B, D) negative log-densities of the entries, and (B, D) log-deviations."""
        mean, log_deviation = self.moments(context, len(x))
        scaled = (x.flatten(1) - mean) * torch.exp(-log_deviation)
        return 0.5 * scaled**2 + log_deviation + 0.5 * math.log(2 * math.pi), log_deviation

    def _sample(
        self, num: int, context: Tensor | None, temperature: float, rng: torch.Generator | None
    ) -> Tensor:
        mean, log_deviation = self.moments(context, num)
        noise = torch.randn(mean.shape, generator=rng, dtype=mean.dtype, device=mean.device)
        return (mean + temperature * log_deviation.exp() * noise).view(num, *self.event_shape)

    def _sample_means(
        self, num: int, context: Tensor | None, temperature: float, rng: torch.Generator | None
    ) -> Tensor:
        return self.moments(context, num)[0].view(num, *self.event_shape)


def drawn_of_several(
    members: Sequence[ConditionalGaussian],
    chosen: Int64[Tensor, " batch"],
    context: Float[Tensor, "batch ..."],
    temperature: float = 1.0,
    rng: torch.Generator | None = None,
) -> tuple[Float[Tensor, "batch entries"], Float[Tensor, "members batch entries"]]:
    """A draw of each context from the member chosen for it, and the means of all.

    Each network is asked once, where `sample` and `sample_means` would ask it twice.

    Args:
        members: M of one event shape.
        chosen: (B,) numbers of members.
        context: (B, *context).
        temperature: As in `sample`.
        rng: Of the noise.

    Raises:
        ValueError: The temperature is below 0.

    Example:
        >>> several = [ConditionalGaussian((2,), context_shape=(3,)) for _ in range(4)]
        >>> drawn, means = drawn_of_several(several, torch.tensor([0, 3]), torch.zeros(2, 3))
        >>> drawn.shape, means.shape
        (torch.Size([2, 2]), torch.Size([4, 2, 2]))
    """
    if not temperature >= 0:
        raise ValueError(f"expected a temperature of at least 0, got {temperature}")
    num = len(chosen)
    moments = [member.moments(context, num) for member in members]
    means, log_deviations = (torch.stack(found) for found in zip(*moments, strict=True))
    rows = torch.arange(num, device=context.device)
    mean, log_deviation = means[chosen, rows], log_deviations[chosen, rows]
    noise = torch.randn(mean.shape, generator=rng, dtype=mean.dtype, device=mean.device)
    return mean + temperature * log_deviation.exp() * noise, means
