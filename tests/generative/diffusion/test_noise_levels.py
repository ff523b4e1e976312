"""Levels and steps against the flow of normal data, which is known."""

import math
from itertools import pairwise

import pytest
import torch
from gymagine.generative.diffusion.known_entries import keeping
from gymagine.generative.diffusion.noise_levels import (
    diffused_to_level,
    follow_levels,
    karras_levels,
)

from .gaussian_data import MEAN, SIGMA, denoise


def test_levels_by_the_papers_formula():
    found = karras_levels(18, 0.002, 80.0)
    for i in (0, 1, 9, 17):
        root = 80 ** (1 / 7) + i / 17 * (0.002 ** (1 / 7) - 80 ** (1 / 7))
        assert found[i] == pytest.approx(root**7, rel=1e-12)
    assert found[0] == 80 and found[-1] == 0.002
    assert karras_levels(3, 1.0, 3.0, rho=1.0) == [3.0, 2.0, 1.0]
    assert karras_levels(1, 0.002, 80.0) == [80.0]


def flowed(x, start, end=0.0):
    """Where the flow takes normal data: distances from the mean shrink as deviations do."""
    return MEAN + (x - MEAN) * math.sqrt((SIGMA**2 + end**2) / (SIGMA**2 + start**2))


@pytest.mark.parametrize("order", [1, 2])
def test_the_error_falls_with_the_order(order):
    x = torch.tensor([[-9.0], [0.5], [20.0]], dtype=torch.float64)
    errors = []
    for num in (40, 80, 160):
        found = follow_levels(denoise, x, karras_levels(num, 1e-4, 10.0), order=order)
        errors.append(float((found - flowed(x, 10.0)).abs().max()))
    for coarse, fine in pairwise(errors):
        assert coarse / fine == pytest.approx(2**order, rel=0.15)
    assert errors[-1] < (0.02 if order == 2 else 0.2)


def test_a_heun_step_by_hand():
    asked = []

    def constant(x, sigma):
        asked.append((x.clone(), sigma))
        return torch.ones_like(x)

    x = torch.tensor([[5.0]], dtype=torch.float64)
    found = follow_levels(constant, x, [2.0, 1.0])
    # slope (5 - 1) / 2 = 2, so 3 at level 1; slope (3 - 1) / 1 = 2 again; then Euler to 0
    assert [sigma for _, sigma in asked] == [2.0, 1.0, 1.0]
    assert [float(x) for x, _ in asked] == [5.0, 3.0, 3.0]
    assert float(found) == pytest.approx(1.0)


@pytest.mark.parametrize("churn", [0.0, 20.0])
def test_samples_are_the_data(churn):
    rng = torch.Generator().manual_seed(0)
    x = 20 * torch.randn(20_000, 1, generator=rng, dtype=torch.float64)
    found = follow_levels(denoise, x, karras_levels(60, 1e-3, 20.0), churn=churn, rng=rng)
    # the latents' mean was taken for 0, of which the flow alone leaves this in the samples
    left_out = 0.0 if churn else MEAN * SIGMA / 20
    assert float(found.mean()) == pytest.approx(MEAN - left_out, abs=0.015)
    assert float(found.std()) == pytest.approx(SIGMA, abs=0.015)
    again = follow_levels(denoise, x, karras_levels(60, 1e-3, 20.0), churn=churn, rng=rng)
    assert torch.equal(found, again) == (churn == 0)


def test_known_entries_have_the_levels_noise():
    rng = torch.Generator().manual_seed(0)
    x_0 = torch.tensor([[0.3, 9.0]]).expand(5_000, 2)
    known = torch.tensor([[True, False]]).expand(5_000, 2)
    change = keeping(x_0, known, diffused_to_level, rng=rng)
    x = torch.full((5_000, 2), 7.0)
    found = change(x, 2.0)
    assert float(found[:, 0].mean()) == pytest.approx(0.3, abs=0.1)
    assert float(found[:, 0].std()) == pytest.approx(2.0, abs=0.1)
    assert (found[:, 1] == 7).all()
    assert (change(x, 0.0)[:, 0] == torch.tensor(0.3)).all()
