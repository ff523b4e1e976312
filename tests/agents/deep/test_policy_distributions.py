"""Densities are torch.distributions' and scipy's, samples follow them, masks leave no NaN."""

import math

import numpy as np
import pytest
import torch
from gymagine.agents.deep.policy_distributions import (
    DiagonalGaussian,
    SquashedGaussian,
    categorical,
    log_tanh_slope,
    multi_categorical,
)
from scipy import integrate, stats
from torch import distributions

MEMBERS, BATCH = 3, 4


def doubles(*shape, seed=0, scale=1.0):
    return torch.from_numpy(np.random.default_rng(seed).normal(scale=scale, size=shape))


def masks(*shape, seed=1):
    """Random masks with at least one action allowed, not always the first."""
    rng = np.random.default_rng(seed)
    mask = rng.random(shape) < 0.5
    np.put_along_axis(mask, rng.integers(shape[-1], size=(*shape[:-1], 1)), True, axis=-1)
    return torch.from_numpy(mask)


def squashed(mean, log_sigma, low, high):
    dtype = mean.dtype
    return SquashedGaussian(
        DiagonalGaussian(mean, log_sigma),
        torch.as_tensor(low, dtype=dtype),
        torch.as_tensor(high, dtype=dtype),
    )


# ---- choices --------------------------------------------------------------------------------


def test_categorical_is_torchs():
    logits = doubles(MEMBERS, BATCH, 6, scale=3.0)
    mine, own = categorical(logits), distributions.Categorical(logits=logits)
    for a in range(6):
        actions = torch.full((MEMBERS, BATCH), a)
        torch.testing.assert_close(mine.log_prob(actions), own.log_prob(actions))
    torch.testing.assert_close(mine.entropy(), own.entropy())
    torch.testing.assert_close(mine.probabilities, own.probs)
    assert torch.equal(mine.mode(), own.probs.argmax(-1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_mask_leaves_the_distribution_over_what_is_allowed(dtype):
    logits, allowed = doubles(50, 6, scale=3.0).to(dtype), masks(50, 6)
    masked = categorical(logits, allowed)
    assert (masked.probabilities[~allowed] == 0).all()
    for i in range(50):
        own = distributions.Categorical(logits=logits[i, allowed[i]])
        torch.testing.assert_close(masked.probabilities[i, allowed[i]], own.probs)
        torch.testing.assert_close(masked.entropy()[i], own.entropy())
        assert allowed[i, masked.mode()[i]]


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_masks_leave_no_nan_in_values_or_gradients(scale):
    logits = doubles(20, 5, scale=scale).float().requires_grad_()
    allowed = masks(20, 5)
    allowed[0] = False  # nothing allowed
    allowed[1] = torch.tensor([False, True, False, False, False])
    policy = categorical(logits, allowed)
    every = torch.stack([policy.log_prob(torch.full((20,), a)) for a in range(5)], -1)
    assert torch.isfinite(every).all() and torch.isfinite(policy.entropy()).all()
    assert policy.entropy()[1] == 0
    (policy.entropy().sum() + every[allowed].sum()).backward()
    assert torch.isfinite(logits.grad).all()
    assert not logits.grad[~allowed].any()


def test_where_nothing_is_allowed_everything_is():
    policy = categorical(doubles(1, 4), torch.zeros(1, 4, dtype=torch.bool))
    torch.testing.assert_close(policy.probabilities, torch.full((1, 4), 0.25).double())


@pytest.mark.parametrize("with_mask", [False, True])
def test_categorical_samples_follow_the_probabilities(with_mask):
    logits = torch.tensor([0.3, -1.0, 2.0, 0.0, 1.0])
    allowed = torch.tensor([False, True, True, False, True]) if with_mask else None
    policy = categorical(
        logits.expand(20_000, 5), None if allowed is None else allowed.expand(20_000, 5)
    )
    noise = torch.from_numpy(np.random.default_rng(0).random(policy.noise_shape))
    counts = policy.sample(noise.float()).bincount(minlength=5).numpy()
    p = (
        logits.double().softmax(-1)
        if allowed is None
        else torch.where(allowed, logits.double().exp(), 0.0)
    )
    p = (p / p.sum()).numpy()
    assert (counts[p == 0] == 0).all()
    assert stats.chisquare(counts[p > 0], 20_000 * p[p > 0]).pvalue > 1e-3


@pytest.mark.parametrize("u", [0.0, 0.3, 0.999, 1 - 2**-24, 1.0])
def test_no_uniform_draws_what_is_masked(u):
    """The ends too, 1 included, which a double below 1 becomes as a 32-bit float."""
    logits, allowed = doubles(2000, 7, scale=4.0).float(), masks(2000, 7)
    drawn = categorical(logits, allowed).sample(torch.full((2000,), u))
    assert allowed.gather(1, drawn[:, None]).all()


def test_sampling_inverts_the_cumulative_probabilities():
    policy = categorical(torch.tensor([0.2, 0.5, 0.3]).double().log().expand(5, 3))
    uniforms = torch.tensor([0.0, 0.19, 0.21, 0.69, 0.71]).double()
    assert policy.sample(uniforms).tolist() == [0, 0, 1, 1, 2]


@pytest.mark.parametrize("with_mask", [False, True])
def test_multi_categorical_is_the_product(with_mask):
    sizes = [3, 2, 4]
    logits = doubles(MEMBERS, BATCH, 9)
    allowed = torch.cat([masks(MEMBERS, BATCH, n) for n in sizes], -1) if with_mask else None
    mine = multi_categorical(logits, sizes, allowed)
    blocked = logits if allowed is None else logits.masked_fill(~allowed, -torch.inf)
    own = [distributions.Categorical(logits=part) for part in blocked.split(sizes, -1)]
    mode = torch.stack([part.probs.argmax(-1) for part in own], -1)
    torch.testing.assert_close(
        mine.log_prob(mode), sum(part.log_prob(mode[..., k]) for k, part in enumerate(own))
    )
    torch.testing.assert_close(mine.entropy(), sum(part.entropy() for part in own))
    assert torch.equal(mine.mode(), mode)


def test_multi_categorical_probabilities_add_up_and_samples_follow():
    sizes, count = [3, 2], 20_000
    policy = multi_categorical(doubles(5).expand(count, 5), sizes)
    cells = torch.cartesian_prod(torch.arange(3), torch.arange(2))
    p = torch.stack([policy.log_prob(cell.expand(count, 2))[0] for cell in cells]).exp()
    assert p.sum().item() == pytest.approx(1.0, abs=1e-12)
    assert policy.noise_shape == (count, 2)
    drawn = policy.sample(torch.from_numpy(np.random.default_rng(1).random((count, 2))))
    counts = (2 * drawn[:, 0] + drawn[:, 1]).bincount(minlength=6)
    assert stats.chisquare(counts, count * p).pvalue > 1e-3


# ---- numbers --------------------------------------------------------------------------------


@pytest.mark.parametrize("free", [False, True])
def test_gaussian_is_torchs(free):
    mean = doubles(MEMBERS, BATCH, 2, scale=2.0)
    log_sigma = doubles(MEMBERS, 1 if free else BATCH, 2, seed=1)
    mine = DiagonalGaussian(mean, log_sigma)
    own = distributions.Independent(distributions.Normal(mean, log_sigma.exp()), 1)
    actions = doubles(MEMBERS, BATCH, 2, seed=2, scale=3.0)
    torch.testing.assert_close(mine.log_prob(actions), own.log_prob(actions))
    torch.testing.assert_close(mine.entropy(), own.entropy())
    assert mine.log_prob(actions).shape == mine.entropy().shape == (MEMBERS, BATCH)
    noise = doubles(*mine.noise_shape, seed=3)
    torch.testing.assert_close(mine.sample(noise), mean + log_sigma.exp() * noise)
    assert torch.equal(mine.mode(), mean)


def torchs_squashed(policy):
    """A normal through TanhTransform and AffineTransform."""
    normal = distributions.Normal(policy.gaussian.mean, policy.gaussian.log_sigma.exp())
    middle, half = (policy.high + policy.low) / 2, (policy.high - policy.low) / 2
    stretch = distributions.AffineTransform(middle, half)
    through = distributions.TransformedDistribution(
        normal, [distributions.TanhTransform(), stretch]
    )
    return distributions.Independent(through, 1)


@pytest.mark.parametrize("free", [False, True])
def test_squashed_gaussian_is_torchs(free):
    log_sigma = doubles(MEMBERS, 1 if free else BATCH, 2, seed=1, scale=0.5)
    mine = squashed(doubles(MEMBERS, BATCH, 2), log_sigma, [-2.0, 1.0], [2.0, 7.0])
    latent = mine.sample_latent(doubles(*mine.noise_shape, seed=2))
    action = mine.action(latent)
    own = torchs_squashed(mine).log_prob(action)
    torch.testing.assert_close(mine.log_prob(action), own)
    torch.testing.assert_close(mine.log_prob_of_latent(latent), own)
    assert ((action > mine.low) & (action < mine.high)).all()
    assert torch.equal(mine.sample(doubles(*mine.noise_shape, seed=2)), action)


def test_the_log_determinant_is_autograds():
    policy = squashed(doubles(1, 1, 3), doubles(1, 1, 3), [-1.0, 0.0, -5.0], [1.0, 9.0, -4.0])
    latent = doubles(3, seed=4, scale=2.0)
    jacobian = torch.autograd.functional.jacobian(policy.action, latent)
    expected = policy.gaussian.log_prob(latent.view(1, 1, 3)) - torch.linalg.slogdet(jacobian)[1]
    torch.testing.assert_close(policy.log_prob_of_latent(latent.view(1, 1, 3)), expected)


@pytest.mark.parametrize("u", [-300.0, -20.0, -1.0, 0.0, 1e-3, 5.0, 20.0, 300.0])
def test_the_slope_of_tanh_is_exact_where_one_minus_the_square_is_zero(u):
    """log(1 - tanh^2 u) = -2 log cosh u = 2 (log 2 - |u|) - 2 log1p(exp(-2 |u|))."""
    expected = 2 * (math.log(2) - abs(u)) - 2 * math.log1p(math.exp(-2 * abs(u)))
    single = torch.tensor(u, requires_grad=True)
    assert log_tanh_slope(single).item() == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert log_tanh_slope(single.double()).item() == pytest.approx(expected, rel=1e-6, abs=1e-12)
    log_tanh_slope(single).backward()
    assert single.grad.item() == pytest.approx(-2 * math.tanh(u), abs=1e-5)


@pytest.mark.parametrize(("mean", "sigma"), [(0.0, 1.0), (1.5, 0.5), (-0.5, 2.0)])
def test_densities_integrate_to_one(mean, sigma):
    parameters = torch.tensor([[[mean]]]).double(), torch.tensor([[[math.log(sigma)]]]).double()
    gaussian, inside = DiagonalGaussian(*parameters), squashed(*parameters, [-1.0], [3.0])

    def density(policy):
        return lambda a: policy.log_prob(torch.tensor([[[a]]]).double()).exp().item()

    ends = mean - 12 * sigma, mean + 12 * sigma
    assert integrate.quad(density(gaussian), *ends)[0] == pytest.approx(1, abs=1e-7)
    total = integrate.quad(density(inside), -1, 3, limit=200, epsabs=1e-6)[0]
    assert total == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("mean", "sigma"), [(0.0, 1.0), (2.0, 0.3), (-1.0, 3.0)])
def test_squashed_samples_follow_the_distribution(mean, sigma):
    count = 5000
    policy = squashed(
        torch.full((1, count, 1), mean), torch.full((1, 1, 1), math.log(sigma)), [-2.0], [6.0]
    )
    assert policy.noise_kind == "normal" and policy.noise_shape == (1, count, 1)
    drawn = policy.sample(doubles(1, count, 1, seed=5).float()).double().numpy().ravel()

    def cumulative(a):
        y = np.clip((a + 2) / 4 - 1, -1 + 1e-15, 1 - 1e-15)
        return stats.norm.cdf(np.arctanh(y), mean, sigma)

    assert stats.kstest(drawn, cumulative).pvalue > 1e-3
    assert (drawn < policy.mode()[0, 0].item()).mean() == pytest.approx(0.5, abs=0.03)  # median


@pytest.mark.parametrize(
    ("sigma", "accuracy"), [(0.01, 1e-6), (0.5, 1e-6), (1.0, 1e-6), (2.0, 2e-4), (math.e**2, 0.1)]
)
@pytest.mark.parametrize("mean", [0.0, -0.7, 3.0])
def test_squashed_entropy_is_the_integral(mean, sigma, accuracy):
    policy = squashed(
        torch.tensor([[[mean, 0.0]]]).double(),
        torch.tensor([[[math.log(sigma), 0.0]]]).double(),
        [-1.0, 0.0],
        [2.0, 1.0],
    )

    def entropy(m, s, width):
        def term(u):
            slope = math.log(width / 2) - 2 * np.logaddexp(u, -u) + 2 * math.log(2)
            return stats.norm.pdf(u, m, s) * (slope - stats.norm.logpdf(u, m, s))

        points = [m - s, m, m + s, 0.0]
        return integrate.quad(term, m - 12 * s, m + 12 * s, points=points, limit=400)[0]

    expected = entropy(mean, sigma, 3.0) + entropy(0.0, 1.0, 1.0)
    assert policy.entropy().item() == pytest.approx(expected, abs=accuracy)


def test_a_policy_far_beyond_the_bounds_learns_from_latents_without_error():
    """At u = 20 the action is the bound to rounding; the gradient must still be (u - mean)."""
    mean = torch.full((1, 1, 1), 20.0, requires_grad=True)
    policy = squashed(mean, torch.zeros(1, 1, 1), [-1.0], [1.0])
    latent = policy.sample_latent(torch.full((1, 1, 1), 0.5)).detach()
    log_prob = policy.log_prob_of_latent(latent)
    expected = stats.norm.logpdf(0.5) - 2 * (math.log(2) - 20.5)
    assert log_prob.item() == pytest.approx(expected, rel=1e-6)
    (gradient,) = torch.autograd.grad(log_prob.sum(), mean)
    assert gradient.item() == pytest.approx(0.5)
    at_bound = policy.log_prob(torch.ones(1, 1, 1))
    assert torch.isfinite(at_bound).all()


@pytest.mark.parametrize("kind", ["gaussian", "squashed"])
def test_gradients_are_autograds_of_torchs(kind):
    mean, log_sigma = (doubles(MEMBERS, BATCH, 2, seed=s).requires_grad_() for s in (0, 1))
    mine = DiagonalGaussian(mean, log_sigma)
    own = distributions.Independent(distributions.Normal(mean, log_sigma.exp()), 1)
    if kind == "squashed":
        mine = squashed(mean, log_sigma, [-1.0, -1.0], [1.0, 2.0])
        own = torchs_squashed(mine)
    action = mine.sample(doubles(MEMBERS, BATCH, 2, seed=2)).detach()
    for a, b in zip(
        torch.autograd.grad(mine.log_prob(action).sum(), (mean, log_sigma), retain_graph=True),
        torch.autograd.grad(own.log_prob(action).sum(), (mean, log_sigma)),
        strict=True,
    ):
        torch.testing.assert_close(a, b)
    with torch.no_grad():
        entropy = mine.entropy()
    assert torch.isfinite(entropy).all()
    assert all(g.any() for g in torch.autograd.grad(mine.entropy().sum(), (log_sigma,)))


@pytest.mark.parametrize(
    "policy",
    [
        categorical(doubles(2, 3, 4)),
        multi_categorical(doubles(2, 3, 5), [2, 3]),
        DiagonalGaussian(doubles(2, 3, 2), doubles(2, 1, 2)),
    ],
    ids=["categorical", "multi-categorical", "gaussian"],
)
def test_latents_are_the_actions_but_where_squashed(policy):
    draw = torch.rand if policy.noise_kind == "uniform" else torch.randn
    generator = torch.Generator().manual_seed(0)
    noise = draw(policy.noise_shape, generator=generator, dtype=torch.float64)
    latent = policy.sample_latent(noise)
    assert torch.equal(policy.action(latent), latent)
    assert torch.equal(policy.sample(noise), latent)
    assert torch.equal(policy.log_prob_of_latent(latent), policy.log_prob(latent))
    assert policy.log_prob(latent).shape == policy.entropy().shape == (2, 3)
