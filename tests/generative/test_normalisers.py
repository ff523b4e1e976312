"""Normalisers against numpy and scikit-learn; constants, and huge numbers."""

import numpy as np
import pytest
import torch
from gymagine.generative.normalisers import Normaliser
from torch.testing import assert_close

NAMES = ("identity", "min-max", "z-score")


def rows(num=50, seed=0):
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(num, 4, generator=rng, dtype=torch.float64)
    return x * torch.tensor([1.0, 1e-6, 1e6, 3.0]) + torch.tensor([0.0, 1.0, -5.0, 100.0])


@pytest.mark.parametrize("name", NAMES)
def test_the_inverse_gives_data_back(name):
    x = rows()
    normaliser = Normaliser.fitted(x, name)
    assert_close(normaliser.inverse(normaliser(x)), x, rtol=1e-12, atol=0)
    assert_close(normaliser(normaliser.inverse(x)), x, rtol=1e-6, atol=1e-6)


def test_ranges_and_moments():
    x = rows()
    scaled = Normaliser.fitted(x, "min-max")(x)
    assert_close(scaled.amin(dim=0), -torch.ones(4, dtype=torch.float64))
    assert_close(scaled.amax(dim=0), torch.ones(4, dtype=torch.float64))
    standard = Normaliser.fitted(x, "z-score")(x)
    assert_close(standard.mean(dim=0), torch.zeros(4, dtype=torch.float64), rtol=0, atol=1e-9)
    assert_close(standard.std(dim=0, correction=0), torch.ones(4, dtype=torch.float64))
    assert torch.equal(Normaliser.fitted(x, "identity")(x), x)


def test_they_are_scikit_learns():
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    x = rows().numpy()
    for name, oracle in (
        ("min-max", preprocessing.MinMaxScaler((-1, 1))),
        ("z-score", preprocessing.StandardScaler()),
    ):
        found = Normaliser.fitted(torch.from_numpy(x), name)(torch.from_numpy(x))
        assert np.allclose(found.numpy(), oracle.fit_transform(x), atol=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_constant_entries_are_only_shifted(name):
    x = torch.tensor([[3.0, 0.0, 0.1]]).double().repeat(7, 1)
    x[:, 2] += torch.linspace(0, 1e-17, 7).double()  # rounding only
    normaliser = Normaliser.fitted(x, name)
    assert torch.equal(normaliser.scale, torch.ones(3, dtype=torch.float64))
    if name != "identity":
        assert_close(normaliser(x), torch.zeros_like(x), rtol=0, atol=1e-15)
        assert_close(normaliser(x + 1), torch.ones_like(x))
    assert_close(normaliser.inverse(normaliser(x)), x)
    alone = Normaliser.fitted(x[:1], name)
    assert alone(x).isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_huge_and_tiny_numbers_stay_finite(name):
    x = torch.tensor([[-1.7e308, 1e-300, 5e-324], [1.7e308, 2e-300, 0.0]], dtype=torch.float64)
    normaliser = Normaliser.fitted(x, name)
    y = normaliser(x)
    assert y.isfinite().all() and normaliser.inverse(y).isfinite().all()


def test_state_travels():
    normaliser = Normaliser.fitted(rows(), "z-score")
    other = Normaliser(4)
    other.load_state_dict(normaliser.state_dict())
    assert torch.equal(other(rows()), normaliser(rows()))
    assert not list(normaliser.parameters())


def test_mistakes_are_named(without_shape_checks):
    with pytest.raises(ValueError, match="'minmax'"):
        Normaliser.fitted(rows(), "minmax")
    with pytest.raises(ValueError, match="got 0 rows"):
        Normaliser.fitted(torch.zeros(0, 2), "min-max")
    with pytest.raises(ValueError, match="NaN or infinity"):
        Normaliser.fitted(torch.tensor([[1.0], [torch.nan]]), "z-score")
