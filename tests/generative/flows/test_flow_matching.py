"""Flow matching: its regression, and densities against Jacobians, matrices and each other."""

import math

import pytest
import torch
from gymagine.generative.data.toys import two_moons, two_moons_log_prob
from gymagine.generative.flows.flow_matching import FlowMatching, straight_path, time_features
from gymagine.generative.testing import check_transform
from gymagine.generative.training import fit

from .shaking import shaken

A = torch.tensor([[0.5, -1.0], [0.7, -0.2]], dtype=torch.float64)


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def flow_of(event_shape=(2,), **more):
    torch.manual_seed(0)
    given = {"hidden_sizes": (12, 12), "num_steps": 8, "num_corrections": 6} | more
    flow = shaken(FlowMatching(event_shape, **given), by=0.2)
    flow.initialise(2 * numbers(50, *event_shape, seed=9) + 1, None)
    return flow


class Linear(FlowMatching):
    """Of the field A x, for which everything is known."""

    def velocity(self, t, x, context=None):
        return x @ A.T


def linear(**more):
    return Linear((2,), hidden_sizes=(2,), num_steps=32, **more).double()


def gaussian_at_one():
    spread = torch.matrix_exp(A)
    return torch.distributions.MultivariateNormal(torch.zeros(2).double(), spread @ spread.T)


def test_paths_and_velocities_by_hand():
    x_0, x_1 = torch.tensor([[2.0]]), torch.tensor([[10.0]])
    x_t, u = straight_path(x_0, x_1, torch.tensor([[0.25]]), 0.2)
    torch.testing.assert_close(x_t, torch.tensor([[0.8 * 2 + 2.5]]))
    torch.testing.assert_close(u, torch.tensor([[10 - 0.8 * 2]]))


def test_the_velocity_is_the_paths_derivative():
    x_0, x_1 = numbers(4, 3), numbers(4, 3, seed=1)
    _, u = straight_path(x_0, x_1, torch.zeros(4, 1).double(), 0.1)
    _, slope = torch.func.jvp(
        lambda t: straight_path(x_0, x_1, t, 0.1)[0],
        (torch.full((4, 1), 0.3).double(),),
        (torch.ones(4, 1).double(),),
    )
    torch.testing.assert_close(slope, u)


def test_time_features_tell_times_apart():
    features = time_features(torch.linspace(0, 1, 101)[:, None], 3)
    assert features.shape == (101, 7)
    assert float(torch.pdist(features).min()) > 0.01


def test_the_loss_is_the_regression_written_out():
    flow, x = flow_of(sigma=0.1), numbers(6, 2)
    rng = torch.Generator().manual_seed(3)
    loss = flow.loss(x, rng=torch.Generator().manual_seed(3))
    x_1, _ = flow.standardisation(x, None)
    x_0 = torch.randn(6, 2, generator=rng, dtype=torch.float64)
    t = torch.rand(6, 1, generator=rng, dtype=torch.float64)
    error = flow.velocity(t, (1 - 0.9 * t) * x_0 + t * x_1) - (x_1 - 0.9 * x_0)
    torch.testing.assert_close(loss, error.square().sum(dim=1))


def test_the_velocity_of_gaussian_data_has_the_least_loss():
    """For x_1 ~ N(0, s^2): E[u | x_t] = x_t (t s^2 - (1 - t)) / ((1 - t)^2 + (t s)^2)."""
    flow, s = FlowMatching((1,), hidden_sizes=(2,), sigma=0.0).double(), 0.5

    def best(t, x, context=None):
        return x * (t * s**2 - (1 - t)) / ((1 - t) ** 2 + (t * s) ** 2)

    losses = []
    for slope in (-0.3, 0.0, 0.3):
        flow.velocity = lambda t, x, context=None, slope=slope: best(t, x) + slope * x
        rng = torch.Generator().manual_seed(0)
        losses.append(float(flow.loss(s * numbers(50_000, 1, seed=1), rng=rng).mean()))
    assert losses[1] < min(losses[0], losses[2])


@pytest.mark.parametrize("tau", [0, 1, 3])
@pytest.mark.parametrize("event_shape", [(2,), (1, 2, 2)])
def test_round_trip_and_density_by_jacobian(tau, event_shape):
    flow, context = flow_of(event_shape, context_shape=(2,)), numbers(1, 2, seed=1)

    def forward(x):
        x = x.view(len(x), *event_shape)
        own = context.expand(len(x), 2)
        z = flow.encode(x, own)
        return z, flow.log_prob(x, own) - flow.base.log_prob(z, None)

    def inverse(z):
        x = flow.decode(z, context.expand(len(z), 2))
        return x.flatten(1), -forward(x.flatten(1))[1]

    x = tau * numbers(3, math.prod(event_shape))
    with torch.no_grad():  # derivatives in forward mode do not need a graph
        check_transform(forward, inverse, x)
    z = tau * numbers(3, math.prod(event_shape), seed=2)
    torch.testing.assert_close(forward(inverse(z)[0])[0], z, rtol=1e-7, atol=1e-8)


def test_a_linear_field_makes_the_gaussian_of_its_matrix_exponential():
    flow, x = linear(), 2 * numbers(20, 2)
    expected = gaussian_at_one().log_prob(x)
    for found in (flow.log_prob(x), flow.log_prob_by_trace(x)):
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(flow.decode(flow.encode(x)), x)
    torch.testing.assert_close(flow.encode(x), x @ torch.matrix_exp(-A).T, rtol=1e-6, atol=1e-6)


def test_samples_of_a_linear_field_have_its_covariance():
    drawn = linear().sample(20_000, rng=torch.Generator().manual_seed(0))
    expected = gaussian_at_one().covariance_matrix
    torch.testing.assert_close(torch.cov(drawn.T), expected, rtol=0.05, atol=0.05)


@pytest.mark.slow
def test_steps_and_trace_agree_as_steps_get_short():
    x = numbers(5, 2)
    gaps = []
    for num_steps in (8, 16, 32):  # whose errors are of fourth order
        flow = flow_of(num_steps=num_steps)
        gaps.append(float((flow.log_prob(x) - flow.log_prob_by_trace(x)).abs().max().detach()))
    assert gaps[0] > 10 * gaps[1] > 100 * gaps[2] > 0


@pytest.mark.slow
def test_random_probes_estimate_the_density_by_trace():
    flow, x = flow_of((3,), context_shape=(2,)), numbers(4, 3)
    context = numbers(4, 2, seed=1)
    with torch.no_grad():
        exact = flow.log_prob_by_trace(x, context)
        rng = torch.Generator().manual_seed(0)
        drawn = torch.stack(
            [flow.log_prob_by_trace(x, context, num_probes=40, rng=rng) for _ in range(25)]
        )
    error = drawn.std(dim=0) / 5
    assert bool(((drawn.mean(dim=0) - exact).abs() < 5 * error).all())
    assert bool((error > 1e-5).all())


def test_the_density_integrates_to_one():
    flow = flow_of(num_steps=4)
    line = torch.linspace(-12, 12, 121, dtype=torch.float64)
    grid = torch.cartesian_prod(line, line) + flow.standardisation.mean
    with torch.no_grad():
        total = flow.log_prob(grid).exp().sum() * 0.2**2
    assert abs(float(total) - 1) < 1e-4


def test_densities_can_be_learned_from():
    flow, x = flow_of(num_steps=2), numbers(4, 2).requires_grad_()
    inputs = [x, *flow.parameters()]
    found = torch.autograd.grad(flow.log_prob(x).sum(), inputs)
    assert all(bool((slope != 0).any()) for slope in found)
    step = 1e-6 * numbers(4, 2, seed=1)
    change = (flow.log_prob(x + step) - flow.log_prob(x - step)).sum() / 2
    torch.testing.assert_close((found[0] * step).sum(), change, rtol=1e-5, atol=1e-12)


def test_no_temperature_decodes_the_centre():
    flow = flow_of((3,))
    centre = flow.decode(torch.zeros(1, 3).double()).detach()
    torch.testing.assert_close(flow.sample(1, temperature=0.0), centre)


def test_what_cannot_be_is_refused(without_shape_checks):
    flow = flow_of()
    with pytest.raises(ValueError, match="at least 1 probe, got 0"):
        flow.log_prob_by_trace(torch.zeros(1, 2).double(), num_probes=0)
    with pytest.raises(ValueError, match=r"latents of shape \(B, 2\), got \(1, 3\)"):
        flow.decode(torch.zeros(1, 3).double())
    with pytest.raises(ValueError, match="sigma"):
        FlowMatching((2,), sigma=1.5)


@pytest.mark.slow
def test_it_learns_two_moons():
    """Better than the full Gaussian by far, and not better than the truth."""
    train, test = two_moons(5_000, 0), two_moons(1_000, 1)
    torch.manual_seed(0)
    flow = FlowMatching((2,), num_steps=16)
    fit(
        flow, train, num_updates=1_000, batch_size=256, learning_rate=2e-3, step_sizes="cosine",
        num_threads=1,
    )  # fmt: skip
    with torch.no_grad():
        loss = float(-flow.log_prob(test).mean())
    gaussian = torch.distributions.MultivariateNormal(train.mean(dim=0), torch.cov(train.T))
    truth = float(-two_moons_log_prob(test).mean())
    assert truth - 0.02 < loss < float(-gaussian.log_prob(test).mean()) - 0.5
