"""What makes compressed rows a decision process, checked with errors that name the place.

Models have up to 10^7 outcomes and more, so the checks are vectorised and make no temporary arrays
larger than a byte per outcome or a number per pair; sorting goes chunk by chunk.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arguments import real_array
from .grid_layout import GridLayout

if TYPE_CHECKING:
    from .mdp import TabularMDP

__all__ = [
    "PROBABILITY_TOLERANCE",
    "canonical_rows",
    "check_initial_distribution",
    "check_model",
    "row_chunks",
]

PROBABILITY_TOLERANCE = 1e-8
_OUTCOMES_AT_ONCE = 1 << 19  # keeps the temporaries of a chunk small beside a large model
_OUTCOME_ARRAYS = ("next_states", "probabilities", "rewards", "terminated")
_DTYPES = {
    "row_starts": np.int64,
    "next_states": np.int32,
    "probabilities": np.float64,
    "rewards": np.float64,
    "terminated": np.bool_,
    "initial_distribution": np.float64,
}


def check_model(mdp: TabularMDP) -> None:
    """Raise a ValueError that names the first bad place, if ``mdp`` is no model."""
    _check_shapes(mdp)
    _check_outcomes(mdp)
    _check_sums(mdp)
    check_initial_distribution(mdp.initial_distribution, mdp.num_states)
    _check_options(mdp)


def check_initial_distribution(
    distribution: ArrayLike | int, num_states: int
) -> NDArray[np.float64]:
    """The (S,) initial distribution that probabilities or one state index describe.

    Raises:
        ValueError: The length, a probability, the sum or the index is wrong.
        TypeError: These are no numbers.
    """
    given = real_array(distribution, "an initial distribution")
    if given.ndim == 0 and np.asarray(distribution).dtype.kind in "iu":
        state = int(np.asarray(distribution))
        if not 0 <= state < num_states:
            raise ValueError(f"expected a start state in [0, {num_states}), got {state}")
        start = np.zeros(num_states)
        start[state] = 1.0
        return start
    start = given.copy()
    if start.shape != (num_states,):
        raise ValueError(
            f"expected an initial distribution of shape ({num_states},), got {start.shape}"
        )
    bad = np.flatnonzero(~(np.isfinite(start) & (start >= 0)))
    if len(bad):
        raise ValueError(
            f"expected initial probabilities of at least 0, got {start[bad[0]]} for state {bad[0]}"
        )
    if abs(start.sum() - 1) > PROBABILITY_TOLERANCE:
        raise ValueError(f"expected an initial distribution that sums to 1, got {start.sum():.9g}")
    return start


def row_chunks(row_starts: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Ranges (first, last) of rows that together cover all, each of bounded work.

    A chunk holds about half a million outcomes, or one row where a row is longer than that.
    """
    wanted = np.arange(_OUTCOMES_AT_ONCE, row_starts[-1], _OUTCOMES_AT_ONCE)
    inner = np.searchsorted(row_starts, wanted)
    cuts = np.unique(np.concatenate(([0], inner, [len(row_starts) - 1])))
    return pairwise(cuts.tolist())


def canonical_rows(mdp: TabularMDP) -> dict[str, NDArray[Any]]:
    """The rows sorted by next state, without impossible outcomes, equal outcomes summed.

    Sorting keeps the gathers of a sweep close together. Outcomes are summed where next state,
    reward and termination agree, so that sampling keeps the distribution of rewards. Where they
    differ in reward or termination only, these order them, so that equal models have equal arrays.
    Rows that are in order already are returned as they are, not copied.
    """
    if _in_order(mdp):
        return {name: getattr(mdp, name) for name in ("row_starts", *_OUTCOME_ARRAYS)}
    rows = {name: np.empty_like(getattr(mdp, name)) for name in _OUTCOME_ARRAYS}
    lengths = np.empty(len(mdp.row_starts) - 1, dtype=np.int64)
    filled = 0
    for first, last in row_chunks(mdp.row_starts):
        lengths[first:last], chunk = _sorted_chunk(mdp, first, last)
        count = len(chunk["next_states"])
        for name, values in chunk.items():
            rows[name][filled : filled + count] = values
        filled += count
    for values in rows.values():
        values.resize(filled, refcheck=False)  # in place: a slice would keep the rest alive
    return {"row_starts": np.concatenate(([0], np.cumsum(lengths))), **rows}


def _in_order(mdp: TabularMDP) -> bool:
    if not (mdp.probabilities > 0).all():
        return False
    here, following = mdp.next_states[:-1], mdp.next_states[1:]
    rising = following > here
    starts = mdp.row_starts[1:-1]
    rising[starts[(starts > 0) & (starts < len(mdp.next_states))] - 1] = True
    twins = np.flatnonzero(~rising)
    if (following[twins] != here[twins]).any():
        return False
    reward, next_reward = mdp.rewards[twins], mdp.rewards[twins + 1]
    later = mdp.terminated[twins + 1] > mdp.terminated[twins]
    return bool(((next_reward > reward) | ((next_reward == reward) & later)).all())


def _sorted_chunk(
    mdp: TabularMDP, first: int, last: int
) -> tuple[NDArray[np.int64], dict[str, NDArray[Any]]]:
    """The lengths and the outcomes of rows ``first`` to ``last``, in canonical form."""
    here = slice(int(mdp.row_starts[first]), int(mdp.row_starts[last]))
    chunk = {name: getattr(mdp, name)[here] for name in _OUTCOME_ARRAYS}
    row = np.repeat(np.arange(last - first), np.diff(mdp.row_starts[first : last + 1]))
    key = row * mdp.num_states + chunk["next_states"]
    keep = chunk["probabilities"] > 0
    if not keep.all():
        key, chunk = key[keep], {name: values[keep] for name, values in chunk.items()}
    order = np.argsort(key, kind="stable")
    if (np.diff(key[order]) == 0).any():
        order = np.lexsort((chunk["terminated"], chunk["rewards"], key))
    key, chunk = key[order], {name: values[order] for name, values in chunk.items()}
    same = (
        (np.diff(key) == 0)
        & (chunk["rewards"][1:] == chunk["rewards"][:-1])
        & (chunk["terminated"][1:] == chunk["terminated"][:-1])
    )
    if same.any():
        heads = np.flatnonzero(np.concatenate(([True], ~same)))
        sums = np.add.reduceat(chunk["probabilities"], heads)
        key, chunk = key[heads], {name: values[heads] for name, values in chunk.items()}
        chunk["probabilities"] = sums
    return np.bincount(key // mdp.num_states, minlength=last - first), chunk


def _check_shapes(mdp: TabularMDP) -> None:
    for name, dtype in _DTYPES.items():
        array = getattr(mdp, name)
        if not isinstance(array, np.ndarray) or array.ndim != 1 or array.dtype != dtype:
            got = f"{array.dtype} of shape {array.shape}" if hasattr(array, "dtype") else array
            raise ValueError(f"expected {name} as a vector of {dtype.__name__}, got {got}")
    num_rows = mdp.num_states * mdp.num_actions
    if mdp.num_states < 1 or mdp.num_actions < 1:
        raise ValueError(
            f"expected at least one state and one action, got {mdp.num_states} states and "
            f"{mdp.num_actions} actions"
        )
    if len(mdp.row_starts) != num_rows + 1:
        raise ValueError(
            f"expected {num_rows + 1} row starts for {mdp.num_states} states and "
            f"{mdp.num_actions} actions, got {len(mdp.row_starts)}"
        )
    num_outcomes = len(mdp.next_states)
    for name in ("probabilities", "rewards", "terminated"):
        if len(getattr(mdp, name)) != num_outcomes:
            raise ValueError(
                f"expected {num_outcomes} {name}, one for each next state, "
                f"got {len(getattr(mdp, name))}"
            )
    starts = mdp.row_starts
    if starts[0] != 0 or starts[-1] != num_outcomes or (np.diff(starts) < 0).any():
        raise ValueError(
            f"expected row starts that rise from 0 to {num_outcomes}, got {starts[0]} to "
            f"{starts[-1]}{' with a fall between' if (np.diff(starts) < 0).any() else ''}"
        )


def _check_outcomes(mdp: TabularMDP) -> None:
    def refuse(bad: NDArray[np.bool_], expected: str, values: NDArray[Any]) -> None:
        if bad.any():
            place = int(np.argmax(bad))
            raise ValueError(f"{_pair(mdp, place)}: expected {expected}, got {values[place]}")

    probability = mdp.probabilities
    refuse(~np.isfinite(probability), "a finite probability", probability)
    refuse(probability < 0, "a probability of at least 0", probability)
    outside = (mdp.next_states < 0) | (mdp.next_states >= mdp.num_states)
    refuse(outside, f"a next state in [0, {mdp.num_states})", mdp.next_states)
    refuse(~np.isfinite(mdp.rewards), "a finite reward", mdp.rewards)


def _pair(mdp: TabularMDP, outcome: int) -> str:
    row = int(np.searchsorted(mdp.row_starts, outcome, side="right")) - 1
    state, action = divmod(row, mdp.num_actions)
    return f"state {state}, action {action}"


def _check_sums(mdp: TabularMDP) -> None:
    allowed = (
        np.ones(len(mdp.row_starts) - 1, dtype=np.bool_)
        if mdp.action_mask is None
        else _checked_mask(mdp).ravel()
    )
    empty = mdp.row_starts[1:] == mdp.row_starts[:-1]
    if (empty & allowed).any():
        state, action = divmod(int(np.argmax(empty & allowed)), mdp.num_actions)
        raise ValueError(
            f"state {state}, action {action}: expected at least one outcome, got none "
            f"(mask the action if it is not allowed)"
        )
    if (~empty & ~allowed).any():
        state, action = divmod(int(np.argmax(~empty & ~allowed)), mdp.num_actions)
        raise ValueError(f"state {state}, action {action}: expected no outcomes, it is masked")
    # reduceat gives an empty row the next row's first entry, so only the filled ones are summed
    filled = np.flatnonzero(~empty)
    sums = np.add.reduceat(mdp.probabilities, mdp.row_starts[filled])
    bad = ~(np.abs(sums - 1) <= PROBABILITY_TOLERANCE)
    if bad.any():
        place = int(np.argmax(bad))
        state, action = divmod(int(filled[place]), mdp.num_actions)
        raise ValueError(
            f"state {state}, action {action}: expected probabilities that sum to 1, "
            f"got {sums[place]:.9g}"
        )


def _checked_mask(mdp: TabularMDP) -> NDArray[np.bool_]:
    mask = mdp.action_mask
    shape = (mdp.num_states, mdp.num_actions)
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != shape:
        raise ValueError(f"expected a boolean action mask of shape {shape}, got {mask!r}")
    if not mask.any(axis=1).all():
        state = int(np.argmin(mask.any(axis=1)))
        raise ValueError(f"state {state}: expected at least one allowed action, got none")
    return mask


def _check_options(mdp: TabularMDP) -> None:
    _check_observation_index(mdp.observation_index, mdp.num_states)
    if mdp.layout is None:
        return
    if not isinstance(mdp.layout, GridLayout):
        raise TypeError(f"expected a GridLayout as layout, got {type(mdp.layout).__name__}")
    last = int(mdp.layout.state_of_cell.max())
    if last >= mdp.num_states:
        raise ValueError(f"expected a layout of states below {mdp.num_states}, got {last}")
    if len(mdp.layout.directions) != mdp.num_actions:
        raise ValueError(
            f"expected a layout with the directions of {mdp.num_actions} actions, got "
            f"{len(mdp.layout.directions)}"
        )


def _check_observation_index(index: Any, num_states: int) -> None:
    if index is None:
        return
    if not isinstance(index, np.ndarray) or index.dtype != np.int64:
        raise ValueError(f"expected observation indices as a vector of int64, got {index!r}")
    if index.shape != (num_states,):
        raise ValueError(
            f"expected observation indices of shape ({num_states},), got {index.shape}"
        )
    outside = (index < 0) | (index > np.iinfo(np.int32).max)
    if outside.any():
        state = int(np.argmax(outside))
        raise ValueError(
            f"state {state}: expected an observation in [0, 2^31), got {index[state]}"
        )
