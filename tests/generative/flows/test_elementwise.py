"""Elementwise maps against numbers by hand and autograd's slopes."""

import math

import pytest
import torch
from gymagine.generative.flows.elementwise import Additive, Affine
from gymagine.generative.flows.spline import RationalQuadratic

MAPS = [Additive(), Affine(1.5), RationalQuadratic(num_bins=5, bound=3.0).double()]


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("elementwise", MAPS, ids=lambda own: type(own).__name__)
@pytest.mark.parametrize("tau", [0, 1, 3])
def test_slopes_are_autograds_and_inverses_invert(elementwise, tau):
    x = (tau * numbers(40, 3)).requires_grad_()
    parameters = 2 * numbers(40, 3, elementwise.num_parameters, seed=1)
    z, log_slope = elementwise(x, parameters)
    (slope,) = torch.autograd.grad(z.sum(), [x])
    torch.testing.assert_close(log_slope.exp(), slope, rtol=1e-9, atol=1e-12)
    back, inverse_log_slope = elementwise.inverse(z, parameters)
    torch.testing.assert_close(back, x, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(inverse_log_slope, -log_slope, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("elementwise", MAPS, ids=lambda own: type(own).__name__)
def test_parameters_of_zero_are_the_identity(elementwise):
    x = 3 * numbers(50, 2)
    z, log_slope = elementwise(x, torch.zeros(50, 2, elementwise.num_parameters).double())
    torch.testing.assert_close(z, x, rtol=0, atol=1e-12)
    torch.testing.assert_close(log_slope, torch.zeros_like(x), rtol=0, atol=1e-12)


def test_affine_by_hand():
    raw = math.atanh(math.log(2) / 1.5)  # so that the factor is 2
    z, log_slope = Affine(1.5)(torch.tensor([[3.0]]), torch.tensor([[[raw, 10.0]]]))
    torch.testing.assert_close(z, torch.tensor([[16.0]]))
    torch.testing.assert_close(log_slope, torch.tensor([[math.log(2)]]))


@pytest.mark.parametrize("raw", [-1e6, -50.0, 50.0, 1e6])
def test_affine_stretches_within_its_limit(raw):
    parameters = torch.tensor([[[raw, 0.0]]], dtype=torch.float64)
    x = torch.tensor([[3.0]], dtype=torch.float64)
    z, log_slope = Affine(2.0)(x, parameters)
    assert log_slope.abs() <= 2
    torch.testing.assert_close(Affine(2.0).inverse(z, parameters)[0], x)
