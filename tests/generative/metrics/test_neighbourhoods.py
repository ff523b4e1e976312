"""Neighbourhood scores by hand, by brute force, and by what the papers derive."""

import numpy as np
import pytest
import torch
from gymagine.generative.metrics.neighbourhoods import density_coverage, precision_recall
from torch.testing import assert_close


def normal(num, size, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(num, size, generator=rng, dtype=torch.float64)


def brute_force(real, generated, k):
    """All four by loops over pairs."""
    real, generated = real.numpy(), generated.numpy()

    def radii(points):
        return [sorted(np.linalg.norm(points - p, axis=1))[k] for p in points]

    def hits(points, balls):
        return np.array(
            [
                [np.linalg.norm(p - b) <= r for b, r in zip(balls, radii(balls), strict=True)]
                for p in points
            ]
        )

    inside = hits(generated, real)
    return (
        inside.any(axis=1).mean(),
        hits(real, generated).any(axis=1).mean(),
        inside.sum() / (k * len(generated)),
        inside.any(axis=0).mean(),
    )


@pytest.mark.parametrize("k", [1, 3, 5])
def test_scores_are_those_of_brute_force(k):
    real, generated = normal(40, 2), 0.7 * normal(30, 2, 1) + 0.5
    shares = precision_recall(real, generated, num_neighbours=k)
    balls = density_coverage(real, generated, num_neighbours=k)
    found = (shares.precision, shares.recall, balls.density, balls.coverage)
    assert_close(torch.tensor(found), torch.tensor(brute_force(real, generated, k)).float())


def test_halves_of_one_sample():
    """T31, and the expectations of Naeem et al.: density 1, coverage 1 - 2^-k."""
    x = normal(3_000, 3)
    shares = precision_recall(x[:1_500], x[1_500:])
    assert min(shares.precision, shares.recall) > 0.9
    for k in (1, 2, 5):
        found = density_coverage(x[:1_500], x[1_500:], num_neighbours=k)
        assert_close(found.density, 1.0, rtol=0, atol=0.08)
        assert_close(found.coverage, 1 - 2.0**-k, rtol=0, atol=0.04)


def test_a_sample_and_itself():
    x = normal(100, 3)
    shares, balls = precision_recall(x, x), density_coverage(x, x)
    assert shares.precision == shares.recall == balls.coverage == 1.0


def test_fewer_modes_cost_recall_and_noise_costs_precision():
    real = normal(1_000, 4)
    real[:500] += 6
    collapsed = real[:500] + 0.01 * normal(500, 4, 1)
    assert precision_recall(real, collapsed).precision > 0.9
    assert precision_recall(real, collapsed).recall < 0.6
    assert density_coverage(real, collapsed).coverage < 0.6
    noisy = torch.cat([real, real + 20])
    assert_close(precision_recall(real, noisy).precision, 0.5)
    assert precision_recall(real, noisy).recall == 1.0
    assert density_coverage(real, noisy).density < 0.9


def test_an_outlier_spoils_recall_but_not_coverage():
    real = normal(300, 2)
    few = torch.cat(
        [normal(20, 2, 1) * 0.01, torch.tensor([[50.0, 0.0], [0.0, 50], [-50, 0], [0, -50]])]
    )
    assert precision_recall(real, few).recall == 1.0  # their balls hold everything
    assert density_coverage(real, few).coverage < 0.2


def test_equal_vectors_and_large_offsets():
    x = normal(50, 3)[torch.arange(100) % 50] + 1e6
    found = precision_recall(x.float(), x.float())
    assert found.precision == found.recall == 1.0


def test_mistakes_are_named(without_shape_checks):
    for score in (precision_recall, density_coverage):
        with pytest.raises(ValueError, match=r"got shapes \(9, 2\) and \(9, 3\)"):
            score(torch.zeros(9, 2), torch.zeros(9, 3))
        with pytest.raises(ValueError, match="more than k"):
            score(torch.zeros(9, 2), torch.zeros(3, 2), num_neighbours=3)
        with pytest.raises(ValueError, match="k = 0"):
            score(torch.zeros(9, 2), torch.zeros(3, 2), num_neighbours=0)
