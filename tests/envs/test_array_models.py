"""Models from arrays: every form of the same numbers gives the same model."""

import tracemalloc

import numpy as np
import pytest
from gymagine.envs import mdp_validation
from gymagine.envs.garnet import garnet
from gymagine.envs.mdp import TabularMDP
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as numbers
from scipy import sparse

STATES, ACTIONS = 3, 2


def dense_model(seed=0):
    """(S, A, S) probabilities with zeros, and rewards of the same shape."""
    rng = np.random.default_rng(seed)
    weights = rng.integers(0, 4, (STATES, ACTIONS, STATES)).astype(float)
    weights[..., 0] += 1
    return weights / weights.sum(axis=2, keepdims=True), rng.normal(size=weights.shape)


def reference(transitions, rewards, terminal=()):
    """P[s][a] by loops over the definition."""
    table = {}
    for state in range(len(transitions)):
        table[state] = {}
        for action, row in enumerate(transitions[state]):
            entries = [
                (p, following, rewards[state][action][following], following in terminal)
                for following, p in enumerate(row)
                if p > 0
            ]
            is_terminal = state in terminal
            table[state][action] = [(1.0, state, 0.0, True)] if is_terminal else entries
    return table


def by_rows(array):
    return sparse.csr_array(array.reshape(-1, array.shape[-1]))


def by_action(array, matrix=np.array):
    return [matrix(array[:, action]) for action in range(array.shape[1])]


FORMS = {
    "dense": lambda array: array,
    "nested lists": lambda array: array.tolist(),
    "csr": by_rows,
    "csc": lambda array: by_rows(array).tocsc(),
    "coo": lambda array: by_rows(array).tocoo(),
    "csr_matrix": lambda array: sparse.csr_matrix(by_rows(array)),
    "list of arrays": by_action,
    "tuple of csr": lambda array: tuple(by_action(array, sparse.csr_array)),
    "list of lil": lambda array: by_action(array, sparse.lil_array),
}


@pytest.mark.parametrize("reward_form", FORMS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("terminal", [[], [1]])
def test_every_form_gives_the_same_model(form, reward_form, terminal):
    transitions, rewards = dense_model()
    mdp = TabularMDP.from_arrays(
        FORMS[form](transitions), FORMS[reward_form](rewards), terminal_states=terminal
    )
    assert mdp.to_dict() == reference(transitions, rewards, terminal)


@pytest.mark.parametrize("chunk", [1, 4])
def test_rewards_are_found_where_their_pattern_is_another(monkeypatch, chunk):
    monkeypatch.setattr(mdp_validation, "_OUTCOMES_AT_ONCE", chunk)
    transitions, rewards = dense_model(1)
    rewards[np.random.default_rng(2).random(rewards.shape) < 0.5] = 0.0
    rewards[1] = 0.0
    mdp = TabularMDP.from_arrays(by_rows(transitions), by_rows(rewards))
    assert mdp.to_dict() == reference(transitions, rewards)
    mdp = TabularMDP.from_arrays(by_rows(transitions), by_rows(np.zeros_like(rewards)))
    assert not mdp.rewards.any()


def test_rewards_of_states_and_of_pairs_are_spread():
    transitions, _ = dense_model()
    pairs = np.arange(6.0).reshape(STATES, ACTIONS)
    for given_rewards in (pairs, sparse.csr_array(pairs), pairs.tolist()):
        mdp = TabularMDP.from_arrays(transitions, given_rewards)
        np.testing.assert_allclose(mdp.expected_rewards, pairs)
    mdp = TabularMDP.from_arrays(transitions, [5.0, 6.0, 7.0])
    np.testing.assert_allclose(mdp.expected_rewards, [[5, 5], [6, 6], [7, 7]])


@given(
    numbers.arrays(np.int64, st.tuples(st.integers(1, 5), st.integers(1, 3), st.just(5))),
    st.data(),
)
@settings(max_examples=60, deadline=None)
def test_random_sparse_models_equal_their_definition(weights, data):
    num_states = len(weights)
    weights = np.abs(weights[:, :, :num_states] % 4).astype(float)
    weights[..., -1] += weights.sum(axis=2) == 0
    transitions = weights / weights.sum(axis=2, keepdims=True)
    rewards = data.draw(numbers.arrays(np.float64, weights.shape, elements=st.floats(-9, 9)))
    terminal = data.draw(st.lists(st.integers(0, num_states - 1), max_size=num_states - 1))
    start = data.draw(st.integers(0, num_states - 1))
    mdp = TabularMDP.from_arrays(
        by_rows(transitions), rewards, terminal_states=terminal, initial_distribution=start
    )
    assert mdp.to_dict() == reference(transitions, rewards, terminal)


def test_duplicate_sparse_entries_are_summed():
    rows, columns = [0, 0, 1, 1], [0, 0, 0, 1]
    transitions = sparse.coo_array(([0.25, 0.75, 0.5, 0.5], (rows, columns)), shape=(2, 2))
    for form in (transitions, [transitions], sparse.csr_array(transitions.tocsr())):
        mdp = TabularMDP.from_arrays(form, np.zeros(2))
        assert mdp.outcomes(0, 0) == [(1.0, 0, 0.0, False)]


def test_the_callers_arrays_are_left_alone():
    indptr, indices = np.array([0, 2, 4]), np.array([1, 0, 0, 1], dtype=np.int32)
    matrix = sparse.csr_array((np.array([0.25, 0.75, 0.5, 0.5]), indices, indptr), shape=(2, 2))
    rewards = matrix.copy()
    for transitions in (matrix, [matrix]):
        TabularMDP.from_arrays(transitions, rewards, terminal_states=[1])
        TabularMDP.from_arrays(transitions, [rewards])
    for given_matrix in (matrix, rewards):
        np.testing.assert_array_equal(given_matrix.indices, [1, 0, 0, 1])
        np.testing.assert_array_equal(given_matrix.data, [0.25, 0.75, 0.5, 0.5])
        assert given_matrix.data.flags.writeable
        assert given_matrix.indices.flags.writeable
    dense, table = np.eye(2).reshape(2, 1, 2), np.zeros((2, 1, 2))
    TabularMDP.from_arrays(dense, table)
    assert dense.flags.writeable
    assert table.flags.writeable


def test_terminal_states_need_no_rows_and_start_nowhere():
    transitions = np.zeros((3, 1, 3))
    transitions[0, 0] = [0.5, 0.0, 0.5]
    transitions[1, 0] = [0.0, 0.0, 1.0]
    for terminal in ([2], np.array([False, False, True]), 2):
        mdp = TabularMDP.from_arrays(transitions, [1.0, 2.0, 99.0], terminal_states=terminal)
        assert mdp.to_dict() == {
            0: {0: [(0.5, 0, 1.0, False), (0.5, 2, 1.0, True)]},
            1: {0: [(1.0, 2, 2.0, True)]},
            2: {0: [(1.0, 2, 0.0, True)]},
        }
        np.testing.assert_array_equal(mdp.initial_distribution, [0.5, 0.5, 0.0])
    assert TabularMDP.from_arrays(np.ones((1, 1, 1)), [0.0], terminal_states=[]).num_states == 1


def test_masked_pairs_are_left_out():
    transitions, rewards = dense_model()
    transitions[0, 1] = np.nan
    mask = [[1, 0], [1, 1], [0, 1]]
    mdp = TabularMDP.from_arrays(transitions, rewards, action_mask=mask, terminal_states=[2])
    np.testing.assert_array_equal(mdp.action_mask, np.array(mask, dtype=bool))
    assert mdp.outcomes(0, 1) == mdp.outcomes(2, 0) == []
    assert mdp.outcomes(2, 1) == [(1.0, 2, 0.0, True)]
    expected = reference(transitions, rewards, (2,))
    assert mdp.outcomes(0, 0) == expected[0][0]
    assert mdp.outcomes(1, 1) == expected[1][1]


def test_options_are_passed_on():
    transitions, rewards = dense_model()
    mdp = TabularMDP.from_arrays(
        transitions, rewards, initial_distribution=2, max_episode_steps=9, name="three"
    )
    assert (mdp.name, mdp.max_episode_steps) == ("three", 9)
    np.testing.assert_array_equal(mdp.initial_distribution, [0, 0, 1])


def spoiled(place, value):
    transitions, rewards = dense_model()
    transitions[place] = value
    return transitions, rewards


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, "state 2, action 1: expected a finite probability, got nan"),
        (-0.5, "state 2, action 1: expected a probability of at least 0, got -0.5"),
        (0.7, "state 2, action 1: expected probabilities that sum to 1"),
        (0.0, "state 2, action 1: expected at least one outcome, got none"),
    ],
)
def test_bad_probabilities_are_refused_by_place(form, value, message):
    transitions, rewards = spoiled((2, 1), value)
    with pytest.raises(ValueError, match=message):
        TabularMDP.from_arrays(FORMS[form](transitions), rewards)


@pytest.mark.parametrize("form", FORMS)
def test_bad_rewards_are_refused_by_place(form):
    transitions, rewards = dense_model()
    rewards[1, 1] = np.nan
    with pytest.raises(ValueError, match="state 1, action 1: expected a finite reward, got nan"):
        TabularMDP.from_arrays(transitions, FORMS[form](rewards))


T, R = dense_model()


@pytest.mark.parametrize(
    ("transitions", "rewards", "options", "message"),
    [
        (T[:, 0], R, {}, r"shape \(S, A, S\), got \(3, 3\)"),
        (T[:2], R, {}, r"shape \(S, A, S\), got \(2, 2, 3\)"),
        (np.swapaxes(T, 0, 1), R, {}, r"got \(2, 3, 3\) \(give matrices by action as a list"),
        (sparse.csr_array((7, 3)), R, {}, r"shape \(S \* A, S\), got \(7, 3\)"),
        ([np.eye(3), np.eye(2)], R, {}, r"shape \(3, 3\) for each action, got \(2, 2\) for actio"),
        ([], R, {}, r"shape \(S, A, S\), got \(0,\)"),
        (T, R[:, :1], {}, r"of shape \(3,\) or \(3, 2\) or \(3, 2, 3\) .*, got \(3, 1, 3\)"),
        (T, np.zeros(2), {}, r"for transitions of 3 states and 2 actions, got \(2,\)"),
        (T, sparse.csr_array((5, 3)), {}, r"shape \(6, 3\) or \(3, 2\) .*, got \(5, 3\)"),
        (T, [np.eye(3)], {}, r"\(3, 3\) for each of 2 actions, .* for action 0 of 1"),
        (T, [np.eye(3), np.eye(4)], {}, r"got \(4, 4\) for action 1 of 2"),
        (T, R, {"terminal_states": [3]}, r"terminal states in \[0, 3\), got 3"),
        (T, R, {"terminal_states": [-1]}, r"terminal states in \[0, 3\), got -1"),
        (T, R, {"terminal_states": [True]}, r"terminal states of shape \(3,\), got \(1,\)"),
        (T, R, {"terminal_states": [0.5]}, "as indices or a boolean mask, got float64"),
        (T, R, {"terminal_states": [0, 1, 2]}, "a state that is not terminal to start in"),
        (T, R, {"action_mask": np.ones((2, 3))}, r"shape \(3, 2\), like the .*, got \(2, 3\)"),
        (T, R, {"action_mask": np.full((3, 2), 0.5)}, "an action mask of booleans, got float64"),
        (T, R, {"initial_distribution": [1.0]}, r"distribution of shape \(3,\), got \(1,\)"),
    ],
)
def test_wrong_shapes_name_both_sides(transitions, rewards, options, message):
    with pytest.raises(ValueError, match=message):
        TabularMDP.from_arrays(transitions, rewards, **options)


def test_sparse_models_need_little_more_than_their_arrays():
    source = garnet(20_000, 4, 5, seed=0)
    shape = (source.num_states * 4, source.num_states)
    parts = (source.probabilities.copy(), source.next_states.copy(), source.row_starts.copy())
    matrix = sparse.csr_array(parts, shape=shape)
    rewards = source.expected_rewards
    TabularMDP.from_arrays(matrix, rewards)  # what is imported on the way does not count
    tracemalloc.start()
    mdp = TabularMDP.from_arrays(matrix, rewards)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert mdp.num_outcomes == source.num_outcomes
    assert peak < 3 * mdp.num_bytes  # a dense S x S array alone would take 380 times as much
