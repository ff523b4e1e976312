"""What makes compressed rows a decision process, checked with errors that name the place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from .mdp import TabularMDP

__all__ = ["PROBABILITY_TOLERANCE", "canonical_rows", "check_initial_distribution", "check_model"]

PROBABILITY_TOLERANCE = 1e-8
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
    """
    if isinstance(distribution, int | np.integer):
        if not 0 <= distribution < num_states:
            raise ValueError(f"expected a start state in [0, {num_states}), got {distribution}")
        start = np.zeros(num_states)
        start[distribution] = 1.0
        return start
    start = np.array(distribution, dtype=np.float64)
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


def canonical_rows(mdp: TabularMDP) -> dict[str, NDArray[Any]]:
    """The rows sorted by next state, without impossible outcomes, equal outcomes summed.

    Sorting keeps the gathers of a sweep close together. Outcomes are summed where next state,
    reward and termination agree, so that sampling keeps the distribution of rewards; rows that are
    in order already are left as they are, not copied.
    """
    keep = mdp.probabilities > 0
    lengths = np.diff(mdp.row_starts)
    next_states, probabilities = mdp.next_states, mdp.probabilities
    rewards, terminated = mdp.rewards, mdp.terminated
    row = np.repeat(np.arange(len(lengths), dtype=np.int64), lengths)
    if not keep.all():
        row, next_states, probabilities = row[keep], next_states[keep], probabilities[keep]
        rewards, terminated = rewards[keep], terminated[keep]
        lengths = np.bincount(row, minlength=len(lengths))
    key = row * mdp.num_states + next_states
    del row
    if (np.diff(key) < 0).any():
        order = np.argsort(key, kind="stable")
        key, next_states, probabilities = key[order], next_states[order], probabilities[order]
        rewards, terminated = rewards[order], terminated[order]
    if (np.diff(key) == 0).any():
        order = np.lexsort((terminated, rewards, key))
        rewards, terminated = rewards[order], terminated[order]
        same = (np.diff(key) == 0) & (np.diff(rewards) == 0) & ~np.diff(terminated)
        first = np.flatnonzero(np.concatenate(([True], ~same)))
        probabilities = np.add.reduceat(probabilities[order], first)
        key, rewards, terminated = key[first], rewards[first], terminated[first]
        next_states = (key % mdp.num_states).astype(np.int32)
        lengths = np.bincount(key // mdp.num_states, minlength=len(lengths))
    row_starts = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    return {
        "row_starts": row_starts,
        "next_states": next_states,
        "probabilities": probabilities,
        "rewards": rewards,
        "terminated": terminated,
    }


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
    empty = np.diff(mdp.row_starts) == 0
    if (empty & allowed).any():
        state, action = divmod(int(np.argmax(empty & allowed)), mdp.num_actions)
        raise ValueError(
            f"state {state}, action {action}: expected at least one outcome, got none "
            f"(mask the action if it is not allowed)"
        )
    if (~empty & ~allowed).any():
        state, action = divmod(int(np.argmax(~empty & ~allowed)), mdp.num_actions)
        raise ValueError(f"state {state}, action {action}: expected no outcomes, it is masked")
    starts = np.minimum(mdp.row_starts[:-1], max(len(mdp.probabilities) - 1, 0))
    sums = np.add.reduceat(mdp.probabilities, starts)
    bad = allowed & ~(np.abs(sums - 1) <= PROBABILITY_TOLERANCE)
    if bad.any():
        row = int(np.argmax(bad))
        state, action = divmod(row, mdp.num_actions)
        raise ValueError(
            f"state {state}, action {action}: expected probabilities that sum to 1, "
            f"got {sums[row]:.9g}"
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
    cap = mdp.max_episode_steps
    if cap is not None and cap < 1:
        raise ValueError(f"expected max_episode_steps of at least 1, got {cap}")
    index = mdp.observation_index
    if index is not None and (index.shape != (mdp.num_states,) or (index < 0).any()):
        raise ValueError(
            f"expected {mdp.num_states} observation indices of at least 0, got {index!r}"
        )
    if mdp.layout is not None and mdp.layout.state_of_cell.max() >= mdp.num_states:
        raise ValueError(
            f"expected a layout of states below {mdp.num_states}, got "
            f"{mdp.layout.state_of_cell.max()}"
        )
