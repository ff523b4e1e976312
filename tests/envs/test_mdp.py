"""The model keeps the distribution it was given, in one canonical form, whole and read-only."""

import copy
import pickle
from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest
from gymagine.envs import mdp_validation
from gymagine.envs.grid_layout import GridLayout
from gymagine.envs.mdp import TabularMDP
from gymagine.storage import read_arrays, write_arrays
from hypothesis import given, settings
from hypothesis import strategies as st

ARRAYS = ("row_starts", "next_states", "probabilities", "rewards", "terminated")
REWARDS = st.sampled_from([-1.0, -0.0, 0.0, 0.5]) | st.floats(-1e6, 1e6)


@st.composite
def outcome_lists(draw):
    """Models as lists, with duplicates, impossible outcomes and masked actions."""
    num_states = draw(st.integers(1, 4))
    num_actions = draw(st.integers(1, 3))
    entry = st.tuples(st.integers(0, 5), st.integers(0, num_states - 1), REWARDS, st.booleans())

    def row():
        entries = draw(st.lists(entry, max_size=6))
        total = sum(weight for weight, *_ in entries)
        return [(weight / total, *rest) for weight, *rest in entries] if total else []

    states = [[row() for _ in range(num_actions)] for _ in range(num_states)]
    for state, actions in enumerate(states):
        if not any(actions):
            actions[draw(st.integers(0, num_actions - 1))] = [(1.0, state, 0.0, True)]
    return states


def distribution(outcomes):
    """What a list says, as probabilities of (next state, reward, terminated)."""
    key = lambda entry: (entry[1], entry[2], entry[3])  # noqa: E731 - local and used twice
    groups = groupby(sorted(outcomes, key=key), key)
    sums = {name: sum(entry[0] for entry in group) for name, group in groups}
    return {name: total for name, total in sums.items() if total > 0}


def chain():
    return TabularMDP.from_outcomes(
        [
            [[(0.25, 1, 1.0, False), (0.75, 0, 0.0, False)], [(1.0, 1, 2.0, True)]],
            [[(1.0, 1, 0.0, False)], []],
        ],
        max_episode_steps=7,
        layout=GridLayout(("S.",), np.array([[0, 1]]), ((0, 1), (0, -1))),
        name="chain",
    )


@settings(max_examples=40, deadline=None)
@given(outcome_lists())
def test_the_distribution_of_every_pair_survives(lists):
    mdp = TabularMDP.from_outcomes(lists)
    for state, actions in enumerate(lists):
        for action, outcomes in enumerate(actions):
            expected, got = distribution(outcomes), mdp.outcomes(state, action)
            assert distribution(got) == pytest.approx(expected)
            assert len(got) == len(expected)
            assert mdp.allowed[state, action] == bool(expected)
            mean = sum(p * r for p, _, r, _ in outcomes)
            assert mdp.expected_rewards[state, action] == pytest.approx(mean, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(outcome_lists())
def test_to_dict_is_the_inverse_of_from_outcomes(lists):
    mdp = TabularMDP.from_outcomes(lists)
    again = TabularMDP.from_outcomes(mdp.to_dict())
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(again, name), getattr(mdp, name))
    assert again.to_dict() == mdp.to_dict()


@settings(max_examples=40, deadline=None)
@given(outcome_lists())
def test_a_saved_model_is_the_same_to_the_byte(tmp_path_factory, lists):
    folder = tmp_path_factory.getbasetemp()
    mdp = TabularMDP.from_outcomes(lists, initial_distribution=len(lists) - 1, name="ü/1")
    mdp.save(folder / "first")
    again = TabularMDP.load(folder / "first")
    again.save(folder / "second")
    assert (folder / "first").read_bytes() == (folder / "second").read_bytes()
    for name, array in mdp._arrays().items():
        assert getattr(again, name).tobytes() == array.tobytes()
        assert getattr(again, name).dtype == array.dtype
    assert (again.name, again.num_actions) == (mdp.name, mdp.num_actions)


def test_save_and_load_keep_the_rest(tmp_path):
    mdp = chain()
    mdp.save(tmp_path / "model")
    again = TabularMDP.load(tmp_path / "model")
    assert again.max_episode_steps == 7
    assert again.layout.to_json() == mdp.layout.to_json()
    np.testing.assert_array_equal(again.action_mask, [[True, True], [True, False]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays, header: arrays.pop("rewards"), "rewards"),
        (lambda arrays, header: arrays.update(weights=np.zeros(1)), "weights"),
        (lambda arrays, header: header.pop("layout"), "layout"),
        (lambda arrays, header: header.update(num_actions="two"), "expected a model"),
        (lambda arrays, header: arrays["probabilities"].fill(0.3), "sum to 1, got 0.6"),
    ],
)
def test_a_file_without_a_model_is_refused(tmp_path, change, message):
    chain().save(tmp_path / "model")
    arrays, header = read_arrays(tmp_path / "model", expected_format="gymagine-mdp-1")
    change(arrays, header)
    write_arrays(tmp_path / "model", arrays, header)
    with pytest.raises(ValueError, match=message):
        TabularMDP.load(tmp_path / "model")


def test_all_arrays_are_read_only():
    mdp = chain()
    arrays = [*mdp._arrays().values(), mdp.allowed, mdp.expected_rewards]
    arrays.append(TabularMDP.from_outcomes([[[(1, 0, 0, True)]]]).allowed)
    for array in arrays:
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    for twin in (pickle.loads(pickle.dumps(mdp)), copy.deepcopy(mdp), replace(mdp, name="x")):
        assert not any(array.flags.writeable for array in twin._arrays().values())
        assert not twin.expected_rewards.flags.writeable
        assert twin.to_dict() == mdp.to_dict()


def test_a_view_of_writeable_memory_is_copied():
    mdp = chain()
    memory = np.array([0.0, *mdp.rewards])
    twin = replace(mdp, rewards=memory[1:])
    memory[:] = 99.0
    np.testing.assert_array_equal(twin.rewards, mdp.rewards)


def test_a_read_only_view_of_writeable_memory_is_copied():
    mdp = chain()
    memory = mdp.rewards.copy()
    view = memory[:]
    view.flags.writeable = False
    twin = replace(mdp, rewards=view)
    memory[:] = 99.0
    np.testing.assert_array_equal(twin.rewards, mdp.rewards)


def test_a_deep_copy_shares_the_model():
    mdp = chain()
    assert copy.deepcopy([mdp])[0] is mdp


def test_ordered_rows_are_not_copied():
    mdp = chain()
    rewards = mdp.rewards.copy()
    assert replace(mdp, rewards=rewards).rewards is rewards


def test_replaced_rows_are_brought_into_order_again():
    mdp = TabularMDP.from_outcomes([[[(0.5, 0, 0.0, False), (0.5, 1, 0.0, False)]]] * 2)
    twin = replace(mdp, next_states=np.array([1, 0, 1, 1], dtype=np.int32))
    assert twin.to_dict() == {
        0: {0: [(0.5, 0, 0.0, False), (0.5, 1, 0.0, False)]},
        1: {0: [(1.0, 1, 0.0, False)]},
    }


def test_termination_and_reward_keep_outcomes_apart():
    row = [(0.25, 0, 1.0, True), (0.25, 0, 1.0, False), (0.25, 0, 2.0, False)]
    mdp = TabularMDP.from_outcomes([[[*row, (0.25, 0, 1.0, True)]]])
    assert mdp.outcomes(0, 0) == [(0.25, 0, 1.0, False), (0.5, 0, 1.0, True), row[2]]


def test_numpy_entries_are_taken():
    entry = (np.float64(1), np.int64(0), np.float32(0.5), np.bool_(True))
    mdp = TabularMDP.from_outcomes([[[entry]]])
    assert mdp.outcomes(0, 0) == [(1.0, 0, 0.5, True)]
    assert TabularMDP.from_outcomes({0: {0: [entry]}}).to_dict() == mdp.to_dict()


def test_the_continuation_matrix_gives_the_backup():
    mdp = chain()
    values = np.array([3.0, 5.0])
    backup = mdp.expected_rewards.ravel() + 0.5 * (mdp.continuation_matrix() @ values)
    # by hand: 0.25 + 0.5 (0.25 * 5 + 0.75 * 3); a terminated step leads to nothing; 0.5 * 5
    np.testing.assert_allclose(backup, [2.0, 2.0, 2.5, 0.0])


@settings(max_examples=40, deadline=None)
@given(outcome_lists(), st.integers(1, 5))
def test_the_work_does_not_depend_on_its_chunks(lists, outcomes_at_once):
    whole = TabularMDP.from_outcomes(lists)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mdp_validation, "_OUTCOMES_AT_ONCE", outcomes_at_once)
        parts = TabularMDP.from_outcomes(lists)
        assert parts.to_dict() == whole.to_dict()
        np.testing.assert_array_equal(parts.expected_rewards, whole.expected_rewards)


def test_sizes_names_and_starts():
    mdp = chain()
    assert repr(mdp) == "TabularMDP('chain', states=2, actions=2, outcomes=4)"
    assert (mdp.num_states, mdp.num_actions, mdp.num_outcomes) == (2, 2, 4)
    assert mdp.num_bytes == 5 * 8 + 4 * (4 + 8 + 8 + 1) + 2 * 8 + 4
    assert mdp.num_observations == 2
    joined = replace(mdp, observation_index=np.array([0, 0]))
    assert joined.num_observations == 1
    started = mdp.with_initial_distribution(1)
    np.testing.assert_array_equal(started.initial_distribution, [0, 1])
    assert started.layout is mdp.layout
    np.testing.assert_array_equal(
        mdp.with_initial_distribution([0.25, 0.75]).initial_distribution, [0.25, 0.75]
    )


@pytest.mark.parametrize(("state", "action"), [(-1, 0), (2, 0), (0, -1), (0, 2)])
def test_outcomes_of_no_pair_are_refused(state, action):
    with pytest.raises(IndexError, match=rf"got state {state} and action {action}"):
        chain().outcomes(state, action)
