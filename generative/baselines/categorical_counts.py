r"""How often each category was seen: the tabular density, of which pseudo-counts are true counts.

After N events, n_k of them of category k, with a prior of :math:`\alpha` events more for each of
the K categories,

.. math:: p(k) = \frac{n_k + \alpha}{N + K \alpha} .

It learns an event by counting it: :math:`p'(k) = (n_k + 1 + \alpha) / (N + 1 + K \alpha)`. The
pseudo-count of a density, :math:`p (1 - p') / (p' - p)`, is then exactly :math:`n_k + \alpha`
(see `prediction_gain`), so that this density is the check of every other.

References:
    M. G. Bellemare, S. Srinivasan, G. Ostrovski, T. Schaul, D. Saxton, R. Munos (2016), Unifying
        count-based exploration and intrinsic motivation, arXiv:1606.01868, section 4.
    R. E. Krichevsky, V. K. Trofimov (1981), The performance of universal encoding, IEEE
        Transactions on Information Theory 27(2) (the prior of a half).
"""

from __future__ import annotations

import math
from typing import Self

import torch
from jaxtyping import Shaped
from torch import Tensor
from torch.distributions import constraints

from ..generator import AbstractDensity
from ..trainable import AbstractAdjusted

__all__ = ["CategoricalCounts"]


class CategoricalCounts(AbstractDensity, AbstractAdjusted):
    """Frequencies of one-hot events, as a `Codec` makes them of a Discrete space.

    It has no parameters, and is not for `fit`: `adjust` counts a batch, `fitted` all data. The
    temperature divides log-probabilities: 0 draws a most frequent category.

    Args:
        num_categories: K.
        prior: Events more that every category counts for, above 0; 1/2 is Krichevsky's and
            Trofimov's, 1 Laplace's.

    Attributes:
        counts: (K,) events seen of each category.
        prior: Events more of each.

    Raises:
        ValueError: There are no categories, or the prior is not positive.

    Example:
        >>> density = CategoricalCounts(2, prior=1.0)
        >>> zero, one = torch.eye(2)
        >>> density.adjust(torch.stack([zero, zero, one]), None, None)
        >>> density.counts, density.log_prob(torch.eye(2).double()).exp()
        (tensor([2., 1.], dtype=torch.float64), tensor([0.6000, 0.4000], dtype=torch.float64))
    """

    counts: Tensor

    def __init__(self, num_categories: int, *, prior: float = 0.5) -> None:
        super().__init__((num_categories,), support=constraints.one_hot)
        if not 0 < prior < math.inf:
            raise ValueError(f"expected a prior above 0, got {prior}")
        self.prior = float(prior)
        # 64 bits: counts of millions are to stay exact
        self.register_buffer("counts", torch.zeros(num_categories, dtype=torch.float64))
        self.eval()  # there is nothing that it has to be trained for first

    @classmethod
    def fitted(cls, x: Shaped[Tensor, "batch categories"], *, prior: float = 0.5) -> Self:
        """The frequencies of data.

        Args:
            x: (N, K) one-hot events.
            prior: As for the density.

        Raises:
            ValueError: An event is not one-hot, or there are none.
        """
        density = cls(x.shape[1], prior=prior)
        own = x.to(density.counts.dtype)
        density.check_events(own)
        density.adjust(own, None, None)
        return density

    def adjust(self, x: Tensor, context: Tensor | None, rng: torch.Generator | None) -> None:
        """Count (B, K) events."""
        self.counts.add_(x.sum(dim=0))

    def _log_prob(self, x: Tensor, context: Tensor | None) -> Tensor:
        return self._log_frequencies()[x.argmax(dim=1)]

    def _loss(self, x: Tensor, context: Tensor | None, rng: torch.Generator | None) -> Tensor:
        return -self._log_prob(x, context)

    def _sample(
        self,
        num: int,
        context: Tensor | None,
        temperature: float,
        rng: torch.Generator | None,
    ) -> Tensor:
        log_p = self._log_frequencies()
        if temperature == 0:
            drawn = log_p.argmax().expand(num)
        else:
            shares = (log_p / temperature).softmax(dim=0)
            drawn = torch.multinomial(shares, num, replacement=True, generator=rng)
        return torch.nn.functional.one_hot(drawn, len(log_p)).to(log_p.dtype)

    def _log_frequencies(self) -> Tensor:
        """(K,) logarithms of p."""
        weights = self.counts + self.prior
        return weights.log() - weights.sum().log()
