"""The formulas are Bayes's, and undo each other."""

import math

import numpy as np
import pytest
import torch
from gymagine.generative.diffusion.gaussian_diffusion import (
    alpha_bars,
    as_data,
    data_weights,
    diffused,
    noise_in,
    posterior,
    target_of,
)

T = 50


def test_schedules():
    linear = alpha_bars("linear", 1000)
    betas = np.linspace(1e-4, 0.02, 1000)
    np.testing.assert_allclose(linear[1:], np.cumprod(1 - betas), rtol=1e-12)
    assert float(linear[-1]) == pytest.approx(4.036e-5, rel=1e-3)  # the paper's
    cosine = alpha_bars("cosine", 1000)
    t = np.arange(1001) / 1000
    shares = np.cos((t + 0.008) / 1.008 * np.pi / 2) ** 2
    np.testing.assert_allclose(cosine[:990], (shares / shares[0])[:990], rtol=1e-9)
    for schedule in (linear, cosine, alpha_bars("linear", 100)):
        assert schedule[0] == 1
        assert (schedule.diff() < 0).all()
        assert 0 < schedule[-1] < 1e-3
    for schedule in ("linear", "cosine"):  # a single step leaves noise too
        assert 0 < alpha_bars(schedule, 1)[-1] < 2e-3
    with pytest.raises(ValueError, match="expected a schedule among linear, cosine of at least 1"):
        alpha_bars("linear", 0)


def test_one_step_after_another_is_one_step():
    shares = alpha_bars("cosine", T)
    s, t = 10, 30
    ratio = float(shares[t] / shares[s])
    # x_t = sqrt(ratio) x_s + sqrt(1 - ratio) e has the mean and variance of x_t from x_0
    assert ratio * float(1 - shares[s]) + 1 - ratio == pytest.approx(float(1 - shares[t]))


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_32_bits_do_for_the_first_steps(schedule):
    """There 1 - alpha_bar is about 1e-5, of which 32 bits would lose three digits."""
    shares = alpha_bars(schedule, 1000)
    x, of_s, of_t = torch.ones(20, 1), shares[1:21], shares[2:22]
    for function in (
        lambda x: posterior(x, -x, of_s, of_t)[0],
        lambda x: posterior(x, -x, of_s, of_t)[1] * torch.ones_like(x),
        lambda x: diffused(0 * x, of_s, x),
        lambda x: noise_in(x, 0 * x, of_s),
        lambda x: target_of("velocity", x, 0 * x, of_s),
        lambda x: as_data("velocity", x, 0 * x, of_s),
    ):
        torch.testing.assert_close(function(x).double(), function(x.double()), rtol=2e-7, atol=0)


@pytest.mark.parametrize(("s", "t"), [(9, 10), (3, 40), (0, 1)])
def test_posteriors_are_products_of_gaussians(s, t):
    shares = alpha_bars("linear", T)
    of_s, of_t = float(shares[s]), float(shares[t])
    x_0, x_t = torch.randn(2, 4, 3, dtype=torch.float64)
    mean, variance = posterior(x_0, x_t, shares[s].expand(4), shares[t].expand(4))
    if s == 0:
        torch.testing.assert_close(mean, x_0)
        assert float(variance.max()) == 0
        return
    # prior N(sqrt(of_s) x_0, 1 - of_s), likelihood N(x_t; sqrt(ratio) x_s, 1 - ratio)
    ratio = of_t / of_s
    precision = 1 / (1 - of_s) + ratio / (1 - ratio)
    expected = (math.sqrt(of_s) * x_0 / (1 - of_s) + math.sqrt(ratio) * x_t / (1 - ratio)) / (
        precision
    )
    torch.testing.assert_close(mean, expected)
    assert float(variance[0, 0]) == pytest.approx(1 / precision)


@pytest.mark.parametrize("prediction", ["noise", "data", "velocity"])
def test_predictions_imply_the_data(prediction):
    x_0, noise = torch.randn(2, 4, 3, dtype=torch.float64)
    shares = alpha_bars("cosine", T)[[1, 7, 20, 45]]
    x_t = diffused(x_0, shares, noise)
    target = target_of(prediction, x_0, noise, shares)
    torch.testing.assert_close(as_data(prediction, target, x_t, shares), x_0)
    torch.testing.assert_close(noise_in(x_t, x_0, shares), noise)
    for i, share in enumerate(shares.tolist()):
        by_x_t, by_target = data_weights(prediction, share)
        torch.testing.assert_close(by_x_t * x_t[i] + by_target * target[i], x_0[i])
