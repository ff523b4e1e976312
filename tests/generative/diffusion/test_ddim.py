"""Steps back by an exact denoiser, of which the samples' variance is known."""

import math

import pytest
import torch
from gymagine.generative.diffusion.ddim import ddim, diffused_at, visited_times
from gymagine.generative.diffusion.gaussian_diffusion import alpha_bars, posterior
from gymagine.generative.diffusion.known_entries import keeping

T = 50
MEAN, SIGMA = 1.5, 0.7


def exact_denoiser(shares):
    """E[x_0 | x_t] of data N(MEAN, SIGMA^2)."""

    def denoise(x_t, t):
        share = float(shares[t])
        gain = math.sqrt(share) * SIGMA**2 / (share * SIGMA**2 + 1 - share)
        return MEAN + gain * (x_t - math.sqrt(share) * MEAN)

    return denoise


@pytest.mark.slow
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_an_exact_denoiser_gives_back_the_data(eta):
    """Variance by the recursion of a linear map, so that no sample is drawn."""
    shares = alpha_bars("linear", 400)
    denoise = exact_denoiser(shares)
    times = visited_times(400, 400)
    base = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    found = ddim(denoise, base, shares, times, eta=eta, temperature=0.0)
    slope = float(found[1] - found[0])
    variance = slope**2
    if eta:
        for start in range(len(times) - 1):  # what the noise after each step becomes
            rest = times[start + 1 :]
            one = ddim(denoise, base, shares, rest, eta=eta, temperature=0.0)
            gain = float(one[1] - one[0])
            t, s = times[start], times[start + 1]
            ratio = float(shares[t] / shares[s])
            fresh = eta**2 * float((1 - shares[s]) / (1 - shares[t])) * (1 - ratio)
            variance += gain**2 * fresh
    assert math.sqrt(variance) == pytest.approx(SIGMA, rel=0.03)
    assert float(found[0]) == pytest.approx(MEAN, abs=0.03)


def test_full_noise_is_the_ancestral_sampler():
    shares = alpha_bars("cosine", T)
    denoise = exact_denoiser(shares)
    x = torch.randn(5, 2, dtype=torch.float64)
    times = visited_times(T, 10)
    rng = torch.Generator().manual_seed(0)
    found = ddim(denoise, x, shares, times, eta=1.0, rng=rng)
    rng = torch.Generator().manual_seed(0)
    for t, s in zip(times, [*times[1:], 0], strict=True):
        mean, variance = posterior(denoise(x, t), x, shares[s].expand(5), shares[t].expand(5))
        x = mean
        if s:
            x = x + variance.sqrt() * torch.randn(5, 2, generator=rng, dtype=torch.float64)
    torch.testing.assert_close(found, x)


def test_times():
    assert visited_times(10, 10) == list(range(10, 0, -1))
    assert visited_times(10, 1) == [10]
    assert visited_times(7, 100) == list(range(7, 0, -1))
    times = visited_times(200, 13)
    assert len(times) == len(set(times)) == 13
    assert times[0] == 200


def test_known_entries_stay():
    shares = alpha_bars("linear", T)
    x_0 = torch.tensor([[0.3, 9.0]]).expand(4, 2)
    known = torch.tensor([[True, False]]).expand(4, 2)
    rng = torch.Generator().manual_seed(0)
    found = ddim(
        exact_denoiser(shares),
        torch.randn(4, 2, generator=rng),
        shares,
        visited_times(T, T),
        change=keeping(x_0, known, diffused_at(shares), rng=rng),
    )
    assert (found[:, 0] == 0.3).all()
    assert (found[:, 1] < 5).all()
