"""A policy's rows against the plain definition; padded and ragged rows sweep alike."""

import numpy as np
import pytest
from gymagine.agents.planning.bellman_operator import BellmanOperator
from gymagine.agents.planning.policy_rows import PolicyRows
from gymagine.agents.planning.row_selection import chosen_rows, mixed_rows

from .conftest import masked_garnet
from .test_policy_evaluation import dense, random_policy


def lowest_allowed(mdp):
    return np.arange(mdp.num_states) * mdp.num_actions + mdp.allowed.argmax(axis=1)


def test_chosen_rows_leave_out_ends():
    mdp = masked_garnet()
    chosen = lowest_allowed(mdp)
    rows = chosen_rows(BellmanOperator.of(mdp, 0.9), chosen)
    weights = np.zeros((mdp.num_states, mdp.num_actions))
    weights.ravel()[chosen] = 1.0
    matrix, rewards = dense(mdp, weights)
    np.testing.assert_allclose(rows.matrix().toarray(), matrix, atol=1e-15)
    np.testing.assert_allclose(rows.rewards, rewards, atol=1e-15)
    assert int(rows.starts[-1]) == np.count_nonzero(
        np.concatenate(
            [~mdp.terminated[mdp.row_starts[row] : mdp.row_starts[row + 1]] for row in chosen]
        )
    )


def test_minus_one_is_an_empty_row():
    mdp = masked_garnet()
    chosen = lowest_allowed(mdp)
    chosen[3] = -1
    rows = chosen_rows(BellmanOperator.of(mdp, 0.9), chosen)
    assert rows.lengths()[3] == 0
    assert rows.rewards[3] == 0.0


def test_arrays_are_reused_where_they_fit():
    mdp = masked_garnet()
    operator = BellmanOperator.of(mdp, 0.9)
    first = chosen_rows(operator, lowest_allowed(mdp))
    before = first.matrix().toarray()
    again = chosen_rows(operator, lowest_allowed(mdp), reuse=first)
    assert again.next_states is first.next_states
    np.testing.assert_array_equal(again.matrix().toarray(), before)


def test_mixed_rows():
    mdp = masked_garnet()
    weights = random_policy(mdp)
    rows = mixed_rows(BellmanOperator.of(mdp, 0.9), weights)
    matrix, rewards = dense(mdp, weights)
    np.testing.assert_allclose(rows.matrix().toarray(), matrix, atol=1e-15)
    np.testing.assert_allclose(rows.rewards, rewards, atol=1e-15)


def pair_of_rows():
    """The same rows one after another and padded to a width of 3."""
    random = np.random.default_rng(0)
    lengths = random.integers(0, 4, size=20)
    starts = np.concatenate(([0], np.cumsum(lengths)))
    following = random.integers(0, 20, size=starts[-1]).astype(np.int32)
    weights, rewards = random.random(starts[-1]) / 4, random.normal(size=20)
    ragged = PolicyRows(starts, following, weights, rewards)
    padded = PolicyRows.padded(20, 3)
    padded.next_states[:] = np.repeat(np.arange(20), 3)
    padded.probabilities[:] = 0.0
    for state in range(20):
        here = slice(starts[state], starts[state + 1])
        there = slice(3 * state, 3 * state + lengths[state])
        padded.next_states[there], padded.probabilities[there] = following[here], weights[here]
    padded.rewards[:] = rewards
    return ragged, padded


@pytest.mark.parametrize("num_sweeps", [1, 2, 7])
def test_sweeps_together(num_sweeps):
    for rows in pair_of_rows():
        values = np.arange(20.0)
        truth = values.copy()
        for _ in range(num_sweeps):
            before, truth = truth, rows.rewards + 0.9 * (rows.matrix().toarray() @ truth)
        count, lowest, highest = rows.sweep(
            values, np.empty(20), discount=0.9, num_sweeps=num_sweeps
        )
        assert count == num_sweeps
        np.testing.assert_allclose(values, truth, atol=1e-12)
        assert lowest == pytest.approx((truth - before).min())
        assert highest == pytest.approx((truth - before).max())


@pytest.mark.parametrize("backwards", [False, True])
def test_sweeps_in_place_go_to_and_fro(backwards):
    for rows in pair_of_rows():
        matrix = rows.matrix().toarray()
        values, truth = np.arange(20.0), np.arange(20.0)
        for sweep in range(3):
            way = -1 if (sweep % 2 == 1) != backwards else 1
            before = truth.copy()
            for state in range(20)[::way]:
                truth[state] = rows.rewards[state] + 0.9 * matrix[state] @ truth
        count, change = rows.sweep_in_place(
            values, discount=0.9, num_sweeps=3, backwards=backwards
        )
        assert count == 3
        np.testing.assert_allclose(values, truth, atol=1e-12)
        assert change == pytest.approx(np.abs(truth - before).max())


def test_sweeps_stop_when_changes_are_small():
    rows, _ = pair_of_rows()
    values = np.zeros(20)
    count, lowest, highest = rows.sweep(
        values, np.empty(20), discount=0.9, num_sweeps=1000, small_enough=1e-6
    )
    assert count < 1000
    assert highest - lowest <= 1e-6
    count, change = rows.sweep_in_place(values, discount=0.9, num_sweeps=1000, small_enough=1e-12)
    assert count < 1000
    assert change <= 1e-12
