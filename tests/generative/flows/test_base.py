"""Base distributions against scipy's and torch's."""

import numpy as np
import pytest
import torch
from gymagine.generative.flows.base import GaussianMixture, Logistic, Normal, StudentT
from scipy import optimize, stats
from torch import distributions


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rng():
    return torch.Generator().manual_seed(0)


def student_t():
    base = StudentT(2).double()
    with torch.no_grad():
        base.log_degrees.copy_(torch.tensor([2.0, 5.0]).double().log())
    return base


def mixture(num_classes=0):
    base = GaussianMixture(2, 3, num_classes=num_classes).double()
    with torch.no_grad():
        for i, parameter in enumerate(base.parameters()):
            parameter.copy_(numbers(*parameter.shape, seed=i))
    return base


def torchs_mixture(base, of_class=0):
    return distributions.MixtureSameFamily(
        distributions.Categorical(logits=base.logits[of_class]),
        distributions.Independent(
            distributions.Normal(base.means[of_class], base.log_deviations[of_class].exp()), 1
        ),
    )


@pytest.mark.parametrize(
    ("base", "log_density"),
    [
        (Normal(2).double(), stats.norm.logpdf),
        (Logistic(2).double(), stats.logistic.logpdf),
        (student_t(), lambda z: stats.t.logpdf(z, [2.0, 5.0])),
    ],
    ids=["normal", "logistic", "student-t"],
)
def test_densities_are_scipys(base, log_density):
    z = 5 * numbers(50, 2)
    expected = log_density(z.numpy()).sum(axis=1)
    np.testing.assert_allclose(base.log_prob(z, None).detach(), expected, rtol=1e-10)


@pytest.mark.parametrize(
    ("base", "cdfs"),
    [
        (Normal(2).double(), [stats.norm.cdf] * 2),
        (Logistic(2).double(), [stats.logistic.cdf] * 2),
        (student_t(), [stats.t(2).cdf, stats.t(5).cdf]),
    ],
    ids=["normal", "logistic", "student-t"],
)
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_samples_are_scipys(base, cdfs, temperature):
    drawn = base.sample(4_000, None, temperature, rng()) / temperature
    for i, cdf in enumerate(cdfs):
        assert stats.kstest(drawn[:, i].numpy(), cdf).pvalue > 1e-3
    assert abs(stats.spearmanr(*drawn.T.numpy()).pvalue) > 1e-3  # entries are independent


@pytest.mark.parametrize("base", [Normal(3), Logistic(3), StudentT(3)])
def test_no_temperature_gives_the_centre(base):
    assert not base.sample(5, None, 0.0, rng()).any()


def test_a_mixture_is_torchs():
    base, z = mixture(), 2 * numbers(50, 2)
    torch.testing.assert_close(base.log_prob(z, None), torchs_mixture(base).log_prob(z))


def test_a_mixture_of_each_class_is_torchs_of_that_class():
    base, z = mixture(num_classes=2), 2 * numbers(50, 2)
    for of_class in range(2):
        labels = torch.eye(2, dtype=torch.float64)[of_class].expand(50, 2)
        expected = torchs_mixture(base, of_class).log_prob(z)
        torch.testing.assert_close(base.log_prob(z, labels), expected)


def test_uncertain_classes_mix():
    base, z = mixture(num_classes=2), 2 * numbers(50, 2)
    weights = torch.tensor([0.25, 0.75], dtype=torch.float64)
    parts = torch.stack([torchs_mixture(base, i).log_prob(z).exp() for i in range(2)])
    expected = (weights @ parts).log()
    torch.testing.assert_close(base.log_prob(z, weights.expand(50, 2)), expected)


def test_samples_of_a_mixture_are_as_its_density_says():
    base = mixture(num_classes=2)
    labels = torch.eye(2, dtype=torch.float64).repeat(3_000, 1)
    drawn = base.sample(6_000, labels, 1.0, rng())
    for of_class in range(2):
        own = drawn[of_class::2].detach()
        weights = base.logits[of_class].softmax(dim=0).detach().numpy()
        means = base.means[of_class, :, 0].detach().numpy()
        deviations = base.log_deviations[of_class, :, 0].detach().exp().numpy()

        def cdf(x, weights=weights, means=means, deviations=deviations):
            return stats.norm.cdf(x[:, None], means, deviations) @ weights

        assert stats.kstest(own[:, 0].numpy(), cdf).pvalue > 1e-3


def test_no_temperature_gives_the_components_means():
    base = mixture()
    drawn = base.sample(50, None, 0.0, rng())
    distance = (drawn[:, None] - base.means[0]).abs().sum(dim=2).amin(dim=1)
    assert not distance.any()
    assert len(drawn.unique(dim=0)) == 3


def test_degrees_of_freedom_are_learned():
    base = StudentT(1)
    z = torch.from_numpy(stats.t(2).rvs((4_000, 1), random_state=0)).float()
    for _ in range(100):
        (slope,) = torch.autograd.grad(base.log_prob(z, None).mean(), [base.log_degrees])
        with torch.no_grad():
            base.log_degrees += 5 * slope
    x = z.double().numpy()
    fitted = optimize.minimize_scalar(
        lambda nu: -stats.t.logpdf(x, nu).mean(), bounds=(0.5, 20), method="bounded"
    ).x
    assert abs(float(base.degrees.detach()) / fitted - 1) < 0.01
    assert 1.8 < fitted < 2.2


@pytest.mark.parametrize(("num_components", "num_classes"), [(0, 0), (1, -1)])
def test_what_cannot_be_is_refused(num_components, num_classes):
    with pytest.raises(ValueError, match="at least 1 component"):
        GaussianMixture(2, num_components, num_classes=num_classes)
