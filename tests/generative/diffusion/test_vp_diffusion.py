"""Continuous time: the bound and its invariance, exact denoisers, laws, guidance."""

import math

import numpy as np
import pytest
import torch
from gymagine.generative.diffusion.vp_diffusion import VPDiffusion, gamma_at
from gymagine.generative.testing import check_generator
from gymagine.generative.training import fit
from scipy import integrate

from .gaussian_data import MEAN, SIGMA, ExactNetwork, log_normal, tilted_moments

SMALL = {"hidden_sizes": (8,), "sampling_steps": 4, "bound_times": 3}
TOKENS = {"network": "transformer", "width": 8, "num_layers": 1, "num_heads": 2}
CASES = {
    "vectors": ((3,), None, SMALL),
    "guided": ((3,), (2,), SMALL | {"guidance": 1.0, "sampler": "flow", "schedule": "cosine"}),
    "patches": ((1, 4, 3), (2,), SMALL | TOKENS),
    "pictures": ((1, 4, 3), (2,), SMALL | {"channels": 8}),
}
SLOW = ("pictures",)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in CASES],
)
def test_the_laws(name):
    event, context, settings = CASES[name]
    torch.manual_seed(0)
    model = VPDiffusion(event, context_shape=context, **settings)
    given = None if context is None else torch.randn(4, *context)
    check_generator(model, torch.randn(4, *event), given)


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


# ---- an exact denoiser --------------------------------------------------------------------------


def exact(event=(2,), mean=MEAN, bias=0.0, **settings):
    """Whose network predicts E[e | z] of normal data, and a little beside it."""
    model = VPDiffusion(event, hidden_sizes=(4,), **settings).double()
    low, high = model.config.gamma_0, model.config.gamma_1

    def answer(z, told):
        gamma = ((told * (high - low) + low + high) / 2).view(-1, *[1] * (z.dim() - 1))
        alpha, sigma = (-gamma).sigmoid().sqrt(), gamma.sigmoid().sqrt()
        return sigma * (z - alpha * mean) / (alpha**2 * SIGMA**2 + sigma**2) + bias

    model.network = ExactNetwork(answer)
    return model


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
    model = exact(bias=bias, schedule=schedule, gamma_0=-6.0, gamma_1=4.0, bound_times=16)
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
    model = exact(bias=0.0, schedule="cosine", gamma_0=-6.0, gamma_1=4.0)
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
    model = exact(mean=0.0, gamma_1=9.0)
    found = model.log_prob_by_flow(x, **how)
    torch.testing.assert_close(found, log_normal(x, 0.0), atol=2e-3, rtol=0)


@pytest.mark.parametrize("sampler", ["ancestral", "flow"])
def test_samples_of_an_exact_denoiser_are_the_data(sampler):
    steps = {"ancestral": 300, "flow": 60}[sampler]
    model = exact(sampler=sampler, sampling_steps=steps, schedule="cosine", gamma_1=8.0)
    drawn = model.sample(6_000, rng=torch.Generator().manual_seed(0))
    assert float(drawn.mean()) == pytest.approx(MEAN, abs=0.03)
    assert float(drawn.std()) == pytest.approx(SIGMA, abs=0.02)
    cold = model.sample(6_000, temperature=0.5, rng=torch.Generator().manual_seed(0))
    assert float(cold.std()) == pytest.approx(SIGMA / 2, abs=0.02)


@pytest.mark.parametrize("sampler", ["ancestral", "flow"])
def test_known_entries_and_a_function_together(sampler):
    model = exact(sampler=sampler, sampling_steps=200, schedule="cosine", gamma_1=8.0)
    x = torch.tensor([[0.3, 9.0]], dtype=torch.float64).expand(3_000, 2)
    known = torch.tensor([[True, False]]).expand(3_000, 2)
    rng = torch.Generator().manual_seed(0)
    found = model.complete(
        x,
        known,
        log_weight=lambda x: 2 * x[:, 1] - 5 * x[:, 0],
        through_network=True,
        rng=rng,
    )
    assert torch.equal(found[:, 0], x[:, 0])
    mean, deviation = tilted_moments(2.0)
    assert float(found[:, 1].mean()) == pytest.approx(mean, abs=0.06)
    assert float(found[:, 1].std()) == pytest.approx(deviation, abs=0.04)


# ---- learned ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_eight_gaussians_against_one():
    rng = torch.Generator().manual_seed(0)
    angles = torch.randint(0, 8, (4_000,), generator=rng) * math.pi / 4
    centres = torch.stack([angles.cos(), angles.sin()], dim=1) * math.sqrt(2)
    x = centres + 0.07 * torch.randn(4_000, 2, generator=rng)
    torch.manual_seed(0)
    model = VPDiffusion((2,), hidden_sizes=(64, 64, 64), sampler="flow", sampling_steps=60)
    fit(model, x, num_updates=1_500, batch_size=256, learning_rate=2e-3, step_sizes="cosine")
    with torch.no_grad():
        bound = float(model.log_prob_bound(x[:1_000], rng=rng).mean())
        by_flow = float(model.log_prob_by_flow(x[:300]).mean())
    truth = -(1 + math.log(2 * math.pi * 0.07**2)) - math.log(8)
    one = torch.distributions.Normal(x.mean(dim=0), x.std(dim=0))
    control = float(one.log_prob(x).sum(dim=1).mean())
    assert control < bound < truth + 0.1
    assert control + 0.5 * (truth - control) < by_flow < truth + 0.2
    drawn = model.sample(1_000, rng=rng)
    places = torch.arange(8) * math.pi / 4
    distances = torch.cdist(drawn, torch.stack([places.cos(), places.sin()], 1) * math.sqrt(2))
    assert len(distances.argmin(dim=1).unique()) == 8
    assert float((distances.min(dim=1).values < 0.35).float().mean()) > 0.9


@pytest.mark.parametrize(
    ("event", "settings", "message"),
    [
        ((2,), {"network": "unet"}, r"expected events \(C, L\) or \(C, H, W\) for a U-Net"),
        ((2,), {"gamma_0": 5.0}, "expected gamma_0 below gamma_1, got 5.0 and 5.0"),
        ((2,), {"bound_times": 0}, "expected bound_times"),
        ((2,), {"gamma_1": 800.0}, r"expected gamma_1 in \[-60.0, 60.0\], got 800.0"),
    ],
)
def test_mistakes(event, settings, message):
    with pytest.raises(ValueError, match=message):
        VPDiffusion(event, **settings)
