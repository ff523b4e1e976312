import numpy as np
import pytest
from gymagine.experiments.plot_style import agent_styles, new_panels, spread
from scipy.optimize import minimize


@pytest.mark.parametrize("seed", range(6))
def test_spread_is_the_least_squares_solution(seed):
    wanted = np.random.default_rng(seed).uniform(0.3, 0.7, 5)
    gap = 0.08
    order = np.argsort(wanted)
    solution = minimize(
        lambda places: np.sum((places - wanted[order]) ** 2),
        np.sort(wanted) + gap * np.arange(5),
        constraints={"type": "ineq", "fun": lambda places: np.diff(places) - gap},
        tol=1e-14,
    )
    np.testing.assert_allclose(spread(wanted, gap, -9.0, 9.0)[order], solution.x, atol=1e-5)


def test_spread_leaves_alone_what_is_apart_and_stays_within_its_limits():
    assert spread([0.9, 0.1, 0.5], 0.2, 0.0, 1.0).tolist() == [0.9, 0.1, 0.5]
    places = spread([1.0, 1.0, 0.99, 0.0], 0.1, 0.0, 1.0)
    assert np.diff(np.sort(places)).min() >= 0.1 - 1e-12
    assert places.min() >= 0.0 and places.max() <= 1.0 + 1e-12


def test_spread_keeps_the_gap_where_there_is_no_room():
    places = spread([0.5] * 5, 0.5, 0.0, 1.0)
    np.testing.assert_allclose(np.diff(np.sort(places)), 0.5)


def test_fourteen_agents_look_different(make_large_comparison):
    styles = agent_styles(make_large_comparison(1, 14, 1))
    assert len({(style.colour, str(style.dashes)) for style in styles.values()}) == 14


@pytest.mark.parametrize(("count", "shape"), [(1, (1, 1)), (3, (1, 3)), (4, (2, 2)), (5, (2, 3))])
def test_panels_fill_rows_of_at_most_three(count, shape):
    figure, panels = new_panels(count, width=3.0, height=2.0)
    assert len(panels) == count == len(figure.axes)
    assert figure.get_size_inches().tolist() == [shape[1] * 3.0, shape[0] * 2.0]
