r"""Where a process can stay: end components, and whether every state can get away.

An *end component* is a set of states with pairs that never leave it and that connect all its
states. Whatever a policy does, it ends (the episode) or stays in an end component for ever; so at
discount 1 the end components decide whether a total reward is finite.

Maximal end components are found by strongly connected components: pairs that can leave their
component are dropped until none is.

References:
    L. de Alfaro (1997), Formal Verification of Probabilistic Systems, section 3.3.
    C. Baier and J.-P. Katoen (2008), Principles of Model Checking, algorithm 47.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Int64
from numpy.typing import NDArray

from ...envs.mdp import TabularMDP

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["any_outcome", "ending_pairs", "maximal_end_components", "steps_towards"]

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


def any_outcome(mdp: TabularMDP, marked: Bool[Bools, " outcomes"]) -> Bool[Bools, " pairs"]:
    """(S * A,) whether any outcome of the pair is marked; False where masked."""
    counts = np.concatenate(([0], np.cumsum(marked, dtype=np.int64)))
    found: Bools = np.diff(counts[mdp.row_starts]) > 0
    return found


def ending_pairs(mdp: TabularMDP) -> Bool[Bools, " pairs"]:
    """(S * A,) whether the pair can end the episode."""
    return any_outcome(mdp, mdp.terminated)


def maximal_end_components(
    mdp: TabularMDP,
    usable: Bool[Bools, " pairs"],
    labels: Int64[Ints, " states"] | None = None,
) -> tuple[Int64[Ints, " states"], Bool[Bools, " pairs"]]:
    """The maximal end components that the usable pairs make.

    Args:
        mdp: The model.
        usable: (S * A,) pairs that may be used; none of them masked or ending.
        labels: (S,) states with equal labels, from 0, are taken as one; None keeps all apart.

    Returns:
        (S,) the number of each state's component, -1 for a state in none, and (S * A,) the pairs
        that stay in a component.
    """
    from scipy.sparse.csgraph import connected_components

    node = np.arange(mdp.num_states) if labels is None else labels
    inside = usable.copy()
    while True:
        graph = _graph(mdp, inside, node)
        _, component = connected_components(graph, directed=True, connection="strong")
        rows = _outcome_rows(mdp)
        home = component[node[rows // mdp.num_actions]]
        leaves = any_outcome(mdp, home != component[node[mdp.next_states]])
        if not (inside & leaves).any():
            break
        inside &= ~leaves
    stays = np.flatnonzero(inside) // mdp.num_actions
    result = np.full(mdp.num_states, -1, dtype=np.int64)
    in_component = np.zeros(int(node.max()) + 1, dtype=np.bool_)
    in_component[node[stays]] = True
    members = in_component[node]
    _, result[members] = np.unique(component[node[members]], return_inverse=True)
    return result, inside


def steps_towards(
    mdp: TabularMDP,
    usable: Bool[Bools, " pairs"],
    targets: Bool[Bools, " states"],
) -> tuple[Int64[Ints, " states"], Int64[Ints, " states"]]:
    """How to get to the targets: breadth-first, backwards over the usable pairs.

    Args:
        mdp: The model.
        usable: (S * A,) pairs that may be used.
        targets: (S,) where to get to.

    Returns:
        (S,) a rank that is 0 for targets, -1 for states that cannot get there, and otherwise such
        that the state's row has a chance of a step to a lower rank; and (S,) that row, the lowest
        of a state, -1 where there is none or the state is a target.
    """
    from scipy.sparse import csr_array, hstack, vstack
    from scipy.sparse.csgraph import breadth_first_order

    num_states = mdp.num_states
    rank = np.full(num_states, -1, dtype=np.int64)
    chosen = np.full(num_states, -1, dtype=np.int64)
    if not targets.any():
        return rank, chosen
    backwards = _graph(mdp, usable, np.arange(num_states)).T.tocsr()
    source = csr_array(targets[None, :].astype(np.float64))
    nothing = csr_array((num_states + 1, 1))
    graph = hstack([vstack([backwards, source]), nothing]).tocsr()
    order = breadth_first_order(graph, num_states, return_predecessors=False)[1:]
    rank[order] = np.arange(1, len(order) + 1)
    rank[targets] = 0
    rows = _outcome_rows(mdp)
    there = rank[mdp.next_states]
    lower = ~mdp.terminated & (there >= 0) & (there < rank[rows // mdp.num_actions])
    closer = any_outcome(mdp, lower) & usable
    by_state = closer.reshape(num_states, mdp.num_actions)
    movers = by_state.any(axis=1) & (rank > 0)
    first = np.argmax(by_state, axis=1)
    chosen[movers] = np.flatnonzero(movers) * mdp.num_actions + first[movers]
    return rank, chosen


def _outcome_rows(mdp: TabularMDP) -> Ints:
    return np.repeat(np.arange(len(mdp.row_starts) - 1), np.diff(mdp.row_starts))


def _graph(mdp: TabularMDP, usable: Bools, node: Ints) -> csr_array[np.float64]:
    from scipy.sparse import csr_array

    rows = _outcome_rows(mdp)
    kept = usable[rows] & ~mdp.terminated
    here = node[rows[kept] // mdp.num_actions]
    there = node[mdp.next_states[kept]]
    size = int(node.max()) + 1
    return csr_array((np.ones(len(here)), (here, there)), shape=(size, size))
