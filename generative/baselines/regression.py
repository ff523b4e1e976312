r"""The mean of an event given its context, by least squares: what a generator must beat.

.. math:: \ell(x, c) = \lVert x - \mu_\theta(c) \rVert^2, \qquad
    \mu^*(c) = \mathbb E[x \mid c] .

Every draw is the mean itself. As a policy it is behaviour cloning with the squared error, the
control of all others: where demonstrations go left or right around an obstacle the mean goes into
it. It has no likelihood, and no noise.

References:
    D. A. Pomerleau (1989), ALVINN: an autonomous land vehicle in a neural network, NeurIPS 1.
    C. M. Bishop (1994), Mixture density networks, Aston University NCRG/94/004, section 2 (what
        least squares finds, and where that is no answer).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from jaxtyping import Float
from torch import Generator, Tensor
from torch.distributions import constraints

from ...configuration import build_config, check_fields
from ..family import AbstractFamily
from ..generator import AbstractMeanSampler
from ..networks.mlp import MLP, Activation

__all__ = ["Regression", "RegressionConfig"]

_RANGES = {"hidden_sizes": (1, math.inf, True)}
_CHOICES = {"activation": get_args(Activation)}


@dataclass(frozen=True)
class RegressionConfig:
    """Hyper-parameters of `Regression`.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    hidden_sizes: tuple[int, ...] = (256, 256)
    """Units of the hidden layers."""
    activation: Activation = "silu"
    """After each hidden layer."""

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, _CHOICES)


class Regression(AbstractFamily, AbstractMeanSampler):
    """A network's mean of events, learnt by least squares; samples are means.

    Neither temperature nor ``rng`` changes them.

    Args:
        event_shape: Vectors (D,) or others, which are flattened.
        context_shape: Of what the network is given, or None: then it is the mean of all events.
        hyperparameters: Fields of `RegressionConfig`.

    Raises:
        TypeError: A hyper-parameter is unknown.
        ValueError: One is out of range.

    Example:
        >>> import torch
        >>> model = Regression((2,), context_shape=(3,), hidden_sizes=(16,)).eval()
        >>> twice = model.sample(2, torch.zeros(5, 3))
        >>> twice.shape, torch.equal(twice[0], twice[1])
        (torch.Size([2, 5, 2]), True)
    """

    Config = RegressionConfig
    name = "regression"
    config: RegressionConfig

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        context_shape: Sequence[int] | None = None,
        **hyperparameters: Any,
    ) -> None:
        config = build_config(RegressionConfig, hyperparameters, type(self).__name__)
        super().__init__(
            event_shape, context_shape=context_shape, support=constraints.real, config=config
        )
        self.network = MLP(
            math.prod(self.context_shape or (1,)),
            self.num_entries,
            hidden_sizes=config.hidden_sizes,
            activation=config.activation,
        )

    def mean(self, num: int, context: Float[Tensor, "batch ..."] | None) -> Tensor:
        """(num, *event) means in (num, *context) contexts."""
        given = self.example.new_ones(num, 1) if context is None else context.flatten(1)
        found: Tensor = self.network(given)
        return found.view(num, *self.event_shape)

    def _loss(self, x: Tensor, context: Tensor | None, rng: Generator | None) -> Tensor:
        return (x - self.mean(len(x), context)).square().flatten(1).sum(dim=1)

    def _sample(
        self, num: int, context: Tensor | None, temperature: float, rng: Generator | None
    ) -> Tensor:
        return self.mean(num, context)

    def _sample_means(
        self, num: int, context: Tensor | None, temperature: float, rng: Generator | None
    ) -> Tensor:
        return self.mean(num, context)
