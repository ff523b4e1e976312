import math

import numpy as np
import pytest
from gymagine.experiments.aggregates import interquartile_mean
from gymagine.experiments.learning_curves import (
    common_grid,
    curve_intervals,
    learning_curve,
    steps_to_threshold,
)


@pytest.mark.parametrize(
    ("threshold", "expected"), [(-1.0, 0), (0.5, 10), (0.6, 10), (0.61, 40), (0.9, 40)]
)
def test_the_first_step_at_or_above_the_threshold(threshold, expected):
    assert steps_to_threshold([0, 10, 20, 40], [0.0, 0.6, 0.2, 0.9], threshold) == expected


def test_a_threshold_never_reached_is_nan():
    assert math.isnan(steps_to_threshold([0, 10], [0.0, 0.5], 0.50001))


def test_the_last_value_known_at_each_step():
    curves = learning_curve(
        [[0, 10, 20], [5, 15]], [[0.0, 1.0, 2.0], [7.0, 8.0]], [5, 9, 10, 14, 15, 100]
    )
    assert curves.tolist() == [[0, 0, 1, 1, 1, 2], [7, 7, 7, 7, 8, 8]]


def test_a_grid_before_the_first_evaluation_is_refused():
    with pytest.raises(ValueError, match="step 5 of seed number 1, got 0"):
        learning_curve([[0, 10], [5, 15]], [[0.0, 1.0], [7.0, 8.0]], [0, 5])


def test_common_grid_starts_where_every_seed_has_a_value():
    assert common_grid([[0, 10, 20], [5, 15]]).tolist() == [5, 10, 15, 20]


def test_a_long_grid_is_thinned_to_its_ends():
    grid = common_grid([np.arange(10_001)], max_points=5)
    assert grid.tolist() == [0, 2500, 5000, 7500, 10_000]


def test_band_is_the_bootstrap_over_whole_seeds():
    curves = np.random.default_rng(0).normal(size=(6, 3)) + np.array([0.0, 10.0, 20.0])
    low, middle, high = curve_intervals(curves, rng=np.random.default_rng(1))
    np.testing.assert_allclose(middle, np.sort(curves, axis=0)[1:5].mean(axis=0))
    rng = np.random.default_rng(2)
    draws = [interquartile_mean(curves[rng.integers(6, size=6)], axis=0) for _ in range(4000)]
    expected_low, expected_high = np.quantile(draws, [0.025, 0.975], axis=0)
    np.testing.assert_allclose(low, expected_low, atol=0.08)
    np.testing.assert_allclose(high, expected_high, atol=0.08)


def test_parallel_curves_have_parallel_bands():
    # one draw of seeds serves the whole curve
    first = np.random.default_rng(0).normal(size=(5, 1))
    low, middle, high = curve_intervals(
        np.hstack([first, first + 3.0]), rng=np.random.default_rng(0), statistic=np.mean
    )
    for band in (low, middle, high):
        assert band[1] - band[0] == pytest.approx(3.0)


def test_one_seed_has_a_middle_and_no_band():
    low, middle, high = curve_intervals([[1.0, 2.0]], rng=np.random.default_rng(0))
    assert middle.tolist() == [1.0, 2.0]
    assert np.isnan(low).all() and np.isnan(high).all()


@pytest.mark.parametrize(
    ("steps", "values", "message"),
    [
        ([], [], "steps of shape"),
        ([0, 1], [1.0], "1 values and 2 steps"),
        ([1, 1], [0.0, 1.0], "strictly increasing"),
        ([0, 1], [0.0, math.nan], "finite values"),
    ],
)
def test_bad_curves_are_refused(steps, values, message):
    with pytest.raises(ValueError, match=message):
        steps_to_threshold(steps, values, 0.5)
    with pytest.raises(ValueError, match=message):
        learning_curve([steps], [values], [5])


def test_other_bad_input_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="got 1 and 0"):
        learning_curve([[0]], [], [0])
    with pytest.raises(ValueError, match="at least one seed"):
        common_grid([])
    with pytest.raises(ValueError, match="finite threshold"):
        steps_to_threshold([0], [0.0], math.nan)
    for curves in ([], [1.0, 2.0], [[1.0, math.nan]]):
        with pytest.raises(ValueError, match="curves of shape"):
            curve_intervals(curves, rng=rng)
