import dataclasses
import json
import math

import numpy as np
import pytest
from gymagine.experiments.summary import aggregate, normalised_scores, summarise
from scipy import stats


def rng():
    return np.random.default_rng(0)


def by_agent(comparison, environment):
    rows = summarise(comparison, rng=rng())
    return {row.agent: row for row in rows if row.environment == environment}


def test_summaries_are_sorted_by_return_and_failed_agents_come_last(mixed_comparison):
    rows = summarise(mixed_comparison, rng=rng())
    assert [(row.environment, row.agent) for row in rows] == [
        ("Lake-v1", "planner"),
        ("Lake-v1", "q-learning"),
        ("Lake-v1", "sarsa"),
        ("Cliff-v1", "planner"),
        ("Cliff-v1", "q-learning"),
        ("Cliff-v1", "sarsa"),
    ]
    assert [row.is_best for row in rows] == [True, False, False] * 2


def test_figures_of_one_agent(make_run, make_comparison):
    learner = [0.3, 0.5, 0.6, 0.7, 0.65]
    planner = [0.8] * 5
    runs = [make_run(seed=s, final=x, wall_seconds=1.0 + s) for s, x in enumerate(learner)]
    runs += [make_run(agent="planner", seed=s, final=x) for s, x in enumerate(planner)]
    rows = by_agent(make_comparison(runs, optimum=0.9, control=0.1), "Lake-v1")
    row = rows["q-learning"]
    expected = stats.t.interval(0.95, 4, loc=np.mean(learner), scale=stats.sem(learner))
    assert row.num_seeds == 5
    assert row.mean.estimate == pytest.approx(0.55)
    assert (row.mean.low, row.mean.high) == pytest.approx(expected)
    assert row.iqm.estimate == pytest.approx(stats.trim_mean(learner, 0.25))
    assert row.iqm.low < row.iqm.estimate < row.iqm.high
    assert row.optimality_gap.estimate == pytest.approx(0.35)
    gap_bounds = (row.optimality_gap.low, row.optimality_gap.high)
    assert gap_bounds == pytest.approx((0.9 - expected[1], 0.9 - expected[0]))
    assert row.normalised.estimate == pytest.approx((0.55 - 0.1) / 0.8)
    assert row.normalised.high == pytest.approx((expected[1] - 0.1) / 0.8)
    assert row.wall_seconds == pytest.approx(3.0)
    assert row.p_value == row.p_value_adjusted == pytest.approx(2 / 252)
    assert rows["planner"].is_best and rows["planner"].p_value is None


def test_p_values_are_adjusted_over_the_agents_of_an_environment(make_run, make_comparison):
    runs = [
        make_run(agent=agent, seed=seed, final=level + 0.001 * seed)
        for agent, level in (("a", 0.9), ("b", 0.5), ("c", 0.4), ("d", 0.8995))
        for seed in range(5)
    ]
    rows = by_agent(make_comparison(runs), "Lake-v1")
    assert rows["b"].p_value == rows["c"].p_value == pytest.approx(2 / 252)
    # the two smallest of three are multiplied by 3; Holm's second factor of 2 may not undercut it
    assert rows["b"].p_value_adjusted == pytest.approx(6 / 252)
    assert rows["c"].p_value_adjusted == pytest.approx(6 / 252)
    assert rows["d"].p_value_adjusted == rows["d"].p_value > 0.5


def test_steps_to_ninety_percent(mixed_comparison):
    row = by_agent(mixed_comparison, "Lake-v1")["q-learning"]
    # 0.9 of the way from 0 to 1: seeds 1 and 2 are there at step 500, seed 0 never
    assert row.threshold.threshold == pytest.approx(0.9)
    assert (row.threshold.steps, row.threshold.reached, row.threshold.num_curves) == (500, 2, 3)


@pytest.mark.parametrize(
    ("reached_at", "expected"),
    [([100, 200], 150), ([100, None], None), ([100, None, None], None), ([100, 300, None], 300)],
)
def test_a_run_that_never_arrives_counts_as_infinite(
    make_run, make_comparison, reached_at, expected
):
    runs = [
        make_run(
            seed=seed,
            curve_steps=[0, step or 50],
            curve_returns=[0.0, 0.0 if step is None else 1.0],
        )
        for seed, step in enumerate(reached_at)
    ]
    row = by_agent(make_comparison(runs), "Lake-v1")["q-learning"]
    assert row.threshold.steps == expected


def test_without_an_optimum_the_best_mean_sets_the_threshold(make_run, make_comparison):
    curve = {"curve_steps": [0, 10], "curve_returns": [0.0, 0.5]}
    runs = [make_run(final=0.5, **curve), make_run(agent="planner", final=0.75)]
    rows = by_agent(make_comparison(runs, optimum=None, control=0.25), "Lake-v1")
    assert rows["q-learning"].threshold.threshold == pytest.approx(0.25 + 0.9 * 0.5)
    assert rows["planner"].threshold is None
    assert rows["q-learning"].optimality_gap is None
    assert rows["q-learning"].normalised is None


def test_no_threshold_without_a_random_policy_or_above_it(make_run, make_comparison):
    run = make_run(final=0.5, curve_steps=[0], curve_returns=[0.0])
    for references in ({"control": None}, {"optimum": None, "control": 0.6}):
        row = by_agent(make_comparison([run], **references), "Lake-v1")["q-learning"]
        assert row.threshold is None


def test_failed_and_interrupted_runs_are_counted_and_left_out(mixed_comparison):
    row = by_agent(mixed_comparison, "Lake-v1")["sarsa"]
    assert (row.num_seeds, row.num_failed, row.num_interrupted) == (1, 1, 1)
    assert row.mean.estimate == 0.25
    assert math.isnan(row.mean.low)
    row = by_agent(mixed_comparison, "Cliff-v1")["sarsa"]
    assert (row.num_seeds, row.num_failed, row.mean, row.p_value) == (0, 3, None, None)


def test_nothing_finished_is_a_summary_too(make_run, make_comparison):
    comparison = make_comparison([make_run(final=None), make_run(agent="sarsa", final=None)])
    assert [row.is_best for row in summarise(comparison, rng=rng())] == [False, False]
    assert aggregate(comparison, rng=rng()).improvement == {}


def test_normalised_scores_are_0_for_the_random_policy_and_1_for_the_optimum(
    make_run, make_comparison
):
    runs = [make_run(seed=s, final=x) for s, x in enumerate([-100.0, -13.0, -56.5])]
    comparison = make_comparison(runs, optimum=-13.0, control=-100.0)
    (scores,) = normalised_scores(comparison, "q-learning", ["Lake-v1"])
    assert scores.tolist() == [0.0, 1.0, 0.5]
    with pytest.raises(ValueError, match="Cliff-v1 with an optimum"):
        normalised_scores(comparison, "q-learning", ["Cliff-v1"])


def test_aggregate_pools_normalised_scores(mixed_comparison):
    overall = aggregate(mixed_comparison, rng=rng())
    assert overall.environments == ["Lake-v1", "Cliff-v1"]
    pooled = [0.7, 0.75, 0.8] * 2
    assert overall.iqm["q-learning"].estimate == pytest.approx(stats.trim_mean(pooled, 0.25))
    assert overall.left_out == {"sarsa": ["Cliff-v1"]}
    assert "sarsa" not in overall.iqm


def test_aggregate_leaves_out_environments_without_references(mixed_comparison):
    partly = dataclasses.replace(mixed_comparison, optimum={"Lake-v1": 1.0, "Cliff-v1": None})
    overall = aggregate(partly, rng=rng())
    assert overall.environments == ["Lake-v1"]
    assert set(overall.iqm) == {"planner", "q-learning", "sarsa"}
    nowhere = aggregate(dataclasses.replace(partly, control={}), rng=rng())
    assert nowhere.environments == [] and nowhere.iqm == {}


def test_improvement_is_complementary_and_averaged(make_run, make_comparison):
    scores = {
        ("Lake-v1", "a"): [1.0, 2.0, 3.0],
        ("Lake-v1", "b"): [2.5, 0.5, 2.0],
        ("Cliff-v1", "a"): [-50.0, -40.0, -30.0],
        ("Cliff-v1", "b"): [-45.0, -60.0, -70.0],
    }
    runs = [
        make_run(environment, agent, seed, final)
        for (environment, agent), finals in scores.items()
        for seed, final in enumerate(finals)
    ]
    overall = aggregate(make_comparison(runs), rng=rng())
    expected = np.mean(
        [
            stats.mannwhitneyu(scores[name, "a"], scores[name, "b"]).statistic / 9
            for name in ("Lake-v1", "Cliff-v1")
        ]
    )
    forward, backward = overall.improvement["a", "b"], overall.improvement["b", "a"]
    assert forward.estimate == pytest.approx(expected)
    assert backward.estimate == pytest.approx(1 - expected)
    assert (backward.low, backward.high) == pytest.approx((1 - forward.high, 1 - forward.low))


def test_summaries_are_json_without_nan(mixed_comparison):
    rows = [row.to_json() for row in summarise(mixed_comparison, rng=rng())]
    overall = aggregate(mixed_comparison, rng=rng()).to_json()
    text = json.dumps([rows, overall], allow_nan=False)
    assert json.loads(text)[0][0]["mean"]["estimate"] == 0.875
