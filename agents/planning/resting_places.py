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

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy.typing import NDArray

from ...envs.mdp import TabularMDP
from .end_components import ending_pairs, maximal_end_components, steps_towards
from .error_bounds import UNIT_ROUNDING

__all__ = ["RestingPlaces", "negligible_reward"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_AVERAGE_SWEEPS = 20_000


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
        nothing = negligible_reward(mdp)
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


def negligible_reward(mdp: TabularMDP) -> float:
    """Expected rewards up to this size may be a sum that is 0 but for rounding."""
    longest = int(np.diff(mdp.row_starts).max())
    return 2 * (longest - 1) * UNIT_ROUNDING * float(np.abs(mdp.rewards).max())


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
    mdp: TabularMDP, rewards: Floats, usable: Bools, labels: Ints, nothing: float
) -> None:
    """Raise where an end component that is no resting place does not lose on average."""
    if not (rewards[usable] > nothing).any():
        return  # no pair gains: what is left, without resting places, loses
    node = _joined(labels)
    components, inside = maximal_end_components(mdp, usable, node)
    for component in range(int(components.max(initial=-1)) + 1):
        states = components == component
        pairs = inside & np.repeat(states, mdp.num_actions)
        if (rewards[pairs] > nothing).any():
            _refuse_gain(mdp, rewards, np.flatnonzero(pairs), node)


def _joined(labels: Ints) -> Ints:
    """(S,) numbers from 0 that are equal within a place and otherwise differ."""
    apart = np.where(labels >= 0, labels, labels.max(initial=-1) + 1 + np.arange(len(labels)))
    return np.unique(apart, return_inverse=True)[1].astype(np.int64)


def _refuse_gain(mdp: TabularMDP, rewards: Floats, pairs: Ints, node: Ints) -> None:
    matrix = mdp.continuation_matrix()[pairs]
    home = node[pairs // mdp.num_actions]
    order = np.argsort(home, kind="stable")
    matrix, home, pairs = matrix[order], home[order], pairs[order]
    first = np.flatnonzero(np.concatenate(([True], np.diff(home) > 0)))
    nodes = home[first]
    bias = np.zeros(int(node.max()) + 1)
    state = int(pairs[0]) // mdp.num_actions
    for _ in range(_AVERAGE_SWEEPS):
        # half a step of standing still makes a periodic chain converge
        pair_values = rewards[pairs] + matrix @ bias[node]
        change = np.maximum.reduceat(pair_values, first) - bias[nodes]
        if change.min() > 0:
            raise ValueError(
                f"discount 1: expected finite total rewards, got state {state}, from which a "
                f"policy earns at least {change.min():.3g} a step for ever: its value is plus "
                f"infinity (use a discount below 1, or backward_induction)"
            )
        if change.max() < 0:
            return
        bias[nodes] += 0.5 * change
        bias[nodes] -= bias[nodes[0]]
    raise ValueError(
        f"discount 1: expected total rewards that settle, got state {state}, from which a policy "
        f"can go round for ever with gains and losses that cancel: its total has no limit"
    )
