"""The tree against all other trees, sums over all events, scikit-learn, and draws."""

import itertools

import numpy as np
import pytest
import torch
from gymagine.generative.baselines.chow_liu import (
    ChowLiu,
    mutual_informations,
    pair_frequencies,
)
from gymagine.generative.baselines.independent import Independent
from gymagine.generative.testing import check_frequencies, check_generator, check_total_probability
from scipy.sparse.csgraph import breadth_first_order
from torch.distributions import constraints
from torch.testing import assert_close


def support(num_levels):
    return (
        constraints.boolean if num_levels == 2 else constraints.integer_interval(0, num_levels - 1)
    )


def dependent(num, size, num_levels, seed=0):
    """Events whose entries follow from each other, noisily."""
    rng = np.random.default_rng(seed)
    x = rng.integers(num_levels, size=(num, size))
    for entry in range(1, size):
        copies = rng.random(num) < 0.6
        source = x[:, rng.integers(entry)]
        x[copies, entry] = (source[copies] + entry) % num_levels
    found = torch.from_numpy(x)
    return found.float() if num_levels == 2 else found


@pytest.fixture(autouse=True)
def double_precision():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def all_trees(size):
    """Edges of every tree on so many entries, by Pruefer's sequences: size^(size - 2) of them."""
    for sequence in itertools.product(range(size), repeat=size - 2):
        degrees = np.bincount(sequence, minlength=size) + 1
        edges = []
        for node in sequence:
            leaf = int(np.flatnonzero(degrees == 1)[0])
            edges.append((leaf, node))
            degrees[[leaf, node]] -= 1
        edges.append(tuple(np.flatnonzero(degrees == 1).tolist()))
        yield edges


def likelihood_of_tree(x, edges, num_levels):
    """Mean log-likelihood under the tree's own frequencies: products of tables, by hand."""
    rows = x.numpy().astype(int)
    size = rows.shape[1]
    graph = np.zeros((size, size))
    for a, b in edges:
        graph[a, b] = 1
    order, parents = breadth_first_order(graph, 0, directed=False)
    total = np.log(np.bincount(rows[:, 0], minlength=num_levels)[rows[:, 0]] / len(rows))
    for entry in order[1:]:
        parent = parents[entry]
        table = np.zeros((num_levels, num_levels))
        np.add.at(table, (rows[:, parent], rows[:, entry]), 1)
        with np.errstate(invalid="ignore"):
            table = table / table.sum(axis=1, keepdims=True)
        total = total + np.log(table[rows[:, parent], rows[:, entry]])
    return total.mean()


@pytest.mark.parametrize("num_levels", [2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_no_other_tree_is_better(num_levels, seed):
    x = dependent(60, 4, num_levels, seed)
    tree = ChowLiu.fitted(x, support(num_levels), smoothing=0.0)
    found = tree.log_prob(x).mean().item()
    others = [likelihood_of_tree(x, edges, num_levels) for edges in all_trees(4)]
    assert len(others) == 16
    assert_close(found, float(max(others)))
    assert max(others) - min(others) > 0.01
    independent = Independent.fitted(x, support(num_levels), smoothing=0.0)
    assert found > independent.log_prob(x).mean().item() + 0.1


@pytest.mark.parametrize("num_levels", [2, 3])
def test_mutual_information_is_scikit_learns(num_levels):
    metrics = pytest.importorskip("sklearn.metrics")
    x = dependent(50, 4, num_levels).long()
    found = mutual_informations(pair_frequencies(x, num_levels, 0.0))
    for i, j in itertools.permutations(range(4), 2):
        assert_close(found[i, j].item(), float(metrics.mutual_info_score(x[:, i], x[:, j])))
    assert not found.diagonal().any()


def test_likelihood_is_that_of_independence_and_the_informations_of_the_edges():
    x = dependent(80, 6, 3)
    tree = ChowLiu.fitted(x, support(3), smoothing=0.0)
    information = mutual_informations(pair_frequencies(x, 3, 0.0))
    gained = sum(
        information[entry, parent] for entry, parent in enumerate(tree.parents) if parent >= 0
    )
    independent = Independent.fitted(x, support(3), smoothing=0.0)
    assert_close(tree.log_prob(x).mean() - independent.log_prob(x).mean(), gained)


def test_smoothing_is_that_many_events_spread_over_all():
    """Two of each of the eight possible events are four of each pair of values."""
    x = dependent(30, 3, 2)
    everything = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3)
    added = ChowLiu.fitted(torch.cat([x, everything, everything]), smoothing=0.0)
    smoothed = ChowLiu.fitted(x, smoothing=4.0)
    assert_close(added.log_prob(everything), smoothed.log_prob(everything))


@pytest.mark.parametrize(("size", "num_levels"), [(8, 2), (5, 3), (1, 4)])
@pytest.mark.parametrize("smoothing", [0.0, 1.0])
def test_probabilities_add_up_to_one(size, num_levels, smoothing):
    tree = ChowLiu.fitted(
        dependent(20, size, num_levels), support(num_levels), smoothing=smoothing
    )
    check_total_probability(tree)


def test_draws_are_as_frequent_as_the_probabilities():
    check_frequencies(ChowLiu.fitted(dependent(60, 4, 3), support(3)))


def test_parents_come_first():
    tree = ChowLiu.fitted(dependent(60, 12, 2))
    place = {int(entry): i for i, entry in enumerate(tree.order)}
    assert sorted(place) == list(range(12))
    for entry, parent in enumerate(tree.parents.tolist()):
        assert parent == -1 or place[parent] < place[entry]
    assert (tree.parents == -1).sum() == 1


def test_entries_that_tell_nothing_of_each_other_still_make_a_tree():
    x = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 4)
    tree = ChowLiu.fitted(x, smoothing=0.0)
    assert_close(tree.log_prob(x).exp(), torch.full((16,), 1 / 16))
    constant = ChowLiu.fitted(torch.zeros(5, 3), smoothing=0.0)
    assert_close(constant.log_prob(torch.zeros(1, 3)), torch.zeros(1))
    assert constant.log_prob(torch.eye(3)[1:2]).item() < -20


@pytest.mark.parametrize("num_levels", [2, 3])
def test_laws_of_generators(num_levels):
    x = dependent(30, 6, num_levels).view(30, 1, 2, 3)
    x = x.float() if num_levels == 2 else x
    check_generator(ChowLiu.fitted(x, support(num_levels)).float(), x)


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="finitely many values, got Real"):
        ChowLiu((3,), constraints.real)
    with pytest.raises(ValueError, match="whole numbers from 0 to 1, got 2"):
        ChowLiu.fitted(torch.full((2, 2), 2.0))
    with pytest.raises(ValueError, match="784 entries with 17 values"):
        ChowLiu.fitted(torch.zeros(2, 784, dtype=torch.int64), support(17))
