import math
from itertools import combinations

import numpy as np
import pytest
from gymagine.experiments.significance import holm_adjust, permutation_test, smallest_p_value
from scipy import stats


def difference_of_means(x, y, axis):
    return np.mean(x, axis=axis) - np.mean(y, axis=axis)


@pytest.mark.parametrize("seed", range(6))
def test_few_scores_give_the_exact_p_value_of_scipy(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(0.7, 1.0, 5), rng.normal(0.0, 1.0, 5)
    expected = stats.permutation_test(
        (x, y), difference_of_means, permutation_type="independent", n_resamples=np.inf
    ).pvalue
    assert permutation_test(x, y, rng=rng) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_groups_of_unequal_size_and_ties(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 4, 6) / 10, rng.integers(0, 5, 4) / 10
    # scipy doubles the smaller tail; the definition here is the two-sided statistic
    expected = stats.permutation_test(
        (x, y),
        lambda a, b, axis: np.abs(difference_of_means(a, b, axis)).round(12),
        permutation_type="independent",
        alternative="greater",
        n_resamples=np.inf,
    ).pvalue
    assert permutation_test(x, y, rng=rng) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_drawn_permutations_agree_with_all_of_them(shift):
    rng = np.random.default_rng(2)
    x, y = rng.normal(0.6, 1.0, 8) + shift, rng.normal(0.0, 1.0, 8) + shift
    exact = permutation_test(x, y, rng=rng, num_permutations=math.comb(16, 8))
    drawn = permutation_test(x, y, rng=rng, num_permutations=math.comb(16, 8) - 1)
    assert 0.01 < exact < 0.5
    assert drawn != exact
    assert drawn == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 12_869))


@pytest.mark.parametrize(("num_scores", "num_permutations"), [(5, 1000), (15, 199)])
def test_p_values_are_uniform_where_nothing_differs(num_scores, num_permutations):
    rng = np.random.default_rng(1)
    p_values = np.array(
        [
            permutation_test(
                rng.gumbel(size=num_scores),
                rng.gumbel(size=num_scores),
                rng=rng,
                num_permutations=num_permutations,
            )
            for _ in range(800)
        ]
    )
    for level in (0.05, 0.1, 0.3, 0.5, 0.8):
        # the attainable level: p-values lie on a lattice of 2/252 or 1/200
        lattice = 126 if num_scores == 5 else 200
        attained = math.floor(level * lattice + 1e-9) / lattice
        share = np.mean(p_values <= level + 1e-12)
        assert share == pytest.approx(attained, abs=4 * math.sqrt(attained * (1 - attained) / 800))


def test_equal_scores_cannot_differ():
    rng = np.random.default_rng(0)
    assert permutation_test([0.1] * 5, [0.1] * 5, rng=rng) == 1.0
    assert permutation_test([0.3, 0.1, 0.2], [0.1, 0.2, 0.3], rng=rng) == 1.0


@pytest.mark.parametrize(("num_x", "num_y"), [(3, 3), (5, 5), (2, 6), (1, 1)])
def test_smallest_p_value_is_that_of_separated_groups(num_x, num_y):
    x, y = np.arange(num_x) + 100.0, np.arange(num_y) * 1.0
    p_value = permutation_test(x, y, rng=np.random.default_rng(0))
    assert p_value == pytest.approx(smallest_p_value(num_x, num_y), abs=1e-12)


def test_a_drawn_p_value_is_never_zero():
    p_value = permutation_test(
        np.arange(20.0) + 100, np.arange(20.0), rng=np.random.default_rng(0), num_permutations=99
    )
    assert p_value == 0.01


def test_holm_is_the_closed_test_of_bonferroni():
    p = np.array([0.01, 0.04, 0.03, 0.005, 0.3])
    expected = np.zeros(p.size)
    for size in range(1, p.size + 1):
        for subset in combinations(range(p.size), size):
            joint = min(1.0, size * p[list(subset)].min())
            for index in subset:
                expected[index] = max(expected[index], joint)
    np.testing.assert_allclose(holm_adjust(p), expected, atol=1e-15)


def test_holm_of_the_textbook_example_and_of_nothing():
    np.testing.assert_allclose(holm_adjust([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    assert holm_adjust([]).size == 0


@pytest.mark.parametrize("bad", [[], [math.nan], [[1.0, 2.0]]])
def test_bad_scores_are_refused(bad):
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"expected .*y"):
        permutation_test([1.0], bad, rng=rng)


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="num_permutations >= 1"):
        permutation_test([1.0], [2.0], rng=np.random.default_rng(0), num_permutations=0)
    with pytest.raises(ValueError, match="in \\[0, 1\\]"):
        holm_adjust([0.5, 1.5])
