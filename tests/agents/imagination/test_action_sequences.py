import numpy as np
import pytest
from gymagine.agents.imagination.action_sequences import (
    BoxSequences,
    DiscreteSequences,
    SequenceLaw,
    action_sequences,
    elite_weights,
    exponential_weights,
    weighted_moments,
)
from gymnasium import spaces

BOX = spaces.Box(np.array([-2.0, 0.0]), np.array([2.0, 10.0]), dtype=np.float32)


def test_elites_share_the_weight_and_refit_mean_and_deviation_by_hand():
    """Of returns 1, 5, 3, 4 the two best are the second and the fourth."""
    weights = elite_weights(np.array([[1.0, 5.0, 3.0, 4.0]]), 2)
    assert weights.tolist() == [[0, 0.5, 0, 0.5]]
    sequences = np.array([9.0, 0.2, 9.0, 0.6]).reshape(1, 4, 1, 1)
    mean, deviation = weighted_moments(sequences, weights)
    assert mean.item() == pytest.approx(0.4)
    assert deviation.item() == pytest.approx(0.2)  # of the elites alone, with 1 / E


def test_path_integral_weights_by_hand():
    """exp(R / 2) of R = 0, 2 ln 2, 2 ln 5 is 1, 2, 5."""
    returns = np.array([[0.0, 2 * np.log(2), 2 * np.log(5)]])
    np.testing.assert_allclose(exponential_weights(returns, 2.0), [[1 / 8, 2 / 8, 5 / 8]])
    np.testing.assert_allclose(exponential_weights(returns + 1e6, 2.0), [[1 / 8, 2 / 8, 5 / 8]])
    both = exponential_weights(np.concatenate([returns, returns]), np.array([[2.0], [1.0]]))
    np.testing.assert_allclose(both[1], [1 / 30, 4 / 30, 25 / 30])


def test_what_is_worst_has_no_weight():
    weights = exponential_weights(np.array([[0.0, -np.inf, 0.0]]), 1.0)
    assert weights.tolist() == [[0.5, 0, 0.5]]


def test_actions_of_a_box_are_within_its_bounds_and_of_its_dtype():
    sequences = BoxSequences(BOX, 3)
    corners = np.array([[-1.0, -1.0], [1.0, 1.0], [0.5, 0.0]])
    found = sequences.actions(corners)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [[-2, 0], [2, 10], [1, 5]])
    rng = np.random.default_rng(0)
    wide = SequenceLaw(np.ones((2, 3, 2)), np.full((2, 3, 2), 5.0))
    drawn = sequences.draw(wide, 200, rng)
    assert drawn.shape == (2, 200, 3, 2)
    assert all(BOX.contains(action) for action in sequences.actions(drawn).reshape(-1, 2))
    assert np.abs(drawn).max() == 1


def test_draws_of_a_box_have_their_moments():
    law = SequenceLaw(np.full((1, 1, 1), 0.1), np.full((1, 1, 1), 0.2))
    drawn = BoxSequences(spaces.Box(-1, 1, (1,)), 1).draw(law, 40_000, np.random.default_rng(1))
    assert drawn.mean() == pytest.approx(0.1, abs=0.005)
    assert drawn.std() == pytest.approx(0.2, abs=0.005)


def test_draws_of_categories_have_their_probabilities():
    shares = np.array([0.5, 0.0, 0.2, 0.3, 0.0])
    law = SequenceLaw(shares.reshape(1, 1, 5), np.zeros((1, 1, 5)))
    sequences = DiscreteSequences(spaces.Discrete(5), 1)
    drawn = sequences.draw(law, 40_000, np.random.default_rng(0))
    np.testing.assert_allclose(drawn.mean(axis=(0, 1, 2)), shares, atol=0.01)
    assert drawn[..., [1, 4]].sum() == 0
    uniform = sequences.draw_uniform(law, 40_000, np.random.default_rng(0))
    np.testing.assert_allclose(
        uniform.mean(axis=(0, 1, 2)), [1 / 3, 0, 1 / 3, 1 / 3, 0], atol=0.01
    )


def test_a_plan_is_moved_by_a_step():
    box = BoxSequences(spaces.Box(-1, 1, (1,)), 3)
    law = SequenceLaw(np.array([[[0.1], [0.2], [0.3]]]), np.full((1, 3, 1), 1e-9))
    after = box.following(law)
    assert after.centre.ravel().tolist() == [0.2, 0.3, 0.0]
    np.testing.assert_array_equal(after.deviation, box.first(1).deviation)
    discrete = DiscreteSequences(spaces.Discrete(2), 2)
    after = discrete.following(SequenceLaw(np.array([[[1.0, 0], [0, 1.0]]]), np.zeros((1, 2, 2))))
    np.testing.assert_allclose(after.centre, [[[0.25, 0.75], [0.5, 0.5]]])


def test_masks_keep_the_first_action_and_no_other():
    sequences = DiscreteSequences(spaces.Discrete(3, start=4), 2)
    masks = np.array([[False, True, True], [True, False, False]])
    law = sequences.allowing(sequences.first(2), masks)
    np.testing.assert_allclose(law.centre[:, 0], [[0, 0.5, 0.5], [1, 0, 0]])
    np.testing.assert_allclose(law.centre[:, 1], 1 / 3)
    drawn = sequences.actions(sequences.draw(law, 50, np.random.default_rng(0)))
    assert set(drawn[0, :, 0]) == {5, 6}
    assert set(drawn[1, :, 0]) == {4}
    none_left = SequenceLaw(np.array([[[1.0, 0, 0], [1, 0, 0]]]), np.zeros((1, 2, 3)))
    again = sequences.allowing(none_left, np.array([[False, True, True]]))
    np.testing.assert_allclose(again.centre[0, 0], [0, 0.5, 0.5])
    with pytest.raises(ValueError, match="no action_mask"):
        BoxSequences(BOX, 2).allowing(BoxSequences(BOX, 2).first(1), masks)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (spaces.Box(-np.inf, np.inf, (2,)), "finite bounds"),
        (spaces.Box(0, 5, (2,), np.int64), "floating-point"),
        (spaces.MultiBinary(3), "a Box or a Discrete space"),
    ],
)
def test_other_actions_are_refused(space, message):
    with pytest.raises(ValueError, match=message):
        action_sequences(space, 3)
