"""Diffusion in discrete time: its bound, and known entries by a learned network."""

import math

import pytest
import torch
from gymagine.generative.diffusion.ddpm import DDPM
from gymagine.generative.training import fit

from .exact_families import exact
from .gaussian_data import MEAN, SIGMA


def expected_bound(shares):
    """Of one entry, averaged over data: every term is an error of E[x_0 | x_t], a variance."""
    shares = shares.tolist()
    last = shares[-1]
    found = -(last * (MEAN**2 + SIGMA**2) - last - math.log(1 - last)) / 2
    for t in range(1, len(shares)):
        left = SIGMA**2 * (1 - shares[t]) / (shares[t] * SIGMA**2 + 1 - shares[t])
        if t == 1:
            noise = 1 - shares[1]
            found -= (left / noise + math.log(2 * math.pi * noise)) / 2
        else:
            ratios = [share / (1 - share) for share in (shares[t - 1], shares[t])]
            found -= (ratios[0] - ratios[1]) * left / 2
    return found


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_the_bound_of_an_exact_denoiser(schedule):
    rng = torch.Generator().manual_seed(0)
    x = MEAN + SIGMA * torch.randn(8_000, 2, dtype=torch.float64, generator=rng)
    model = exact("ddpm", num_steps=20, schedule=schedule)
    drawn = model.log_prob_bound(x, rng=rng)
    error = float(drawn.std()) / math.sqrt(len(x))
    found, expected = float(drawn.mean()) / 2, expected_bound(model.alpha_bars)
    assert found == pytest.approx(expected, abs=2 * error)
    entropy = (1 + math.log(2 * math.pi * SIGMA**2)) / 2
    gaps = [
        -entropy - expected_bound(exact("ddpm", num_steps=num, schedule=schedule).alpha_bars)
        for num in (20, 100, 1_000)
    ]
    assert gaps[0] > gaps[1] > gaps[2] > 0


@pytest.mark.slow
def test_known_entries_are_kept_and_the_rest_fits():
    """Of a correlated Gaussian the unknown entry is drawn around its conditional mean."""
    rng = torch.Generator().manual_seed(0)
    first = torch.randn(3_000, 1, generator=rng)
    x = torch.cat([first, 0.9 * first + 0.3 * torch.randn(3_000, 1, generator=rng)], dim=1)
    torch.manual_seed(0)
    model = DDPM((2,), num_steps=40, hidden_sizes=(64, 64))
    fit(model, x, num_updates=600, batch_size=256, learning_rate=3e-3, average_decay=0.98)
    given = torch.tensor([[1.5, 0.0], [-1.5, 0.0]]).repeat(200, 1)
    known = torch.tensor([[True, False]]).expand(400, 2)
    found = model.complete(given, known, rng=rng)
    assert torch.equal(found[:, 0], given[:, 0])
    means = found[:, 1].view(200, 2).mean(dim=0)
    assert float(means[0]) > 0.7
    assert float(means[1]) < -0.7
    with pytest.raises(ValueError, match=r"entries of \(400, 2\) are known, got \(400, 1\)"):
        model.complete(given, known[:, :1])


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"num_steps": 0}, "expected num_steps"), ({"eta": 1.5}, "expected eta")],
)
def test_mistakes(settings, message):
    with pytest.raises(ValueError, match=message):
        DDPM((2,), **settings)
