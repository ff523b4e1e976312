"""Independent entries against frequencies by hand, scipy, and the laws of generators."""

import math

import pytest
import torch
from gymagine.generative.baselines.independent import Independent
from gymagine.generative.testing import check_generator
from scipy import stats
from torch.distributions import constraints
from torch.testing import assert_close

LEVELS = constraints.integer_interval(0, 2)


def integers(shape, high, seed=0):
    return torch.randint(high, shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(autouse=True)
def double_precision():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def test_bernoulli_entries_are_the_frequencies():
    x = integers((40, 3), 2).double()
    density = Independent.fitted(x, constraints.boolean, smoothing=0.0)
    p = x.mean(dim=0).numpy()
    assert_close(density.log_prob(x), torch.from_numpy(stats.bernoulli.logpmf(x, p).sum(axis=1)))


def test_smoothing_adds_an_event_for_each_value():
    x = torch.tensor([[0, 1], [0, 2], [0, 1]])
    density = Independent.fitted(x, LEVELS, smoothing=1.0)
    # values that entry 0 has: 3 + 1 of 6 are 0; entry 1: 2 + 1 are 1
    assert_close(
        density.log_prob(torch.tensor([[0, 1], [1, 0]])).exp(), torch.tensor([1 / 3, 1 / 36])
    )


def test_values_that_never_occur_are_practically_impossible_without_smoothing():
    x = torch.ones(4, 2)
    density = Independent.fitted(x, constraints.boolean, smoothing=0.0)
    assert_close(density.log_prob(x), torch.zeros(4))
    assert density.log_prob(torch.tensor([[1.0, 0.0]])) <= -500


def test_gaussian_entries_have_the_mean_and_deviation():
    x = torch.randn(50, 1, 2, 2, generator=torch.Generator().manual_seed(0)) * 3 + 1
    density = Independent.fitted(x)
    rows = x.flatten(1).numpy()
    exact = stats.norm.logpdf(rows, rows.mean(axis=0), rows.std(axis=0)).sum(axis=1)
    assert_close(density.log_prob(x), torch.from_numpy(exact))


def test_entropy_of_the_data_is_what_the_fit_loses():
    """Without smoothing the mean loss is the sum of the entries' entropies."""
    x = integers((100, 4), 3, 1)
    density = Independent.fitted(x, LEVELS, smoothing=0.0)
    entropies = [stats.entropy(torch.bincount(column, minlength=3)) for column in x.T]
    assert_close(density.loss(x).mean().item(), math.fsum(entropies))


@pytest.mark.parametrize(
    ("x", "support"),
    [
        (integers((30, 1, 2, 3), 2).double(), constraints.boolean),
        (integers((30, 4), 3), LEVELS),
        (torch.randn(30, 3), constraints.real),
    ],
    ids=["boolean", "levels", "real"],
)
def test_laws_of_generators(x, support):
    check_generator(
        Independent.fitted(x.float() if x.is_floating_point() else x, support).float(),
        x.float() if x.is_floating_point() else x,
    )


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="whole numbers from 0 to 2, got 3"):
        Independent.fitted(torch.tensor([[0, 3]]), LEVELS)
    with pytest.raises(ValueError, match=r"from 0 to 1, got 0\.5"):
        Independent.fitted(torch.tensor([[0.0, 0.5]]), constraints.boolean)
    with pytest.raises(ValueError, match="at least one event, got none"):
        Independent.fitted(torch.zeros(0, 2))
