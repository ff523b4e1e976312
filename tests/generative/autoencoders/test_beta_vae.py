"""Multipliers of limits: one step by hand, and saddle points that reverse water-filling gives.

With linear networks and a fixed sigma, D + beta R is beta times the loss of the principal
components model with noise beta sigma^2, up to a constant. Its optimum for data with principal
variances v_i has the rate of a Gaussian source under reverse water-filling (Cover & Thomas 2006,
theorem 10.3.3): R = sum_i max(0, log(v_i / (beta sigma^2))) / 2.
"""

import numpy as np
import pytest
import torch
from gymagine.generative.autoencoders.beta_vae import BetaVAE
from gymagine.generative.training import fit

VARIANCES = np.array([4.0, 2.0, 1.0, 0.25])
SIGMA = 0.5


def events(num=2_000):
    """(num, 4) whose covariance is exactly diagonal, with the variances on it."""
    raw = np.random.default_rng(0).normal(size=(num, 4))
    raw -= raw.mean(axis=0)
    white = raw @ np.linalg.inv(np.linalg.cholesky(raw.T @ raw / num)).T
    return torch.from_numpy(white * np.sqrt(VARIANCES)).float()


def rate_at(beta):
    return np.maximum(0, np.log(VARIANCES / (beta * SIGMA**2)) / 2).sum()


def linear(rule, num_updates=800, **hyperparameters):
    torch.manual_seed(0)
    vae = BetaVAE((4,), rule=rule, network="linear", latent_size=4, **hyperparameters)
    vae.model.likelihood.set_sigma(SIGMA)
    vae.model.likelihood.requires_grad_(False)
    x = events()
    fit(
        vae,
        x,
        num_updates=num_updates,
        batch_size=200,
        learning_rate=0.02,
        step_sizes="linear",
        num_threads=1,
    )
    with torch.no_grad():
        rng = torch.Generator().manual_seed(0)
        log_likelihood, rate = vae.model.bound_parts(x, None, rng)
    return vae, float(rate.mean()), -float(log_likelihood.mean())


@pytest.mark.parametrize("beta", [1.0, pytest.param(3.0, marks=pytest.mark.slow)])
def test_rate_of_a_fixed_beta_is_that_of_reverse_water_filling(beta):
    _, rate, _ = linear("fixed", 500, beta=beta)
    assert rate == pytest.approx(rate_at(beta), rel=0.03)


@pytest.mark.parametrize(
    ("limit", "num_updates"), [pytest.param(1.0, 2_000, marks=pytest.mark.slow), (2.5, 800)]
)
def test_an_active_limit_is_reached_and_beta_is_its_price(limit, num_updates):
    vae, rate, _ = linear("constraint", num_updates, limit=limit, beta=1.0)
    assert rate == pytest.approx(limit, rel=0.05)
    assert rate_at(vae.beta.item()) == pytest.approx(limit, rel=0.05)


def test_an_inactive_limit_costs_nothing():
    vae, rate, _ = linear("constraint", 200, limit=1_000.0, beta=1.0)
    assert rate < 1_000
    assert vae.beta.item() == 0  # so that beta (R - limit) is 0, too


@pytest.mark.slow
def test_more_rate_is_less_distortion():
    found = [linear("constraint", 600, limit=limit, beta=1.0)[1:] for limit in (0.5, 1.5, 3.0)]
    rates, distortions = np.transpose(found)
    assert (np.diff(rates) > 0).all()
    assert (np.diff(distortions) < 0).all()
    # and the less so, the more there is: the curve is convex
    slopes = np.diff(distortions) / np.diff(rates)
    assert slopes[0] < slopes[1]


@pytest.mark.slow
def test_geco_reaches_its_distortion():
    limit = 6.0
    vae, rate, distortion = linear("geco", limit=limit, beta=1.0)
    assert distortion == pytest.approx(limit, rel=0.03)
    assert rate_at(vae.beta.item()) == pytest.approx(rate, rel=0.05)


def constant(rule, **hyperparameters):
    """Whose posterior is N(m, 1) with |m|^2 / 2 = 4.5 nats, whatever it is given."""
    vae = BetaVAE((3,), rule=rule, network="linear", latent_size=2, **hyperparameters).double()
    with torch.no_grad():
        for parameter in vae.parameters():
            parameter.zero_()
        vae.model.encoder.dense.layers[0].bias[1] = 3.0
    return vae


def test_steps_of_the_multiplier_by_hand():
    x = torch.zeros(7, 3, dtype=torch.float64)
    vae = constant("constraint", limit=4.0, beta=1.0, multiplier_step=0.1, running_decay=0.5)
    vae.adjust(x, None, None)
    assert vae.beta.item() == pytest.approx(1.05)
    with torch.no_grad():
        vae.model.encoder.dense.layers[0].bias[1] = 1.0  # 0.5 nats: the running mean is 2.5
    vae.adjust(x, None, None)
    assert vae.running_mean.item() == pytest.approx(2.5)
    assert vae.beta.item() == pytest.approx(1.05 - 0.15)
    below = constant("constraint", limit=14.5, beta=1.0, multiplier_step=0.2)
    below.adjust(x, None, None)
    assert below.beta.item() == 0


def test_steps_of_gecos_multiplier_by_hand():
    # D = 3 (log 2 pi + log(1 + 1e-6)) / 2 = 2.7568 nats at x = 0
    x = torch.zeros(7, 3, dtype=torch.float64)
    for limit, cut in ((2.0, 0.7568), (-5.0, 1.0), (20.0, -1.0)):
        vae = constant("geco", limit=limit, beta=4.0, multiplier_step=0.1)
        vae.adjust(x, None, None)
        assert vae.multiplier.item() == pytest.approx(0.25 * np.exp(0.1 * cut), rel=1e-4)


def test_losses_by_hand():
    x = torch.zeros(1, 3, dtype=torch.float64)
    distortion = 1.5 * np.log(2 * np.pi * (1 + 1e-6))
    cases = {"fixed": distortion + 2 * 4.5, "constraint": distortion + 2 * (4.5 - 4)}
    cases["geco"] = 4.5 + (distortion - 4) / 2
    for rule, expected in cases.items():
        loss = constant(rule, beta=2.0, limit=4.0).loss(x).item()
        assert loss == pytest.approx(expected, rel=1e-10)


def test_the_bound_has_a_beta_of_one():
    x = torch.zeros(1, 3, dtype=torch.float64)
    bound = constant("fixed", beta=7.0).log_prob_bound(x).item()
    assert bound == pytest.approx(-1.5 * np.log(2 * np.pi * (1 + 1e-6)) - 4.5)


def test_the_multiplier_is_saved(tmp_path):
    vae = constant("constraint", limit=1.0).float()
    vae.adjust(torch.zeros(7, 3), None, None)
    vae.save(tmp_path / "vae")
    loaded = BetaVAE.load(tmp_path / "vae")
    assert loaded.beta == vae.beta != vae.config.beta
    assert loaded.config == vae.config


def test_wrong_settings(without_shape_checks):
    with pytest.raises(ValueError, match="rule"):
        BetaVAE((2,), rule="kkt")
    with pytest.raises(ValueError, match="above 0"):
        BetaVAE((2,), rule="geco", beta=0.0)
