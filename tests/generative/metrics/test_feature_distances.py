"""Distances against closed forms, scipy, and on halves of one sample."""

import math

import numpy as np
import pytest
import torch
from gymagine.generative.data.toys import eight_gaussians
from gymagine.generative.metrics.feature_distances import (
    frechet_distance,
    frechet_distance_of_gaussians,
    gaussian_kernel,
    kernel_distance,
    maximum_mean_discrepancy,
    median_distance,
    several_scales,
)
from scipy import linalg
from torch.testing import assert_close


def normal(num, size, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(num, size, generator=rng, dtype=torch.float64)


def covariance(size, rank, seed):
    mixing = normal(size, rank, seed)
    return mixing @ mixing.T / rank


@pytest.mark.parametrize("ranks", [(20, 20), (5, 20), (3, 4)])
def test_frechet_distance_is_that_with_scipys_root(ranks):
    first, second = (covariance(6, rank, seed) for seed, rank in enumerate(ranks))
    means = normal(2, 6, 7)
    found = frechet_distance_of_gaussians(means[0], first, means[1], second)
    ridge = 0.0 if min(ranks) >= 6 else 1e-10  # scipy's root needs full rank
    eye = ridge * np.eye(6)
    root = linalg.sqrtm((first.numpy() + eye) @ (second.numpy() + eye)).real
    exact = float((means[0] - means[1]).square().sum() + (first + second).trace()) - 2 * np.trace(
        root
    )
    assert_close(found, exact, rtol=1e-4, atol=1e-4)


def test_frechet_distance_of_diagonal_gaussians_is_by_hand():
    a, b = torch.tensor([1.0, 2.0, 0.5]), torch.tensor([3.0, 1.0, 0.0])
    found = frechet_distance_of_gaussians(
        torch.zeros(3), (a**2).diag(), torch.ones(3), (b**2).diag()
    )
    assert_close(found, 3 + float((a - b).square().sum()))


def test_frechet_distance_keeps_its_digits():
    """Features with a mean far from 0 and deviations near 1, given in 32 bits."""
    x = normal(4_000, 8) + 1_000
    assert_close(frechet_distance(x.float(), x.float() + 1), 8.0, rtol=1e-4, atol=0)
    assert frechet_distance(x, x) < 1e-6


def test_frechet_distance_is_symmetric_and_falls_with_samples_of_one_distribution():
    x, y = normal(2_000, 8, 0), normal(2_000, 8, 1)
    assert_close(frechet_distance(x, y), frechet_distance(y, x))
    few = frechet_distance(x[:100], y[:100])
    assert 0 < frechet_distance(x, y) < 0.2 * few
    assert frechet_distance(x, y + 0.5) > 1.5


def test_kernel_distance_of_one_distribution_is_zero_in_the_mean():
    """T31: unbiased, so that over many samples as many are below 0 as above."""
    found = torch.tensor(
        [kernel_distance(normal(60, 4, 2 * i), normal(60, 4, 2 * i + 1)).mean for i in range(200)]
    )
    assert abs(found.mean()) < 4 * found.std() / math.sqrt(200)
    assert 0.3 < (found < 0).double().mean() < 0.8
    biased = 2 * ((normal(60, 4).square().sum(dim=1) / 4 + 1) ** 3).mean() / 60
    assert found.mean().abs() < 0.2 * biased


def test_cubic_discrepancy_is_that_of_the_moments():
    """In one dimension (xy + 1)^3 compares the first three moments, with weights 3, 3 and 1."""
    x, y = normal(4_000, 1, 0), 0.5 + 1.5 * normal(4_000, 1, 1)
    found = maximum_mean_discrepancy(x, y)
    moments = [torch.stack([(z**k).mean() for k in (1, 2, 3)]) for z in (x, y)]
    with_bias = (torch.tensor([3.0, 3, 1]) * (moments[0] - moments[1]) ** 2).sum().item()
    exact = 3 * 0.25 + 3 * (1 - 2.5) ** 2 + (0 - (0.125 + 3 * 0.5 * 2.25)) ** 2
    assert_close(found, with_bias, rtol=0.05, atol=0)
    assert_close(found, exact, rtol=0.2, atol=0)


def test_gaussian_discrepancy_is_the_closed_form():
    """Gaussian kernels of Gaussians integrate in closed form."""
    size, b, shift = 3, 1.5, 0.8
    x, y = normal(3_000, size, 0), normal(3_000, size, 1) + shift

    def expected(distance):
        width = b**2 + 2
        return (b**2 / width) ** (size / 2) * math.exp(-distance / (2 * width))

    exact = 2 * expected(0) - 2 * expected(size * shift**2)
    found = maximum_mean_discrepancy(x, y, gaussian_kernel(b))
    assert_close(found, exact, rtol=0.1, atol=0)
    assert abs(maximum_mean_discrepancy(x, normal(3_000, size, 3), gaussian_kernel(b))) < 2e-3


def test_discrepancy_is_the_double_sum_by_hand():
    x, y = normal(3, 2, 0), normal(4, 2, 1)

    def kernel(a, b):
        return float((a @ b / 2 + 1) ** 3)

    first = sum(kernel(x[i], x[j]) for i in range(3) for j in range(3) if i != j) / 6
    second = sum(kernel(y[i], y[j]) for i in range(4) for j in range(4) if i != j) / 12
    cross = sum(kernel(a, b) for a in x for b in y) / 12
    assert_close(maximum_mean_discrepancy(x, y), first + second - 2 * cross)


def test_blocks_are_disjoint_and_give_the_error_of_the_mean():
    x, y = normal(1_050, 4, 0), normal(900, 4, 1)
    found = kernel_distance(x, y, block_size=100)
    assert found.num_blocks == 9 and found == kernel_distance(x, y, block_size=100)
    assert found != kernel_distance(x, y, block_size=100, seed=1)
    assert abs(found.mean) < 5 * found.standard_error
    whole = kernel_distance(x, x[:900] + 1)
    assert whole.num_blocks == 1 and math.isnan(whole.standard_error) and whole.mean > 0.5


def test_median_distance():
    assert median_distance(torch.tensor([[0.0], [1.0], [3.0]])) == 2.0


def test_mistakes_are_named(without_shape_checks):
    for distance in (frechet_distance, maximum_mean_discrepancy, kernel_distance):
        with pytest.raises(ValueError, match=r"got shapes \(5, 2\) and \(5, 3\)"):
            distance(torch.zeros(5, 2), torch.zeros(5, 3))
        with pytest.raises(ValueError, match="at least 2 vectors"):
            distance(torch.zeros(1, 2), torch.zeros(5, 2))
    with pytest.raises(ValueError, match="blocks of at least 2"):
        kernel_distance(torch.zeros(5, 2), torch.zeros(5, 2), block_size=1)
    with pytest.raises(ValueError, match="bandwidth above 0"):
        gaussian_kernel(0.0)


def test_several_scales_see_what_one_is_too_wide_for():
    rng = torch.Generator().manual_seed(0)
    x, y = eight_gaussians(1_000, rng), eight_gaussians(1_000, rng)
    gaussian = torch.randn(1_000, 2, generator=rng) * x.std(dim=0)
    width = median_distance(x)
    by_one, by_several = (
        [maximum_mean_discrepancy(x, other, kernel) for other in (y, gaussian)]
        for kernel in (gaussian_kernel(width), several_scales(width))
    )
    assert abs(by_several[0]) < 0.001
    assert by_several[1] > 5 * by_one[1] > 0
    values = torch.stack([gaussian_kernel(width / 2**i)(x[:3], y[:4]) for i in range(5)])
    assert_close(several_scales(width)(x[:3], y[:4]), values.mean(dim=0))
    with pytest.raises(ValueError, match="expected at least 1 kernel, got 0"):
        several_scales(1.0, num_scales=0)
