r"""Models from arrays of transition probabilities and rewards, dense or scipy sparse.

The conditional form of a decision process,

.. math:: P(s' \mid s, a), \qquad R(s), \; R(s, a) \text{ or } R(s, a, s'),

with a set of terminal states, is turned into the outcomes of `TabularMDP`: entering a terminal
state terminates. Nothing here makes a dense S x S array of sparse input, and temporaries as large
as the model are avoided, so that 10^7 outcomes cost little more memory than their arrays.

Symbols: S states, A actions, K transitions of positive probability; the row of pair (s, a) is
s * A + a.

References:
    M. L. Puterman (1994), Markov Decision Processes, section 2.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from .arguments import real_array
from .mdp_validation import check_initial_distribution, row_chunks

if TYPE_CHECKING:
    from .mdp import TabularMDP

__all__ = ["model_from_arrays"]


class _Rows(NamedTuple):
    """Compressed rows of one number per entry."""

    starts: NDArray[np.int64]
    columns: NDArray[np.int32]
    values: NDArray[np.float64]


def model_from_arrays(
    transitions: Any,
    rewards: Any,
    *,
    terminal_states: ArrayLike | int | None,
    initial_distribution: ArrayLike | int | None,
    action_mask: ArrayLike | None,
    max_episode_steps: int | None,
    name: str,
) -> TabularMDP:
    """See `TabularMDP.from_arrays`."""
    from .mdp import TabularMDP

    rows, num_states, num_actions = _transition_rows(transitions)
    if len(rows.columns) and not 0 <= rows.columns.min() <= rows.columns.max() < num_states:
        raise ValueError(f"expected column indices in [0, {num_states}), got a damaged matrix")
    is_terminal = _terminal_mask(terminal_states, num_states)
    mask = _action_mask(action_mask, num_states, num_actions)
    outcome_rewards = _outcome_rewards(rewards, rows, num_states, num_actions)
    replaced = np.repeat(is_terminal, num_actions)
    if mask is not None:
        replaced |= ~mask.ravel()
    if replaced.any():
        loops = np.repeat(is_terminal, num_actions)
        loops = loops if mask is None else loops & mask.ravel()
        rows, outcome_rewards = _replace_rows(rows, outcome_rewards, replaced, loops, num_actions)
    return TabularMDP(
        row_starts=rows.starts,
        next_states=rows.columns,
        probabilities=rows.values,
        rewards=outcome_rewards,
        terminated=is_terminal[rows.columns],
        initial_distribution=_initial(initial_distribution, is_terminal),
        num_actions=num_actions,
        action_mask=mask,
        max_episode_steps=max_episode_steps,
        name=name,
    )


# ---- transitions --------------------------------------------------------------------------------


def _transition_rows(transitions: Any) -> tuple[_Rows, int, int]:
    """The transition rows, S and A, whatever form they came in."""
    if _is_sparse(transitions):
        num_rows, num_states = transitions.shape
        if num_states > np.iinfo(np.int32).max:
            raise ValueError(f"expected at most 2^31 - 1 states, got {num_states}")
        if num_states < 1 or num_rows < 1 or num_rows % num_states:
            raise ValueError(
                f"expected sparse transitions of shape (S * A, S), got {transitions.shape}"
            )
        return _sparse_rows(transitions), num_states, num_rows // num_states
    if _is_per_action(transitions):
        matrices = [_as_matrix(matrix) for matrix in transitions]
        num_states = matrices[0].shape[0]
        for action, matrix in enumerate(matrices):
            if matrix.shape != (num_states, num_states) or num_states < 1:
                raise ValueError(
                    f"expected transitions of shape {(num_states, num_states)} for each action, "
                    f"got {matrix.shape} for action {action}"
                )
        return _interleaved(matrices), num_states, len(matrices)
    dense = real_array(transitions, "transitions")
    if dense.ndim != 3 or dense.shape[0] != dense.shape[2] or 0 in dense.shape:
        hint = ""
        if dense.ndim == 3 and dense.shape[1] == dense.shape[2]:
            hint = " (give matrices by action as a list of A of them)"
        raise ValueError(f"expected transitions of shape (S, A, S), got {dense.shape}{hint}")
    num_states, num_actions = dense.shape[:2]
    return _dense_rows(dense.reshape(-1, num_states)), num_states, num_actions


def _is_sparse(value: Any) -> bool:
    return bool(sparse.issparse(value))


def _is_per_action(value: Any) -> bool:
    """Whether this is a sequence of matrices; nested lists of numbers are one dense array."""
    return (
        isinstance(value, list | tuple)
        and len(value) > 0
        and all(_is_sparse(item) or isinstance(item, np.ndarray) for item in value)
        and all(item.ndim == 2 for item in value)
    )


def _as_matrix(matrix: Any) -> Any:
    """The matrix with sorted rows and without duplicates; the caller's own is not touched."""
    _check_real(matrix)
    csr = sparse.csr_array(matrix, dtype=np.float64)
    if not csr.has_canonical_format:
        csr = csr.copy()
        csr.sum_duplicates()
    return csr


def _sparse_rows(matrix: Any) -> _Rows:
    """Rows of a sparse matrix, sorted and without duplicates, in arrays of their own."""
    _check_real(matrix)
    csr = sparse.csr_array(matrix, dtype=np.float64, copy=not isinstance(matrix, sparse.coo_array))
    csr.sum_duplicates()
    return _Rows(csr.indptr.astype(np.int64), csr.indices.astype(np.int32, copy=False), csr.data)


def _check_real(matrix: Any) -> None:
    if matrix.dtype.kind not in "biuf":
        raise TypeError(f"expected a matrix of real numbers, got {matrix.dtype}")


def _dense_rows(matrix: NDArray[np.float64]) -> _Rows:
    # a NaN is not 0, so that the model's own check can name its place
    occupied = matrix != 0
    lengths = np.count_nonzero(occupied, axis=1)
    columns = np.nonzero(occupied)[1].astype(np.int32)
    return _Rows(np.concatenate(([0], np.cumsum(lengths))), columns, matrix[occupied])


def _interleaved(matrices: list[Any]) -> _Rows:
    """Row s * A + a of the result is row s of matrix a."""
    num_actions, num_states = len(matrices), matrices[0].shape[0]
    lengths = np.empty((num_states, num_actions), dtype=np.int64)
    for action, matrix in enumerate(matrices):
        lengths[:, action] = np.diff(matrix.indptr)
    starts = np.concatenate(([0], np.cumsum(lengths)))
    columns = np.empty(starts[-1], dtype=np.int32)
    values = np.empty(starts[-1], dtype=np.float64)
    for action, matrix in enumerate(matrices):
        shift = starts[action:-1:num_actions] - matrix.indptr[:-1]
        place = np.arange(matrix.nnz) + np.repeat(shift, lengths[:, action])
        columns[place] = matrix.indices
        values[place] = matrix.data
    return _Rows(starts, columns, values)


# ---- rewards ------------------------------------------------------------------------------------


def _outcome_rewards(
    rewards: Any, rows: _Rows, num_states: int, num_actions: int
) -> NDArray[np.float64]:
    """(K,) the reward of each transition."""
    full = (num_states * num_actions, num_states)
    if _is_sparse(rewards) and rewards.shape != (num_states, num_actions):
        _check_shape(rewards.shape, [full, (num_states, num_actions)], num_states, num_actions)
        return _matched(_sparse_rows(rewards), rows)
    if _is_per_action(rewards):
        matrices = [_as_matrix(matrix) for matrix in rewards]
        for action, matrix in enumerate(matrices):
            if len(matrices) != num_actions or matrix.shape != (num_states, num_states):
                raise ValueError(
                    f"expected rewards of shape {(num_states, num_states)} for each of "
                    f"{num_actions} actions, like the transitions, got {matrix.shape} for action "
                    f"{action} of {len(matrices)}"
                )
        return _matched(_interleaved(matrices), rows)
    dense = real_array(rewards.toarray() if _is_sparse(rewards) else rewards, "rewards")
    pairs = (num_states, num_actions)
    shapes = [(num_states,), pairs, (*pairs, num_states)]
    _check_shape(dense.shape, shapes, num_states, num_actions)
    if dense.ndim < 3:
        by_pair = np.broadcast_to(dense.reshape(num_states, -1), pairs).ravel()
        return np.repeat(by_pair, np.diff(rows.starts))
    return _looked_up(dense.reshape(full), rows)


def _check_shape(
    got: tuple[int, ...], allowed: list[tuple[int, ...]], num_states: int, num_actions: int
) -> None:
    if got not in allowed:
        choices = " or ".join(map(str, allowed))
        raise ValueError(
            f"expected rewards of shape {choices} for transitions of {num_states} states and "
            f"{num_actions} actions, got {got}"
        )


def _looked_up(matrix: NDArray[np.float64], rows: _Rows) -> NDArray[np.float64]:
    found = np.empty(len(rows.columns))
    for first, last in row_chunks(rows.starts):
        here = slice(rows.starts[first], rows.starts[last])
        row = np.repeat(np.arange(first, last), np.diff(rows.starts[first : last + 1]))
        found[here] = matrix[row, rows.columns[here]]
    return found


def _matched(given: _Rows, rows: _Rows) -> NDArray[np.float64]:
    """The given entry at the place of each transition, 0 where there is none."""
    if np.array_equal(given.starts, rows.starts) and np.array_equal(given.columns, rows.columns):
        return given.values
    found = np.zeros(len(rows.columns))
    width = 1 + int(max(rows.columns.max(initial=0), given.columns.max(initial=0)))
    for first, last in row_chunks(rows.starts):
        wanted = _keys(rows, first, last, width)
        known = _keys(given, first, last, width)
        if not len(known):
            continue
        place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        values = given.values[given.starts[first] : given.starts[last]][place]
        here = slice(rows.starts[first], rows.starts[last])
        found[here] = np.where(known[place] == wanted, values, 0.0)
    return found


def _keys(rows: _Rows, first: int, last: int, width: int) -> NDArray[np.int64]:
    row = np.repeat(np.arange(last - first), np.diff(rows.starts[first : last + 1]))
    keys: NDArray[np.int64] = row * width + rows.columns[rows.starts[first] : rows.starts[last]]
    return keys


# ---- terminal states and masks ------------------------------------------------------------------


def _terminal_mask(terminal_states: ArrayLike | int | None, num_states: int) -> NDArray[np.bool_]:
    mask = np.zeros(num_states, dtype=np.bool_)
    if terminal_states is None:
        return mask
    given = np.asarray(terminal_states)
    if given.dtype == np.bool_:
        if given.shape != (num_states,):
            raise ValueError(
                f"expected a mask of terminal states of shape ({num_states},), got {given.shape}"
            )
        return given.copy()
    if given.size == 0:
        return mask
    if not np.issubdtype(given.dtype, np.integer) or given.ndim > 1:
        raise ValueError(
            f"expected terminal states as indices or a boolean mask, got {given.dtype} of shape "
            f"{given.shape}"
        )
    if given.min() < 0 or given.max() >= num_states:
        bad = given.min() if given.min() < 0 else given.max()
        raise ValueError(f"expected terminal states in [0, {num_states}), got {bad}")
    mask[given] = True
    return mask


def _action_mask(
    action_mask: ArrayLike | None, num_states: int, num_actions: int
) -> NDArray[np.bool_] | None:
    if action_mask is None:
        return None
    given = np.asarray(action_mask)
    if given.shape != (num_states, num_actions):
        raise ValueError(
            f"expected an action mask of shape {(num_states, num_actions)}, like the "
            f"transitions, got {given.shape}"
        )
    if not np.isin(given, (0, 1)).all():
        raise ValueError(f"expected an action mask of booleans, got {given.dtype}")
    mask = given.astype(np.bool_)
    return None if mask.all() else mask


def _replace_rows(
    rows: _Rows,
    rewards: NDArray[np.float64],
    replaced: NDArray[np.bool_],
    loops: NDArray[np.bool_],
    num_actions: int,
) -> tuple[_Rows, NDArray[np.float64]]:
    """Empty the replaced rows, but for a loop on the own state, without reward, where asked."""
    old_lengths = np.diff(rows.starts)
    starts = np.concatenate(([0], np.cumsum(np.where(replaced, loops, old_lengths))))
    looped = np.flatnonzero(loops)
    is_loop = np.zeros(starts[-1], dtype=np.bool_)
    is_loop[starts[looped]] = True
    keep = ~np.repeat(replaced, old_lengths)
    own_states = (looped // num_actions).astype(np.int32)

    def merged(kept: NDArray[Any], loop: Any) -> NDArray[Any]:
        result = np.empty(starts[-1], dtype=kept.dtype)
        result[is_loop] = loop
        result[~is_loop] = kept[keep]
        return result

    return (
        _Rows(starts, merged(rows.columns, own_states), merged(rows.values, 1.0)),
        merged(rewards, 0.0),
    )


def _initial(
    distribution: ArrayLike | int | None, is_terminal: NDArray[np.bool_]
) -> NDArray[np.float64]:
    if distribution is not None:
        return check_initial_distribution(distribution, len(is_terminal))
    if is_terminal.all():
        raise ValueError("expected a state that is not terminal to start in, got none")
    return np.where(is_terminal, 0.0, 1.0 / np.count_nonzero(~is_terminal))
