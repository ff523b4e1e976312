"""What all three families must do: laws, exact denoisers, conditioning, learning, mistakes."""

import math

import pytest
import torch
from gymagine.generative.testing import check_generator
from gymagine.generative.training import fit

from .exact_families import FAMILIES, exact
from .gaussian_data import (
    CLOUD,
    MEAN,
    SIGMA,
    distances_to_clouds,
    eight_gaussians,
    tilted_moments,
)

torch.set_num_threads(1)

TOKENS = {"network": "transformer", "width": 8, "num_layers": 1, "num_heads": 2}
SMALL = {
    "ddpm": {"num_steps": 4, "hidden_sizes": (16,), "channels": 8},
    "edm": {"hidden_sizes": (8,), "channels": 8, "flow_steps": 2, "sampling_steps": 3},
    "vp-diffusion": {"hidden_sizes": (8,), "channels": 8, "sampling_steps": 4, "bound_times": 3},
}
CLIPPED = {"num_steps": 8, "clip": 2.0}
# by family and name: shapes of an event and a context, and what differs from the small settings
FAST = {
    ("ddpm", "vectors"): ((2,), None, {}),
    # densities are integrated, and samples held to be of them, but for the steps of both
    ("edm", "vectors"): ((3,), None, {"flow_steps": 8, "sampling_steps": 24}),
    ("vp-diffusion", "vectors"): ((3,), None, {}),
    ("vp-diffusion", "clipped"): ((3,), None, {"clip": 2.0}),
    ("vp-diffusion", "guided"): (
        (3,),
        (2,),
        {"guidance": 1.0, "sampler": "flow", "schedule": "cosine"},
    ),
    ("vp-diffusion", "patches"): ((1, 4, 3), (2,), TOKENS),
}
SLOW = {
    ("ddpm", "guided"): (
        (3,),
        (2,),
        {"num_steps": 8, "prediction": "velocity", "guidance": 1.0},
    ),
    ("ddpm", "pictures"): (
        (1, 6, 5),
        (3,),
        {"prediction": "data", "eta": 0.0, "sampling_steps": 2},
    ),
    ("ddpm", "sequences"): ((3, 9), None, {"multipliers": (1, 1, 2)}),
    ("ddpm", "tokens"): ((3,), (2,), TOKENS),
    ("ddpm", "clipped"): ((2,), None, CLIPPED),
    ("edm", "guided"): (
        (3,),
        (2,),
        {"guidance": 1.0, "churn": 5.0, "solver": "euler", "flow_steps": 4, "sampling_steps": 4},
    ),
    ("edm", "tokens"): ((3,), (2,), TOKENS | {"sampling_steps": 4}),
    ("edm", "pictures"): ((1, 4, 3), (2,), {}),
    ("edm", "sequences"): ((2, 5), None, {}),
    ("edm", "patches"): ((1, 4, 3), (2,), TOKENS | {"sampling_steps": 4}),
    ("vp-diffusion", "pictures"): ((1, 4, 3), (2,), {}),
}


@pytest.mark.parametrize(
    ("family", "name"),
    [*FAST, *(pytest.param(*key, marks=pytest.mark.slow) for key in SLOW)],
)
def test_the_laws(family, name):
    event, context, settings = (FAST | SLOW)[family, name]
    torch.manual_seed(0)
    model = FAMILIES[family](event, context_shape=context, **SMALL[family] | settings)
    given = None if context is None else torch.randn(4, *context)
    # in so few steps as the others take samples are not the flow's, and guided ones never are
    check_generator(model, torch.randn(4, *event), given, follows_density=name == "vectors")


# ---- exact denoisers ----------------------------------------------------------------------------

OF_NORMAL_DATA = {
    "ddpm": {},
    "edm": {"sigma_data": 0.5},
    "vp-diffusion": {"schedule": "cosine", "gamma_1": 8.0},
}


@pytest.mark.parametrize(
    ("family", "settings", "num", "tolerances"),
    [
        ("ddpm", {"num_steps": 300, "schedule": "linear"}, 4_000, (0.03, 0.03)),
        ("edm", {"sampling_steps": 60}, 8_000, (0.02, 0.02)),
        ("edm", {"sampling_steps": 100, "solver": "euler"}, 8_000, (0.03, 0.03)),
        ("edm", {"sampling_steps": 40, "churn": 15.0}, 8_000, (0.03, 0.03)),
        ("vp-diffusion", {"sampler": "ancestral", "sampling_steps": 300}, 6_000, (0.03, 0.02)),
        ("vp-diffusion", {"sampler": "flow", "sampling_steps": 60}, 6_000, (0.03, 0.02)),
    ],
    ids=["ddpm", "heun", "euler", "churn", "ancestral", "flow"],
)
def test_samples_of_an_exact_denoiser_are_the_data(family, settings, num, tolerances):
    model = exact(family, **OF_NORMAL_DATA[family] | settings).eval()
    of_mean, of_deviation = tolerances
    drawn = model.sample(num, rng=torch.Generator().manual_seed(0))
    assert float(drawn.mean()) == pytest.approx(MEAN, abs=of_mean)
    assert float(drawn.std()) == pytest.approx(SIGMA, abs=of_deviation)
    cold = model.sample(num, temperature=0.5, rng=torch.Generator().manual_seed(0))
    assert float(cold.std()) == pytest.approx(SIGMA / 2, abs=of_deviation)


@pytest.mark.parametrize(
    ("family", "settings", "num", "through_network"),
    [
        ("ddpm", {"num_steps": 300, "schedule": "linear"}, 4_000, True),
        ("edm", {"sigma_data": 0.5, "sampling_steps": 60}, 8_000, True),
        ("edm", {"sigma_data": SIGMA, "sampling_steps": 60}, 8_000, False),
    ],
    ids=["ddpm", "edm", "edm-without-the-network"],
)
def test_samples_are_tilted_by_a_linear_function(family, settings, num, through_network):
    """Through the network it is exact for any normal data, without for those it was made for."""
    slope = torch.tensor([2.0, -1.0], dtype=torch.float64)
    drawn = exact(family, **settings).sample_tilted(
        num,
        lambda x: x @ slope,
        through_network=through_network,
        rng=torch.Generator().manual_seed(0),
    )
    mean, deviation = tilted_moments(slope)
    of_mean = 0.04 if family == "ddpm" else 0.03
    torch.testing.assert_close(drawn.mean(dim=0), mean, atol=of_mean, rtol=0)
    torch.testing.assert_close(drawn.std(dim=0), mean.new_full((2,), deviation), atol=0.03, rtol=0)


@pytest.mark.parametrize(
    ("family", "settings", "num", "of_mean"),
    [
        ("ddpm", {"num_steps": 200, "schedule": "linear"}, 3_000, 0.05),
        ("edm", {"sampling_steps": 40}, 4_000, 0.06),
        ("vp-diffusion", {"sampler": "ancestral", "sampling_steps": 200}, 3_000, 0.06),
        ("vp-diffusion", {"sampler": "flow", "sampling_steps": 100}, 3_000, 0.06),
    ],
    ids=["ddpm", "edm", "ancestral", "flow"],
)
def test_known_entries_and_a_function_together(family, settings, num, of_mean):
    """What a planner asks for: the start as it is, and the rest where the return is high."""
    model = exact(family, **OF_NORMAL_DATA[family] | settings)
    x = torch.tensor([[0.3, 9.0]], dtype=torch.float64).expand(num, 2)
    known = torch.tensor([[True, False]]).expand(num, 2)
    found = model.complete(
        x,
        known,
        log_weight=lambda x: 2 * x[:, 1] - 5 * x[:, 0],
        through_network=True,
        rng=torch.Generator().manual_seed(0),
    )
    assert torch.equal(found[:, 0], x[:, 0])
    mean, deviation = tilted_moments(2.0)
    assert float(found[:, 1].mean()) == pytest.approx(mean, abs=of_mean)
    assert float(found[:, 1].std()) == pytest.approx(deviation, abs=0.04)


# ---- learned ------------------------------------------------------------------------------------


def scores_of_ddpm(model, x, rng):
    with torch.no_grad():
        return [float(model.log_prob_bound(x[:400], rng=rng).mean())]


def scores_of_edm(model, x, rng):
    with torch.no_grad():
        return [float(model.log_prob(x[:300]).mean())]


def scores_of_vp(model, x, rng):
    with torch.no_grad():
        bound = float(model.log_prob_bound(x[:1_000], rng=rng).mean())
        return [bound, float(model.log_prob_by_flow(x[:300]).mean())]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "settings", "scores", "ranges", "share_near"),
    [
        # of scores in parts of the way from one normal density's to the truth, and in nats beyond
        ("ddpm", {"num_steps": 100}, scores_of_ddpm, [(0.0, 0.5, math.inf)], 0.8),
        ("edm", {}, scores_of_edm, [(0.7, 0.0, 0.1)], 0.9),
        (
            "vp-diffusion",
            {"sampler": "flow", "sampling_steps": 60},
            scores_of_vp,
            [(0.0, 0.0, 0.1), (0.5, 0.0, 0.2)],
            0.9,
        ),
    ],
    ids=FAMILIES,
)
def test_eight_gaussians_against_one(family, settings, scores, ranges, share_near):
    rng = torch.Generator().manual_seed(0)
    x = eight_gaussians(4_000, rng)
    torch.manual_seed(0)
    model = FAMILIES[family]((2,), hidden_sizes=(64, 64, 64), **settings)
    fit(model, x, num_updates=1_500, batch_size=256, learning_rate=2e-3, step_sizes="cosine")
    # 8 clouds: a cloud's negative entropy, less log 8
    truth = -(1 + math.log(2 * math.pi * CLOUD**2)) - math.log(8)
    one = torch.distributions.Normal(x.mean(dim=0), x.std(dim=0))
    control = float(one.log_prob(x).sum(dim=1).mean())
    for score, (part, nats, beyond) in zip(scores(model, x, rng), ranges, strict=True):
        assert control + part * (truth - control) + nats < score < truth + beyond
    drawn = model.sample(1_000, rng=rng)
    distances = distances_to_clouds(drawn)
    assert len(distances.argmin(dim=1).unique()) == 8
    assert float((distances.min(dim=1).values < 0.35).float().mean()) > share_near


# ---- mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("event", "settings", "message"),
    [
        ((2,), {"network": "unet"}, r"expected events \(C, L\) or \(C, H, W\) for a U-Net"),
        ((1, 4, 4), {"multipliers": ()}, "expected multipliers of at least one level"),
        ((2,), {"drop_context": 1.5}, r"expected drop_context in \[0.0, 1.0\], got 1.5"),
    ],
)
def test_mistakes(family, event, settings, message):
    with pytest.raises(ValueError, match=message):
        FAMILIES[family](event, **settings)
