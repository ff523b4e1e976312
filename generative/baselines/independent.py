r"""Every entry on its own: the baseline that knows nothing of how entries go together.

.. math:: \log p(x) = \sum_d \log p_d(x_d),

with Bernoulli, categorical or Gaussian :math:`p_d`, by the support of the events. Fitting is by
maximum likelihood: frequencies, or means and deviations. Frequencies count half an event more for
every value (Krichevsky and Trofimov), so that none is impossible.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from jaxtyping import Shaped
from torch import Tensor, nn
from torch.distributions import constraints

from ..conditionals import (
    AbstractConditional,
    BernoulliConditional,
    CategoricalConditional,
    GaussianMixture,
)
from ..generator import AbstractDensity
from .finite_entries import is_boolean, levels_of, num_levels_of, smoothed_frequencies

__all__ = ["Independent"]

_HIGHEST_LOGIT = 1_000.0  # of a value that never occurs, without smoothing


class Independent(AbstractDensity):
    """Independent entries. The temperature is that of their distributions (see `conditionals`).

    Args:
        event_shape: Of one event.
        conditional: What the entries' distributions are.

    Example:
        >>> x = torch.tensor([[0.0, 1.0], [1.0, 1.0], [0.0, 1.0], [1.0, 1.0]])
        >>> density = Independent.fitted(x, constraints.boolean, smoothing=0.0)
        >>> density.log_prob(x[:1]).exp()
        tensor([0.5000], grad_fn=<ExpBackward0>)
    """

    def __init__(self, event_shape: Sequence[int], conditional: AbstractConditional) -> None:
        super().__init__(event_shape, support=conditional.support)
        self.conditional = conditional
        start = conditional.initial_parameters()
        self.entries = nn.Parameter(start.expand(self.num_entries, -1).clone())

    @classmethod
    def fitted(
        cls,
        x: Shaped[Tensor, "batch ..."],
        support: constraints.Constraint = constraints.real,
        *,
        smoothing: float = 0.5,
    ) -> Self:
        """The one that makes events most probable.

        Args:
            x: (N, *event) events.
            support: Where they lie: ``boolean`` gives Bernoulli entries, ``integer_interval(0,
                K - 1)`` categorical ones, all else Gaussian ones.
            smoothing: Events more that every value counts for.

        Raises:
            ValueError: An event is outside the support, or there are none.
        """
        if not len(x):
            raise ValueError("expected at least one event, got none")
        num_levels = num_levels_of(support)
        if num_levels is None:
            conditional: AbstractConditional = GaussianMixture(1)
            parameters = _gaussian_parameters(x)
        else:
            levels = levels_of(x, num_levels)
            cells = torch.arange(levels.shape[1], device=x.device) * num_levels
            counts = torch.bincount((levels + cells).flatten(), minlength=num_levels * len(cells))
            shares = counts.view(-1, num_levels).double()
            log_p = smoothed_frequencies(shares, len(x), num_levels, smoothing).log()
            is_binary = is_boolean(support)
            conditional = (
                BernoulliConditional() if is_binary else CategoricalConditional(num_levels)
            )
            parameters = _logits(log_p) if is_binary else log_p
        density = cls(x.shape[1:], conditional)
        with torch.no_grad():
            density.entries.copy_(parameters)
        return density.eval()

    def _log_prob(self, x: Tensor, context: Tensor | None) -> Tensor:
        entries, num_values = x.flatten(1), self.conditional.num_values
        if num_values is None:
            spread = self.entries.expand(len(x), -1, -1)
            return self.conditional.log_prob(spread, entries).sum(dim=1)
        # one table for all events, whose own distributions would not fit into memory
        values = torch.arange(num_values, device=x.device).expand(self.num_entries, -1)
        spread = self.entries.unsqueeze(1).expand(-1, num_values, -1)
        table = self.conditional.log_prob(spread, values.to(x.dtype))
        return table[torch.arange(self.num_entries, device=x.device), entries.long()].sum(dim=1)

    def _loss(self, x: Tensor, context: Tensor | None, rng: torch.Generator | None) -> Tensor:
        return -self._log_prob(x, context)

    def _sample(
        self,
        num: int,
        context: Tensor | None,
        temperature: float,
        rng: torch.Generator | None,
    ) -> Tensor:
        drawn = self.conditional.sample(self.entries.expand(num, -1, -1), temperature, rng)
        return drawn.view(num, *self.event_shape)


def _logits(log_p: Tensor) -> Tensor:
    """(D, 1) of (D, 2) logarithms; finite, since an infinite one would make NaN."""
    return (log_p[:, 1:] - log_p[:, :1]).clamp(-_HIGHEST_LOGIT, _HIGHEST_LOGIT)


def _gaussian_parameters(x: Tensor) -> Tensor:
    """(D, 3) parameters of mixtures of one component: weight, mean, logarithm of deviation."""
    rows = x.flatten(1).double()
    mean, variance = rows.mean(dim=0), rows.var(dim=0, correction=0)
    return torch.stack([torch.zeros_like(mean), mean, variance.log() / 2], dim=1)
