"""Trees draw as a cumulative sum does, never what has no priority, and depend on leaves alone."""

import numpy as np
import pytest
from gymagine.agents.deep.sum_tree import SumTree
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

WHOLE = st.lists(st.integers(0, 5), min_size=1, max_size=40)


def filled(priorities):
    priorities = np.atleast_2d(np.asarray(priorities, dtype=np.float64))
    tree = SumTree(*priorities.shape)
    tree.restore(priorities)
    return tree


@settings(deadline=None)  # the first one compiles
@given(WHOLE)
def test_every_mass_finds_what_the_cumulative_sum_says(priorities):
    cumulative = np.cumsum(priorities)
    tree = filled(priorities)
    assert tree.totals.tolist() == [cumulative[-1]]
    if cumulative[-1] == 0:
        with pytest.raises(ValueError, match="priority above 0"):
            tree.find(np.zeros((1, 1)))
        return
    masses = np.arange(0, cumulative[-1], 0.25)  # exact in binary
    expected = np.searchsorted(cumulative, masses, side="right")
    assert np.array_equal(tree.find(masses[None])[0], expected)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1e12), min_size=1, max_size=70), st.randoms(use_true_random=False))
def test_nothing_of_priority_zero_is_found_even_by_rounding(priorities, random):
    priorities = [0.0 if random.random() < 0.5 else value for value in priorities]
    if not any(priorities):
        return
    tree = filled(priorities)
    total = tree.totals[0]
    edges = np.cumsum(priorities)
    masses = np.concatenate([edges, np.nextafter(edges, 0), np.nextafter(edges, np.inf)])
    masses = np.append(masses, [0.0, total, np.nextafter(total, 0), 2 * total, -1.0])
    found = tree.find(masses[None])[0]
    assert ((found >= 0) & (found < len(priorities))).all()
    assert (np.asarray(priorities)[found] > 0).all()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_changes_of_batches_and_ranges_leave_the_tree_of_the_final_leaves(data):
    members, capacity = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 20))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    tree, naive = SumTree(members, capacity), np.zeros((members, capacity))
    for _ in range(data.draw(st.integers(1, 12))):
        if random.random() < 0.5:
            indices = random.integers(-1, capacity, (members, 7))  # with duplicates
            priorities = random.random((members, 7)) * (random.random((members, 7)) < 0.7)
            for m, b in np.ndindex(members, 7):
                if indices[m, b] >= 0:
                    naive[m, indices[m, b]] = priorities[m, b]
            tree.set(indices, priorities)
        else:
            starts = random.integers(0, 50, members)
            stops = starts + random.integers(-3, 30, members)
            values = random.random(members)
            for m in range(members):
                for t in range(starts[m], stops[m]):
                    naive[m, t % capacity] = values[m]
            tree.set_ranges(starts, stops, values)
    assert np.array_equal(tree.priorities, naive)
    # added up afresh, not corrected: equal to the last bit to a tree made at once
    assert np.array_equal(tree.nodes, filled(naive).nodes)
    assert np.allclose(tree.totals, naive.sum(axis=1), rtol=1e-14)


def test_draws_follow_the_priorities_and_each_share_gives_one():
    random = np.random.default_rng(5)
    priorities = random.random((2, 50)) ** 3
    priorities[:, ::7] = 0
    tree = filled(priorities)
    counts = np.zeros_like(priorities)
    for _ in range(4000):
        found, probabilities = tree.draw(random.random((2, 16)))
        assert (np.diff(found, axis=1) >= 0).all()  # shares lie side by side
        for m in range(2):
            np.add.at(counts[m], found[m], 1)
            exact = priorities[m, found[m]] / priorities[m].sum()
            assert np.allclose(probabilities[m], exact, rtol=1e-12)
    for m in range(2):
        drawable = priorities[m] > 0
        expected = 64_000 * priorities[m] / priorities[m].sum()
        assert counts[m][~drawable].sum() == 0
        # strata only lessen the variance, so that this p-value is on the safe side
        assert chisquare(counts[m][drawable], expected[drawable]).pvalue > 1e-3


def test_a_share_gives_a_leaf_of_its_part_of_the_cumulative_sum():
    priorities = np.array([3.0, 1.0, 0.0, 4.0])
    found, probabilities = filled(priorities).draw(np.full((1, 8), 0.5))  # masses 0.5, 1.5, ...
    assert found.tolist() == [[0, 0, 0, 1, 3, 3, 3, 3]]
    assert probabilities.tolist() == [[0.375] * 3 + [0.125] + [0.5] * 4]


@pytest.mark.parametrize(
    ("indices", "priorities", "message"),
    [
        ([[0, 4]], [[1.0, 1.0]], "indices below 4"),
        ([[0, 1]], [[1.0, -1.0]], "priorities in"),
        ([[0, 1]], [[1.0, np.nan]], "priorities in"),
        ([[0, 1]], [[1.0, np.inf]], "priorities in"),
        ([[0, 1]], [[1.0]], "shapes"),
        ([0, 1], [1.0, 1.0], "shapes"),
    ],
)
def test_wrong_changes_change_nothing(indices, priorities, message):
    tree = filled([1.0, 2.0, 3.0, 4.0])
    before = tree.nodes.copy()
    with pytest.raises(ValueError, match=message):
        tree.set(np.array(indices), np.array(priorities))
    assert np.array_equal(tree.nodes, before)


def test_wrong_ranges_masses_leaves_and_sizes():
    tree = filled([1.0, 2.0, 3.0])
    one = np.ones(1, dtype=np.int64)
    with pytest.raises(ValueError, match="indices below"):
        tree.set_ranges(-one, one, np.ones(1))
    with pytest.raises(ValueError, match="priorities in"):
        tree.set_ranges(one, 2 * one, np.full(1, np.nan))
    with pytest.raises(ValueError, match="shapes"):
        tree.set_ranges(one, np.ones(2, dtype=np.int64), np.ones(1))
    with pytest.raises(ValueError, match="masses"):
        tree.find(np.zeros(3))
    with pytest.raises(ValueError, match=r"shape \(1, 3\)"):
        tree.restore(np.zeros((1, 4)))
    with pytest.raises(ValueError, match="priorities in"):
        tree.restore(np.array([[1.0, np.nan, 0.0]]))
    with pytest.raises(ValueError, match="capacity"):
        SumTree(1, 0)
