import math

import numpy as np
import pytest
from gymagine.experiments.aggregates import (
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
    probability_of_improvement_interval,
    profile_intervals,
)
from scipy import stats


@pytest.mark.parametrize("num_scores", range(1, 17))
def test_interquartile_mean_is_the_trimmed_mean_of_scipy(num_scores):
    scores = np.random.default_rng(num_scores).normal(size=num_scores)
    assert interquartile_mean(scores) == pytest.approx(stats.trim_mean(scores, 0.25), abs=1e-14)


def test_three_scores_are_not_trimmed_and_five_lose_one_at_each_end():
    assert interquartile_mean([0.0, 1.0, 8.0]) == 3.0
    assert interquartile_mean([-1e9, 1.0, 2.0, 6.0, 1e9]) == 3.0


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_interquartile_mean_along_an_axis(axis):
    scores = np.random.default_rng(0).normal(size=(9, 6))
    expected = stats.trim_mean(scores, 0.25, axis=axis)
    np.testing.assert_allclose(interquartile_mean(scores, axis=axis), expected, atol=1e-14)


@pytest.mark.parametrize("scores", [[], [1.0, math.nan]])
def test_interquartile_mean_refuses_what_is_no_score(scores):
    with pytest.raises(ValueError, match="expected finite scores"):
        interquartile_mean(scores)


@pytest.mark.parametrize("seed", range(5))
def test_probability_of_improvement_is_the_mann_whitney_statistic(seed):
    rng = np.random.default_rng(seed)
    # few distinct values, so that there are ties
    x, y = rng.integers(0, 5, 12).astype(float), rng.integers(0, 4, 7).astype(float)
    expected = stats.mannwhitneyu(x, y).statistic / (x.size * y.size)
    assert probability_of_improvement(x, y) == pytest.approx(expected, abs=1e-14)
    assert probability_of_improvement(x, y) + probability_of_improvement(y, x) == pytest.approx(1)


def test_probability_of_improvement_is_averaged_over_tasks():
    interval = probability_of_improvement_interval(
        [[1.0, 2.0], [5.0, 5.0]], [[0.0, 0.0], [5.0, 9.0]], rng=np.random.default_rng(0)
    )
    # every run wins the first task; in the second it ties against one run and loses to the other
    assert interval.estimate == pytest.approx((1.0 + 0.25) / 2)
    assert interval.low <= interval.estimate <= interval.high


def test_probability_of_improvement_interval_covers_the_truth():
    rng = np.random.default_rng(0)
    truth = stats.norm.cdf(0.5 / math.sqrt(2))
    hits = 0
    for _ in range(400):
        x, y = rng.normal(0.5, 1.0, 25), rng.normal(0.0, 1.0, 25)
        interval = probability_of_improvement_interval([x], [y], rng=rng, num_resamples=400)
        hits += interval.low <= truth <= interval.high
    assert 0.9 <= hits / 400 <= 0.98


@pytest.mark.slow
def test_probability_of_improvement_interval_equals_resampling_the_scores():
    x, y = np.array([0.1, 0.5, 0.6, 0.9]), np.array([0.2, 0.4, 0.55, 0.7, 0.8])
    ours = probability_of_improvement_interval(
        [x], [y], rng=np.random.default_rng(0), num_resamples=20_000
    )
    rng = np.random.default_rng(1)
    values = [
        probability_of_improvement(rng.choice(x, x.size), rng.choice(y, y.size))
        for _ in range(20_000)
    ]
    expected = np.quantile(values, [0.025, 0.975])
    assert (ours.low, ours.high) == pytest.approx(expected, abs=0.051)  # a lattice of 1/20


def test_probability_of_improvement_of_single_runs_has_no_bounds():
    interval = probability_of_improvement_interval([[2.0]], [[1.0]], rng=np.random.default_rng(0))
    assert interval.estimate == 1.0
    assert not interval.is_known


def test_probability_of_improvement_refuses_unequal_tasks():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="got 2 and 1 tasks"):
        probability_of_improvement_interval([[1.0], [2.0]], [[1.0]], rng=rng)
    with pytest.raises(ValueError, match="got 0 and 0 tasks"):
        probability_of_improvement_interval([], [], rng=rng)
    with pytest.raises(ValueError, match="finite y"):
        probability_of_improvement([1.0], [math.nan])


def test_performance_profile_is_the_survival_function_of_scipy():
    scores = np.random.default_rng(0).integers(0, 6, 15) / 5
    thresholds = np.linspace(-0.2, 1.2, 8).round(1)
    expected = stats.ecdf(scores).sf.evaluate(thresholds)
    np.testing.assert_allclose(performance_profile(scores, thresholds), expected, atol=1e-14)


def test_profile_weighs_tasks_alike_and_has_a_binomial_band():
    tasks = [np.array([0.0, 1.0] * 50), np.array([1.0])]
    low, middle, high = profile_intervals(
        tasks, [0.5, 2.0], rng=np.random.default_rng(0), num_resamples=10_000
    )
    # half of the first task and all of the second are above 0.5
    np.testing.assert_allclose(middle, [0.75, 0.0])
    expected = stats.binom.ppf([0.025, 0.975], 100, 0.5) / 200 + 0.5
    np.testing.assert_allclose([low[0], high[0]], expected, atol=0.006)
    assert low[1] == high[1] == 0.0


def test_profile_refuses_nothing_at_all():
    with pytest.raises(ValueError, match="at least one task"):
        profile_intervals([], [0.5], rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="thresholds"):
        performance_profile([1.0], [])
