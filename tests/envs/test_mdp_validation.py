"""What is no model is refused by name of state and action, and what is one is put in order."""

import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from gymagine.envs import mdp_validation
from gymagine.envs.grid_layout import GridLayout
from gymagine.envs.mdp import TabularMDP
from gymagine.envs.mdp_validation import (
    canonical_rows,
    check_initial_distribution,
    check_model,
    row_chunks,
)
from hypothesis import given, settings
from hypothesis import strategies as st


def fields(**changes):
    """Two states and two actions; state 1 has only its first action."""
    values = {
        "row_starts": np.array([0, 2, 3, 4, 4]),
        "next_states": np.array([0, 1, 1, 1], dtype=np.int32),
        "probabilities": np.array([0.5, 0.5, 1.0, 1.0]),
        "rewards": np.array([0.0, 1.0, 2.0, 3.0]),
        "terminated": np.array([False, False, True, True]),
        "initial_distribution": np.array([1.0, 0.0]),
        "num_actions": 2,
        "action_mask": np.array([[True, True], [True, False]]),
    }
    return values | changes


def test_the_model_before_it_is_broken_is_one():
    mdp = TabularMDP(**fields())
    assert mdp.outcomes(1, 0) == [(1.0, 1, 3.0, True)]
    assert mdp.outcomes(1, 1) == []


def broken(name, place, value):
    array = fields()[name].copy()
    array[place] = value
    return {name: array}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (broken("probabilities", 2, np.nan), "state 0, action 1: expected a finite probability"),
        (broken("probabilities", 2, np.inf), "state 0, action 1: expected a finite probability"),
        (broken("probabilities", 1, -0.5), "state 0, action 0: expected a probability of at lea"),
        (broken("probabilities", 3, 0.9), r"state 1, action 0: .* sum to 1, got 0\.9"),
        (
            broken("probabilities", 0, 0.5 + 2e-8),
            r"state 0, action 0: .* sum to 1, got 1\.00000002",
        ),
        (
            broken("next_states", 3, 2),
            r"state 1, action 0: expected a next state in \[0, 2\), got 2",
        ),
        (broken("next_states", 0, -1), r"state 0, action 0: expected a next state in .*, got -1"),
        (broken("rewards", 1, np.inf), "state 0, action 0: expected a finite reward, got inf"),
        (broken("rewards", 3, np.nan), "state 1, action 0: expected a finite reward, got nan"),
        (broken("row_starts", 1, 4), "rise from 0 to 4, .* with a fall between"),
        (broken("row_starts", 0, 1), "expected row starts that rise from 0 to 4, got 1 to 4"),
        (broken("row_starts", 4, 3), "expected row starts that rise from 0 to 4, got 0 to 3"),
        ({"row_starts": np.array([0, 4])}, "expected 5 row starts for 2 states and 2 actions"),
        ({"action_mask": None}, "state 1, action 1: expected at least one outcome, got none"),
        (broken("action_mask", (0, 0), False), "state 0, action 0: expected no outcomes"),
        (broken("action_mask", 1, False), "state 1: expected at least one allowed action"),
        ({"num_actions": 0}, "expected at least one state and one action, got 2 states and 0"),
        (
            {"initial_distribution": np.zeros(0), "action_mask": None},
            "at least one state and one action, got 0 states",
        ),
        (broken("initial_distribution", 1, 0.5), "initial distribution that sums to 1, got 1.5"),
        (broken("initial_distribution", 1, -0.5), "got -0.5 for state 1"),
        (broken("initial_distribution", 0, np.nan), "got nan for state 0"),
        ({"max_episode_steps": 0}, "expected max_episode_steps of at least 1, got 0"),
        ({"observation_index": np.array([0, -1])}, "state 1: expected an observation in \\[0, 2"),
    ],
)
def test_a_broken_model_is_refused_by_place(changes, message):
    with pytest.raises(ValueError, match=message):
        TabularMDP(**fields(**changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rewards": np.zeros(3)}, "expected 4 rewards, one for each next state, got 3"),
        ({"probabilities": np.zeros(5)}, "expected 4 probabilities, .* got 5"),
        (
            {"rewards": np.zeros(4, dtype=np.float32)},
            "rewards as a vector of float64, got float32",
        ),
        ({"next_states": np.zeros(4, dtype=np.int64)}, "next_states as a vector of int32"),
        (
            {"terminated": np.zeros((4, 1), dtype=bool)},
            r"vector of bool, got bool of shape \(4, 1\)",
        ),
        ({"rewards": [0.0] * 4}, "expected rewards as a vector of float64, got"),
        ({"action_mask": np.ones((2, 3), dtype=bool)}, r"boolean action mask of shape \(2, 2\)"),
        ({"action_mask": np.ones((2, 2))}, r"boolean action mask of shape \(2, 2\)"),
        ({"observation_index": np.zeros(3, dtype=np.int64)}, r"shape \(2,\), got \(3,\)"),
        ({"observation_index": [0, 1]}, "expected observation indices as a vector of int64"),
    ],
)
def test_wrong_shapes_and_types_name_both_sides(changes, message):
    # without the constructor, whose signature is checked under pytest only
    options = {"max_episode_steps": None, "observation_index": None, "layout": None}
    model = SimpleNamespace(**(options | fields(**changes)))
    model.num_states = len(model.initial_distribution)
    with pytest.raises(ValueError, match=message):
        check_model(model)


def test_a_masked_last_row_does_not_hide_the_sum_before_it():
    rows = {"row_starts": np.array([0, 2, 2]), "action_mask": np.array([[True, False]])}
    mdp = TabularMDP(
        **rows,
        next_states=np.zeros(2, dtype=np.int32),
        probabilities=np.array([0.5, 0.5]),
        rewards=np.array([0.0, 1.0]),
        terminated=np.ones(2, dtype=bool),
        initial_distribution=np.ones(1),
        num_actions=2,
    )
    assert mdp.num_outcomes == 2
    with pytest.raises(ValueError, match=r"state 0, action 0: .* got 0\.75"):
        replace(mdp, probabilities=np.array([0.5, 0.25]))


def test_a_layout_has_to_fit():
    mdp = TabularMDP(**fields())
    with pytest.raises(ValueError, match="expected a layout of states below 2, got 2"):
        replace(mdp, layout=GridLayout(("..",), np.array([[0, 2]]), ((0, 1), (0, -1))))
    with pytest.raises(ValueError, match="directions of 2 actions, got 1"):
        replace(mdp, layout=GridLayout(("..",), np.array([[0, 1]]), ((0, 1),)))


def test_numpy_integers_become_plain_ones():
    # ``env.action_space.n`` is one, and JSON knows none; in a process without run-time type checks
    code = (
        "import numpy as np; from dataclasses import replace;"
        "from gymagine.envs.mdp import TabularMDP;"
        "mdp = TabularMDP.from_outcomes([[[(1, 0, 0, True)]]]);"
        "mdp = replace(mdp, num_actions=np.int64(1), max_episode_steps=np.int32(5));"
        "print(type(mdp.num_actions), type(mdp.max_episode_steps))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == ["<class", "'int'>"] * 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (2, r"expected a start state in \[0, 2\), got 2"),
        (-1, r"expected a start state in \[0, 2\), got -1"),
        ([1.0], r"expected an initial distribution of shape \(2,\), got \(1,\)"),
        ([0.5, 0.4], "expected an initial distribution that sums to 1, got 0.9"),
    ],
)
def test_a_wrong_start_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        check_initial_distribution(given, 2)


def test_a_start_state_is_a_distribution():
    np.testing.assert_array_equal(check_initial_distribution(np.int64(1), 3), [0, 1, 0])


# ---- the canonical form -------------------------------------------------------------------------


@st.composite
def raw_rows(draw):
    """Rows as the constructor may get them: unsorted, with twins and impossible outcomes."""
    num_states = draw(st.integers(1, 4))
    lengths = draw(st.lists(st.integers(1, 6), min_size=num_states, max_size=num_states))
    count = sum(lengths)

    def column(values, dtype):
        return np.array(draw(st.lists(values, min_size=count, max_size=count)), dtype=dtype)

    starts = np.concatenate(([0], np.cumsum(lengths)))
    weights = column(st.integers(0, 4), np.float64)
    weights[starts[:-1]] += 1
    sums = np.add.reduceat(weights, starts[:-1])
    return {
        "row_starts": starts,
        "next_states": column(st.integers(0, num_states - 1), np.int32),
        "probabilities": weights / np.repeat(sums, lengths),
        "rewards": column(st.sampled_from([-1.0, 0.0, 1.0]), np.float64),
        "terminated": column(st.booleans(), np.bool_),
        "initial_distribution": np.eye(num_states)[0],
        "num_actions": 1,
    }


def mass(rows):
    """Probability of each (row, next state, reward, terminated), by a loop over outcomes."""
    total = {}
    for row in range(len(rows["row_starts"]) - 1):
        for place in range(rows["row_starts"][row], rows["row_starts"][row + 1]):
            names = ("next_states", "rewards", "terminated")
            key = (row, *(rows[name][place].item() for name in names))
            total[key] = total.get(key, 0.0) + rows["probabilities"][place]
    return {key: value for key, value in total.items() if value > 0}


@settings(max_examples=60, deadline=None)
@given(raw_rows(), st.integers(1, 8))
def test_canonical_rows_keep_the_distribution_and_are_in_order(rows, outcomes_at_once):
    before = {name: value.copy() for name, value in rows.items() if name != "num_actions"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mdp_validation, "_OUTCOMES_AT_ONCE", outcomes_at_once)
        mdp = TabularMDP(**rows)
    after = {name: getattr(mdp, name) for name in before}
    assert mass(after) == pytest.approx(mass(before))
    assert list(mass(after)) == sorted(mass(before))  # in order, each once
    assert (after["probabilities"] > 0).all()
    again = canonical_rows(mdp)
    assert all(again[name] is getattr(mdp, name) for name in again)


@settings(max_examples=60, deadline=None)
@given(raw_rows(), st.randoms(use_true_random=False))
def test_the_form_does_not_depend_on_the_order_given(rows, random):
    order = []
    for first, last in zip(rows["row_starts"], rows["row_starts"][1:], strict=False):
        row = list(range(first, last))
        random.shuffle(row)
        order += row
    names = ("next_states", "probabilities", "rewards", "terminated")
    shuffled = rows | {name: rows[name][order] for name in names}
    one, other = TabularMDP(**rows), TabularMDP(**shuffled)
    for name in ("row_starts", *names):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-15)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.integers(1, 20))
def test_chunks_cover_all_rows_once(lengths, outcomes_at_once):
    starts = np.concatenate(([0], np.cumsum(lengths)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mdp_validation, "_OUTCOMES_AT_ONCE", outcomes_at_once)
        chunks = list(row_chunks(starts))
    assert [row for chunk in chunks for row in range(*chunk)] == list(range(len(lengths)))
    for first, last in chunks:
        assert starts[last - 1] - starts[first] <= outcomes_at_once + max(lengths)
