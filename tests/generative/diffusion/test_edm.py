"""Diffusion over noise levels: the paper's factors, its units, its densities."""

import math

import pytest
import torch
from gymagine.generative.diffusion.edm import EDM, preconditioning
from gymagine.generative.training import fit

from .exact_families import exact
from .gaussian_data import MEAN, denoise, log_normal

SMALL = {"hidden_sizes": (8,), "flow_steps": 4, "sampling_steps": 4}
# ---- the paper's numbers ------------------------------------------------------------------------


def test_factors_by_hand():
    found = preconditioning(torch.tensor([0.5, 2.0], dtype=torch.float64), 0.5)
    torch.testing.assert_close(found.c_skip, torch.tensor([0.5, 0.25 / 4.25]).double())
    torch.testing.assert_close(
        found.c_out, torch.tensor([0.25 / math.sqrt(0.5), 1 / math.sqrt(4.25)]).double()
    )
    torch.testing.assert_close(
        found.c_in, torch.tensor([1 / math.sqrt(0.5), 1 / math.sqrt(4.25)]).double()
    )
    torch.testing.assert_close(
        found.c_noise, torch.tensor([math.log(0.5) / 4, math.log(2) / 4]).double()
    )


@pytest.mark.parametrize("sigma", [0.01, 0.5, 3.0, 80.0])
def test_inputs_and_targets_have_unit_variance(sigma):
    """Of data with the deviation that it is made for: the paper's equations 114 and 123."""
    deviation = 0.7
    found = preconditioning(torch.tensor(sigma, dtype=torch.float64), deviation)
    total = deviation**2 + sigma**2
    assert float(found.c_in**2 * total) == pytest.approx(1)
    # (x_0 - c_skip (x_0 + sigma e)) / c_out
    of_target = (1 - found.c_skip) ** 2 * deviation**2 + (found.c_skip * sigma) ** 2
    assert float(of_target / found.c_out**2) == pytest.approx(1)


def test_the_loss_is_the_weighted_error_of_the_denoiser():
    """lambda |D - x_0|^2 with lambda = (s^2 + s_d^2) / (s s_d)^2, and log-normal levels."""
    torch.manual_seed(0)
    model = EDM((2,), hidden_sizes=(8,), sigma_data=0.5).double()
    x = torch.randn(6, 2, dtype=torch.float64)
    found = model.loss(x, rng=torch.Generator().manual_seed(3))
    rng = torch.Generator().manual_seed(3)
    drawn = torch.randn(6, generator=rng, dtype=torch.float64)
    sigma = 0.5 * (-0.5 + 1.2 * drawn).exp()
    noise = torch.randn(6, 2, generator=rng, dtype=torch.float64)
    noisy = x + sigma[:, None] * noise
    rows = [model.denoised(noisy[i : i + 1], float(sigma[i])) for i in range(6)]
    weight = (sigma**2 + 0.25) / (sigma * 0.5) ** 2
    torch.testing.assert_close(found, weight * (torch.cat(rows) - x).square().sum(dim=1))


def test_units_do_not_matter():
    """Measured data a thousand times as large, and shifted, are learnt in the same way."""
    x = torch.randn(400, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    losses, densities, drawn = [], [], []
    for scale, shift in ((1.0, 0.0), (1e3, 5e3)):
        torch.manual_seed(0)
        model = EDM((2,), **SMALL).double()
        y = scale * x + shift
        fit(model, y, num_updates=5, batch_size=100)
        losses.append(model.loss(y, rng=torch.Generator().manual_seed(0)))
        densities.append(model.log_prob(y) + 2 * math.log(scale))
        drawn.append((model.sample(9, rng=torch.Generator().manual_seed(0)) - shift) / scale)
    for pair in (losses, densities, drawn):
        torch.testing.assert_close(*pair, rtol=1e-6, atol=1e-6)
    assert float(model.sigma_data) == pytest.approx(1e3, rel=0.1)


def test_a_given_deviation_stays():
    model = EDM((2,), sigma_data=0.5, **SMALL)
    model.initialise(torch.randn(50, 2) * 9 + 4, None)
    assert float(model.sigma_data) == 0.5 and float(model.centre) == 0
    constant = EDM((2,), **SMALL)
    constant.initialise(torch.full((5, 2), 3.0), None)
    assert float(constant.sigma_data) == 1


# ---- an exact denoiser --------------------------------------------------------------------------


def test_the_network_in_its_place_is_the_denoiser():
    x = torch.randn(4, 2, dtype=torch.float64)
    for sigma in (0.01, 1.0, 30.0):
        torch.testing.assert_close(
            exact("edm", sigma_data=0.5).denoised(x, sigma), denoise(x, sigma)
        )


def test_densities_of_an_exact_denoiser_are_the_datas():
    x = torch.linspace(-2, 3, 10, dtype=torch.float64).view(5, 2)
    model = exact("edm", sigma_data=0.5, flow_steps=12)
    model.centre.fill_(MEAN)  # as it is measured; else latents are off by their mean over highest
    expected = log_normal(x)
    torch.testing.assert_close(model.log_prob(x), expected, atol=2e-3, rtol=0)
    torch.testing.assert_close(model.log_prob_by_trace(x), expected, atol=2e-3, rtol=0)
    rng = torch.Generator().manual_seed(0)
    found = model.log_prob_by_trace(x, num_probes=2, rng=rng)  # independent entries: no variance
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=0)
    pictures = exact("edm", (1, 1, 2), sigma_data=0.5, flow_steps=12)
    pictures.centre.fill_(MEAN)
    y = x[:2].view(2, 1, 1, 2)
    torch.testing.assert_close(pictures.log_prob(y), log_normal(y), atol=2e-3, rtol=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lowest": 5.0, "highest": 2.0}, "expected a lowest noise level below the highest"),
        ({"sigma_data": 0.0}, "expected sigma_data"),
        ({"highest": 1e30}, "expected highest"),
    ],
)
def test_mistakes(settings, message):
    with pytest.raises(ValueError, match=message):
        EDM((2,), **settings)
