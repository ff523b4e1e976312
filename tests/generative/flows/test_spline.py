"""Splines against normflows, zuko, interpolation conditions and finite slopes."""

import math

import numpy as np
import pytest
import torch
from gymagine.generative.flows.spline import (
    RationalQuadratic,
    inverse_spline,
    knot_weights,
    knots_and_slopes,
    spline,
)

BINS, BOUND = 6, 4.0


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def table_of(parameters):
    return knots_and_slopes(parameters, knot_weights(BINS).to(parameters.dtype), BOUND)


def test_knots_by_hand():
    """Two bins whose widths are as 1 to 3, heights as 3 to 1, and an inner slope of 2."""
    raw_slope = math.log(math.expm1(2 - 1e-3)) - math.log(math.expm1(1 - 1e-3))
    parameters = torch.tensor([0, math.log(3), math.log(3), 0, raw_slope], dtype=torch.float64)
    found = knots_and_slopes(parameters, knot_weights(2).double(), 1.0)
    first = 2 * (2**-10 + (1 - 2 * 2**-10) / 4) - 1
    expected = torch.tensor([[-1, first, 1], [-1, -first, 1], [1, 2, 1]], dtype=torch.float64)
    torch.testing.assert_close(found, expected)


def test_it_interpolates_knots_with_their_slopes():
    table = table_of(3 * numbers(1, 3 * BINS - 1))[0]
    x = table[0].clone().requires_grad_()
    y, log_slope = spline(x, table.expand(BINS + 1, 3, BINS + 1), BOUND)
    torch.testing.assert_close(y, table[1], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(log_slope.exp(), table[2], rtol=1e-6, atol=1e-9)


def test_it_is_the_equation_of_the_paper():
    table = table_of(2 * numbers(30, 3 * BINS - 1)).numpy()
    x = np.random.default_rng(0).uniform(-BOUND, BOUND, 30)
    expected = []
    for own, (knots, values, slopes) in zip(x, table, strict=True):
        k = int(np.searchsorted(knots, own, side="right")) - 1
        width, height = knots[k + 1] - knots[k], values[k + 1] - values[k]
        s, xi = height / width, (own - knots[k]) / width
        top = height * (s * xi**2 + slopes[k] * xi * (1 - xi))
        bottom = s + (slopes[k + 1] + slopes[k] - 2 * s) * xi * (1 - xi)
        expected.append(values[k] + top / bottom)
    found, _ = spline(torch.from_numpy(x), torch.from_numpy(table), BOUND)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("inverse", [False, True])
def test_it_is_normflows(inverse):
    splines = pytest.importorskip("normflows.utils.splines")
    x, parameters = 2.5 * numbers(500), 2 * numbers(500, 3 * BINS - 1, seed=1)
    widths, heights, slopes = parameters.split([BINS, BINS, BINS - 1], dim=-1)
    offset = math.log(math.expm1(1 - 1e-3))  # with which a parameter of 0 is a slope of 1 here
    expected = splines.unconstrained_rational_quadratic_spline(
        x,
        widths,
        heights,
        slopes + offset,
        inverse=inverse,
        tail_bound=BOUND,
        min_bin_width=2**-10,
        min_bin_height=2**-10,
    )
    function = inverse_spline if inverse else spline
    found = function(x, table_of(parameters), BOUND)
    torch.testing.assert_close(found, tuple(expected))


def test_it_is_zukos_between_the_same_knots():
    transforms = pytest.importorskip("zuko.transforms")
    x, table = 2.5 * numbers(500), table_of(2 * numbers(500, 3 * BINS - 1, seed=1))
    zeros = torch.zeros(500, BINS).double()
    other = transforms.MonotonicRQSTransform(zeros, zeros, zeros[:, 1:], bound=BOUND)
    other.horizontal, other.vertical, other.derivatives = table.unbind(dim=1)
    torch.testing.assert_close(spline(x, table, BOUND), other.call_and_ladj(x))


def test_tails_are_the_identity():
    x = torch.tensor([-1e6, -4.001, 4.001, 1e6], dtype=torch.float64, requires_grad=True)
    y, log_slope = spline(x, table_of(3 * numbers(4, 3 * BINS - 1)), BOUND)
    torch.testing.assert_close(y, x, rtol=1e-7, atol=1e-6)
    torch.testing.assert_close(log_slope, torch.zeros(4).double(), rtol=0, atol=1e-6)
    torch.testing.assert_close(torch.autograd.grad(y.sum(), [x])[0], torch.ones(4).double())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_parameters_stay_finite_and_increasing(dtype):
    parameters = (200 * numbers(20, 1, 3 * BINS - 1)).to(dtype).requires_grad_()
    x = torch.linspace(-5, 5, 301, dtype=dtype).expand(20, 301).clone().requires_grad_()
    table = table_of(parameters).expand(20, 301, 3, BINS + 1)
    y, log_slope = spline(x, table, BOUND)
    gradients = torch.autograd.grad(y.sum() + log_slope.sum(), [x, parameters])
    assert all(bool(found.isfinite().all()) for found in (y, log_slope, *gradients))
    assert bool((y.diff(dim=1) > -1e-5).all())
    back, _ = inverse_spline(y, table, BOUND)
    assert bool(back.isfinite().all())


@pytest.mark.parametrize(("num_bins", "bound"), [(1, 3.0), (1024, 3.0), (8, 0.0), (8, math.inf)])
def test_what_cannot_be_is_refused(num_bins, bound):
    with pytest.raises(ValueError, match="bins and a positive bound"):
        RationalQuadratic(num_bins=num_bins, bound=bound)
