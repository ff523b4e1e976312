"""Sequences' covariances, densities and entropies, against scipy and against each other."""

import math

import numpy as np
import pytest
import torch
from gymagine.generative.data.sequences import NoisySines, SecondOrderProcess
from scipy import linalg, stats
from torch.testing import assert_close

PROCESS = SecondOrderProcess(1.2, -0.5, 0.7)


def test_autocovariances_solve_lyapunovs_equation():
    step = np.array([[1.2, -0.5], [1.0, 0.0]])
    exact = linalg.solve_discrete_lyapunov(step, np.diag([0.49, 0.0]))
    assert_close(PROCESS.autocovariances(2), torch.from_numpy(exact[0]))
    assert_close(float(PROCESS.autocovariances(3)[2]), float((step @ step @ exact)[0, 0]))


def test_covariance_of_samples_is_stationary():
    x = PROCESS.sample(40_000, 6, 0).double()
    exact = linalg.toeplitz(PROCESS.autocovariances(6).numpy())
    assert_close(torch.cov(x.T), torch.from_numpy(exact), rtol=0, atol=0.05)
    assert_close(x.mean(dim=0), torch.zeros(6, dtype=torch.float64), rtol=0, atol=0.03)


def test_log_density_is_the_product_of_the_steps():
    x = PROCESS.sample(5, 9, 1).double()
    start = linalg.toeplitz(PROCESS.autocovariances(2).numpy())
    found = stats.multivariate_normal.logpdf(x[:, :2], np.zeros(2), start)
    means = 1.2 * x[:, 1:-1] - 0.5 * x[:, :-2]
    found = found + stats.norm.logpdf(x[:, 2:], means, 0.7).sum(axis=1)
    assert_close(PROCESS.log_prob(x), torch.from_numpy(found))


def test_entropy_of_a_step_is_the_rate():
    """The determinants of covariances grow by the variance of the noise."""
    logdets = [
        np.linalg.slogdet(linalg.toeplitz(PROCESS.autocovariances(n).numpy()))[1] for n in (20, 21)
    ]
    step = (math.log(2 * math.pi * math.e) + logdets[1] - logdets[0]) / 2
    assert_close(PROCESS.entropy_rate, step)
    x = PROCESS.sample(4_000, 300, 2).double()
    per_step = float(-PROCESS.log_prob(x).mean() / 300)
    assert_close(per_step, PROCESS.entropy_rate, rtol=0, atol=0.01)


def test_sines_leave_only_the_noise():
    """Least squares on sines and cosines leaves residuals of the noise's variance."""
    sines = NoisySines((16.0, 5.3), (1.0, 0.5), 0.2)
    length = 100
    x = sines.sample(400, length, 0).double().numpy()
    angles = np.arange(length)[:, None] * (2 * np.pi / np.array(sines.periods))
    design = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    weights, residuals, _, _ = np.linalg.lstsq(design, x.T, rcond=None)
    variance = residuals.sum() / (400 * (length - 4))
    assert_close(variance, 0.04, rtol=0.03, atol=0)
    assert_close(
        sines.entropy_rate, math.log(2 * math.pi * math.e * variance) / 2, rtol=0, atol=0.02
    )
    amplitudes = np.hypot(weights[:2], weights[2:])
    assert np.abs(amplitudes - np.array([[1.0], [0.5]])).max() < 0.15
    phases = np.arctan2(weights[2:], weights[:2]).ravel() % (2 * np.pi)
    assert stats.kstest(phases, stats.uniform(0, 2 * np.pi).cdf).pvalue > 1e-3


@pytest.mark.parametrize("process", [PROCESS, NoisySines()], ids=lambda p: type(p).__name__)
def test_sequences_are_of_the_source_of_noise(process):
    x = process.sample(3, 8, 5)
    assert x.shape == (3, 8)
    assert torch.equal(x, process.sample(3, 8, torch.Generator().manual_seed(5)))
    assert not torch.equal(x, process.sample(3, 8, 6))
    with pytest.raises(ValueError, match="at least 2 steps, got 1"):
        process.sample(3, 1, 0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SecondOrderProcess(1.5, -0.4), "stationary .* first=1.5 and second=-0.4"),
        (lambda: SecondOrderProcess(0.0, -1.0), "stationary"),
        (lambda: SecondOrderProcess(deviation=0.0), "deviation above 0, got 0.0"),
        (lambda: NoisySines(deviation=-1.0), "deviation above 0, got -1.0"),
        (lambda: NoisySines((3.0,)), "each of 1 periods"),
        (lambda: NoisySines((0.0,), (1.0,)), "positive periods"),
    ],
)
def test_impossible_processes_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
