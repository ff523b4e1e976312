"""Lists of outcomes, in all the forms that toy text's ``P`` takes."""

import numpy as np
import pytest
from gymagine.envs.outcome_models import compress_outcomes

LOOP = (1.0, 0, 0.0, False)


def test_rows_lie_one_after_another():
    rows = compress_outcomes([[[(0.5, 1, 2, True), (0.5, 0, 3.0, False)], []], [[LOOP], [LOOP]]])
    np.testing.assert_array_equal(rows["row_starts"], [0, 2, 2, 3, 4])
    np.testing.assert_array_equal(rows["next_states"], [1, 0, 0, 0])
    np.testing.assert_array_equal(rows["probabilities"], [0.5, 0.5, 1, 1])
    np.testing.assert_array_equal(rows["rewards"], [2, 3, 0, 0])
    np.testing.assert_array_equal(rows["terminated"], [True, False, False, False])
    np.testing.assert_array_equal(rows["action_mask"], [[True, False], [True, True]])
    dtypes = [rows[name].dtype for name in ("row_starts", "next_states", "rewards", "terminated")]
    assert dtypes == [np.int64, np.int32, np.float64, np.bool_]


def test_dictionaries_may_leave_actions_out():
    rows = compress_outcomes({1: {np.int64(2): [LOOP]}, 0: {0: [LOOP], 1: []}})
    np.testing.assert_array_equal(
        rows["action_mask"], [[True, False, False], [False, False, True]]
    )
    assert compress_outcomes({0: {0: [LOOP]}}, num_actions=4)["num_actions"] == 4


@pytest.mark.parametrize(
    ("outcomes", "message"),
    [
        ([[[LOOP]], [[LOOP], [LOOP]]], "state 0: actions: expected 2 of them, got 1"),
        ([], "expected at least one state and one action"),
        ([[]], "expected at least one state and one action"),
        ({1: {0: [LOOP]}}, "state: expected keys 0 to 0, got 1"),
        ({"start": {0: [LOOP]}}, "state: expected keys 0 to 0, got 'start'"),
        ([{0: [LOOP]}, {-1: [LOOP]}], "state 1: action: expected keys 0 to 0, got -1"),
        ([[[LOOP]], [[(1.0, 0, 0.0)]]], r"state 1, action 0: expected \(probability, next state"),
        ([[[(1.0, 0.0, 0.0, True)]]], r"got \(1.0, 0.0, 0.0, True\)"),
        ([[[(None, 0, 0.0, True)]]], "state 0, action 0: expected"),
        ([[[3]]], "state 0, action 0: expected .*, got 3"),
    ],
)
def test_what_is_no_list_of_outcomes_is_refused_by_place(outcomes, message):
    with pytest.raises(ValueError, match=message):
        compress_outcomes(outcomes)


def test_a_next_state_too_large_for_the_table_does_not_wrap_around():
    assert compress_outcomes([[[(1.0, 2**32, 0.0, True)]]])["next_states"][0] == -1
