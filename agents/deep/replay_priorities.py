r"""How likely each transition of a replay memory is to be drawn.

.. math:: P(i) = p_i^\alpha / \sum_k p_k^\alpha, \qquad p_i = |\delta_i| + \epsilon

Of the total of all :math:`p^\alpha` every one of B equal shares gives one transition. A new one
gets the largest :math:`p^\alpha` so far, 1 at first; one that is gone gets 0.

References:
    T. Schaul et al. (2016), Prioritized experience replay, arXiv:1511.05952, equation 1, section
        3.3 (proportional), algorithm 1 (new transitions), appendix B.2.1 (shares).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, Int64
from numpy.typing import NDArray

from .replay_kernels import Rings
from .sum_tree import SumTree

__all__ = ["TransitionPriorities"]

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

_LEAST_ERROR = 1e-6  # Schaul's epsilon: what has been learnt well may still be drawn


class TransitionPriorities:
    """The priorities of M members' transitions, in rings of C.

    Args:
        rings: Of the memory; read here, changed elsewhere.
        exponent: Alpha, not negative.

    Attributes:
        exponent: Alpha.
        largest: (M,) the largest priority so far, to the power of alpha.
    """

    def __init__(self, rings: Rings, exponent: float) -> None:
        self.exponent = exponent
        self.largest: Floats = np.ones(len(rings.written))
        self._rings = rings
        self._capacity = rings.places.shape[1]
        self._tree = SumTree(len(rings.written), self._capacity)
        self._nothing = np.zeros(len(rings.written))
        self._was_written = rings.written.copy()
        self._was_oldest = rings.oldest.copy()

    def follow(self) -> None:
        """Give transitions that came since the last call a priority, and those gone none."""
        written, oldest = self._rings.written, self._rings.oldest
        # in this order: a new one may lie where an old one was
        if (oldest != self._was_oldest).any():
            self._tree.set_ranges(self._was_oldest, oldest, self._nothing)
            self._was_oldest[:] = oldest
        if (written != self._was_written).any():
            self._tree.set_ranges(np.maximum(self._was_written, oldest), written, self.largest)
            self._was_written[:] = written

    def draw(
        self, batch_size: int, generators: Sequence[np.random.Generator]
    ) -> tuple[Int64[Integers, "members batch"], Float64[Floats, "members batch"]]:
        """Numbers of transitions, (M, B), and the probabilities with which they were drawn."""
        uniforms = np.empty((len(self.largest), batch_size))
        for row, generator in zip(uniforms, generators, strict=True):
            generator.random(out=row)
        places, probabilities = self._tree.draw(uniforms)
        newest = self._rings.written[:, np.newaxis] - 1
        return newest - (newest - places) % self._capacity, probabilities

    def update(
        self, indices: Int64[Integers, "members batch"], errors: Float[Any, "members batch"]
    ) -> None:
        """Set priorities by temporal-difference errors (see `ReplayMemory.update_priorities`)."""
        powers = np.abs(errors.astype(np.float64))
        powers += _LEAST_ERROR
        np.power(powers, self.exponent, out=powers)
        if not np.isfinite(powers).all():
            raise ValueError(f"expected finite errors, got {errors[~np.isfinite(powers)][0]}")
        if (indices >= self._rings.written[:, np.newaxis]).any() or (indices < 0).any():
            raise ValueError(
                f"expected indices of transitions up to {int(self._rings.written.max()) - 1}, got "
                f"{indices.min()} to {indices.max()}"
            )
        alive = indices >= self._rings.oldest[:, np.newaxis]
        self._tree.set(np.where(alive, indices % self._capacity, -1), powers)
        if powers.size:
            np.maximum(self.largest, (powers * alive).max(axis=1), out=self.largest)

    def arrays(self, members: slice) -> dict[str, NDArray[Any]]:
        """What must be kept of some members, cut to what they have filled."""
        filled = min(int(self._rings.written[members].max()), self._capacity)
        return {
            "priorities": self._tree.priorities[members, :filled],
            "largest_priority": self.largest[members],
        }

    def restore(
        self, priorities: Float64[Floats, "members filled"], largest: Float64[Floats, " members"]
    ) -> None:
        """Take up what `checked_priorities` let pass, after the rings have been restored."""
        self.largest[:] = largest
        whole = np.zeros((len(priorities), self._capacity))
        whole[:, : priorities.shape[1]] = priorities
        for row, written, oldest in zip(
            whole, self._rings.written, self._rings.oldest, strict=True
        ):
            gone = np.ones(self._capacity, dtype=np.bool_)
            gone[np.arange(oldest, written) % self._capacity] = False
            row[gone] = 0.0
        self._tree.restore(whole)
        self._was_written[:] = self._rings.written
        self._was_oldest[:] = self._rings.oldest
