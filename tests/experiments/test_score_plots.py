from itertools import pairwise

import numpy as np
import pytest
from gymagine.experiments.score_plots import (
    draw_final_returns,
    draw_improvement,
    draw_normalised_returns,
)
from scipy import stats


def rng():
    return np.random.default_rng(0)


def rows_of(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


@pytest.fixture
def three_agents(make_run, make_comparison):
    finals = {"poor": [0.1, 0.2, 0.3], "good": [0.5, 0.7, 0.9], "flat": [0.6, 0.6, 0.6]}
    runs = [
        make_run(environment, agent, seed, final)
        for environment in ("Lake-v1", "Cliff-v1")
        for agent, scores in finals.items()
        for seed, final in enumerate(scores)
    ]
    return make_comparison(runs, optimum=1.0, control=0.05)


def test_rows_are_agents_best_first_with_mean_and_interval(three_agents):
    figure = draw_final_returns(three_agents, rng())
    assert [rows_of(axes) for axes in figure.axes] == [["good", "flat", "poor"], []]
    for axes in figure.axes:
        points = {tuple(line.get_xdata()) for line in axes.lines}
        assert any(point == pytest.approx((0.7,)) for point in points if len(point) == 1)
        low, high = stats.t.interval(0.95, 2, loc=0.7, scale=stats.sem([0.5, 0.7, 0.9]))
        bars = [point for point in points if len(point) == 2]
        assert any(bar == pytest.approx((low, high)) for bar in bars)
        dots = np.concatenate([c.get_offsets()[:, 0] for c in axes.collections])
        assert sorted(dots) == [0.1, 0.2, 0.3, 0.5, 0.6, 0.6, 0.6, 0.7, 0.9]


def test_optimum_and_random_policy_are_marked(three_agents):
    figure = draw_final_returns(three_agents, rng())
    for axes in figure.axes:
        assert {text.get_text() for text in axes.texts} == {"optimum", "random"}
        # matplotlib draws vertical lines in the unit of the axis
        assert {1.0, 0.05} <= {line.get_xdata()[0] for line in axes.lines}


def test_a_far_away_random_policy_is_named_not_drawn(make_run, make_comparison):
    runs = [make_run(seed=seed, final=final) for seed, final in enumerate([-15.0, -13.0, -14.0])]
    (axes,) = draw_final_returns(
        make_comparison(runs, optimum=-13.0, control=-56_000.0), rng()
    ).axes
    assert axes.get_xlim()[0] > -100
    assert "random -5.6e+04, left of here" in {text.get_text() for text in axes.texts}


def test_normalised_returns_are_interquartile_means(three_agents):
    (axes,) = draw_normalised_returns(three_agents, rng()).axes
    assert rows_of(axes) == ["good", "flat", "poor"]
    points = [line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 1]
    pooled = (np.array([0.5, 0.7, 0.9] * 2) - 0.05) / 0.95
    assert points[0] == pytest.approx(stats.trim_mean(pooled, 0.25))


def test_heat_map_holds_the_probabilities(three_agents):
    axes = draw_improvement(three_agents, rng()).axes[0]
    assert rows_of(axes) == ["good", "flat", "poor"]
    values = np.asarray(axes.images[0].get_array().filled(np.nan))
    # of "good" one of three runs is below 0.6
    np.testing.assert_allclose(
        values, [[np.nan, 2 / 3, 1.0], [1 / 3, np.nan, 1.0], [0.0, 0.0, np.nan]]
    )
    written = {text.get_position(): text for text in axes.texts}
    assert written[1, 0].get_text() == "0.67" and written[0, 1].get_text() == "0.33"
    assert written[2, 0].get_fontweight() == "bold"
    assert written[1, 0].get_fontweight() == "normal"


def test_labels_of_twelve_agents_do_not_touch(make_large_comparison):
    comparison = make_large_comparison(6, 12, 3)
    figure = draw_final_returns(comparison, rng())
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert len(boxes) == 12
    for upper, lower in pairwise(boxes):
        assert upper.y0 >= lower.y1
