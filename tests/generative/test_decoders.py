"""Decoders: masses add up to 1, densities and intervals are SciPy's, samples follow them."""

import math

import numpy as np
import pytest
import torch
from gymagine.generative.decoders import GaussianDecoder, decoder_named
from scipy import stats
from torch.distributions import constraints

NAMES = ["bernoulli", "gaussian", "categorical", "discretised-logistic"]
LEVELS = 5


def outputs_of(decoder, *event_shape, num=1, seed=0):
    rng = torch.Generator().manual_seed(seed)
    shape = (num, *event_shape, decoder.num_outputs)
    return torch.randn(shape, generator=rng, dtype=torch.float64)


@pytest.mark.parametrize("name", ["bernoulli", "categorical", "discretised-logistic"])
def test_masses_of_all_events_add_up_to_one(name):
    decoder = decoder_named(name, LEVELS)
    levels = torch.arange(2 if name == "bernoulli" else LEVELS)
    events = torch.cartesian_prod(levels, levels, levels)
    if name == "bernoulli":
        events = events.double()
    outputs = outputs_of(decoder, 3).expand(len(events), -1, -1)
    assert float(decoder.log_prob(outputs, events).exp().sum()) == pytest.approx(1, abs=1e-12)


def test_gaussian_is_scipys():
    decoder = GaussianDecoder().double()
    decoder.set_sigma(0.3)
    x, outputs = torch.randn(4, 2, 3, dtype=torch.float64), outputs_of(decoder, 2, 3, num=4)
    expected = stats.norm.logpdf(x, outputs.squeeze(-1), 0.3).sum(axis=(1, 2))
    np.testing.assert_allclose(decoder.log_prob(outputs, x).detach(), expected, rtol=1e-12)


def test_learnt_sigma_is_the_root_mean_squared_error_at_the_optimum():
    decoder = GaussianDecoder().double()
    x = torch.tensor([[1.0, -1.0], [3.0, -3.0]], dtype=torch.float64)  # mean square 5
    decoder.set_sigma(5**0.5)
    loss = -decoder.log_prob(torch.zeros(2, 2, 1, dtype=torch.float64), x).mean()
    loss.backward()
    assert abs(float(decoder.raw.grad)) < 1e-12


def test_levels_of_a_logistic_have_the_mass_between_their_ends():
    decoder = decoder_named("discretised-logistic", LEVELS)
    outputs = outputs_of(decoder, 1).expand(LEVELS, -1, -1)
    ends = np.array([-np.inf, -0.75, -0.25, 0.25, 0.75, np.inf])  # levels -1, -0.5, 0, 0.5, 1
    mean, log_scale = outputs[0, 0].tolist()
    expected = np.diff(stats.logistic.cdf(ends, mean, math.exp(log_scale)))
    found = decoder.log_prob(outputs, torch.arange(LEVELS).unsqueeze(1)).exp()
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_means_modes_and_samples_belong_together(name):
    decoder = decoder_named(name, LEVELS).double()
    outputs = 2 * outputs_of(decoder, 3, seed=1)
    rng = torch.Generator().manual_seed(0)
    drawn = decoder.sample(outputs.expand(20_000, -1, -1), 1.0, rng).double().detach()
    error = drawn.std(dim=0) / math.sqrt(len(drawn))
    deviation = (drawn.mean(dim=0) - decoder.mean(outputs)[0]).abs().detach()
    assert (deviation < 5 * error).all()
    mode = decoder.mode(outputs)
    assert torch.equal(mode, decoder.sample(outputs, 0.0))
    near = [drawn.to(mode.dtype), mode]
    log_probs = [decoder.log_prob(outputs.expand(len(x), -1, -1), x) for x in near]
    if name != "discretised-logistic":  # whose outer levels hold the tails, mode or not
        assert log_probs[1] >= log_probs[0].max()


@pytest.mark.parametrize("name", NAMES)
def test_supports_and_scales(name):
    decoder = decoder_named(name, LEVELS)
    ends = torch.tensor([[0.0, 1.0]]) if name == "bernoulli" else torch.tensor([[0, LEVELS - 1]])
    assert decoder.support.check(ends).all()
    is_real = decoder.support is constraints.real
    scaled = decoder.scaled(ends, torch.float64)
    assert scaled.tolist() == [[0.0, 4.0]] if is_real else [[-1.0, 1.0]]
    assert scaled.dtype == torch.float64
    if not is_real:
        assert not decoder.support.check(ends + 1).all()


def test_far_levels_keep_finite_masses_and_gradients():
    decoder = decoder_named("discretised-logistic", 256)
    outputs = torch.tensor([[[-1.0, -9.0], [50.0, 9.0], [0.0, 0.0]]], requires_grad=True)
    log_prob = decoder.log_prob(outputs, torch.tensor([[255, 0, 128]]))
    (slope,) = torch.autograd.grad(log_prob.sum(), [outputs])
    assert log_prob.isfinite().all()
    assert slope.isfinite().all()


def test_sigma_has_a_floor():
    decoder = GaussianDecoder().double()
    with torch.no_grad():
        decoder.raw.fill_(-100.0)
    assert decoder.sigma.item() == pytest.approx(1e-3)
    for wrong in (0.0, 0.001, math.nan):
        with pytest.raises(ValueError, match="sigma above"):
            decoder.set_sigma(wrong)


def test_unknown_word(without_shape_checks):
    with pytest.raises(ValueError, match="gamma"):
        decoder_named("gamma")
