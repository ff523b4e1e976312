"""Distributions of entries against scipy, sums, integrals and draws."""

import math

import numpy as np
import pytest
import torch
from gymagine.generative.conditionals import (
    BernoulliConditional,
    CategoricalConditional,
    DiscretisedLogistics,
    GaussianMixture,
    conditional_named,
)
from scipy import stats
from torch.testing import assert_close

FINITE = [BernoulliConditional(), CategoricalConditional(5), DiscretisedLogistics(5, 3)]
ALL = [*FINITE, GaussianMixture(3)]


def named(conditionals):
    return pytest.mark.parametrize("conditional", conditionals, ids=lambda c: type(c).__name__)


def drawn_parameters(conditional, num=4, seed=0, spread=1.0):
    rng = torch.Generator().manual_seed(seed)
    shape = num, conditional.num_parameters
    return spread * torch.randn(shape, generator=rng, dtype=torch.float64)


def log_probs(conditional, parameters):
    """(B, K) of all values."""
    x = torch.arange(conditional.num_values).expand(len(parameters), -1)
    return conditional.log_prob(parameters.unsqueeze(1).expand(-1, x.shape[1], -1), x)


@named(FINITE)
@pytest.mark.parametrize("spread", [1.0, 30.0])
def test_probabilities_add_up_to_one(conditional, spread):
    parameters = drawn_parameters(conditional, 50, spread=spread)
    total = log_probs(conditional, parameters).exp().sum(dim=1)
    assert_close(total, torch.ones_like(total), rtol=0, atol=1e-12)


@named(FINITE)
def test_means_are_those_of_the_probabilities(conditional):
    parameters = drawn_parameters(conditional)
    values = torch.arange(conditional.num_values, dtype=torch.float64)
    assert_close(conditional.mean(parameters), log_probs(conditional, parameters).exp() @ values)


@named(FINITE)
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_draws_are_as_frequent_as_the_probabilities(conditional, temperature):
    (parameters,) = drawn_parameters(conditional, 1, seed=3)
    num = 20_000
    x = conditional.sample(
        parameters.expand(num, -1), temperature, torch.Generator().manual_seed(0)
    )
    conditional.support.check(x).all()
    cooled = parameters / temperature
    if isinstance(conditional, DiscretisedLogistics):
        cooled = parameters.clone()
        cooled[:3] /= temperature
        cooled[6:] += math.log(temperature)
    expected = log_probs(conditional, cooled.unsqueeze(0)).exp().flatten() * num
    counts = torch.bincount(x.long(), minlength=conditional.num_values)
    assert stats.chisquare(counts.numpy(), expected.numpy()).pvalue > 1e-4


def test_bernoulli_and_categorical_are_scipys():
    logits = drawn_parameters(BernoulliConditional())
    ones = torch.ones(4, dtype=torch.float64)
    expected = stats.bernoulli.logpmf(1, 1 / (1 + np.exp(-logits[:, 0].numpy())))
    assert_close(BernoulliConditional().log_prob(logits, ones), torch.from_numpy(expected))
    conditional = CategoricalConditional(3)
    odds = torch.tensor([[1.0, 2.0, 5.0]], dtype=torch.float64)
    assert_close(log_probs(conditional, odds.log()).exp(), odds / 8)


def test_gaussian_mixture_is_scipys():
    conditional = GaussianMixture(2)
    weights, means, scales = (0.25, 0.75), (-1.0, 2.0), (0.5, 3.0)
    parameters = torch.tensor([*np.log(weights), *means, *np.log(scales)], dtype=torch.float64)
    x = torch.linspace(-5, 5, 11, dtype=torch.float64)
    expected = sum(
        weight * stats.norm.pdf(x.numpy(), mean, scale)
        for weight, mean, scale in zip(weights, means, scales, strict=True)
    )
    found = conditional.log_prob(parameters.expand(11, -1), x)
    assert_close(found.exp(), torch.from_numpy(expected))
    assert_close(conditional.mean(parameters.unsqueeze(0)).item(), 0.25 * -1 + 0.75 * 2)
    drawn = conditional.sample(parameters.expand(5000, -1), 1.0, torch.Generator().manual_seed(0))

    def cdf(x):
        pairs = zip(weights, means, scales, strict=True)
        return sum(weight * stats.norm.cdf(x, mean, scale) for weight, mean, scale in pairs)

    assert stats.kstest(drawn.numpy(), cdf).pvalue > 1e-4


def test_discretised_logistic_is_the_mass_between_the_ends():
    conditional = DiscretisedLogistics(5, 1)  # levels at -1, -0.5, 0, 0.5, 1
    parameters = torch.tensor([[0.0, 0.3, math.log(0.4)]], dtype=torch.float64)
    ends = np.array([-np.inf, -0.75, -0.25, 0.25, 0.75, np.inf])
    expected = np.diff(stats.logistic.cdf(ends, 0.3, 0.4))
    assert_close(log_probs(conditional, parameters).exp(), torch.from_numpy(expected)[None])


def test_levels_far_from_the_mean_keep_their_digits_in_32_bits():
    conditional = DiscretisedLogistics(256, 1)
    parameters = torch.tensor([[0.0, -1.0, -5.0]])
    found, exact = (log_probs(conditional, given) for given in (parameters, parameters.double()))
    assert found.min() < -200  # where the difference of two sigmoids is 0
    assert_close(found.double(), exact, rtol=1e-5, atol=1e-5)


@named(ALL)
def test_at_temperature_0_draws_are_the_most_probable(conditional):
    parameters = drawn_parameters(conditional, 20)
    x = conditional.sample(parameters, 0.0, None)
    if conditional.num_parameters == conditional.num_values:
        assert torch.equal(x, parameters.argmax(dim=1))
    elif conditional.num_values == 2:
        assert torch.equal(x, (parameters[:, 0] > 0).double())
    else:
        which = parameters[:, :3].argmax(dim=1)
        centre = parameters[:, 3:6].gather(1, which[:, None]).squeeze(1)
        if conditional.num_values:
            centre = ((centre + 1) * 2).round().clamp(0, 4).long()
        assert torch.equal(x, centre)


@named(ALL)
def test_batches_have_any_number_of_axes(conditional):
    parameters = drawn_parameters(conditional, 24).view(2, 3, 4, -1)
    x = conditional.sample(parameters, 1.0, torch.Generator().manual_seed(0))
    assert x.shape == conditional.mean(parameters).shape == (2, 3, 4)
    assert_close(
        conditional.log_prob(parameters, x).flatten(),
        conditional.log_prob(parameters.flatten(0, 2), x.flatten()),
    )
    scaled = conditional.scaled(x, torch.float32)
    assert scaled.dtype == torch.float32
    if conditional.num_values:
        assert set(scaled.flatten().tolist()) <= set(
            np.linspace(-1, 1, conditional.num_values).tolist()
        )


@named(ALL)
def test_untrained_parameters_are_broad(conditional):
    parameters = conditional.initial_parameters().double()
    assert parameters.shape == (conditional.num_parameters,)
    if conditional.num_values:
        spread = log_probs(conditional, parameters[None]).exp()
        assert spread.min() > 0.3 / conditional.num_values
    else:
        drawn = conditional.sample(parameters.expand(4000, -1), 1.0, None)
        assert 1 < drawn.std() < 3


def test_a_component_on_a_single_point_is_not_worth_infinity():
    parameters = torch.tensor([[0.0, 0.0, -1000.0]], requires_grad=True)
    found = GaussianMixture(1).log_prob(parameters, torch.zeros(1))
    assert_close(found.item(), 7 - 0.5 * math.log(2 * math.pi))


def test_a_component_over_everything_still_draws_numbers():
    parameters = torch.tensor([0.0, 0.0, 1000.0]).expand(1000, 3)
    drawn = GaussianMixture(1).sample(parameters, 1.0, torch.Generator().manual_seed(0))
    assert_close(drawn.std().item(), math.exp(7), rtol=0.1, atol=0)


def test_names():
    made = conditional_named("discretised-logistic", num_levels=7, num_components=2)
    assert (made.num_values, made.num_parameters) == (7, 6)
    assert conditional_named("gaussian-mixture", num_levels=2, num_components=4).num_values is None
    with pytest.raises(ValueError, match="2 levels and 1 component, got 1 and 1"):
        conditional_named("categorical", num_levels=1, num_components=1)


def test_unknown_name_is_refused(without_shape_checks):
    with pytest.raises(ValueError, match="'poisson'"):
        conditional_named("poisson", num_levels=2, num_components=1)
