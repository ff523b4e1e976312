"""Closed forms of normal distributions against PyTorch's and SciPy's (T5)."""

import numpy as np
import torch
from gymagine.generative.autoencoders.gaussian_posterior import (
    kl_from_standard,
    log_normal,
    reparametrised,
    standard_normal,
)
from scipy import stats
from torch.distributions import Independent, Normal, kl_divergence


def drawn(*shape, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=rng, dtype=torch.float64)


def test_divergence_is_pytorchs():
    mean, log_variance = drawn(50, 7), 2 * drawn(50, 7, seed=1)
    q = Independent(Normal(mean, (log_variance / 2).exp()), 1)
    p = Independent(Normal(torch.zeros_like(mean), torch.ones_like(mean)), 1)
    torch.testing.assert_close(kl_from_standard(mean, log_variance), kl_divergence(q, p))


def test_divergence_by_hand_and_at_its_minimum():
    zeros = torch.zeros(1, 3, dtype=torch.float64)
    assert kl_from_standard(zeros, zeros).item() == 0
    # (4 + 9 - 1 - log 4) / 2
    found = kl_from_standard(torch.tensor([[3.0]]), torch.tensor([[4.0]]).log())
    np.testing.assert_allclose(found, [(12 - np.log(4)) / 2], rtol=1e-6)


def test_log_density_is_scipys():
    z, mean, log_variance = drawn(4, 5, 3), drawn(5, 3, seed=1), drawn(5, 3, seed=2)
    expected = stats.norm.logpdf(z, mean, (log_variance / 2).exp()).sum(axis=-1)
    np.testing.assert_allclose(log_normal(z, mean, log_variance), expected, rtol=1e-12)
    np.testing.assert_allclose(log_normal(z), stats.norm.logpdf(z).sum(axis=-1), rtol=1e-12)


def test_draws_have_the_moments_and_pass_gradients():
    mean, log_variance = drawn(1, 2).requires_grad_(), drawn(1, 2, seed=1).requires_grad_()
    noise = standard_normal((100_000, 2), mean, torch.Generator().manual_seed(0))
    z = reparametrised(mean, log_variance, noise)
    assert noise.dtype == torch.float64
    np.testing.assert_allclose(z.mean(dim=0).detach(), mean[0].detach(), atol=0.02)
    np.testing.assert_allclose(z.var(dim=0).detach(), log_variance[0].exp().detach(), rtol=0.03)
    # d E[z^2] / dm = 2 m and d E[z^2] / dv = e^v
    by_mean, by_variance = torch.autograd.grad((z**2).mean(dim=0).sum(), [mean, log_variance])
    np.testing.assert_allclose(by_mean, 2 * mean.detach(), atol=0.05)
    np.testing.assert_allclose(by_variance, log_variance.exp().detach(), rtol=0.05)
