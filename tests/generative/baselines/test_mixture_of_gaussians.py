"""The mixture against scikit-learn's, and what is promised of its fit."""

import itertools

import numpy as np
import pytest
import torch
from gymagine.generative.baselines.full_gaussian import FullGaussian
from gymagine.generative.baselines.mixture_of_gaussians import MixtureOfGaussians
from gymagine.generative.data.toys import eight_gaussians, eight_gaussians_log_prob
from gymagine.generative.testing import check_generator
from scipy import integrate
from torch.testing import assert_close


@pytest.fixture(autouse=True)
def double_precision():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def three_blobs(num=200):
    rng = torch.Generator().manual_seed(0)
    which = torch.randint(3, (num,), generator=rng)
    centres = torch.tensor([[0.0, 0.0], [3.0, 1.0], [-1.0, 4.0]])
    return centres[which] + torch.randn(num, 2, generator=rng) * torch.tensor([1.0, 0.5])


def test_fit_is_scikit_learns():
    mixture = pytest.importorskip("sklearn.mixture")
    x = three_blobs()
    found = MixtureOfGaussians.fitted(x, num_components=3, ridge=0.0, tolerance=1e-9)
    other = mixture.GaussianMixture(
        3, tol=1e-10, reg_covar=0.0, max_iter=2_000, means_init=found.means.detach().numpy()
    ).fit(x.numpy())
    assert_close(
        found.log_prob(x), torch.from_numpy(other.score_samples(x.numpy())), rtol=0, atol=1e-3
    )
    assert found.result.converged


def test_no_sweep_lowers_the_likelihood():
    x = eight_gaussians(1_000, 0)
    result = MixtureOfGaussians.fitted(x, num_components=5, ridge=0.0).result
    assert result.converged and result.sweeps == len(result.log_prob) - 1 > 3
    assert all(after >= before - 1e-12 for before, after in itertools.pairwise(result.log_prob))


def test_eight_gaussians_are_found():
    train, test = eight_gaussians(4_000, 1), eight_gaussians(4_000, 2)
    found = MixtureOfGaussians.fitted(train, num_components=8)
    lost = (eight_gaussians_log_prob(test).mean() - found.log_prob(test).mean()).item()
    assert 0 < lost < 0.03
    assert found.log_prob(test).mean() > FullGaussian.fitted(test).log_prob(test).mean() + 0.5


def test_one_component_is_the_full_gaussian():
    x = three_blobs()
    one = MixtureOfGaussians.fitted(x, num_components=1)
    assert_close(one.log_prob(x), FullGaussian.fitted(x).log_prob(x))


def test_density_integrates_to_one():
    mixture = MixtureOfGaussians.fitted(three_blobs()[:, :1], num_components=3)
    x = torch.linspace(-20, 20, 40_001)
    assert_close(integrate.simpson(mixture.log_prob(x[:, None]).exp().detach(), x), 1.0)


def test_samples_are_of_the_density():
    x = three_blobs(2_000)
    mixture = MixtureOfGaussians.fitted(x, num_components=3)
    drawn = mixture.sample(20_000, rng=torch.Generator().manual_seed(0))
    assert_close(drawn.mean(dim=0), x.mean(dim=0), rtol=0, atol=0.06)
    assert_close(torch.cov(drawn.T), torch.cov(x.T), rtol=0, atol=0.12)
    entropy = -mixture.log_prob(drawn).mean()
    assert_close(entropy.item(), mixture.loss(x).mean().item(), rtol=0, atol=0.05)


def test_laws_of_generators():
    x = three_blobs(40)
    mixture = MixtureOfGaussians.fitted(x, num_components=2).float()
    check_generator(mixture, x.float())


def test_slow_convergence_is_said():
    with pytest.warns(RuntimeWarning, match="not converged in 2 sweeps"):
        mixture = MixtureOfGaussians.fitted(
            eight_gaussians(500, 0), num_components=5, max_sweeps=2
        )
    assert mixture.result.sweeps == 2 and not mixture.result.converged
    assert np.isfinite(mixture.result.log_prob).all()


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="at least 8 events, got 3"):
        MixtureOfGaussians.fitted(torch.zeros(3, 2))
    with pytest.raises(ValueError, match="at least 1 component, got 0"):
        MixtureOfGaussians((2,), 0)
