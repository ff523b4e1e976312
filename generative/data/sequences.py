r"""Sequences of numbers with a known entropy rate, which the best model's loss per step reaches.

*Second-order autoregression* (`SecondOrderProcess`), stationary from its first step, with
:math:`\varepsilon_t \sim N(0, 1)`:

.. math:: x_t = a_1 x_{t-1} + a_2 x_{t-2} + \sigma \varepsilon_t.

It is Gaussian; with its autocovariances :math:`\gamma_{|t-s|}` every log-density is known.

*Noisy sines* (`NoisySines`), of unknown phases :math:`\varphi_j`, uniform in :math:`[0, 2\pi)`:

.. math:: x_t = \sum_j A_j \sin(2\pi t / P_j + \varphi_j) + \sigma \varepsilon_t.

They are not Gaussian, and after a while the phases are as good as known. Of both the entropy rate

.. math:: h = \lim_{T \to \infty} \tfrac1T H(x_1, \dots, x_T) = \tfrac12 \log(2\pi e \sigma^2)

is that of the noise; the first steps are worth more, since what came before is not known.

References:
    G. E. P. Box, G. M. Jenkins (1976), Time series analysis, section 3.2.4 (autocovariances of the
        second-order process, and where it is stationary).
    T. M. Cover, J. A. Thomas (2006), Elements of information theory, section 12.5 (entropy rate of
        a Gaussian process).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import MultivariateNormal

from .toys import Noise, generator_of

__all__ = ["NoisySines", "SecondOrderProcess"]


@dataclass(frozen=True)
class SecondOrderProcess:
    r"""Second-order autoregression with Gaussian noise.

    Attributes:
        first: :math:`a_1`, the weight of the step before.
        second: :math:`a_2`, that of the one before it.
        deviation: Standard deviation of the noise, :math:`\sigma`.

    Raises:
        ValueError: There is no noise, or the process is not stationary.

    Example:
        >>> process = SecondOrderProcess()
        >>> x = process.sample(1_000, 50, 0)
        >>> per_step = -process.log_prob(x).mean() / 50
        >>> process.entropy_rate, round(float(per_step), 2)
        (1.418..., 1.46)
    """

    first: float = 1.6
    second: float = -0.9
    deviation: float = 1.0

    def __post_init__(self) -> None:
        _check_noise(self.deviation)
        if not (abs(self.second) < 1 and abs(self.first) < 1 - self.second):
            raise ValueError(
                "expected weights of a stationary process, |second| < 1 and |first| < 1 - second, "
                f"got first={self.first} and second={self.second}"
            )

    @property
    def entropy_rate(self) -> float:
        """Nats per step."""
        return _noise_entropy(self.deviation)

    def autocovariances(self, length: int) -> Float[Tensor, " length"]:
        """(T,) covariances of steps at distances from 0 to T - 1, in 64 bits."""
        a, b = self.first, self.second
        variance = self.deviation**2 * (1 - b) / ((1 + b) * ((1 - b) ** 2 - a**2))
        found = [variance, variance * a / (1 - b)]
        while len(found) < length:
            found.append(a * found[-1] + b * found[-2])
        return torch.tensor(found[:length], dtype=torch.float64)

    def sample(self, num: int, length: int, rng: Noise) -> Float[Tensor, "batch length"]:
        """(N, T) sequences.

        Args:
            num: N.
            length: T, at least 2.
            rng: Of the draws.
        """
        _check_length(length)
        noise = torch.randn(num, length, generator=generator_of(rng))
        start = torch.linalg.cholesky(self._covariance(2)).to(noise.dtype)
        steps = list((noise[:, :2] @ start.T).unbind(1))
        for t in range(2, length):
            mean = self.first * steps[-1] + self.second * steps[-2]
            steps.append(mean + self.deviation * noise[:, t])
        return torch.stack(steps, dim=1)

    def log_prob(self, x: Float[Tensor, "batch length"]) -> Float[Tensor, " batch"]:
        """(N,) log-densities of (N, T) sequences, in nats."""
        covariance = self._covariance(x.shape[1])
        law = MultivariateNormal(covariance.new_zeros(x.shape[1]), covariance)
        found: Tensor = law.log_prob(x.double()).to(x.dtype)  # type: ignore[no-untyped-call]  # PyTorch has no types
        return found

    def _covariance(self, length: int) -> Tensor:
        steps = torch.arange(length)
        return self.autocovariances(length)[(steps[:, None] - steps).abs()]


@dataclass(frozen=True)
class NoisySines:
    r"""Sums of sines with unknown phases, and Gaussian noise.

    Attributes:
        periods: :math:`P_j`, in steps.
        amplitudes: :math:`A_j`, as many.
        deviation: Standard deviation of the noise, :math:`\sigma`.

    Raises:
        ValueError: There is no noise, a period is not positive, or there are not as many
            amplitudes.

    Example:
        >>> sines = NoisySines(periods=(4.0,), amplitudes=(1.0,), deviation=1e-6)
        >>> x = sines.sample(10, 12, 0)
        >>> torch.allclose(x[:, :4], -x[:, 2:6], atol=1e-4)
        True
    """

    periods: tuple[float, ...] = (16.0, 5.3)
    amplitudes: tuple[float, ...] = (1.0, 0.5)
    deviation: float = 0.1

    def __post_init__(self) -> None:
        _check_noise(self.deviation)
        if not self.periods or min(self.periods) <= 0:
            raise ValueError(f"expected positive periods, got {self.periods}")
        if len(self.periods) != len(self.amplitudes):
            raise ValueError(
                f"expected an amplitude for each of {len(self.periods)} periods, got "
                f"{self.amplitudes}"
            )

    @property
    def entropy_rate(self) -> float:
        """Nats per step."""
        return _noise_entropy(self.deviation)

    def sample(self, num: int, length: int, rng: Noise) -> Float[Tensor, "batch length"]:
        """(N, T) sequences.

        Args:
            num: N.
            length: T, at least 2.
            rng: Of the draws.
        """
        _check_length(length)
        rng = generator_of(rng)
        phases = math.tau * torch.rand(len(self.periods), num, 1, generator=rng)
        found = self.deviation * torch.randn(num, length, generator=rng)
        for period, amplitude, phase in zip(self.periods, self.amplitudes, phases, strict=True):
            found += amplitude * torch.sin(torch.arange(length) * (math.tau / period) + phase)
        return found


def _noise_entropy(deviation: float) -> float:
    return math.log(math.tau * math.e * deviation**2) / 2


def _check_noise(deviation: float) -> None:
    if not deviation > 0:
        raise ValueError(f"expected a deviation above 0, got {deviation}")


def _check_length(length: int) -> None:
    if length < 2:
        raise ValueError(f"expected sequences of at least 2 steps, got {length}")
