"""Continuous time: the schedule, the bound and its invariance, densities, clipping."""

import math

import numpy as np
import pytest
import torch
from gymagine.generative.diffusion.vp_diffusion import VPDiffusion, gamma_at
from scipy import integrate

from .exact_families import exact
from .gaussian_data import MEAN, SIGMA, denoise, log_normal

# ---- the schedule -------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_ends_and_slopes(schedule):
    t = torch.linspace(0, 1, 9, dtype=torch.float64, requires_grad=True)
    gamma, slope = gamma_at(schedule, t, -7.0, 4.0)
    assert gamma[[0, -1]].tolist() == pytest.approx([-7, 4])
    if schedule == "cosine":
        (found,) = torch.autograd.grad(gamma.sum(), t)
        torch.testing.assert_close(slope, found)
        angles = (-gamma).sigmoid().sqrt().arccos()  # alpha is the cosine of an angle linear in t
        torch.testing.assert_close(angles.diff(), angles.diff()[:1].expand(8))
    else:
        torch.testing.assert_close(slope, t.new_full((9,), 11.0))


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_32_bits_do_at_both_ends(schedule):
    """Seen from the other end in time, signal is noise: gamma(1 - t) is -gamma of swapped ends."""
    t = torch.cat([torch.logspace(-7, -0.1, 40), torch.linspace(0.3, 1, 40)])
    gamma, slope = gamma_at(schedule, t, -30.0, 30.0)
    in_64_bits, slope_in_64_bits = gamma_at(schedule, t.double(), -30.0, 30.0)
    torch.testing.assert_close(gamma.double(), in_64_bits, rtol=1e-6, atol=1e-5)
    torch.testing.assert_close(slope.double(), slope_in_64_bits, rtol=1e-6, atol=0)
    swapped, same = gamma_at(schedule, 1 - t.double(), -30.0, 30.0)
    torch.testing.assert_close(swapped, -in_64_bits, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(same, slope_in_64_bits, rtol=1e-9, atol=0)
    assert float(gamma_at(schedule, torch.ones(1), -30.0, 30.0)[0]) == pytest.approx(30)


@pytest.mark.parametrize("ends", [(-30.0, 5.0), (-13.3, 30.0), (-30.0, -29.0), (29.0, 30.0)])
def test_the_widest_schedules_can_be_used(ends):
    settings = dict(zip(("gamma_0", "gamma_1"), ends, strict=True)) | {"sampling_steps": 20}
    model = exact("vp-diffusion", **settings).eval()
    x = torch.full((5, 2), 0.7, dtype=torch.float64)
    for found in (model.loss(x), model.log_prob_bound(x), model.log_prob_by_flow(x)):
        assert found.isfinite().all()
    assert float(model.sample(50, rng=torch.Generator().manual_seed(0)).abs().max()) < 1e8


# ---- an exact denoiser --------------------------------------------------------------------------


def expected_bound(low, high, bias=0.0):
    """Of one entry of the data, in the mean, by quadrature over gamma."""

    def error(gamma):
        alpha_2, sigma_2 = 1 / (1 + math.exp(gamma)), 1 / (1 + math.exp(-gamma))
        # Var[e | z], by e = (z - alpha x) / sigma
        return alpha_2 * SIGMA**2 / (alpha_2 * SIGMA**2 + sigma_2) + bias**2

    diffusion = integrate.quad(error, low, high, epsabs=1e-10)[0] / 2
    share = 1 / (1 + math.exp(high))
    prior = (share * (MEAN**2 + SIGMA**2) - share - math.log1p(-share)) / 2
    return -(diffusion + prior + (math.log(2 * math.pi) + low + 1) / 2)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize("bias", [0.0, 0.3])
def test_the_bound_of_any_schedule_is_the_integral_over_gamma(schedule, bias):
    """Truth T27's bound, and invariance: the right side does not know the schedule."""
    rng = torch.Generator().manual_seed(0)
    x = MEAN + SIGMA * torch.randn(4_000, 2, dtype=torch.float64, generator=rng)
    model = exact(
        "vp-diffusion", bias=bias, schedule=schedule, gamma_0=-6.0, gamma_1=4.0, bound_times=16
    )
    expected = 2 * expected_bound(-6.0, 4.0, bias)
    for drawn in (model.log_prob_bound(x, rng=rng), -model.loss(x, rng=rng)):
        error = float(drawn.std()) / math.sqrt(len(x))
        assert float(drawn.mean()) == pytest.approx(expected, abs=3 * error)


def test_the_bound_is_tight_for_an_exact_denoiser_alone():
    entropy = (1 + math.log(2 * math.pi * SIGMA**2)) / 2
    assert expected_bound(-13.3, 5.0) == pytest.approx(-entropy, abs=0.01)
    assert expected_bound(-13.3, 5.0) < -entropy
    assert expected_bound(-13.3, 5.0, bias=0.3) < -entropy - 0.5


def test_times_of_a_batch_are_spread():
    """Which keeps the mean loss from jumping, here of a network that is off by 1 everywhere."""
    rng = torch.Generator().manual_seed(0)
    model = exact("vp-diffusion", schedule="cosine", gamma_0=-6.0, gamma_1=4.0)
    model.network.answer = lambda z, told: z / (5 * told - 1).sigmoid().sqrt() - 1  # z = sigma e
    x = torch.zeros(64, 2, dtype=torch.float64)
    together = [float(model.loss(x, rng=rng).mean()) for _ in range(30)]
    alone = [float(model.loss(x[:1], rng=rng)) for _ in range(30 * 64)]
    apart = np.reshape(alone, (30, 64)).mean(axis=1)
    assert np.std(together) < 0.3 * np.std(apart)
    assert np.mean(together) == pytest.approx(np.mean(apart), abs=3 * np.std(apart) / 30**0.5)


@pytest.mark.parametrize("how", [{}, {"trace": True}, {"num_probes": 2}], ids=str)
def test_densities_by_the_flow_of_an_exact_denoiser_are_the_datas(how):
    x = torch.linspace(-2, 2, 10, dtype=torch.float64).view(5, 2)
    if "num_probes" in how:
        how = how | {"rng": torch.Generator().manual_seed(0)}
    model = exact("vp-diffusion", denoise=lambda x, s: denoise(x, s, 0.0), gamma_1=9.0)
    found = model.log_prob_by_flow(x, **how)
    torch.testing.assert_close(found, log_normal(x, 0.0), atol=2e-3, rtol=0)


# ---- two clouds, whose flow is curved -----------------------------------------------------------

WEIGHTS, CENTRES, WIDTH = np.array([0.3, 0.7]), np.array([-1.2, 0.6]), 0.35


def denoise_clouds(x, sigma):
    """E[x_0 | x] by Bayes over the clouds."""
    weights, centres = torch.tensor(WEIGHTS), torch.tensor(CENTRES)
    variance = WIDTH**2 + sigma**2
    away = x.unsqueeze(-1) - centres
    shares = (weights.log() - away**2 / (2 * torch.as_tensor(variance).unsqueeze(-1))).softmax(-1)
    within = centres + WIDTH**2 * away / torch.as_tensor(variance).unsqueeze(-1)
    return (shares * within).sum(dim=-1)


def score_of_clouds(z, alpha, sigma):
    """d ln p / dz and its derivative, of z = alpha x + sigma e."""
    variance = (alpha * WIDTH) ** 2 + sigma**2
    pulls = (alpha * CENTRES - z) / variance
    shares = WEIGHTS * np.exp(-(pulls**2) * variance / 2)
    shares /= shares.sum()
    score = shares @ pulls
    return score, shares @ (pulls**2) - 1 / variance - score**2


def log_prob_by_songs_equations(x, low, high):
    """Equations 13 and 39 in time, of the equation 11 whose beta has this linear gamma."""

    def field(t, state):
        gamma = low + (high - low) * t
        alpha, sigma = 1 / math.sqrt(1 + math.exp(gamma)), 1 / math.sqrt(1 + math.exp(-gamma))
        beta = (high - low) * sigma**2  # minus the derivative of ln alpha^2
        score, slope = score_of_clouds(state[0], alpha, sigma)
        return [-beta / 2 * (state[0] + score), -beta / 2 * (1 + slope)]

    alpha = 1 / math.sqrt(1 + math.exp(low))
    found = integrate.solve_ivp(field, (0, 1), [alpha * x, 0.0], rtol=1e-8, atol=1e-9)
    z, log_det = found.y[:, -1]
    return -(z**2) / 2 - math.log(2 * math.pi) / 2 + log_det + math.log(alpha)


@pytest.mark.parametrize("trace", [False, True])
def test_densities_of_a_curved_flow_are_those_of_songs_equations(trace):
    model = exact(
        "vp-diffusion", (1,), denoise=denoise_clouds, gamma_0=-8.0, gamma_1=6.0, flow_steps=24
    )
    places = [-2.0, -0.4, 0.0, 0.6]
    x = torch.tensor(places, dtype=torch.float64).unsqueeze(1)
    expected = [log_prob_by_songs_equations(place, -8.0, 6.0) for place in places]
    found = model.log_prob_by_flow(x, trace=trace)
    assert found.tolist() == pytest.approx(expected, abs=2e-4)
    of_the_data = np.log(
        (WEIGHTS * np.exp(-((x.numpy() - CENTRES) ** 2) / (2 * WIDTH**2))).sum(axis=1)
        / math.sqrt(2 * math.pi * WIDTH**2)
    )
    assert expected == pytest.approx(of_the_data.tolist(), abs=0.02)


# ---- mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gamma_0": 5.0}, "expected gamma_0 below gamma_1, got 5.0 and 5.0"),
        ({"bound_times": 0}, "expected bound_times"),
        ({"gamma_1": 800.0}, r"expected gamma_1 in \[-30.0, 30.0\], got 800.0"),
    ],
)
def test_mistakes(settings, message):
    with pytest.raises(ValueError, match=message):
        VPDiffusion((2,), **settings)
