r"""The Bellman operator of a model, prepared once and applied by every planner.

.. math:: (TV)(s) = \max_a \Big[ r(s, a) + \gamma \sum_{s'} c(s' \mid s, a) V(s') \Big],

where :math:`c` leaves out the outcomes that terminate. Nothing of the model is copied: the
operator holds the expected rewards (S * A) and at most one byte per state.

Termination needs no look at the flags when every state that a terminated outcome enters is entered
by terminated outcomes only (goals and pits of a grid): such states are *pinned* to 0 during the
sweeps, and get their own value, which no other state sees, at the end.

References:
    M. L. Puterman (1994), Markov Decision Processes, section 6.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64
from numpy.typing import ArrayLike, NDArray

from ...envs.mdp import TabularMDP
from . import bellman_sweeps
from .error_bounds import BackupErrors
from .resting_places import RestingPlaces

__all__ = ["BellmanOperator", "check_discount", "check_planner_arguments"]

Floats = NDArray[np.float64]


def check_discount(mdp: TabularMDP, discount: float) -> None:
    """Raise where the model is of the wrong type or the discount outside [0, 1].

    Raises:
        TypeError: ``mdp`` is no `TabularMDP`, or the discount no number.
        ValueError: The discount is outside [0, 1].
    """
    model: object = mdp
    if not isinstance(model, TabularMDP):
        raise TypeError(
            f"expected a TabularMDP, got {type(model).__name__} "
            f"(TabularMDP.from_env reads the model of an environment)"
        )
    given: object = discount
    if isinstance(given, bool) or not isinstance(given, int | float | np.number):
        raise TypeError(f"expected a discount in [0, 1], got {discount!r}")
    if not 0 <= discount <= 1:
        raise ValueError(f"expected a discount in [0, 1], got {discount}")


def check_planner_arguments(
    mdp: TabularMDP, *, discount: float, tolerance: float, max_sweeps: int
) -> None:
    """Raise where an argument that all planners share is wrong.

    Raises:
        TypeError: ``mdp`` is no `TabularMDP`, or the discount no number.
        ValueError: The discount is outside [0, 1], the tolerance not positive and finite, or
            ``max_sweeps`` below 1.
    """
    check_discount(mdp, discount)
    if not 0 < tolerance < np.inf:
        raise ValueError(f"expected a tolerance above 0, got {tolerance}")
    if max_sweeps < 1:
        raise ValueError(f"expected max_sweeps of at least 1, got {max_sweeps}")


@dataclass(frozen=True, eq=False)
class BellmanOperator:
    """The optimal Bellman operator; build it with `of`.

    Attributes:
        mdp: The model.
        discount: In [0, 1].
        rewards: (S * A,) expected rewards, 0 where masked.
        errors: What its backups prove.
        uniform_length: The number of outcomes where all pairs have the same, otherwise 0.
        terminates: Whether any outcome ends the episode.
        flags: (K,) the terminated flags where the sweeps must read them, otherwise None.
        pinned: (S,) states that only terminated outcomes enter, or None.
        resting: At discount 1 the places where one can stay without reward, or None.
    """

    mdp: TabularMDP
    discount: float
    rewards: Float64[Floats, " pairs"]
    errors: BackupErrors
    uniform_length: int
    terminates: bool
    flags: Bool[NDArray[np.bool_], " outcomes"] | None
    pinned: Bool[NDArray[np.bool_], " states"] | None
    resting: RestingPlaces | None = None

    @classmethod
    def of(cls, mdp: TabularMDP, discount: float, *, optimal: bool = True) -> BellmanOperator:
        """Prepare the operator: one pass over the outcomes.

        Args:
            mdp: The model.
            discount: In [0, 1].
            optimal: Whether optimal values are sought; at discount 1 they must be finite.

        Raises:
            ValueError: The discount is 1 and some state's optimal value is not finite.
        """
        rewards = np.empty(mdp.num_states * mdp.num_actions)
        entered = np.zeros(mdp.num_states, dtype=np.uint8)
        least, greatest, largest, shortest, longest = bellman_sweeps.summarise_rows(
            mdp.row_starts,
            mdp.next_states,
            mdp.probabilities,
            mdp.rewards,
            mdp.terminated,
            rewards,
            entered,
        )
        terminates, mixed = bool((entered & 1).any()), bool((entered == 3).any())
        return cls(
            mdp=mdp,
            discount=float(discount),
            rewards=rewards,
            errors=BackupErrors.of_sums(
                discount=discount,
                least_sum=least,
                greatest_sum=greatest,
                largest_reward=largest,
                num_products=longest,
            ),
            uniform_length=longest if shortest == longest else 0,
            terminates=terminates,
            flags=mdp.terminated if mixed else None,
            pinned=entered == 1 if terminates and not mixed else None,
            resting=RestingPlaces.of(mdp, rewards) if discount == 1 and optimal else None,
        )

    @property
    def num_states(self) -> int:
        """S."""
        return self.mdp.num_states

    def starting_values(self, initial_values: ArrayLike | None) -> Float64[Floats, " states"]:
        """A fresh (S,) vector to sweep: ``initial_values`` or zeros, pinned states at 0.

        Raises:
            ValueError: The shape is wrong or a value is not finite.
        """
        if initial_values is None:
            return np.zeros(self.num_states)
        values = np.array(initial_values, dtype=np.float64)
        if values.shape != (self.num_states,) or not np.isfinite(values).all():
            raise ValueError(
                f"expected {self.num_states} finite initial values, got "
                f"shape {values.shape}{'' if np.isfinite(values).all() else ' with NaN or inf'}"
            )
        if self.pinned is not None:
            values[self.pinned] = 0.0
        if self.resting is not None:
            self.resting.level(values)
        return values

    @property
    def skip(self) -> Bool[NDArray[np.bool_], " pairs"] | None:
        """(S * A,) the pairs that stay in a resting place, or None where there are none."""
        return self.resting.inside if self.resting is not None and self.resting.any else None

    def improve(
        self,
        values: Float64[Floats, " states"],
        out: Float64[Floats, " states"],
        chosen: Int64[NDArray[np.int64], " states"],
    ) -> tuple[float, float, float]:
        """One synchronous sweep, ``out = T(values)``.

        Args:
            values: (S,) read.
            out: (S,) written.
            chosen: (S,) written: the first best row, s * A + a, or -1 where none counts.

        Returns:
            The least and the greatest change, and the largest absolute value in ``out``.
        """
        mdp = self.mdp
        lowest, highest, largest = bellman_sweeps.improve(
            values,
            out,
            chosen,
            self.rewards,
            None if self.uniform_length else mdp.row_starts,
            mdp.next_states,
            mdp.probabilities,
            self.flags,
            self.skip,
            self.pinned,
            mdp.num_actions,
            self.uniform_length,
            self.discount,
        )
        if lowest > highest:  # every state is pinned
            return 0.0, 0.0, 0.0
        if self.resting is None or not self.resting.any:
            return lowest, highest, largest
        self.resting.lead(out, chosen)
        self.resting.level(out)
        change = out - values
        return float(change.min()), float(change.max()), float(np.abs(out).max())

    def improve_in_place(
        self,
        values: Float64[Floats, " states"],
        order: Int32[NDArray[np.int32], " states"] | None = None,
    ) -> float:
        """One Gauss–Seidel sweep in the given order (None: as numbered).

        Resting places are one state each and come last. Returns the greatest absolute change.
        """
        mdp, members = self.mdp, None
        if self.resting is not None and self.resting.any:
            members = self.resting.members
            order = np.arange(self.num_states, dtype=np.int32) if order is None else order
            order = order[self.resting.labels[order] < 0]
        change: float = bellman_sweeps.improve_in_place(
            values,
            order,
            self.rewards,
            None if self.uniform_length else mdp.row_starts,
            mdp.next_states,
            mdp.probabilities,
            self.flags,
            None,
            self.pinned,
            mdp.num_actions,
            self.uniform_length,
            self.discount,
        )
        if members is not None and self.resting is not None:
            old = values[members]
            values[members] = self.best_values(values, members)
            self.resting.level(values)
            change = max(change, float(np.abs(values[members] - old).max()))
        return change

    def best_values(
        self, values: Float64[Floats, " states"], states: Int64[NDArray[np.int64], " some"]
    ) -> Float64[Floats, " some"]:
        """The best pair's value of some states, -inf where all pairs are left out."""
        mdp = self.mdp
        out = np.empty(len(states))
        bellman_sweeps.best_values_of(
            states,
            values,
            out,
            self.rewards,
            mdp.row_starts,
            mdp.next_states,
            mdp.probabilities,
            self.flags,
            self.skip,
            mdp.num_actions,
            self.discount,
        )
        return out

    def action_values(
        self, values: Float64[Floats, " states"]
    ) -> Float64[Floats, "states actions"]:
        """(S, A) values of every pair, -inf where masked; ``values`` are 0 where pinned."""
        mdp = self.mdp
        out = np.empty(mdp.num_states * mdp.num_actions)
        bellman_sweeps.action_values_of(
            values,
            out,
            self.rewards,
            mdp.row_starts,
            mdp.next_states,
            mdp.probabilities,
            self.flags,
            self.discount,
        )
        return out.reshape(mdp.num_states, mdp.num_actions)

    def counted_pairs(self) -> Int64[NDArray[np.int64], " counted"]:
        """The rows that constrain the values: not masked, not resting, of states not pinned."""
        counted = np.diff(self.mdp.row_starts) > 0
        if self.skip is not None:
            counted &= ~self.skip
        if self.pinned is not None:
            counted &= np.repeat(~self.pinned, self.mdp.num_actions)
        return np.flatnonzero(counted)

    def without_resting(
        self, action_values: Float64[Floats, "states actions"]
    ) -> Float64[Floats, "states actions"]:
        """The values with those of pairs that stay in a resting place at -inf."""
        if self.skip is None:
            return action_values
        inside = self.skip.reshape(action_values.shape)
        return np.where(inside, -np.inf, action_values)

    def shift(
        self, values: Float64[Floats, " states"], middle: float
    ) -> Float64[Floats, " states"]:
        """The values moved by a constant, in place; pinned states stay at 0."""
        values += middle
        if self.pinned is not None:
            values[self.pinned] = 0.0
        return values
