"""On black-and-white digits every autoregressive family beats what has no hidden layer."""

import numpy as np
import pytest
import torch
from gymagine.generative.autoregressive.gated_pixelcnn import GatedPixelCNN
from gymagine.generative.autoregressive.made import MADE
from gymagine.generative.autoregressive.transformer import Transformer
from gymagine.generative.data.dataset import Dataset, Events
from gymagine.generative.training import fit
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

MODELS = [
    (MADE, {"hidden_sizes": (500,)}),
    (MADE, {"hidden_sizes": (500,), "num_masks": 8, "order": "random"}),
    (Transformer, {"num_layers": 2}),
    (GatedPixelCNN, {"num_features": 16, "num_layers": 4}),
]


@pytest.fixture(scope="module")
def digits():
    load_digits = pytest.importorskip("sklearn.datasets").load_digits
    x = torch.from_numpy(load_digits().images > 7.5).float().unsqueeze(1)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    parts = x[order].split([1200, 250, len(x) - 1450])
    return Dataset(*(Events(part) for part in parts))


def tree_log_prob(train, test):
    """(N,) of the maximum-likelihood tree: Chow and Liu (1968), with half a count everywhere."""
    is_value = [np.where(train == value, 1.0, 0.0) for value in (0, 1)]
    counts = np.array([[a.T @ b for b in is_value] for a in is_value]) + 0.5
    joint = counts / counts.sum(axis=(0, 1))
    one, other = joint.sum(axis=1, keepdims=True), joint.sum(axis=0, keepdims=True)
    information = (joint * np.log(joint / (one * other))).sum(axis=(0, 1))
    np.fill_diagonal(information, 0)
    order, parents = breadth_first_order(minimum_spanning_tree(-information), 0, directed=False)
    found = np.log(joint[:, :, 0, order[1]].sum(axis=1)[test[:, 0]])
    for i in order[1:]:
        pair = joint[:, :, i, parents[i]]
        found += np.log((pair / pair.sum(axis=0))[test[:, i], test[:, parents[i]]])
    return found


@pytest.fixture(scope="module")
def baselines(digits):
    train, test = (part.x.flatten(1).numpy().astype(int) for part in (digits.train, digits.test))
    ones = (train.sum(axis=0) + 0.5) / (len(train) + 1)
    independent = np.log(np.where(test == 1, ones, 1 - ones)).sum(axis=1)
    return -independent.mean(), -tree_log_prob(train, test).mean()


def test_the_tree_is_a_distribution_and_finds_a_chain():
    rng = np.random.default_rng(0)
    x = rng.random((4000, 4)) < 0.1
    chain = np.cumsum(x[:, [0, 1, 2, 3]], axis=1) % 2  # each the one before, flipped now and then
    every = np.array(list(np.ndindex(2, 2, 2, 2)))
    assert abs(np.exp(tree_log_prob(chain, every)).sum() - 1) < 1e-3
    entropy = -4 * (0.1 * np.log(0.1) + 0.9 * np.log(0.9))
    assert abs(-tree_log_prob(chain, chain).mean() - entropy) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize(("family", "settings"), MODELS, ids=["made", "mades", "tr", "pixelcnn"])
def test_models_beat_independent_pixels_and_the_tree(family, settings, digits, baselines):
    torch.manual_seed(0)
    model = family((1, 8, 8), **settings)
    fit(
        model,
        digits,
        num_updates=400,
        batch_size=64,
        learning_rate=2e-3,
        evaluation_interval=100,
        patience=2,
        num_threads=1,
        device="cpu",
    )
    with torch.no_grad():
        found = -model.log_prob(digits.test.x).mean().item()
    independent, tree = baselines
    print(f"{family.name}: {found:.2f}, tree {tree:.2f}, independent {independent:.2f} nats")
    assert found < tree < independent
