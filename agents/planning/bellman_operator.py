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
from jaxtyping import Bool, Float64, Int64, UInt8
from numpy.typing import ArrayLike, NDArray

from ...envs.arguments import real_array, real_number, whole_number
from ...envs.mdp import TabularMDP
from . import bellman_sweeps
from .error_bounds import BackupErrors
from .policy_rows import PolicyRows
from .resting_places import RestingPlaces

__all__ = ["BellmanOperator", "check_discount", "check_planner_arguments"]

Floats = NDArray[np.float64]

_PADDING = 1.3  # rows are padded to equal length where that costs no more than this
_CONSTANT_FROM = 200_000  # outcomes, from which constant loops are worth being compiled
_CONSTANT_TO = 32  # actions or outcomes of a pair, to which a loop of constant length is faster


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
    if isinstance(given, bool) or not isinstance(given, int | float | np.integer | np.floating):
        raise TypeError(f"expected a discount in [0, 1], got {discount!r}")
    if not 0 <= discount <= 1:
        raise ValueError(f"expected a discount in [0, 1], got {discount}")


def check_planner_arguments(
    mdp: TabularMDP, *, discount: float, tolerance: float, max_sweeps: int
) -> None:
    """Raise where an argument that all planners share is wrong.

    Raises:
        TypeError: ``mdp`` is no `TabularMDP`, the discount or the tolerance no number, or
            ``max_sweeps`` no whole number.
        ValueError: The discount is outside [0, 1], the tolerance not positive and finite, or
            ``max_sweeps`` below 1.
    """
    check_discount(mdp, discount)
    if not real_number(tolerance, "tolerance") > 0:
        raise ValueError(f"expected a tolerance above 0, got {tolerance}")
    whole_number(max_sweeps, "max_sweeps", least=1)


@dataclass(frozen=True, eq=False)
class BellmanOperator:
    """The optimal Bellman operator; build it with `of`.

    Attributes:
        mdp: The model.
        discount: In [0, 1].
        rewards: (S * A,) expected rewards, 0 where masked.
        errors: What its backups prove.
        terminates: Whether any outcome ends the episode.
        flags: (K,) the terminated flags where the sweeps must read them, otherwise None.
        pinned: (S,) states that only terminated outcomes enter, or None.
        resting: At discount 1 the places where one can stay without reward, or None.
        width: The most outcomes of a pair where most pairs have as many, otherwise 0.
        kinds: (S,) how sweeps treat each state (`bellman_sweeps`), or None where all are regular.
    """

    mdp: TabularMDP
    discount: float
    rewards: Float64[Floats, " pairs"]
    errors: BackupErrors
    terminates: bool
    flags: Bool[NDArray[np.bool_], " outcomes"] | None
    pinned: Bool[NDArray[np.bool_], " states"] | None
    resting: RestingPlaces | None
    width: int
    kinds: UInt8[NDArray[np.uint8], " states"] | None

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
        least, greatest, largest = bellman_sweeps.summarise_rows(
            mdp.row_starts,
            mdp.next_states,
            mdp.probabilities,
            mdp.rewards,
            mdp.terminated,
            rewards,
            entered,
        )
        shortest, longest = bellman_sweeps.row_lengths(mdp.row_starts)
        terminates, mixed = bool((entered & 1).any()), bool((entered == 3).any())
        pinned = entered == 1 if terminates and not mixed else None
        resting = RestingPlaces.of(mdp, rewards) if discount == 1 and optimal else None
        skip = resting.inside if resting is not None and resting.any else None
        width = longest if len(rewards) * longest <= _PADDING * mdp.num_outcomes else 0
        kinds = None
        if mixed or width == 0:
            kinds = np.full(mdp.num_states, bellman_sweeps.IRREGULAR, dtype=np.uint8)
        elif pinned is not None or skip is not None or shortest != longest:
            kinds = entered  # of no more use
            bellman_sweeps.state_kinds(mdp.row_starts, pinned, skip, width, kinds)
        if kinds is not None and pinned is not None:
            kinds[pinned] = bellman_sweeps.PINNED
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
            terminates=terminates,
            flags=mdp.terminated if mixed else None,
            pinned=pinned,
            resting=resting,
            width=width,
            kinds=kinds,
        )

    @property
    def num_states(self) -> int:
        """S."""
        return self.mdp.num_states

    def starting_values(self, initial_values: ArrayLike | None) -> Float64[Floats, " states"]:
        """A fresh (S,) vector to sweep: ``initial_values`` or zeros, pinned states at 0.

        Raises:
            TypeError: They are no numbers.
            ValueError: The shape is wrong or a value is not finite.
        """
        if initial_values is None:
            return np.zeros(self.num_states)
        values = real_array(initial_values, "initial values").copy()
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

    @property
    def sizes(self) -> tuple[bellman_sweeps.Extent, bellman_sweeps.Extent]:
        """The number of actions and the width as kernels take them: constants for large models."""
        num_actions, width = self.mdp.num_actions, self.width
        if self.mdp.num_outcomes < _CONSTANT_FROM or max(num_actions, width) > _CONSTANT_TO:
            return num_actions, width
        return (0,) * num_actions, (0,) * width

    def improve(
        self,
        values: Float64[Floats, " states"],
        out: Float64[Floats, " states"],
        chosen: Int64[NDArray[np.int64], " states"] | None = None,
        rows: PolicyRows | None = None,
    ) -> tuple[float, float, float]:
        """One synchronous sweep, ``out = T(values)``.

        Args:
            values: (S,) read.
            out: (S,) written.
            chosen: (S,) written: the first best row, s * A + a, or -1 where none counts. Needed
                where there are resting places.
            rows: Written with the best rows; from `PolicyRows.padded`.

        Returns:
            The least and the greatest change, and the largest absolute value in ``out``.
        """
        lowest, highest, largest = self._sweep(values, out, chosen=chosen, rows=rows)
        if lowest > highest:  # every state is pinned
            return 0.0, 0.0, 0.0
        if self.resting is None or not self.resting.any:
            return lowest, highest, largest
        if chosen is not None:
            self.resting.lead(out, chosen)
        self.resting.level(out)
        change = out - values
        return float(change.min()), float(change.max()), float(np.abs(out).max())

    def improve_in_place(
        self,
        values: Float64[Floats, " states"],
        *,
        backwards: bool = False,
        chosen: Int64[NDArray[np.int64], " states"] | None = None,
        rows: PolicyRows | None = None,
    ) -> tuple[float, float]:
        """One Gauss–Seidel sweep, from the first state to the last or backwards.

        Resting places are one state each and come last; ``chosen`` and ``rows`` are for models
        without.

        Args:
            values: (S,) read and written.
            backwards: Whether to begin with the last state.
            chosen: See `improve`.
            rows: See `improve`.

        Returns:
            The greatest absolute change, and the largest absolute value.
        """
        if self.resting is None or not self.resting.any:
            lowest, highest, largest = self._sweep(
                values, values, chosen=chosen, rows=rows, backwards=backwards
            )
            return max(-lowest, highest, 0.0), largest
        members, kinds = self.resting.members, self.kinds
        assert kinds is not None  # states in resting places are not regular
        kinds = kinds.copy()
        kinds[members] = bellman_sweeps.LEFT_ALONE
        lowest, highest, largest = self._sweep(values, values, kinds=kinds, backwards=backwards)
        old = values[members]
        values[members] = self.best_values(values, members)
        self.resting.level(values)
        change = max(-lowest, highest, float(np.abs(values[members] - old).max()))
        return change, max(largest, float(values[members].max()))

    def _sweep(
        self,
        values: Floats,
        out: Floats,
        *,
        chosen: NDArray[np.int64] | None = None,
        action_values: Floats | None = None,
        rows: PolicyRows | None = None,
        kinds: NDArray[np.uint8] | None = None,
        backwards: bool = False,
    ) -> tuple[float, float, float]:
        mdp = self.mdp
        num_actions, width = self.sizes
        lowest, highest, largest = bellman_sweeps.improve(
            values,
            out,
            chosen,
            action_values,
            None if rows is None else rows.next_states,
            None if rows is None else rows.probabilities,
            None if rows is None else rows.rewards,
            self.kinds if kinds is None else kinds,
            self.rewards,
            mdp.row_starts,
            mdp.next_states,
            mdp.probabilities,
            self.flags,
            self.skip,
            num_actions,
            width,
            self.discount,
            backwards,
        )
        return lowest, highest, largest

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
    ) -> tuple[Float64[Floats, "states actions"], Float64[Floats, " states"]]:
        """One backup of all states, the pinned as well.

        Args:
            values: (S,) values, 0 where pinned.

        Returns:
            (S, A) values of every pair, -inf where masked, and (S,) the best of those that are
            not inside a resting place.
        """
        action_values, best = np.empty(len(self.rewards)), np.empty_like(values)
        kinds = self.kinds
        if kinds is not None and self.pinned is not None:
            kinds = np.where(self.pinned, np.uint8(bellman_sweeps.IRREGULAR), kinds)
        self._sweep(values, best, action_values=action_values, kinds=kinds)
        return action_values.reshape(len(values), self.mdp.num_actions), best

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
