"""Bits per dimension by hand and by Jensen's inequality; likelihoods against generators' own."""

import math

import pytest
import torch
from gymagine.generative.baselines.independent import Independent
from gymagine.generative.data.dataset import Events
from gymagine.generative.data.preparation import Dequantisation, Scaling
from gymagine.generative.generator import AbstractBound, AbstractGenerator
from gymagine.generative.metrics.likelihood import bits_per_dimension, negative_log_likelihood
from torch import nn
from torch.distributions import constraints
from torch.testing import assert_close


def test_equal_levels_cost_their_logarithm_however_it_is_asked():
    for num_levels in (2, 17, 256):
        uniform = -64 * math.log(num_levels)
        assert_close(bits_per_dimension(uniform, 64), math.log2(num_levels))
        assert_close(bits_per_dimension(0.0, 64, num_levels), math.log2(num_levels))
        for width in (2.0, 17.0):
            flat = -64 * math.log(width)
            assert_close(
                bits_per_dimension(flat, 64, num_levels, width=width), math.log2(num_levels)
            )


def test_a_piecewise_density_costs_what_its_levels_do():
    """Where a density is constant on each level's cell, Jensen's inequality is an equation."""
    p = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    levels = torch.multinomial(
        p, 1_000, replacement=True, generator=torch.Generator().manual_seed(0)
    )
    discrete = p.log()[levels].mean().item()
    for width in (1.0, 2.0):
        density = (p * 4 / width).log()[levels].mean().item()
        assert_close(
            bits_per_dimension(density, 1, 4, width=width), bits_per_dimension(discrete, 1)
        )


def test_reported_mnist_numbers():
    """The formula of MAF's table: 8-bit MNIST, data in [0, 1]."""
    assert_close(bits_per_dimension(784 * math.log(256 / 2), 784, 256), 1.0)
    assert_close(bits_per_dimension(-81.3, 784), 81.3 / 784 / 0.6931471805599453)


def test_exact_likelihood_is_the_mean_over_all_events():
    x = torch.randint(3, (1_234, 1, 2, 2), generator=torch.Generator().manual_seed(0))
    density = Independent.fitted(x, constraints.integer_interval(0, 2))
    found = negative_log_likelihood(density, x, batch_size=100)
    nats = -density.log_prob(x).double().detach()
    assert_close(found.nats, nats.mean().item())
    assert_close(found.standard_error, (nats.std() / math.sqrt(1_234)).item())
    assert (found.kind, found.num_events, found.num_entries) == ("exact", 1_234, 4)
    assert_close(found.bits_per_dimension(), found.nats / 4 / math.log(2))
    assert str(found) == f"{found.nats:.2f} ± {found.standard_error:.2f} nats"


def test_events_are_prepared_and_dequantisation_is_averaged():
    levels = torch.randint(
        17, (300, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    density = Independent.fitted(Scaling(17)(levels))
    prepare = Dequantisation(17)
    one, same, other, many = (
        negative_log_likelihood(density, Events(levels), prepare=prepare, seed=seed, num_draws=num)
        for seed, num in ((0, 1), (0, 1), (1, 1), (0, 50))
    )
    assert one == same != other
    exact = torch.stack([density.log_prob((levels + u) / 17) for u in torch.linspace(0, 1, 51)])
    assert_close(many.nats, -exact.mean().item(), rtol=0, atol=0.05)


class Noisy(AbstractBound):
    """A bound that is 1 nat too low in the mean, less with more weights, given half a context."""

    def __init__(self):
        super().__init__((2,), context_shape=(1,))
        self.shift = nn.Parameter(torch.zeros(1))

    def _loss(self, x, context, rng):
        return -self._log_prob_bound(x, context, rng)

    def _sample(self, num, context, temperature, rng):
        return torch.zeros(num, 2)

    def _log_prob_bound(self, x, context, rng):
        assert not self.training
        return context[:, 0] / 2 - 2 * torch.rand(len(x), generator=rng)

    def importance_weighted_bound(self, x, context=None, num=50, rng=None):
        return context[:, 0] / 2 - 1 / num


def test_bounds_are_said_to_be_bounds():
    events = Events(torch.zeros(2_000, 2), torch.full((2_000, 1), 8.0))
    generator = Noisy().train()
    bound = negative_log_likelihood(generator, events)
    assert bound.kind == "bound" and str(bound).startswith("≤ ")
    assert_close(bound.nats, -3.0, rtol=0, atol=0.1)
    averaged = negative_log_likelihood(generator, events, num_draws=16)
    assert averaged.standard_error < 0.4 * bound.standard_error
    tighter = negative_log_likelihood(generator, events, num_importance_weights=10)
    assert tighter.kind == "importance-weighted bound"
    assert_close(tighter.nats, -3.9)
    assert generator.training


def test_a_vae_gets_tighter_with_more_weights():
    from gymagine.generative.autoencoders.vae import VAE

    torch.manual_seed(0)
    vae = VAE((6,), decoder="bernoulli", latent_size=2, hidden_sizes=(8,))
    x = (torch.rand(200, 6, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    one, many = (
        negative_log_likelihood(vae, x, num_importance_weights=num, num_draws=20 // num)
        for num in (1, 20)
    )
    assert many.nats < one.nats
    assert_close(negative_log_likelihood(vae, x, num_draws=20).nats, one.nats, rtol=0.02, atol=0)


class Implicit(AbstractGenerator):
    def _loss(self, x, context, rng):
        return x.sum(dim=1)

    def _sample(self, num, context, temperature, rng):
        return torch.zeros(num, 2)


def test_mistakes_are_named():
    with pytest.raises(TypeError, match="AbstractDensity or an AbstractBound, got Implicit"):
        negative_log_likelihood(Implicit((2,)), torch.zeros(3, 2))
    with pytest.raises(TypeError, match="importance weights, got Implicit"):
        negative_log_likelihood(Implicit((2,)), torch.zeros(3, 2), num_importance_weights=3)
    density = Independent.fitted(torch.randn(9, 2))
    with pytest.raises(ValueError, match="at least 1 draw"):
        negative_log_likelihood(density, torch.zeros(3, 2), num_draws=0)
    with pytest.raises(ValueError, match=r"at least 2 levels .* got 4, 1 and"):
        bits_per_dimension(0.0, 4, 1)
    with pytest.raises(ValueError, match="got 0, None"):
        bits_per_dimension(0.0, 0)


def test_with_little_time_the_first_events_are_measured_and_counted():
    x = torch.randint(2, (500, 3), generator=torch.Generator().manual_seed(0)).float()
    density = Independent.fitted(x, constraints.boolean)
    everything = negative_log_likelihood(density, x)
    enough = negative_log_likelihood(density, x, max_seconds=60.0)
    assert_close(enough.nats, everything.nats)
    assert enough.num_events == 500
    little = negative_log_likelihood(density, x, max_seconds=1e-9)
    assert little.num_events == 10
    assert_close(little.nats, negative_log_likelihood(density, x[:10]).nats)
