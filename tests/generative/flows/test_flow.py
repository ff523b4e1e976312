"""What all stacked flows promise: round trips, Jacobians, densities that integrate to 1."""

import math

import pytest
import torch
from gymagine.generative.data.toys import eight_gaussians, eight_gaussians_centres
from gymagine.generative.flows.flow import make_base
from gymagine.generative.flows.maf import MAF
from gymagine.generative.flows.nice import NICE
from gymagine.generative.flows.real_nvp import RealNVP
from gymagine.generative.flows.spline_flow import SplineFlow
from gymagine.generative.testing import check_transform
from gymagine.generative.training import fit
from scipy import stats

from .shaking import shaken

FAMILIES = {
    "nice": (NICE, {}),
    "real-nvp": (RealNVP, {"num_couplings": 4}),
    "maf": (MAF, {"num_transforms": 3}),
    "maf of splines": (MAF, {"num_transforms": 2, "elementwise": "spline"}),
    "spline-flow": (SplineFlow, {"num_couplings": 3}),
}
BASES = ["normal", "logistic", "student-t", "mixture", "class-mixture"]


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def flow_of(name, event_shape, **more):
    torch.manual_seed(0)
    family, hyperparameters = FAMILIES[name]
    given = {"hidden_sizes": (12,), "activation": "tanh"} | hyperparameters | more
    flow = shaken(family(event_shape, **given), by=0.1)
    flow.initialise(2 * numbers(50, *event_shape, seed=9) + 1, None)
    return flow


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("tau", [0, 1, 3])
@pytest.mark.parametrize("event_shape", [(3,), (1, 2, 2)])
def test_round_trip_and_jacobian(name, tau, event_shape):
    flow, context = flow_of(name, event_shape, context_shape=(2,)), numbers(1, 2, seed=1)
    num = math.prod(event_shape)

    def forward(x):
        return flow.to_base(x.view(len(x), *event_shape), context.expand(len(x), 2))

    def inverse(z):
        x, log_det = flow.from_base(z, context.expand(len(z), 2))
        return x.flatten(1), log_det

    check_transform(inverse, forward, tau * numbers(3, num))


@pytest.mark.parametrize(
    ("name", "base"),
    [(name, "normal") for name in FAMILIES] + [("real-nvp", base) for base in BASES[1:]],
)
def test_the_density_integrates_to_one(name, base):
    context_shape = (2,) if base == "class-mixture" else None
    flow = flow_of(name, (2,), base=base, num_components=2, context_shape=context_shape)
    # a grid that is finer in the middle: x = 30 sinh(4 u) / sinh(4) for u from -1 to 1
    u = torch.linspace(-1, 1, 181, dtype=torch.float64)
    place, slope = (30 * part / math.sinh(4) for part in ((4 * u).sinh(), 4 * (4 * u).cosh()))
    grid = torch.cartesian_prod(place, place) + flow.standardisation.mean
    area = torch.cartesian_prod(slope, slope).prod(dim=1) * float(u[1] - u[0]) ** 2
    context = None
    if context_shape:
        context = torch.tensor([[1.0, 0.0]], dtype=torch.float64).expand(len(grid), 2)
    with torch.no_grad():
        total = (flow.log_prob(grid, context).exp() * area).sum()
    assert abs(float(total) - 1) < 1e-3


@pytest.mark.parametrize("name", ["nice", "spline-flow", "maf"])
def test_samples_are_where_the_density_says(name):
    """The model's own density of its samples has the mean that their entropy is."""
    flow = flow_of(name, (2,))
    rng = torch.Generator().manual_seed(0)
    drawn = flow.sample(2_000, rng=rng)
    z = flow.encode(drawn)
    cdf = stats.logistic.cdf if name == "nice" else stats.norm.cdf
    for i in range(2):
        assert stats.kstest(z[:, i].detach().numpy(), cdf).pvalue > 1e-3


@pytest.mark.parametrize("name", FAMILIES)
def test_no_temperature_decodes_the_centre(name):
    flow = flow_of(name, (3,))
    drawn = flow.sample(2, temperature=0.0)
    centre = flow.decode(torch.zeros(2, 3, dtype=torch.float64))
    torch.testing.assert_close(drawn, centre.detach())


@pytest.mark.parametrize("name", FAMILIES)
def test_classes_select_the_base_and_one_map_serves_all(name):
    flow = flow_of(name, (3,), base="class-mixture", num_components=1, context_shape=(4,))
    x, labels = numbers(4, 3), torch.eye(4, dtype=torch.float64)
    torch.testing.assert_close(flow.encode(x, labels), flow.encode(x, labels.flip(0)))
    assert not torch.allclose(flow.log_prob(x, labels), flow.log_prob(x, labels.flip(0)))
    centres = flow.sample(1, labels, temperature=0.0)[0]
    torch.testing.assert_close(flow.encode(centres, labels), flow.base.means[:, 0])


@pytest.mark.parametrize("name", FAMILIES)
def test_fit_standardises_by_the_first_batch(name):
    family, hyperparameters = FAMILIES[name]
    x = (1_000 * numbers(64, 2) + 1e4).float()
    flow = family((2,), **hyperparameters)
    fit(flow, x, num_updates=1, batch_size=64, learning_rate=1e-9)
    torch.testing.assert_close(flow.standardisation.mean, x.mean(dim=0))
    torch.testing.assert_close(flow.standardisation.deviation, x.std(dim=0, correction=0))


def test_decode_refuses_other_latents(without_shape_checks):
    flow = flow_of("real-nvp", (1, 2, 2), context_shape=(2,))
    with pytest.raises(
        ValueError, match=r"expected latents of shape \(B, 4\), got \(3, 1, 2, 2\)"
    ):
        flow.decode(torch.zeros(3, 1, 2, 2), torch.zeros(3, 2))
    with pytest.raises(ValueError, match="a context of shape"):
        flow.decode(torch.zeros(3, 4), torch.zeros(2, 2))


@pytest.mark.parametrize("name", ["nice", "real-nvp", "spline-flow"])
def test_a_single_number_needs_a_context(name):
    with pytest.raises(ValueError, match="others or a context"):
        FAMILIES[name][0]((1,))
    flow = flow_of(name, (1,), context_shape=(3,))
    assert flow.sample(5, torch.zeros(2, 3).double()).shape == (5, 2, 1)


def test_mixtures_of_classes_need_classes():
    for context_shape in (None, (2, 3)):
        with pytest.raises(ValueError, match="a context_shape"):
            make_base("class-mixture", 2, 1, context_shape)


@pytest.mark.parametrize(
    ("family", "hyperparameters", "said"),
    [
        (NICE, {"num_couplings": 1}, "num_couplings"),
        (RealNVP, {"base": "cauchy"}, "base"),
        (RealNVP, {"log_scale_limit": 0.0}, "log_scale_limit"),
        (MAF, {"elementwise": "cubic"}, "elementwise"),
        (SplineFlow, {"num_bins": 1}, "num_bins"),
        (SplineFlow, {"bound": -1.0}, "bound"),
    ],
)
def test_hyperparameters_out_of_range_are_refused(
    without_shape_checks, family, hyperparameters, said
):
    with pytest.raises(ValueError, match=said):
        family((2,), **hyperparameters)


# ---- learning -----------------------------------------------------------------------------------

SETTINGS = {"batch_size": 256, "learning_rate": 2e-3, "step_sizes": "cosine", "num_threads": 1}


def banana(num, seed):
    z = torch.randn(num, 2, generator=torch.Generator().manual_seed(seed))
    return torch.stack([2 * z[:, 0], 0.5 * z[:, 1] + z[:, 0] ** 2], dim=1)


def full_gaussian_loss(train, test):
    gaussian = torch.distributions.MultivariateNormal(train.mean(dim=0), torch.cov(train.T))
    return float(-gaussian.log_prob(test).mean())


def held_out_loss(flow, test):
    with torch.no_grad():
        return float(flow.loss(test).mean())


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_trained_flows_beat_the_full_gaussian_on_a_banana(name):
    """Whose entropy, that of two Gaussians of deviations 2 and 1/2, is the floor."""
    train, test = banana(5_000, 0), banana(5_000, 1)
    torch.manual_seed(0)
    family, _ = FAMILIES[name]
    flow = family((2,), **({"elementwise": "spline"} if "splines" in name else {}))
    fit(flow, train, num_updates=400, **SETTINGS)
    loss, floor = held_out_loss(flow, test), math.log(2 * math.pi * math.e)
    assert floor - 0.05 < loss < full_gaussian_loss(train, test) - 0.2


@pytest.mark.slow
def test_heavy_tails_need_a_base_with_heavy_tails():
    """Splines are the identity outside of their bound: tails are the base's own."""
    draws = stats.t(2).rvs((8_000, 2), random_state=0)
    train, test = torch.from_numpy(draws).float().chunk(2)
    losses = {}
    for base in ("normal", "student-t"):
        torch.manual_seed(0)
        flow = SplineFlow((2,), num_couplings=2, base=base)
        fit(flow, train, num_updates=400, max_grad_norm=1.0, **SETTINGS)
        losses[base] = held_out_loss(flow, test)
    truth = -stats.t(2).logpdf(test.numpy()).sum(axis=1).mean()
    assert truth - 0.05 < losses["student-t"] < losses["normal"] - 0.1


@pytest.mark.slow
def test_a_mixture_for_a_base_needs_no_bridges_between_modes():
    train, test = eight_gaussians(5_000, 0), eight_gaussians(2_000, 1)
    losses, shares = {}, {}
    for base in ("normal", "mixture"):
        torch.manual_seed(0)
        flow = RealNVP((2,), base=base)
        fit(flow, train, num_updates=1_000, **SETTINGS)
        losses[base] = held_out_loss(flow, test)
        drawn = flow.sample(10_000, rng=torch.Generator().manual_seed(0))
        distance = torch.cdist(drawn, eight_gaussians_centres()).amin(dim=1)
        shares[base] = float((distance > 3 * 0.2).float().mean())  # three deviations
    assert losses["mixture"] < losses["normal"] < full_gaussian_loss(train, test)
    assert shares["mixture"] < shares["normal"]
