"""The full Gaussian against scipy."""

import numpy as np
import pytest
import torch
from gymagine.generative.baselines.full_gaussian import FullGaussian
from gymagine.generative.baselines.independent import Independent
from gymagine.generative.testing import check_generator
from scipy import stats
from torch.testing import assert_close


def correlated(num, seed=0):
    rng = torch.Generator().manual_seed(seed)
    mixing = torch.randn(4, 4, generator=rng, dtype=torch.float64)
    return (torch.randn(num, 4, generator=rng, dtype=torch.float64) @ mixing + 2).view(
        num, 1, 2, 2
    )


def fitted(x, **options):
    """In 64 bits."""
    torch.set_default_dtype(torch.float64)
    try:
        return FullGaussian.fitted(x, **options)
    finally:
        torch.set_default_dtype(torch.float32)


def test_log_density_is_scipys_of_the_data_s_moments():
    x = correlated(60)
    rows = x.flatten(1).numpy()
    law = stats.multivariate_normal(rows.mean(axis=0), np.cov(rows.T, bias=True))
    assert_close(fitted(x, ridge=0.0).log_prob(x), torch.from_numpy(law.logpdf(rows)))


def test_fit_is_the_maximum_of_the_likelihood():
    x = correlated(60)
    density = fitted(x, ridge=0.0)
    loss = density.loss(x).mean()
    for gradient in torch.autograd.grad(loss, list(density.parameters())):
        assert gradient.abs().max() < 1e-10
    # of a Gaussian at its maximum: (D/2) log(2 pi e) + log det / 2
    exact = (
        2 * np.log(2 * np.pi * np.e) + torch.logdet(torch.cov(x.flatten(1).T, correction=0)) / 2
    )
    assert_close(loss.item(), exact.item())
    independent = Independent.fitted(x.float())
    assert loss < independent.loss(x.float()).mean() - 0.1


def test_samples_have_the_moments():
    density = fitted(correlated(60))
    drawn = density.sample(40_000, rng=torch.Generator().manual_seed(0)).flatten(1)
    covariance = density.covariance.detach()
    assert_close(drawn.mean(dim=0), density.mean.detach(), rtol=0, atol=0.05)
    assert_close(torch.cov(drawn.T), covariance, rtol=0, atol=0.02 * float(covariance.max()))
    cold = density.sample(20_000, temperature=0.5, rng=torch.Generator().manual_seed(0)).flatten(1)
    assert_close(torch.cov(cold.T), covariance / 4, rtol=0, atol=0.02 * float(covariance.max()))


def test_directions_without_variance_need_the_ridge():
    x = torch.randn(20, 2).repeat(1, 2)
    with pytest.raises(ValueError, match="singular covariance"):
        FullGaussian.fitted(torch.cat([x, torch.zeros(20, 1)], dim=1), ridge=0.0)
    assert FullGaussian.fitted(x, ridge=1e-4).log_prob(x).isfinite().all()
    assert FullGaussian.fitted(torch.randn(9, 1)).log_prob(torch.zeros(1, 1)).isfinite()


def test_laws_of_generators():
    x = correlated(30).float()
    check_generator(FullGaussian.fitted(x), x)


def test_no_events_are_refused():
    with pytest.raises(ValueError, match="at least one event"):
        FullGaussian.fitted(torch.zeros(0, 2))
