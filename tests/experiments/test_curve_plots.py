import numpy as np
import pytest
from gymagine.experiments.curve_plots import draw_learning_curves, draw_profiles
from matplotlib.colors import to_hex
from scipy import stats


def rng():
    return np.random.default_rng(0)


def texts_of(axes):
    return {text.get_text(): text for text in axes.texts}


@pytest.fixture
def two_seeds(make_run, make_comparison):
    runs = [
        make_run(
            agent=agent,
            seed=seed,
            final=level + seed / 10,
            curve_steps=[0, 500, 1000],
            curve_returns=[0.0, level, level + seed / 10],
        )
        for agent, level in (("sarsa", 0.4), ("q-learning", 0.6))
        for seed in range(2)
    ]
    runs.append(make_run(agent="planner", final=0.9))
    return make_comparison(runs, optimum=1.0, control=0.1)


def test_lines_are_the_interquartile_means(two_seeds):
    (axes,) = draw_learning_curves(two_seeds, rng()).axes
    curves = {tuple(np.round(line.get_ydata(), 6)) for line in axes.lines}
    assert (0.0, 0.4, 0.45) in curves
    assert (0.0, 0.6, 0.65) in curves
    assert (0.9, 0.9) in curves  # the planner is a level
    assert (1.0, 1.0) in curves and (0.1, 0.1) in curves  # optimum and random policy
    assert len(axes.collections) == 2  # a band for each learner


def test_labels_stand_beside_their_lines_without_touching(two_seeds):
    figure = draw_learning_curves(two_seeds, rng())
    (axes,) = figure.axes
    figure.draw_without_rendering()
    texts = texts_of(axes)
    assert set(texts) == {"exact optimum", "planner", "q-learning", "sarsa", "random policy"}
    boxes = [text.get_window_extent() for text in texts.values()]
    for index, box in enumerate(boxes):
        assert box.x0 > axes.bbox.x1
        assert not any(box.overlaps(other) for other in boxes[:index])
    heights = [texts[name].get_position()[1] for name in ("sarsa", "q-learning", "planner")]
    assert heights == sorted(heights)


def test_twelve_agents_have_twelve_labels_that_do_not_touch(make_large_comparison):
    figure = draw_learning_curves(make_large_comparison(1, 12, 2), rng())
    (axes,) = figure.axes
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) == 14
    for index, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:index])


def test_several_environments_share_a_legend_outside(mixed_comparison):
    figure = draw_learning_curves(mixed_comparison, rng())
    figure.draw_without_rendering()
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["planner", "q-learning", "sarsa", "exact optimum", "random policy"]
    assert all(legend.get_window_extent().x0 >= axes.bbox.x1 for axes in figure.axes)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Lake-v1", "Cliff-v1"]


def test_a_terrible_start_does_not_flatten_the_rest(make_run, make_comparison):
    curve = [-5000.0, *np.linspace(-40.0, -14.0, 20)]
    run = make_run(final=-14.0, curve_steps=list(range(21)), curve_returns=list(map(float, curve)))
    (axes,) = draw_learning_curves(
        make_comparison([run], optimum=-13.0, control=-56_000.0), rng()
    ).axes
    assert -60 < axes.get_ylim()[0] < -30
    assert "random policy -5.6e+04, below" in texts_of(axes)


def test_all_of_an_ordinary_curve_is_shown(two_seeds):
    (axes,) = draw_learning_curves(two_seeds, rng()).axes
    low, high = axes.get_ylim()
    assert low < 0.0 and high > 1.0


def test_one_seed_has_no_band(make_run, make_comparison):
    run = make_run(curve_steps=[0, 10], curve_returns=[0.0, 0.5])
    (axes,) = draw_learning_curves(make_comparison([run]), rng()).axes
    assert len(axes.collections) == 0


def test_profiles_are_survival_functions(two_seeds):
    (axes,) = draw_profiles(two_seeds, rng()).axes
    normalised = {
        "sarsa": (np.array([0.4, 0.5]) - 0.1) / 0.9,
        "q-learning": (np.array([0.6, 0.7]) - 0.1) / 0.9,
        "planner": np.array([0.8]) / 0.9,
    }
    expected = {
        tuple(stats.ecdf(scores).sf.evaluate(axes.lines[0].get_xdata()).round(6))
        for scores in normalised.values()
    }
    assert {tuple(np.round(line.get_ydata(), 6)) for line in axes.lines} == expected


def test_profiles_leave_out_agents_that_lack_an_environment(mixed_comparison):
    figure = draw_profiles(mixed_comparison, rng())
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["planner", "q-learning"]


def test_an_agent_has_one_colour_in_all_pictures(mixed_comparison):
    curves = draw_learning_curves(mixed_comparison, rng()).legends[0]
    profiles = draw_profiles(mixed_comparison, rng()).legends[0]
    colours = [
        {
            text.get_text(): to_hex(line.get_color())
            for text, line in zip(legend.get_texts(), legend.get_lines(), strict=True)
        }
        for legend in (curves, profiles)
    ]
    assert colours[1].items() <= colours[0].items()
