"""Tilting normal data by a linear function moves their mean by the variance times the slope."""

import math

import pytest
import torch
from gymagine.generative.diffusion.tilting import tilted


def correlated():
    """A covariance, and the denoiser of such data around a mean, for x = alpha x_0 + sigma e."""
    mean = torch.tensor([0.5, -1.0], dtype=torch.float64)
    covariance = torch.tensor([[1.0, 0.6], [0.6, 0.5]], dtype=torch.float64)

    def denoise(x, alpha, sigma):
        within = alpha**2 * covariance + sigma**2 * torch.eye(2, dtype=torch.float64)
        gain = alpha * covariance @ torch.linalg.inv(within)
        return mean + (x - alpha * mean) @ gain.T

    return mean, covariance, denoise


@pytest.mark.parametrize(("alpha", "sigma"), [(1.0, 0.3), (1.0, 7.0), (0.6, 0.8)])
def test_it_is_the_denoiser_of_tilted_normal_data(alpha, sigma):
    """exp(g x) times N(m, C) is N(m + C g, C) but for a factor: completing the square."""
    mean, covariance, denoise = correlated()
    slope = torch.tensor([2.0, -0.7], dtype=torch.float64)
    x = torch.randn(5, 2, dtype=torch.float64)
    found = tilted(
        lambda x: denoise(x, alpha, sigma), x, lambda x: x @ slope, alpha=alpha, sigma=sigma
    )
    moved = mean + covariance @ slope
    expected = denoise(x - alpha * moved + alpha * mean, alpha, sigma) + moved - mean
    torch.testing.assert_close(found, expected)


def test_without_the_network_it_is_exact_for_isotropic_data():
    deviation, alpha, sigma, slope = 0.6, 0.8, 0.5, 3.0
    gain = alpha * deviation**2 / (alpha**2 * deviation**2 + sigma**2)
    x = torch.randn(4, 2, dtype=torch.float64)
    both = [
        tilted(
            lambda x: gain * x,
            x,
            lambda x: slope * x.sum(dim=1),
            alpha=alpha,
            sigma=sigma,
            deviation=deviation,
            through_network=through,
        )
        for through in (True, False)
    ]
    torch.testing.assert_close(*both)


def test_without_the_network_no_derivative_of_it_is_taken():
    @torch.no_grad()
    def denoise(x):
        return x.clone()

    x = torch.ones(3, 2)
    found = tilted(denoise, x, lambda x: x.sum(1), alpha=1.0, sigma=1.0, through_network=False)
    torch.testing.assert_close(found, torch.full((3, 2), 1.5))
    assert not found.requires_grad


def test_the_gradient_is_of_the_expected_data():
    """A quadratic f: its slope is taken at the denoiser's answer, not at the noisy event."""
    x = torch.tensor([[3.0]], dtype=torch.float64)
    found = tilted(lambda x: x / 2, x, lambda x: -(x**2).sum(dim=1), alpha=1.0, sigma=1.0)
    assert float(found) == pytest.approx(1.5 + 1.0 * 0.5 * (-2 * 1.5))


def test_mistakes():
    x = torch.zeros(3, 2)
    with pytest.raises(ValueError, match=r"of shape \(3,\), got \(\)"):
        tilted(lambda x: x, x, lambda x: x.sum(), alpha=1.0, sigma=math.pi)
