r"""A variational autoencoder whose two terms are weighed against each other.

With the distortion :math:`D = -\mathbb E_q \log p(x \mid z, c)` and the rate
:math:`R = \mathrm{KL}(q(z \mid x, c) \,\|\, N(0, I))`, both in nats, there are three rules.

*Fixed* (Higgins et al.): minimise :math:`D + \beta R` with a given beta.

*Constraint*: minimise the distortion at a rate of at most :math:`\epsilon`. The Lagrangian is
:math:`D + \beta (\mathbb E R - \epsilon)`, and its saddle point keeps the conditions of Karush,
Kuhn and Tucker: the rate is within the limit, :math:`\beta \ge 0`, and
:math:`\beta (\mathbb E R - \epsilon) = 0`, so that beta is 0 where the limit is not reached.
Networks descend; after every update beta ascends by

.. math:: \beta \leftarrow \big[\beta + \eta\,(\bar R - \epsilon)\big]_+ ,

:math:`\bar R` being a running mean of the batches' rates.

*GECO* (Rezende & Viola): minimise the rate at a distortion of at most :math:`\kappa`, a constraint
that one can choose by looking at reconstructions. The loss is
:math:`R + \lambda (D - \kappa)`, and

.. math:: \lambda \leftarrow \lambda \exp\big(\eta\,(\bar D - \kappa)_{-1}^{1}\big)

stays positive; the excess is cut off at one nat either way, for while a decoder still learns it
may be hundreds of nats, and lambda would take as long to come back. Beta is then
:math:`1/\lambda`.

References:
    I. Higgins et al. (2017), beta-VAE: learning basic visual concepts with a constrained
        variational framework, ICLR, equation 4.
    A. A. Alemi et al. (2018), Fixing a broken ELBO, arXiv:1711.00464 (rate and distortion).
    D. J. Rezende, F. Viola (2018), Taming VAEs, arXiv:1810.00597, algorithm 1.
    S. Boyd, L. Vandenberghe (2004), Convex optimization, section 5.5.3 (conditions).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from ...configuration import build_config
from ..parallel_training import average_numbers
from ..trainable import AbstractAdjusted
from .gaussian_posterior import kl_from_standard
from .latent_gaussian import AbstractVariational, AbstractVariationalConfig

__all__ = ["BetaRule", "BetaVAE", "BetaVAEConfig"]

BetaRule = Literal["fixed", "constraint", "geco"]

_LARGEST = 1e3  # of GECO's multiplier: a limit out of reach would let it grow without end


@dataclass(frozen=True)
class BetaVAEConfig(AbstractVariationalConfig):
    """Hyper-parameters of `BetaVAE`.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    rule: BetaRule = "fixed"
    """``fixed`` beta; ``constraint``, under which beta is the multiplier of a limit on the rate;
    or ``geco``, under which 1/beta is the multiplier of a limit on the distortion."""
    beta: float = 4.0
    """Weight of the rate; where a rule moves it, what it starts at."""
    limit: float = 10.0
    """In nats: of the mean rate (``constraint``), or of the mean distortion (``geco``), which is
    minus a log-density and may be below 0."""
    multiplier_step: float = 1e-2
    """Eta, by which the multiplier moves for every nat beyond the limit."""
    running_decay: float = 0.9
    """Of the running mean that is held against the limit."""

    @classmethod
    def _words(cls) -> dict[str, tuple[str, ...]]:
        return {"rule": get_args(BetaRule)}


class BetaVAE(AbstractVariational, AbstractAdjusted):
    """Variational autoencoder with a weight of the divergence that is given, or found.

    `log_prob_bound` is the evidence lower bound, whatever beta is: where beta is not 1 it is not
    what training raises. The temperature of `sample` is that of `VAE`.

    Args:
        event_shape: Vectors (D,), pictures (C, H, W) or others, which are flattened.
        context_shape: Of a context that encoder and decoder are given, or None.
        hyperparameters: Fields of `BetaVAEConfig`.

    Attributes:
        multiplier: () beta, or lambda under GECO.
        running_mean: () of the quantity with a limit.
        num_adjusted: () updates that it is a mean of.

    Raises:
        TypeError: A hyper-parameter is unknown.
        ValueError: A hyper-parameter is out of range, or convolutions are asked for vectors.

    Example:
        >>> vae = BetaVAE((64,), rule="constraint", limit=5.0, beta=1.0)
        >>> vae.adjust(torch.zeros(10, 64), None, None)
        >>> bool(vae.beta < 1)  # an untrained encoder is far below 5 nats
        True
    """

    Config = BetaVAEConfig
    name = "beta-vae"
    config: BetaVAEConfig
    multiplier: Tensor
    running_mean: Tensor
    num_adjusted: Tensor

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        context_shape: Sequence[int] | None = None,
        **hyperparameters: Any,
    ) -> None:
        config = build_config(BetaVAEConfig, hyperparameters, type(self).__name__)
        if config.rule == "geco" and config.beta == 0:
            raise ValueError("expected a beta above 0 for GECO to start at, got 0")
        super().__init__(event_shape, context_shape, config)
        first = 1 / config.beta if config.rule == "geco" else config.beta
        self.register_buffer("multiplier", torch.tensor(float(first)))
        self.register_buffer("running_mean", torch.zeros(()))
        self.register_buffer("num_adjusted", torch.zeros((), dtype=torch.int64))

    @property
    def beta(self) -> Tensor:
        """() weight of the rate where the distortion's is 1."""
        return 1 / self.multiplier if self.config.rule == "geco" else self.multiplier

    def adjust(self, x: Tensor, context: Tensor | None, rng: torch.Generator | None) -> None:
        """Move the multiplier by how far a batch, under the new parameters, is from the limit."""
        config = self.config
        if config.rule == "fixed":
            return
        with torch.no_grad():
            value = average_numbers(self._limited(x, context, rng).mean())
            decay = config.running_decay * (self.num_adjusted > 0)  # the first one is the mean
            self.running_mean.copy_(decay * self.running_mean + (1 - decay) * value)
            excess = self.running_mean - config.limit
            if config.rule == "geco":
                moved = self.multiplier * (config.multiplier_step * excess.clamp(-1, 1)).exp()
                self.multiplier.copy_(moved.clamp(1 / _LARGEST, _LARGEST))
            else:
                self.multiplier.add_(config.multiplier_step * excess).clamp_(min=0)
            self.num_adjusted.add_(1)

    def _limited(self, x: Tensor, context: Tensor | None, rng: torch.Generator | None) -> Tensor:
        """(B,) rates or distortions, of whichever there is a limit."""
        if self.config.rule == "geco":
            return -self.model.bound_parts(x, context, rng)[0]
        return kl_from_standard(*self.model.posterior(x, context))

    def _loss(self, x: Tensor, context: Tensor | None, rng: torch.Generator | None) -> Tensor:
        log_likelihood, rate = self.model.bound_parts(x, context, rng)
        if self.config.rule == "geco":
            return rate + self.multiplier * (-log_likelihood - self.config.limit)
        limit = self.config.limit if self.config.rule == "constraint" else 0.0
        return self.multiplier * (rate - limit) - log_likelihood
