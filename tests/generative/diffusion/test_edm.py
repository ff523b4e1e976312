"""Diffusion over noise levels: the paper's factors, exact denoisers, laws, guidance."""

import math

import pytest
import torch
from gymagine.generative.diffusion.edm import EDM, preconditioning
from gymagine.generative.testing import check_generator
from gymagine.generative.training import fit

from .gaussian_data import MEAN, SIGMA, ExactNetwork, denoise, log_normal, tilted_moments

SMALL = {"hidden_sizes": (8,), "flow_steps": 4, "sampling_steps": 4}
TOKENS = {"network": "transformer", "width": 8, "num_layers": 1, "num_heads": 2}
CASES = {
    # samples and densities are held to be of one law, but for the steps of both
    "vectors": ((3,), None, SMALL | {"flow_steps": 16, "sampling_steps": 32}),
    "guided": ((3,), (2,), SMALL | {"guidance": 1.0, "churn": 5.0, "solver": "euler"}),
    "tokens": ((3,), (2,), SMALL | TOKENS | {"flow_steps": 2}),
    "pictures": ((1, 4, 3), (2,), {"channels": 8, "flow_steps": 2, "sampling_steps": 3}),
    "sequences": ((2, 5), None, {"channels": 8, "flow_steps": 2, "sampling_steps": 3}),
    "patches": ((1, 4, 3), (2,), SMALL | TOKENS | {"flow_steps": 2}),
}
SLOW = ("guided", "tokens", "pictures", "sequences", "patches")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in CASES],
)
def test_the_laws(name):
    event, context, settings = CASES[name]
    torch.manual_seed(0)
    model = EDM(event, context_shape=context, **settings)
    given = None if context is None else torch.randn(4, *context)
    # in so few steps samples are not the flow's, and guided ones never are
    check_generator(model, torch.randn(4, *event), given, follows_density=False)


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


def exact(event=(2,), sigma_data=0.5, **settings):
    """Whose network says what makes the denoiser E[x_0 | x] of normal data."""
    model = EDM(event, hidden_sizes=(4,), sigma_data=sigma_data, **settings).double()

    def answer(given, told):
        level = (4 * told).exp().view(-1, *[1] * (given.dim() - 1))
        sigma, factors = sigma_data * level, preconditioning(level, 1.0)
        y = given / factors.c_in  # (x - centre) / sigma_data
        centre = float(model.centre)
        wanted = (denoise(sigma_data * y + centre, sigma) - centre) / sigma_data
        return (wanted - factors.c_skip * y) / factors.c_out

    model.network = ExactNetwork(answer)
    return model


def test_the_network_in_its_place_is_the_denoiser():
    x = torch.randn(4, 2, dtype=torch.float64)
    for sigma in (0.01, 1.0, 30.0):
        torch.testing.assert_close(exact().denoised(x, sigma), denoise(x, sigma))


def test_densities_of_an_exact_denoiser_are_the_datas():
    x = torch.linspace(-2, 3, 10, dtype=torch.float64).view(5, 2)
    model = exact(flow_steps=20)
    model.centre.fill_(MEAN)  # as it is measured; else latents are off by their mean over highest
    expected = log_normal(x)
    torch.testing.assert_close(model.log_prob(x), expected, atol=2e-3, rtol=0)
    torch.testing.assert_close(model.log_prob_by_trace(x), expected, atol=2e-3, rtol=0)
    rng = torch.Generator().manual_seed(0)
    found = model.log_prob_by_trace(x, num_probes=2, rng=rng)  # independent entries: no variance
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=0)
    pictures = exact((1, 1, 2), flow_steps=20)
    pictures.centre.fill_(MEAN)
    y = x[:2].view(2, 1, 1, 2)
    torch.testing.assert_close(pictures.log_prob(y), log_normal(y), atol=2e-3, rtol=0)


@pytest.mark.parametrize(
    ("settings", "tolerance"),
    [
        ({"sampling_steps": 60}, 0.02),
        ({"sampling_steps": 100, "solver": "euler"}, 0.03),
        ({"sampling_steps": 40, "churn": 15.0}, 0.03),
    ],
    ids=["heun", "euler", "churn"],
)
def test_samples_of_an_exact_denoiser_are_the_data(settings, tolerance):
    drawn = exact(**settings).sample(8_000, rng=torch.Generator().manual_seed(0))
    assert float(drawn.mean()) == pytest.approx(MEAN, abs=tolerance)
    assert float(drawn.std()) == pytest.approx(SIGMA, abs=tolerance)
    model = exact(**settings)
    cold = model.sample(8_000, temperature=0.5, rng=torch.Generator().manual_seed(0))
    assert float(cold.std()) == pytest.approx(SIGMA / 2, abs=tolerance)


@pytest.mark.parametrize("through_network", [True, False])
def test_samples_are_tilted_by_a_linear_function(through_network):
    """Through the network it is exact for any normal data, without for those it was made for."""
    slope = torch.tensor([2.0, -1.0], dtype=torch.float64)
    model = exact(sigma_data=0.5 if through_network else SIGMA, sampling_steps=60)
    drawn = model.sample_tilted(
        8_000,
        lambda x: x @ slope,
        through_network=through_network,
        rng=torch.Generator().manual_seed(0),
    )
    mean, deviation = tilted_moments(slope)
    torch.testing.assert_close(drawn.mean(dim=0), mean, atol=0.03, rtol=0)
    torch.testing.assert_close(drawn.std(dim=0), mean.new_full((2,), deviation), atol=0.03, rtol=0)


def test_known_entries_and_a_function_together():
    """What a planner asks for: the start as it is, and the rest where the return is high."""
    model = exact(sampling_steps=40)
    x = torch.tensor([[0.3, 9.0]], dtype=torch.float64).expand(4_000, 2)
    known = torch.tensor([[True, False]]).expand(4_000, 2)
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


def test_guidance_of_minus_one_knows_no_context():
    torch.manual_seed(0)
    model = EDM((2,), context_shape=(3,), guidance=-1.0, **SMALL)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    contexts = torch.randn(2, 5, 3)
    drawn = [model.sample(2, c, rng=torch.Generator().manual_seed(0)) for c in contexts]
    torch.testing.assert_close(*drawn, atol=1e-4, rtol=1e-4)
    shapes = model.sample_tilted(2, lambda x: x.sum(dim=1), contexts[0]).shape
    assert shapes == (2, 5, 2)


@pytest.mark.slow
def test_eight_gaussians_against_one():
    rng = torch.Generator().manual_seed(0)
    angles = torch.randint(0, 8, (4_000,), generator=rng) * math.pi / 4
    centres = torch.stack([angles.cos(), angles.sin()], dim=1) * math.sqrt(2)
    x = centres + 0.07 * torch.randn(4_000, 2, generator=rng)
    torch.manual_seed(0)
    model = EDM((2,), hidden_sizes=(64, 64, 64))
    fit(model, x, num_updates=1_500, batch_size=256, learning_rate=2e-3, step_sizes="cosine")
    with torch.no_grad():
        found = float(model.log_prob(x[:300]).mean())
    # 8 modes of deviation 0.07: log N's entropy and log 8
    truth = -(1 + math.log(2 * math.pi * 0.07**2)) - math.log(8)
    one = torch.distributions.Normal(x.mean(dim=0), x.std(dim=0))
    control = float(one.log_prob(x).sum(dim=1).mean())
    assert control + 0.7 * (truth - control) < found < truth + 0.1
    drawn = model.sample(1_000, rng=rng)
    places = torch.arange(8) * math.pi / 4
    distances = torch.cdist(drawn, torch.stack([places.cos(), places.sin()], 1) * math.sqrt(2))
    assert len(distances.argmin(dim=1).unique()) == 8
    assert float((distances.min(dim=1).values < 0.35).float().mean()) > 0.9


@pytest.mark.parametrize(
    ("event", "settings", "message"),
    [
        ((2,), {"network": "unet"}, r"expected events \(C, L\) or \(C, H, W\) for a U-Net"),
        ((2,), {"lowest": 5.0, "highest": 2.0}, "expected a lowest noise level below the highest"),
        ((2,), {"sigma_data": 0.0}, "expected sigma_data"),
        ((2,), {"highest": 1e30}, "expected highest"),
        ((1, 4, 4), {"multipliers": ()}, "expected multipliers of at least one level"),
    ],
)
def test_mistakes(event, settings, message):
    with pytest.raises(ValueError, match=message):
        EDM(event, **settings)
