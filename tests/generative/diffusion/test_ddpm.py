"""Diffusion in discrete time: laws, exact denoisers, guidance, known entries."""

import math

import pytest
import torch
from gymagine.generative.diffusion.ddpm import DDPM
from gymagine.generative.testing import check_generator
from gymagine.generative.training import fit

from .gaussian_data import MEAN, SIGMA, ExactNetwork, tilted_moments

CASES = {
    "vectors": ((2,), None, {"num_steps": 8, "hidden_sizes": (16,)}),
    "guided": (
        (3,),
        (2,),
        {"num_steps": 8, "hidden_sizes": (16,), "prediction": "velocity", "guidance": 1.0},
    ),
    "pictures": (
        (1, 6, 5),
        (3,),
        {"num_steps": 4, "channels": 8, "prediction": "data", "eta": 0.0, "sampling_steps": 2},
    ),
    "sequences": ((3, 9), None, {"num_steps": 4, "channels": 8, "multipliers": (1, 1, 2)}),
    "tokens": (
        (3,),
        (2,),
        {"num_steps": 4, "network": "transformer", "width": 8, "num_layers": 1, "num_heads": 2},
    ),
    "clipped": ((2,), None, {"num_steps": 8, "hidden_sizes": (16,), "clip": 2.0}),
}


SLOW = ("guided", "pictures", "sequences", "tokens", "clipped")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in CASES],
)
def test_the_laws(name):
    event, context, settings = CASES[name]
    torch.manual_seed(0)
    model = DDPM(event, context_shape=context, **settings)
    given = None if context is None else torch.randn(4, *context)
    check_generator(model, torch.randn(4, *event), given)


def exact(**settings):
    """Whose network says what noise is expected in data N(MEAN, SIGMA^2), in closed form."""
    model = DDPM((2,), hidden_sizes=(4,), **settings).double()
    shares, num_steps = model.alpha_bars, model.config.num_steps

    def answer(x, told):
        share = shares[(told * num_steps).round().long().squeeze(1)][:, None]
        variance = share * SIGMA**2 + 1 - share
        return (1 - share).sqrt() * (x - share.sqrt() * MEAN) / variance

    model.network = ExactNetwork(answer)
    return model


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
    model = exact(num_steps=20, schedule=schedule)
    drawn = model.log_prob_bound(x, rng=rng)
    error = float(drawn.std()) / math.sqrt(len(x))
    found, expected = float(drawn.mean()) / 2, expected_bound(model.alpha_bars)
    assert found == pytest.approx(expected, abs=2 * error)
    entropy = (1 + math.log(2 * math.pi * SIGMA**2)) / 2
    gaps = [
        -entropy - expected_bound(exact(num_steps=num, schedule=schedule).alpha_bars)
        for num in (20, 100, 1_000)
    ]
    assert gaps[0] > gaps[1] > gaps[2] > 0


def test_samples_of_an_exact_denoiser():
    model = exact(num_steps=300, schedule="linear")
    drawn = model.sample(4_000, rng=torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawn.mean(), torch.tensor(MEAN).double(), atol=0.03, rtol=0)
    torch.testing.assert_close(drawn.std(), torch.tensor(SIGMA).double(), atol=0.03, rtol=0)
    cold = model.sample(4_000, temperature=0.5, rng=torch.Generator().manual_seed(0))
    assert float(cold.std()) == pytest.approx(SIGMA / 2, abs=0.03)


def test_samples_are_tilted_by_a_linear_function():
    slope = torch.tensor([2.0, -1.0], dtype=torch.float64)
    model = exact(num_steps=300, schedule="linear")
    rng = torch.Generator().manual_seed(0)
    drawn = model.sample_tilted(4_000, lambda x: x @ slope, through_network=True, rng=rng)
    mean, deviation = tilted_moments(slope)
    torch.testing.assert_close(drawn.mean(dim=0), mean, atol=0.04, rtol=0)
    torch.testing.assert_close(drawn.std(dim=0), mean.new_full((2,), deviation), atol=0.03, rtol=0)


def test_known_entries_and_a_function_together():
    """What a planner asks for: the start as it is, and the rest where the return is high."""
    model = exact(num_steps=200, schedule="linear")
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
    assert float(found[:, 1].mean()) == pytest.approx(mean, abs=0.05)
    assert float(found[:, 1].std()) == pytest.approx(deviation, abs=0.04)
    with pytest.raises(ValueError, match=r"of weights of shape \(3,\), got \(\)"):
        model.sample_tilted(3, lambda x: x.sum())
    with pytest.raises(ValueError, match="at least 1 sample"):
        model.sample_tilted(0, lambda x: x.sum(dim=1))


def test_guidance_of_minus_one_knows_no_context():
    torch.manual_seed(0)
    settings = {"num_steps": 6, "hidden_sizes": (16,), "guidance": -1.0}
    model = DDPM((2,), context_shape=(3,), **settings)
    contexts = torch.randn(2, 5, 3)
    drawn = [model.sample(1, c, rng=torch.Generator().manual_seed(0)) for c in contexts]
    torch.testing.assert_close(*drawn, atol=1e-5, rtol=1e-5)


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
    with pytest.raises(ValueError, match=r"expected known entries \(400, 2\), got \(400, 1\)"):
        model.complete(given, known[:, :1])


@pytest.mark.slow
def test_eight_gaussians_against_one():
    rng = torch.Generator().manual_seed(0)
    angles = torch.randint(0, 8, (4_000,), generator=rng) * math.pi / 4
    centres = torch.stack([angles.cos(), angles.sin()], dim=1) * math.sqrt(2)
    x = centres + 0.07 * torch.randn(4_000, 2, generator=rng)
    torch.manual_seed(0)
    model = DDPM((2,), num_steps=100, hidden_sizes=(64, 64, 64))
    fit(model, x, num_updates=1_500, batch_size=256, learning_rate=2e-3, step_sizes="cosine")
    bound = float(model.log_prob_bound(x[:400], rng=rng).mean())
    one = torch.distributions.Normal(x.mean(dim=0), x.std(dim=0))
    assert bound > float(one.log_prob(x).sum(dim=1).mean()) + 0.5
    drawn = model.sample(1_000, rng=rng)
    places = torch.arange(8) * math.pi / 4
    distances = torch.cdist(drawn, torch.stack([places.cos(), places.sin()], 1) * math.sqrt(2))
    assert len(distances.argmin(dim=1).unique()) == 8
    assert float((distances.min(dim=1).values < 0.35).float().mean()) > 0.8


@pytest.mark.parametrize(
    ("event", "settings", "message"),
    [
        ((2,), {"network": "unet"}, r"expected events \(C, L\) or \(C, H, W\) for a U-Net"),
        ((2,), {"num_steps": 0}, "expected num_steps"),
        ((1, 4, 4), {"multipliers": ()}, "expected multipliers of at least one level"),
        ((2,), {"eta": 1.5}, "expected eta"),
    ],
)
def test_mistakes(event, settings, message):
    with pytest.raises(ValueError, match=message):
        DDPM(event, **settings)
