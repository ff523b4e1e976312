import math

import numpy as np
import pytest
from gymagine.experiments.aggregates import interquartile_mean
from gymagine.experiments.intervals import (
    Interval,
    bootstrap_interval,
    mean_interval,
    proportion_interval,
    stratified_bootstrap_interval,
)
from scipy import stats


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("num_scores", [2, 3, 5, 40])
def test_mean_interval_is_student_of_scipy(num_scores, confidence):
    scores = np.random.default_rng(num_scores).normal(3.0, 2.0, num_scores)
    expected = stats.t.interval(
        confidence, num_scores - 1, loc=scores.mean(), scale=stats.sem(scores)
    )
    interval = mean_interval(scores, confidence)
    assert interval.estimate == pytest.approx(scores.mean(), abs=1e-14)
    assert (interval.low, interval.high) == pytest.approx(expected, abs=1e-10)
    assert interval.confidence == confidence


def test_mean_interval_covers_the_mean_of_normal_scores_as_often_as_it_says():
    rng = np.random.default_rng(0)
    intervals = [mean_interval(rng.normal(1.0, 3.0, 4), 0.8) for _ in range(2000)]
    share = np.mean([interval.low <= 1.0 <= interval.high for interval in intervals])
    # four standard deviations of a binomial share at 0.8
    assert share == pytest.approx(0.8, abs=4 * math.sqrt(0.8 * 0.2 / 2000))


def test_one_score_has_no_bounds():
    rng = np.random.default_rng(0)
    for interval in (
        mean_interval([0.7]),
        bootstrap_interval([0.7], np.mean, rng=rng),
        stratified_bootstrap_interval([[0.7], [0.7, 0.7]], np.mean, rng=rng),
    ):
        assert interval.estimate == pytest.approx(0.7)
        assert math.isnan(interval.low) and math.isnan(interval.high)
        assert not interval.is_known
        assert interval.to_json()["low"] is None


def test_equal_scores_have_an_interval_of_no_width():
    assert mean_interval([2.0] * 5) == Interval(2.0, 2.0, 2.0)


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (3, 10), (10, 10), (741, 1000)])
def test_proportion_interval_is_wilson_of_scipy(successes, trials):
    expected = stats.binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    interval = proportion_interval(successes, trials)
    assert interval.estimate == successes / trials
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(("successes", "trials"), [(1, 0), (-1, 4), (5, 4)])
def test_impossible_counts_are_refused(successes, trials):
    with pytest.raises(ValueError, match=f"got {successes} of {trials}"):
        proportion_interval(successes, trials)


@pytest.mark.parametrize("statistic", [np.mean, np.median])
def test_bootstrap_agrees_with_the_percentile_bootstrap_of_scipy(statistic):
    scores = np.random.default_rng(3).gamma(2.0, 1.0, 25)
    ours = bootstrap_interval(
        scores, statistic, rng=np.random.default_rng(0), num_resamples=20_000
    )
    theirs = stats.bootstrap(
        (scores,),
        statistic,
        method="percentile",
        n_resamples=20_000,
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=0.02)


def test_bootstrap_of_the_interquartile_mean_covers_the_centre():
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(500):
        interval = bootstrap_interval(
            rng.normal(size=30), interquartile_mean, rng=rng, num_resamples=400
        )
        hits += interval.low <= 0.0 <= interval.high
    # the percentile bootstrap is a little too narrow at N = 30: 0.93 in long simulations
    assert 0.89 <= hits / 500 <= 0.97


def test_bootstrap_of_five_scores_is_as_narrow_as_the_docstring_says():
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(600):
        interval = bootstrap_interval(rng.normal(size=5), np.mean, rng=rng, num_resamples=400)
        hits += interval.low <= 0.0 <= interval.high
    assert hits / 600 == pytest.approx(0.84, abs=0.05)


def test_stratified_bootstrap_has_the_variance_within_tasks_only():
    rng = np.random.default_rng(4)
    tasks = [rng.normal(0.0, 1.0, 40), rng.normal(100.0, 3.0, 20)]
    interval = stratified_bootstrap_interval(tasks, np.mean, rng=rng, num_resamples=20_000)
    # the pooled mean of resamples has the variance sum_t N_t var_t / (sum_t N_t)^2
    deviation = math.sqrt(sum(task.size * task.var() for task in tasks)) / 60
    assert interval.estimate == pytest.approx(np.concatenate(tasks).mean())
    assert interval.high - interval.low == pytest.approx(2 * 1.95996 * deviation, rel=0.03)


def test_the_same_generator_gives_the_same_interval():
    scores = np.arange(10.0)
    first, second = (
        bootstrap_interval(scores, np.mean, rng=np.random.default_rng(7)) for _ in range(2)
    )
    assert first == second


def test_long_inputs_are_resampled_in_parts():
    scores = np.random.default_rng(0).normal(size=30_000)
    interval = bootstrap_interval(scores, np.mean, rng=np.random.default_rng(0), num_resamples=300)
    expected = 2 * 1.95996 * scores.std() / math.sqrt(scores.size)
    assert interval.high - interval.low == pytest.approx(expected, rel=0.2)


@pytest.mark.parametrize("scores", [[], [[1.0, 2.0]], [1.0, math.nan], [math.inf]])
def test_bad_scores_are_refused(scores):
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="expected"):
        mean_interval(scores)
    with pytest.raises(ValueError, match="expected"):
        bootstrap_interval(scores, np.mean, rng=rng)
    with pytest.raises(ValueError, match="scores of task 1"):
        stratified_bootstrap_interval([[1.0], scores], np.mean, rng=rng)


def test_bad_settings_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="got 95"):
        mean_interval([1.0], 95.0)
    with pytest.raises(ValueError, match="num_resamples >= 1, got 0"):
        bootstrap_interval([1.0], np.mean, rng=rng, num_resamples=0)
    with pytest.raises(ValueError, match="at least one task"):
        stratified_bootstrap_interval([], np.mean, rng=rng)
