r"""A mixture of Gaussians whose weights, means and deviations a network gives, from a context.

.. math:: p(x \mid c) = \sum_{k=1}^K \pi_k(c) \prod_d N\big(x_d;\, \mu_{kd}(c), \sigma_{kd}^2(c)
    \big)

One component is drawn for the whole event, so that its entries belong together: of an action's
chunks, all steps go left or all go right. With one component it is `ConditionalGaussian`. As a
policy it is the Gaussian-mixture control of the imitation literature.

Means start apart: a bias of each component, of a deviation of 1, breaks the tie between
components that least squares would keep.

References:
    C. M. Bishop (1994), Mixture density networks, Aston University NCRG/94/004, equations 22 to
        25.
    A. Mandlekar et al. (2021), What matters in learning from offline human demonstrations for
        robot manipulation, arXiv:2108.03298 (BC-GMM: 5 components, of which low noise is played).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import constraints

from ...configuration import build_config, check_fields
from ..conditionals import CategoricalConditional
from ..family import AbstractFamily
from ..generator import AbstractDensity, AbstractMeanSampler
from ..networks.mlp import MLP, Activation

__all__ = ["MixtureRegression", "MixtureRegressionConfig"]

_RANGES = {
    "hidden_sizes": (1, math.inf, True),
    "num_components": (1, math.inf, True),
    "lowest_deviation": (0.0, math.inf, False),
}
_CHOICES = {"activation": get_args(Activation)}
_HIGHEST_LOG_DEVIATION = 5.0


@dataclass(frozen=True)
class MixtureRegressionConfig:
    """Hyper-parameters of `MixtureRegression`.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    hidden_sizes: tuple[int, ...] = (256, 256)
    """Units of the hidden layers."""
    activation: Activation = "silu"
    """After each hidden layer."""
    num_components: int = 5
    """K."""
    lowest_deviation: float = 0.01
    """Added to every deviation: a component on a single event would grow without end."""

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, _CHOICES)


class MixtureRegression(AbstractFamily, AbstractDensity, AbstractMeanSampler):
    """A mixture density network: K diagonal Gaussians over the whole event.

    The temperature divides the logits of the components and scales their deviations.
    `sample_means` draws a component and gives its mean.

    Args:
        event_shape: Vectors (D,) or others, which are flattened.
        context_shape: Of what the network is given, or None: then the mixture is that of all
            events.
        hyperparameters: Fields of `MixtureRegressionConfig`.

    Raises:
        TypeError: A hyper-parameter is unknown.
        ValueError: One is out of range.

    Example:
        >>> model = MixtureRegression((2,), context_shape=(3,), hidden_sizes=(16,))
        >>> model.log_prob(torch.zeros(5, 2), torch.zeros(5, 3)).shape
        torch.Size([5])
    """

    Config = MixtureRegressionConfig
    name = "mixture-regression"
    config: MixtureRegressionConfig

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        context_shape: Sequence[int] | None = None,
        **hyperparameters: Any,
    ) -> None:
        config = build_config(MixtureRegressionConfig, hyperparameters, type(self).__name__)
        super().__init__(
            event_shape, context_shape=context_shape, support=constraints.real, config=config
        )
        self.network = MLP(
            math.prod(self.context_shape or (1,)),
            config.num_components * (1 + 2 * self.num_entries),
            hidden_sizes=config.hidden_sizes,
            activation=config.activation,
        )
        self.first_means = torch.nn.Parameter(torch.randn(config.num_components, self.num_entries))

    def components(
        self, num: int, context: Float[Tensor, "batch ..."] | None
    ) -> tuple[
        Float[Tensor, "batch components"],
        Float[Tensor, "batch components entries"],
        Float[Tensor, "batch components entries"],
    ]:
        """(num, K) logits, (num, K, D) means and (num, K, D) log-deviations."""
        given = self.example.new_ones(num, 1) if context is None else context.flatten(1)
        found, size = self.network(given), self.config.num_components
        logits, rest = found.split([size, 2 * size * self.num_entries], dim=1)
        means, raw = rest.view(num, size, -1).chunk(2, dim=2)
        floor = math.log(self.config.lowest_deviation)
        log_deviations = torch.logaddexp(
            raw.clamp(max=_HIGHEST_LOG_DEVIATION), torch.full_like(raw, floor)
        )
        return logits.log_softmax(dim=1), means + self.first_means, log_deviations

    def _log_prob(self, x: Tensor, context: Tensor | None) -> Tensor:
        logits, means, log_deviations = self.components(len(x), context)
        scaled = (x.flatten(1).unsqueeze(1) - means) * torch.exp(-log_deviations)
        each = 0.5 * scaled**2 + log_deviations + 0.5 * math.log(2 * math.pi)
        return torch.logsumexp(logits - each.sum(dim=2), dim=1)

    def _loss(self, x: Tensor, context: Tensor | None, rng: torch.Generator | None) -> Tensor:
        return -self._log_prob(x, context)

    def _sample(
        self, num: int, context: Tensor | None, temperature: float, rng: torch.Generator | None
    ) -> Tensor:
        mean, log_deviation = self._drawn_component(num, context, temperature, rng)
        noise = torch.randn(mean.shape, generator=rng, dtype=mean.dtype, device=mean.device)
        return (mean + temperature * log_deviation.exp() * noise).view(num, *self.event_shape)

    def _sample_means(
        self, num: int, context: Tensor | None, temperature: float, rng: torch.Generator | None
    ) -> Tensor:
        mean, _ = self._drawn_component(num, context, temperature, rng)
        return mean.view(num, *self.event_shape)

    def _drawn_component(
        self, num: int, context: Tensor | None, temperature: float, rng: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """(num, D) mean and log-deviation of a component that is drawn for each context."""
        logits, means, log_deviations = self.components(num, context)
        which = CategoricalConditional(logits.shape[1]).sample(logits, temperature, rng)
        rows = torch.arange(num, device=logits.device)
        return means[rows, which], log_deviations[rows, which]
