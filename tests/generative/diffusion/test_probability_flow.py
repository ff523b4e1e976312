"""The flow of normal data is linear, so that its density is known without a solver."""

import math

import pytest
import torch
from gymagine.generative.diffusion.probability_flow import log_prob_by_flow

from .gaussian_data import MEAN, SIGMA, denoise, log_normal

LEVELS = {"lowest": 0.01, "highest": 50.0, "latent_deviation": 50.0}


def events():
    return torch.linspace(-2, 3, 10, dtype=torch.float64).view(5, 2)


def expected(x):
    """Latents are m + (x - m) r, with r^2 = (s^2 + highest^2) / (s^2 + lowest^2)."""
    ratio = math.sqrt((SIGMA**2 + 50.0**2) / (SIGMA**2 + 0.01**2))
    z = MEAN + (x - MEAN) * ratio
    return log_normal(z, 0.0, 50.0) + x.shape[1] * math.log(ratio)


@pytest.mark.parametrize("how", ["determinants", "trace"])
def test_it_is_the_density_of_the_flow_and_that_of_the_data(how):
    x = events()
    errors = []
    for num in (8, 16, 32):
        found = log_prob_by_flow(denoise, x, num_steps=num, trace=how == "trace", **LEVELS)
        errors.append(float((found - expected(x)).abs().max()))
    assert errors[-1] < 3e-5
    assert errors[0] / errors[1] > 12 and errors[1] / errors[2] > 12  # about 2^4


def test_of_centred_data_it_is_their_density():
    """What is left is the noise of the lowest level, and the data in that of the highest."""
    x = events()
    found = log_prob_by_flow(lambda x, s: denoise(x, s, 0.0), x, num_steps=20, **LEVELS)
    torch.testing.assert_close(found, log_normal(x, 0.0), atol=6e-3, rtol=0)
    closer = LEVELS | {"lowest": 1e-3, "latent_deviation": math.sqrt(50.0**2 + SIGMA**2)}
    found = log_prob_by_flow(lambda x, s: denoise(x, s, 0.0), x, num_steps=40, **closer)
    torch.testing.assert_close(found, log_normal(x, 0.0), atol=1e-4, rtol=0)


def test_the_steps_determinants_are_of_the_same_steps():
    """Few steps are off the flow, and still a density: the map is linear, z = a x + b."""
    grid = torch.linspace(-60, 60, 60_001, dtype=torch.float64).unsqueeze(1)
    found = log_prob_by_flow(denoise, grid, num_steps=4, **LEVELS)
    total = float(torch.trapezoid(found.exp(), grid.squeeze(1)))
    assert total == pytest.approx(1, abs=1e-6)
    other = log_prob_by_flow(denoise, grid, num_steps=4, trace=True, **LEVELS)
    assert float((found - other).abs().max()) > 5e-4


def test_random_signs_are_unbiased():
    """Of a denoiser whose entries depend on each other; one sign vector is far from the trace."""
    mix = torch.tensor([[0.5, 0.4], [0.4, 0.3]], dtype=torch.float64)
    settings = {"lowest": 0.1, "highest": 5.0, "latent_deviation": 5.0, "num_steps": 6}

    def coupled(x, sigma):
        return (x @ mix.T).tanh() / (1 + sigma**2)

    x = events()[1:2]
    exact = log_prob_by_flow(coupled, x, trace=True, **settings)
    rng = torch.Generator().manual_seed(0)
    found = log_prob_by_flow(coupled, x.expand(4_000, 2), num_probes=1, rng=rng, **settings)
    error = float(found.std()) / math.sqrt(4_000)
    assert error > 1e-4
    assert float(found.mean()) == pytest.approx(float(exact), abs=4 * error)
    many = log_prob_by_flow(coupled, x, num_probes=4_000, rng=rng, **settings)
    assert float(many) == pytest.approx(float(exact), abs=4 * error)


def test_probes_are_at_least_one():
    with pytest.raises(ValueError, match="expected at least 1 probe, got 0"):
        log_prob_by_flow(denoise, events(), num_steps=2, num_probes=0, **LEVELS)
