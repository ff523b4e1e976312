"""Toys' densities integrate to one and are those of their samples."""

import inspect
import math
from functools import partial

import numpy as np
import pytest
import torch
from gymagine.generative.data import toys
from scipy import stats
from scipy.integrate import quad
from torch.testing import assert_close

SMOOTH = {
    "eight_gaussians": (toys.eight_gaussians, toys.eight_gaussians_log_prob),
    "two_moons": (toys.two_moons, toys.two_moons_log_prob),
    "two_spirals": (toys.two_spirals, toys.two_spirals_log_prob),
    "pinwheel": (toys.pinwheel, toys.pinwheel_log_prob),
}
ALL = SMOOTH | {"checkerboard": (toys.checkerboard, toys.checkerboard_log_prob)}


def grid(num, reach=4.0):
    """(num squared, 2) midpoints of little squares, and a square's area."""
    ends = (torch.arange(num, dtype=torch.float64) + 0.5) * (2 * reach / num) - reach
    return torch.cartesian_prod(ends, ends), (2 * reach / num) ** 2


@pytest.mark.parametrize("name", ALL)
def test_density_integrates_to_one(name):
    _, log_prob = ALL[name]
    points, area = grid(120, reach=5.0)
    assert_close(float(log_prob(points).exp().sum() * area), 1.0, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ALL)
def test_samples_fall_into_squares_as_often_as_the_density_says(name):
    sample, log_prob = ALL[name]
    num, parts, fine = 20_000, 16, 6
    points, area = grid(parts * fine)
    mass = (log_prob(points).exp() * area).view(parts, fine, parts, fine).sum(dim=(1, 3))
    ends = np.linspace(-4, 4, parts + 1)
    x = sample(num, 0)
    counts, _, _ = np.histogram2d(x[:, 0], x[:, 1], bins=(ends, ends))
    often = num * mass.numpy() > 5
    expected = [*(num * mass.numpy()[often]), num * (1 - float(mass.numpy()[often].sum()))]
    observed = [*counts[often], num - counts[often].sum()]
    if expected[-1] < 5:  # nearly nothing is left elsewhere
        assert observed[-1] < 25
        expected[-2:], observed[-2:] = [sum(expected[-2:])], [sum(observed[-2:])]
    assert len(expected) > 8
    assert stats.chisquare(observed, expected).pvalue > 1e-4


@pytest.mark.parametrize(
    ("log_prob", "curve"),
    [
        (
            toys.two_moons_log_prob,
            lambda t: (math.cos(math.pi * t) - 0.5, math.sin(math.pi * t) - 0.25),
        ),
        (
            toys.two_spirals_log_prob,
            lambda t: (
                3 * t**0.5 * math.cos(3 * math.pi * t**0.5),
                3 * t**0.5 * math.sin(3 * math.pi * t**0.5),
            ),
        ),
    ],
)
def test_curves_are_integrated_as_by_scipy(log_prob, curve):
    x = torch.tensor([[0.4, 0.7], [-1.4, -0.2], [0.0, 0.0], [-2.9, 0.1]], dtype=torch.float64)

    def density(place, point, sign):
        centre = sign * np.array(curve(place))
        return math.exp(-np.sum((point - centre) ** 2) / 0.02) / (2 * math.pi * 0.01) / 2

    exact = [
        sum(
            quad(density, 0, 1, args=(point, sign), limit=500, points=np.linspace(0, 1, 50))[0]
            for sign in (1, -1)
        )
        for point in x.numpy()
    ]
    exact = torch.tensor(exact, dtype=torch.float64)
    assert_close(log_prob(x).exp(), exact, rtol=1e-3, atol=1e-7)


def test_eight_gaussians_are_scipys():
    x = toys.eight_gaussians(20, 1).double()
    centres = [[3 * math.cos(i * math.pi / 4), 3 * math.sin(i * math.pi / 4)] for i in range(8)]
    exact = np.mean([stats.multivariate_normal.pdf(x, c, 0.25) for c in centres], axis=0)
    found = toys.eight_gaussians_log_prob(x, radius=3.0, deviation=0.5)
    assert_close(found.exp(), torch.from_numpy(exact))


def test_checkerboard_has_density_on_every_other_square():
    x = torch.tensor([[-1.5, -1.5], [-0.5, -1.5], [0.5, 0.5], [-2.5, -1.5], [1.9, 1.9]])
    inside = -math.log(8)
    expected = torch.tensor([inside, -math.inf, inside, -math.inf, inside])
    assert torch.equal(toys.checkerboard_log_prob(x), expected)
    drawn = toys.checkerboard(1_000, 0)
    assert toys.checkerboard_log_prob(drawn).isfinite().all()
    assert len(torch.unique(drawn.floor(), dim=0)) == 8


@pytest.mark.parametrize("name", ALL)
def test_toys_are_centred_and_of_the_source_of_noise(name):
    sample, _ = ALL[name]
    x = sample(20_000, 3)
    assert x.shape == (20_000, 2)
    assert_close(x.mean(dim=0), torch.zeros(2), rtol=0, atol=0.06)
    assert torch.equal(x, sample(20_000, torch.Generator().manual_seed(3)))
    assert not torch.equal(x, sample(20_000, 4))
    before = torch.get_rng_state()
    sample(2, 0)
    assert torch.equal(before, torch.get_rng_state())


def test_densities_keep_64_bits():
    for name, (sample, log_prob) in ALL.items():
        found = log_prob(sample(5, 0).double())
        assert found.dtype == torch.float64, name
    narrow = partial(toys.two_spirals_log_prob, deviation=0.05)
    assert narrow(torch.zeros(1, 2)).isfinite()


@pytest.mark.parametrize("name", ALL)
def test_mistakes(name, without_shape_checks):
    sample, _ = ALL[name]
    for num in (0, -1):
        with pytest.raises(ValueError, match=f"expected at least 1 point, got {num}"):
            sample(num, 0)
    for num in (2.5, "3", None, True):
        with pytest.raises(TypeError, match="expected a whole number of points, got"):
            sample(num, 0)
    if "deviation" in inspect.signature(sample).parameters:
        for deviation in (-1.0, math.nan, math.inf):
            with pytest.raises(ValueError, match="expected a deviation of at least 0, got"):
                sample(3, 0, deviation=deviation)
