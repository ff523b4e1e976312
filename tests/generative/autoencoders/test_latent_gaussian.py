"""Bounds against the exact log-probability of probabilistic principal components (T4)."""

from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from gymagine.generative.autoencoders import latent_gaussian
from gymagine.generative.autoencoders.vae import VAE

from .linear_gaussian import LinearGaussian

TRUE = LinearGaussian()


def exact_vae(disturbance=0.0):
    vae = VAE((5,), network="linear", latent_size=2).double()
    TRUE.write_into(vae.model)
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        layer = vae.model.encoder.dense.layers[0]
        for tensor in (layer.weight, layer.bias):
            noise = torch.randn(tensor.shape, generator=rng, dtype=torch.float64)
            tensor += disturbance * noise
    return vae


def means(bound, x, num, seed=0):
    """(B,) means and standard errors of estimates for (B, D) events, many of each at once."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        drawn = bound(x.repeat(num, 1), rng=rng).view(num, len(x))
    return drawn.mean(dim=0), drawn.std(dim=0) / num**0.5


def test_one_weight_with_the_exact_posterior_is_the_log_probability():
    vae, x = exact_vae(), TRUE.draw(20)
    for num in (1, 3):
        rng = torch.Generator().manual_seed(1)
        found = vae.importance_weighted_bound(x, None, num, rng)
        torch.testing.assert_close(found, TRUE.log_prob(x), rtol=1e-10, atol=1e-10)


def test_bound_is_the_log_probability_with_the_exact_posterior_and_below_it_else():
    x = TRUE.draw(5)
    exact, error = means(exact_vae().log_prob_bound, x, 2_000)
    assert ((exact - TRUE.log_prob(x)).abs() < 5 * error).all()
    worse, error = means(exact_vae(0.2).log_prob_bound, x, 2_000)
    assert (worse + 5 * error < TRUE.log_prob(x)).all()


def test_the_gap_of_the_bound_is_the_divergence_of_the_posteriors():
    vae, x = exact_vae(0.2), TRUE.draw(5)
    found, error = means(vae.log_prob_bound, x, 5_000)
    normal = torch.distributions.Normal
    q = normal(*(f(part) for f, part in zip(
        (lambda m: m, lambda v: (v / 2).exp()), vae.model.posterior(x, None), strict=True
    )))  # fmt: skip
    mean, log_variance = exact_vae().model.posterior(x, None)
    p = normal(mean, (log_variance / 2).exp())
    gap = torch.distributions.kl_divergence(q, p).sum(dim=1)
    assert ((TRUE.log_prob(x) - found - gap).abs() < 5 * error).all()


def test_more_weights_are_a_tighter_bound():
    vae, x = exact_vae(0.2), TRUE.draw(10)
    bounds = [
        means(partial(vae.importance_weighted_bound, num=num), x, 10_000 // num)
        for num in (1, 4, 40)
    ]
    for (looser, error), (tighter, other) in pairwise(bounds):
        assert ((tighter - looser) > 3 * (error**2 + other**2).sqrt()).all()
    gaps = [TRUE.log_prob(x) - bound for bound, _ in bounds]
    assert (gaps[-1] > -5 * bounds[-1][1]).all()
    assert (gaps[-1] < gaps[0] / 3).all()


def test_one_weight_estimates_the_same_bound():
    vae, x = exact_vae(0.2), TRUE.draw(3)
    one, error = means(partial(vae.importance_weighted_bound, num=1), x, 5_000)
    other, other_error = means(vae.log_prob_bound, x, 5_000, seed=1)
    assert ((one - other).abs() < 5 * (error**2 + other_error**2).sqrt()).all()


def test_weights_in_parts_are_the_same(monkeypatch):
    x = TRUE.draw(4)
    monkeypatch.setattr(latent_gaussian, "_ROWS_TOGETHER", 9)  # 2, 2, 2 and 1 of 7 weights
    apart = exact_vae().importance_weighted_bound(x, None, 7)
    torch.testing.assert_close(apart, TRUE.log_prob(x), rtol=1e-10, atol=1e-10)


def test_samples_have_the_covariance():
    drawn = exact_vae().sample(50_000, rng=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(drawn.mean(dim=0), TRUE.mean, atol=0.05)
    np.testing.assert_allclose(np.cov(drawn.T), TRUE.covariance, atol=0.07)


def test_temperature_scales_latents_and_noise():
    drawn = exact_vae().sample(50_000, temperature=0.5, rng=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(np.cov(drawn.T), TRUE.covariance / 4, atol=0.02)
    still = exact_vae().sample(2, temperature=0.0)
    np.testing.assert_allclose(still, [TRUE.mean] * 2, rtol=1e-12)


def test_wrong_calls():
    vae = exact_vae()
    with pytest.raises(ValueError, match="at least 1 importance weight, got 0"):
        vae.importance_weighted_bound(TRUE.draw(2), None, 0)
    with pytest.raises(ValueError, match=r"latents of shape \(B, 2\), got \(3, 4\)"):
        vae.decode(torch.zeros(3, 4, dtype=torch.float64))
    with pytest.raises(ValueError, match="expected no context"):
        vae.decode(torch.zeros(3, 2, dtype=torch.float64), torch.zeros(3, 1))
