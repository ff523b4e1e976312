r"""Diffusion over noise levels, with a network whose inputs and targets have unit variance.

An event gets noise, :math:`x = x_0 + \sigma \epsilon` with :math:`\ln \sigma \sim
\mathcal N(\mu_P, \sigma_P^2)`, and the denoiser is a network F between scales,

.. math:: D(x; \sigma, c) = c_{skip}\, x + c_{out}\, F(c_{in}\, x; c_{noise}, c), \\
    c_{skip} = \frac{\sigma_d^2}{\sigma^2 + \sigma_d^2}, \quad
    c_{out} = \frac{\sigma \sigma_d}{\sqrt{\sigma^2 + \sigma_d^2}}, \quad
    c_{in} = \frac{1}{\sqrt{\sigma^2 + \sigma_d^2}}, \quad
    c_{noise} = \tfrac14 \ln \sigma ,

with the data's deviation :math:`\sigma_d`: F is given numbers of variance 1, asked for numbers of
variance 1, and its errors are amplified as little as can be. The loss
:math:`\lambda(\sigma) \lVert D(x; \sigma) - x_0 \rVert^2` with :math:`\lambda = 1 / c_{out}^2`
is F's squared distance to its target, and no likelihood.

Samples follow the probability flow from strong noise to none (`noise_levels`), in as many levels
as one likes. ``log_prob`` is the density that the flow gives (`probability_flow`), exactly that of
its Runge-Kutta steps. Samples take other steps along the same flow, Heun's, so that samples and
densities differ by the errors of both solvers. Churn and guidance change samples only.

References:
    T. Karras, M. Aittala, T. Aila, S. Laine (2022), Elucidating the design space of
        diffusion-based generative models, arXiv:2206.00364, table 1 and equations 7 and 8.
    J. Ho, T. Salimans (2022), Classifier-free diffusion guidance, arXiv:2207.12598, algorithm 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from ..generator import AbstractDensity
from ..trainable import AbstractInitialised
from .abstract_diffusion import DIFFUSION_RANGES, DiffusionSettings
from .conditioning import Conditioning
from .denoising_network import NETWORK_CHOICES
from .gaussian_diffusion import normal_like
from .level_diffusion import AbstractLevelDiffusion
from .noise_levels import LevelDenoiser, karras_levels

__all__ = ["EDM", "EDMConfig", "Preconditioning", "Solver", "preconditioning"]

Solver = Literal["heun", "euler"]

_RANGES = DIFFUSION_RANGES | {
    "sigma_data": (0.0, math.inf, False),
    "noise_deviation": (0.0, math.inf, False),
    "lowest": (0.0, math.inf, False),
    "highest": (0.0, 1e6, False),  # beyond, 32 bits lose the data
    "rho": (1.0, math.inf, True),
    "sampling_steps": (1, math.inf, True),
    "churn": (0.0, math.inf, True),
    "flow_steps": (1, math.inf, True),
}
_CHOICES = NETWORK_CHOICES | {"solver": get_args(Solver)}


@dataclass(frozen=True)
class Preconditioning:
    """What stands between a network and its denoiser at one noise level or (B,) of them.

    Attributes:
        c_skip: Share of x that is passed by the network.
        c_out: Scale of what comes out of the network.
        c_in: Scale of what goes into it.
        c_noise: What it is told of the level.
    """

    c_skip: Tensor
    c_out: Tensor
    c_in: Tensor
    c_noise: Tensor


def preconditioning(sigma: Float[Tensor, ...], sigma_data: float) -> Preconditioning:
    """The factors at noise levels.

    Example:
        >>> found = preconditioning(torch.tensor(1.0), 1.0)
        >>> found.c_skip, found.c_noise
        (tensor(0.5000), tensor(0.))
    """
    total = sigma**2 + sigma_data**2
    return Preconditioning(
        c_skip=sigma_data**2 / total,
        c_out=sigma * sigma_data / total.sqrt(),
        c_in=1 / total.sqrt(),
        c_noise=sigma.log() / 4,
    )


@dataclass(frozen=True)
class EDMConfig(DiffusionSettings):
    """Hyper-parameters of `EDM`.

    Noise levels are in units of the data's deviation. The paper's defaults are for data of
    deviation 0.5: its 0.002, 80 and exp(-1.2) are about half of these, and mean the same noise.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    _ranges = _RANGES
    _choices = _CHOICES

    sigma_data: float | None = None
    """The data's deviation, around a mean of 0; None measures both on the first batch."""
    noise_mean: float = -0.5
    """Mean of the logarithms of noise levels in training."""
    noise_deviation: float = 1.2
    """Deviation of these logarithms."""
    lowest: float = 0.004
    """Noise level below which events count as clean."""
    highest: float = 160.0
    """Noise level from which samples start."""
    rho: float = 7.0
    """The larger, the shorter are steps towards the lowest level; 1 makes all of one length."""
    sampling_steps: int = 32
    """Noise levels of a sample; Heun's steps ask the network twice at each but the last. The paper
    has 18 for small pictures, which leaves normal data 5 % too wide."""
    solver: Solver = "heun"
    """``heun``, or ``euler`` for one question a level."""
    churn: float = 0.0
    """Fresh noise while sampling, in all the steps together; 0 is deterministic but for the
    start, and the paper has up to 80 for pictures."""
    flow_steps: int = 32
    """Runge-Kutta steps of a density, of four questions each."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.lowest < self.highest:
            raise ValueError(
                f"expected a lowest noise level below the highest, got {self.lowest} and "
                f"{self.highest}"
            )


class EDM(AbstractLevelDiffusion, AbstractDensity, AbstractInitialised):
    """A diffusion model of real events, whose entries have about one scale.

    Temperature scales the noise that sampling starts from, and churn. ``log_prob`` takes D x D
    Jacobians, each of D passes through the network, at 4 ``flow_steps`` places: an event of 28 by
    28 pixels takes 100,000 passes. For pictures there is `log_prob_by_trace`, with probes.

    Args:
        event_shape: (D,) of vectors, (C, L) of sequences or (C, H, W) of pictures.
        context_shape: Of one context, or None.
        hyperparameters: Fields of `EDMConfig`.

    Attributes:
        centre: Mean of all entries of the first batch that `fit` trains on; else 0.
        sigma_data: Their deviation from it; else the hyper-parameter.

    Example:
        >>> model = EDM((2,), hidden_sizes=(16,))
        >>> model.sample(3, rng=torch.Generator().manual_seed(0)).shape
        torch.Size([3, 2])
    """

    Config = EDMConfig
    name = "edm"
    config: EDMConfig
    _time_scale = 16.0  # of c_noise, which is between about -1.4 and 1.3
    centre: Tensor
    sigma_data: Tensor

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        context_shape: Sequence[int] | None = None,
        **hyperparameters: Any,
    ) -> None:
        super().__init__(event_shape, context_shape=context_shape, **hyperparameters)
        self.register_buffer("centre", torch.zeros(()))
        self.register_buffer("sigma_data", torch.tensor(self.config.sigma_data or 1.0))

    def log_prob_by_trace(
        self,
        x: Tensor,
        context: Tensor | None = None,
        *,
        num_probes: int | None = None,
        rng: torch.Generator | None = None,
    ) -> Tensor:
        """(B,) log-densities of the continuous flow, but for the solver's error.

        Args:
            x: (B, *event) events.
            context: (B, *context), if the generator takes one.
            num_probes: Vectors of random signs in place of the trace, over which the mean of an
                unbiased estimate is taken; None for the trace.
            rng: Of the signs.

        Raises:
            ValueError: As `check_events`, or there are no probes.
        """
        self.check_events(x, context)
        return self._density(x, context, trace=True, num_probes=num_probes, rng=rng)

    # ---- the contract ---------------------------------------------------------------------------

    def initialise(self, x: Tensor, context: Tensor | None) -> None:
        """Measure the mean and the deviation, unless the deviation was given."""
        if self.config.sigma_data is None:
            deviation = x.std(correction=0)
            self.centre.copy_(x.mean())
            self.sigma_data.copy_(torch.where(deviation > 1e-6 * x.abs().amax(), deviation, 1))

    def _loss(self, x: Tensor, context: Tensor | None, rng: torch.Generator | None) -> Tensor:
        y = self._standardised(x)
        drawn = torch.randn(len(y), generator=rng, dtype=y.dtype, device=y.device)
        sigma = (self.config.noise_mean + self.config.noise_deviation * drawn).exp()
        factors = preconditioning(sigma, 1.0)
        axes = (-1, *[1] * (y.dim() - 1))
        noisy = y + sigma.view(axes) * normal_like(y, rng)
        present = self._present(context, rng)
        given = factors.c_in.view(axes) * noisy
        found: Tensor = self.network(given, factors.c_noise, context, present)
        target = (y - factors.c_skip.view(axes) * noisy) / factors.c_out.view(axes)
        return (found - target).square().flatten(1).sum(dim=1)

    def _log_prob(self, x: Tensor, context: Tensor | None) -> Tensor:
        return self._density(x, context)

    def _density(self, x: Tensor, context: Tensor | None, **how: Any) -> Tensor:
        config = self.config
        found = self._density_by_flow(
            self._standardised(x),
            context,
            lowest=config.lowest,
            highest=config.highest,
            latent_deviation=config.highest,
            **how,
        )
        return found - self.num_entries * self.sigma_data.log()

    # ---- inside, in units of the data's deviation -----------------------------------------------

    def _standardised(self, x: Tensor) -> Tensor:
        return (x - self.centre) / self.sigma_data

    def _in_units(self, y: Tensor) -> Tensor:
        return y * self.sigma_data + self.centre

    def _denoised(
        self, x: Tensor, sigma: float, context: Tensor | None, guidance: float
    ) -> Tensor:
        level = sigma / float(self.sigma_data)
        denoise = self._denoiser([level], context, guidance)
        return self._in_units(denoise(self._standardised(x), level))

    def _denoiser(
        self, levels: Sequence[float], context: Tensor | None, guidance: float
    ) -> LevelDenoiser:
        predict = self._predictor([math.log(level) / 4 for level in levels], context, guidance)

        def denoise(x: Tensor, sigma: float) -> Tensor:
            total = sigma**2 + 1
            found = predict(x / math.sqrt(total), math.log(sigma) / 4)
            return torch.add(x / total, found, alpha=sigma / math.sqrt(total))

        return denoise

    def _drawn(
        self,
        num: int,
        context: Tensor | None,
        temperature: float,
        rng: torch.Generator | None,
        conditioning: Conditioning,
    ) -> Tensor:
        config = self.config
        levels = karras_levels(config.sampling_steps, config.lowest, config.highest, config.rho)
        inner = conditioning.in_other_units(self._standardised, self._in_units)
        start = self._pure_noise(num, rng)
        drawn = self._along_levels(
            self._conditioned_denoiser(levels, context, inner),
            temperature * config.highest * start,
            levels,
            inner,
            rng,
            order=2 if config.solver == "heun" else 1,
            churn=config.churn,
            temperature=temperature,
        )
        return conditioning.fulfilled(self._in_units(drawn))
