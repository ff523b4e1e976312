r"""Total rewards without discount: are they finite, and where can one rest for nothing?

At discount 1 the optimal value solves :math:`V = TV`, but not it alone: in a set of states between
which one can move for ever at no reward, any common value does. Such sets, the maximal end
components of the pairs without reward, are the *resting places*. Each is treated as one state with
one more choice, to stay for a total of 0:

.. math:: V(C) = \max\Big(0,\; \max_{s \in C,\, a \text{ leaves}} \Big[ r(s, a)
   + \sum_{s'} c(s' \mid s, a) V(s') \Big]\Big).

What remains has one solution if every end component left loses reward on average and every state
can get to the end of its episode or to a resting place. Otherwise some value is infinite or
does not exist, and `RestingPlaces.of` says so before anything is iterated:

* an end component whose best average reward is positive: its values are plus infinity;
* a state that can get neither to an end nor to a resting place: its value is minus infinity.

The average reward of an end component is bounded by :math:`\min_s (Th - h)(s) \le g \le \max_s (Th
- h)(s)` for any h (Odoni 1969; Puterman 1994, theorem 8.5.5).

References:
    D. P. Bertsekas and J. N. Tsitsiklis (1991), An analysis of stochastic shortest path problems.
    S. Haddad and B. Monmege (2014), Reachability in MDPs: refining convergence of value iteration.
    C. Baier, J. Klein, L. Leuschner, D. Parker and S. Wunderlich (2017), Ensuring the reliability
        of your model checker: interval iteration for Markov decision processes.
    M. L. Puterman (1994), Markov Decision Processes, sections 7.1 to 7.3 and 8.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy.typing import NDArray

from ...envs.mdp import TabularMDP
from .end_components import ending_pairs, maximal_end_components, steps_towards
from .error_bounds import UNIT_ROUNDING

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["RestingPlaces", "negligible_rewards"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_SWEEPS = 1_000  # of relative value iteration, before a linear program is asked
_MOST_SWEEPS = 20_000  # where that would be too large
_LARGE = 20_000  # pairs


@dataclass(frozen=True, eq=False)
class RestingPlaces:
    """The resting places of a model whose optimal total rewards are finite; build it with `of`.

    Attributes:
        labels: (S,) the number of a state's place, -1 for states in none.
        members: (N,) the states in places, place by place.
        starts: (number of places,) where each begins in ``members``.
        inside: (S * A,) the pairs that stay in a place at no reward.
        way_out: (S,) a row that leads towards an end or a resting place with some chance, lowest
            first; -1 in the places. It makes a proper policy.
    """

    labels: Int64[Ints, " states"]
    members: Int64[Ints, " members"]
    starts: Int64[Ints, " places"]
    inside: Bool[Bools, " pairs"]
    way_out: Int64[Ints, " states"]

    @classmethod
    def of(cls, mdp: TabularMDP, rewards: Float64[Floats, " pairs"]) -> RestingPlaces:
        """Find the places and check that all optimal total rewards are finite.

        Args:
            mdp: The model.
            rewards: (S * A,) expected rewards.

        Raises:
            ValueError: Some state's optimal total reward is infinite or does not exist; the
                message names it.
        """
        nothing = negligible_rewards(mdp)
        ends = ending_pairs(mdp)
        usable = (np.diff(mdp.row_starts) > 0) & ~ends
        labels = np.full(mdp.num_states, -1, dtype=np.int64)
        inside = np.zeros(len(rewards), dtype=np.bool_)
        free = usable & (np.abs(rewards) <= nothing)
        if free.any():
            labels, inside = maximal_end_components(mdp, free)
        _refuse_gains(mdp, rewards, usable & ~inside, labels, nothing)
        way_out = _way_out(mdp, ends, labels)
        members = np.flatnonzero(labels >= 0)
        members = members[np.argsort(labels[members], kind="stable")]
        starts = np.searchsorted(labels[members], np.arange(labels.max(initial=-1) + 1))
        return cls(labels, members, starts.astype(np.int64), inside, way_out)

    @property
    def any(self) -> bool:
        """Whether there are such places."""
        return len(self.members) > 0

    def joined(self) -> Int64[Ints, " states"]:
        """(S,) numbers from 0 that are equal within a place and otherwise differ."""
        return _joined(self.labels)

    def leaders(self, scores: Float64[Floats, " states"]) -> Int64[Ints, " places"]:
        """The state of each place with the best score, the lowest of equals."""
        order = np.lexsort((-scores[self.members], self.labels[self.members]))
        leaders: Ints = self.members[order][self.starts]
        return leaders

    def level(self, values: Float64[Floats, " states"]) -> None:
        """Give all states of a place the best value in it, at least 0, in place."""
        if self.any:
            best = np.maximum(np.maximum.reduceat(values[self.members], self.starts), 0.0)
            values[self.members] = best[self.labels[self.members]]

    def lead(self, values: Float64[Floats, " states"], chosen: Int64[Ints, " states"]) -> None:
        """Let all states of a place choose what its best state chose, or -1 for resting.

        Args:
            values: (S,) each state's own best value, before `level`.
            chosen: (S,) each state's own row; changed in place.
        """
        if not self.any:
            return
        leaders = self.leaders(values)
        rows = np.where(values[leaders] > 0, chosen[leaders], -1)
        chosen[self.members] = rows[self.labels[self.members]]

    def spread(self, mdp: TabularMDP, chosen: Int64[Ints, " states"]) -> Int64[Ints, " states"]:
        """(S,) actions that carry out what the places chose.

        Args:
            mdp: The model.
            chosen: (S,) rows after `lead`: the states of a place name one row of one of them.

        Returns:
            In a place that rests the lowest action that stays; in one that leaves, that of the row
            in its own state, and in the others an action that stays and comes nearer to it.
        """
        rows = np.arange(mdp.num_states)
        leaders = (self.labels >= 0) & (chosen >= 0) & (chosen // mdp.num_actions == rows)
        _, towards = steps_towards(mdp, self.inside, leaders)
        stay = np.argmax(self.inside.reshape(mdp.num_states, mdp.num_actions), axis=1)
        policy = np.where(chosen >= 0, chosen % mdp.num_actions, stay)
        follows = (self.labels >= 0) & (chosen >= 0) & ~leaders
        policy[follows] = towards[follows] % mdp.num_actions
        return policy


def negligible_rewards(mdp: TabularMDP) -> Float64[Floats, " pairs"]:
    """(S * A,) expected rewards up to this size may be sums that are 0 but for rounding.

    It goes by the pair's own rewards: a small one counts, however large those of others are.
    """
    lengths = np.diff(mdp.row_starts)
    filled = np.flatnonzero(lengths)
    sizes = np.zeros(len(lengths))
    sizes[filled] = np.add.reduceat(
        mdp.probabilities * np.abs(mdp.rewards), mdp.row_starts[filled]
    )
    return np.where(lengths > 1, 2 * UNIT_ROUNDING * lengths * sizes, 0.0)


def _way_out(mdp: TabularMDP, ends: Bools, labels: Ints) -> Ints:
    by_state = ends.reshape(mdp.num_states, mdp.num_actions)
    goals = by_state.any(axis=1) | (labels >= 0)
    rank, chosen = steps_towards(mdp, np.diff(mdp.row_starts) > 0, goals)
    if (rank < 0).any():
        raise ValueError(
            f"discount 1: expected every state to be able to end its episode, or to rest without "
            f"reward, got state {int(np.argmax(rank < 0))}, which no policy leads there: its "
            f"value is minus infinity (use a discount below 1, or backward_induction)"
        )
    ending = by_state.any(axis=1) & (labels < 0)
    states = np.flatnonzero(ending)
    chosen[states] = states * mdp.num_actions + np.argmax(by_state[states], axis=1)
    return chosen


def _refuse_gains(
    mdp: TabularMDP, rewards: Floats, usable: Bools, labels: Ints, nothing: Floats
) -> None:
    """Raise where an end component that is no resting place does not lose on average."""
    gains = rewards > nothing
    if not gains[usable].any():
        return  # no pair gains: what is left, without resting places, loses
    node = _joined(labels)
    components, stays = maximal_end_components(mdp, usable, node)
    pairs = np.flatnonzero(stays)
    states = pairs // mdp.num_actions
    order = np.lexsort((node[states], components[states]))  # by component, and by node in each
    cuts = np.flatnonzero(np.diff(components[states[order]])) + 1
    matrix = mdp.continuation_matrix()
    for inside in np.split(pairs[order], cuts):
        if gains[inside].any():
            home = node[inside // mdp.num_actions]
            component = _Component.of(matrix[inside], rewards[inside], home, node)
            _refuse_gain(component, int(inside[0]) // mdp.num_actions)


def _joined(labels: Ints) -> Ints:
    """(S,) numbers from 0 that are equal within a place and otherwise differ."""
    apart = np.where(labels >= 0, labels, labels.max(initial=-1) + 1 + np.arange(len(labels)))
    return np.unique(apart, return_inverse=True)[1].astype(np.int64)


def _refuse_gain(component: _Component, state: int) -> None:
    sign = component.sign_of_gain()
    if sign > 0:
        raise ValueError(
            f"discount 1: expected finite total rewards, got state {state}, from which a policy "
            f"earns reward on average for ever: its value is plus infinity (use a discount below "
            f"1, or backward_induction)"
        )
    if sign == 0:
        raise ValueError(
            f"discount 1: expected total rewards that settle, got state {state}, from which a "
            f"policy can go round for ever with gains and losses that cancel: its total has no "
            f"limit"
        )


@dataclass(frozen=True, eq=False)
class _Component:
    """The pairs of an end component, in the order of their nodes (states, or resting places).

    Attributes:
        rewards: (P,) expected rewards, as shares of the greatest.
        matrix: (P, N) probabilities of the next node.
        first: (N,) the first pair of each node.
        noise: How far rounding can move a change, for a bias of at most 1.
    """

    rewards: Float64[Floats, " pairs"]
    matrix: csr_array[np.float64]
    first: Int64[Ints, " nodes"]
    noise: float

    @classmethod
    def of(
        cls, ahead: csr_array[np.float64], rewards: Floats, home: Ints, node: Ints
    ) -> _Component:
        from scipy.sparse import csr_array

        nodes, first = np.unique(home, return_index=True)
        rows = np.repeat(np.arange(len(home)), np.diff(ahead.indptr))
        there = np.searchsorted(nodes, node[ahead.indices])
        matrix = csr_array((ahead.data, (rows, there)), shape=(len(home), len(nodes)))
        longest = int(np.diff(ahead.indptr).max())
        scale = float(np.abs(rewards).max())
        noise = (4 * longest + 8) * UNIT_ROUNDING
        return cls(rewards / scale, matrix, first.astype(np.int64), noise)

    def sign_of_gain(self) -> int:
        """Of the best average reward: 1, -1, or 0 where it is 0 or too near to tell."""
        bias = np.zeros(len(self.first))
        small = len(self.rewards) <= _LARGE
        for _ in range(_SWEEPS if small else _MOST_SWEEPS):
            change, sign = self._change(bias)
            if sign:
                return sign
            bias += 0.5 * change  # half a step makes a periodic chain converge
            bias -= bias[0]
        if not small:
            return 0
        gain, bias = self._solve_program()
        _, sign = self._change(bias)
        return sign if sign or gain < 1e-9 else 1

    def _change(self, bias: Floats) -> tuple[Floats, int]:
        """What a backup adds to the bias, and the sign of the gain if that proves it (Odoni)."""
        values = self.rewards + self.matrix @ bias
        change: Floats = np.maximum.reduceat(values, self.first) - bias
        noise = self.noise * (1 + float(np.abs(bias).max()))
        return change, int(change.min() > noise) - int(change.max() < -noise)

    def _solve_program(self) -> tuple[float, Floats]:
        """The least g with ``g + h >= r + P h`` for some h, which is the gain, and that h.

        Sweeps take the square of its length to mix a long cycle.
        """
        from scipy.optimize import linprog
        from scipy.sparse import csr_array, hstack

        count = len(self.first)
        own = np.repeat(np.arange(count), np.diff(np.append(self.first, len(self.rewards))))
        here = csr_array((np.ones(len(own)), (np.arange(len(own)), own)), shape=self.matrix.shape)
        gain_column = csr_array(np.full((len(own), 1), -1.0))
        program: Any = linprog(  # type: ignore[call-overload]  # sparse constraints are allowed
            np.concatenate(([1.0], np.zeros(count))),
            A_ub=hstack([gain_column, self.matrix - here]).tocsr(),
            b_ub=-self.rewards,
            bounds=[(None, None), (0, 0), *[(None, None)] * (count - 1)],
            method="highs",
            options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
        )
        if program.x is None:
            return 0.0, np.zeros(count)
        return float(program.x[0]), program.x[1:]
