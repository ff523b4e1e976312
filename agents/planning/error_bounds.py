r"""How far values can be from the truth, by one backup.

Let :math:`T` be a Bellman operator with discount :math:`\gamma < 1` (the optimal one, or one
policy's) and :math:`\kappa(s, a) = \sum_{s'} c(s' \mid s, a)` the probability that the episode
goes on, between :math:`\kappa_0` and :math:`\kappa_1` over all pairs. For any values :math:`V` put
:math:`m = \min_s (TV - V)(s)` and :math:`M = \max_s (TV - V)(s)`. Then

.. math:: V + \frac{m}{1 - \gamma \kappa_m} \;\le\; V^* \;\le\; V + \frac{M}{1 - \gamma \kappa_M},
   \qquad \kappa_m = \begin{cases} \kappa_0 & m \ge 0 \\ \kappa_1 & m < 0 \end{cases},
   \quad \kappa_M = \begin{cases} \kappa_1 & M \ge 0 \\ \kappa_0 & M < 0. \end{cases}

*Proof.* Put :math:`x = M / (1 - \gamma \kappa_M)`, which has the sign of :math:`M`. Adding the
constant :math:`x` to the values adds :math:`\gamma \kappa(s, a) x` to a pair's value, which is at
most :math:`\gamma \kappa_M x` by the choice of :math:`\kappa_M`. So :math:`T(V + x) \le TV +
\gamma \kappa_M x \le V + M + \gamma \kappa_M x = V + x`, and since T is monotone and a
contraction, :math:`V^* = \lim T^n (V + x) \le V + x`. The lower side is the same with the signs
turned. Applied to :math:`TV` it gives the offsets :math:`\gamma \kappa x`. ∎

Where no episode ends and rows sum to 1 the two sides differ by :math:`(M - m) / (1 - \gamma)`: the
bound shrinks with the *span* of the last change, and the middle of the two is far nearer to the
truth than the values are. Where some rows end the episode :math:`\kappa_0` is smaller and only the
sign of a change is of use; the formula covers both.

Rounding: a pair's value is a sum of L products, computed with a relative error of at most
:math:`(2 L + 4) u` of the sum of the absolute values, :math:`u = 2^{-53}` (Higham 2002, section
3.1; the expected reward is such a sum as well). That allowance widens m and M, so the bounds hold
for the model as stored, not only in exact arithmetic.

References:
    J. B. MacQueen (1966), A modified dynamic programming method for Markovian decision problems.
    E. L. Porteus (1971), Some bounds for discounted sequential decision processes.
    M. L. Puterman (1994), Markov Decision Processes, sections 6.3.3 and 6.6.3.
    N. J. Higham (2002), Accuracy and Stability of Numerical Algorithms, section 3.1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["UNIT_ROUNDING", "BackupErrors", "value_offsets"]

UNIT_ROUNDING = 2.0**-53
_LEAST = 2.0**-1074  # a product nearer to 0 is rounded by up to half of this


def value_offsets(
    lowest: float, highest: float, *, discount: float, least_sum: float, greatest_sum: float
) -> tuple[float, float]:
    """The bounds that a backup proves: ``values + lower <= truth <= values + upper``.

    Args:
        lowest: Least change ``T(values) - values``, rounding allowance subtracted.
        highest: Greatest change, rounding allowance added.
        discount: In [0, 1].
        least_sum: Least probability of going on over all pairs.
        greatest_sum: Greatest probability of going on over all pairs.

    Returns:
        ``lower, upper``; infinite where ``discount * greatest_sum`` is not below 1.

    Example:
        >>> value_offsets(1.0, 1.0, discount=0.5, least_sum=1.0, greatest_sum=1.0)
        (2.0, 2.0)
    """
    if discount * greatest_sum >= 1 or math.isnan(lowest + highest):
        return -math.inf, math.inf
    lower = lowest / (1 - discount * (least_sum if lowest >= 0 else greatest_sum))
    upper = highest / (1 - discount * (greatest_sum if highest >= 0 else least_sum))
    return lower, upper


@dataclass(frozen=True)
class BackupErrors:
    """What is known of an operator's backups, to turn changes into bounds.

    Attributes:
        discount: In [0, 1].
        least_sum: Least probability of going on over all rows.
        greatest_sum: Greatest probability of going on over all rows.
        largest_reward: Largest absolute reward.
        num_products: The L of the module's rounding allowance.
    """

    discount: float
    least_sum: float
    greatest_sum: float
    largest_reward: float
    num_products: int

    @classmethod
    def of_sums(
        cls,
        *,
        discount: float,
        least_sum: float,
        greatest_sum: float,
        largest_reward: float,
        num_products: int,
    ) -> BackupErrors:
        """The same from computed sums.

        Sums of several terms are rounded, and so is the discount times any but 0 and 1; where that
        product is near 1 the offsets make much of it.
        """
        exact = num_products <= 1 and {least_sum, greatest_sum} <= {0.0, 1.0}
        slack = 0.0 if exact else 2 * num_products * UNIT_ROUNDING
        return cls(
            discount=float(discount),
            least_sum=least_sum * (1 - slack),
            greatest_sum=greatest_sum * (1 + slack),
            largest_reward=largest_reward,
            num_products=num_products,
        )

    @property
    def contracts(self) -> bool:
        """Whether backups bring values together in the sup norm."""
        return self.discount * self.greatest_sum < 1

    @property
    def relative_rounding(self) -> float:
        """How far rounding can move a backup, relative to the sum of its absolute terms."""
        return (2 * self.num_products + 4) * UNIT_ROUNDING

    def rounding(self, largest_value: float) -> float:
        """How far rounding can move a computed backup, values being at most so large."""
        size = self.largest_reward + self.discount * self.greatest_sum * largest_value
        underflow = (self.num_products + 2) * _LEAST if size > 0 else 0.0
        return self.relative_rounding * size + underflow

    def allowance(self, change: float, largest_value: float) -> float:
        """How far rounding can move a change of a value and the bounds computed from it.

        Before the sweep values were at most ``largest_value + change``, and the offsets are a few
        products with changes.
        """
        return self.rounding(largest_value) + self.relative_rounding * abs(change)

    def offsets(self, lowest: float, highest: float, largest: float) -> tuple[float, float]:
        """``values + lower <= truth <= values + upper`` if a backup changes values by these.

        Args:
            lowest: Least change.
            highest: Greatest change.
            largest: Largest absolute value.
        """
        rounding = self.allowance(max(-lowest, highest), largest)
        return self._offsets(lowest - rounding, highest + rounding)

    def bounds_after(
        self, lowest: float, highest: float, largest: float
    ) -> tuple[float, float, bool]:
        """What a sweep with these changes proves about the values after it.

        Args:
            lowest: Least change of the sweep.
            highest: Greatest change.
            largest: Largest absolute value.

        Returns:
            The middle of the two offsets, the largest error of the values moved there, and whether
            rounding is most of that error, so that further sweeps are of no use.
        """
        if not self.contracts:
            return 0.0, math.inf, False
        rounding = self.allowance(max(-lowest, highest), largest)
        plain_lower, plain_upper = self._offsets_after(lowest, highest)
        lower, upper = self._offsets_after(lowest - rounding, highest + rounding)
        exhausted = upper - lower >= 2 * (plain_upper - plain_lower)
        return (plain_upper + plain_lower) / 2, (upper - lower) / 2 + rounding, exhausted

    def _offsets(self, lowest: float, highest: float) -> tuple[float, float]:
        return value_offsets(
            lowest,
            highest,
            discount=self.discount,
            least_sum=self.least_sum,
            greatest_sum=self.greatest_sum,
        )

    def _offsets_after(self, lowest: float, highest: float) -> tuple[float, float]:
        lower, upper = self._offsets(lowest, highest)
        # V* = T V* <= T(V + upper): one more application shrinks the offset
        return (
            self.discount * lower * (self.least_sum if lower >= 0 else self.greatest_sum),
            self.discount * upper * (self.greatest_sum if upper >= 0 else self.least_sum),
        )
