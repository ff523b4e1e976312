r"""Variance-preserving diffusion in continuous time, with its variational bound.

With :math:`\gamma(t)`, minus the logarithm of the signal-to-noise ratio, rising from
:math:`\gamma_0` at t = 0 to :math:`\gamma_1` at t = 1, an event becomes

.. math:: z_t = \alpha_t x + \sigma_t \epsilon, \qquad
    \alpha_t^2 = \operatorname{sigmoid}(-\gamma(t)), \qquad
    \sigma_t^2 = \operatorname{sigmoid}(\gamma(t)) .

A network predicts the noise, and the bound of as many steps as there can be is

.. math:: -\log p(x \mid c) \le
    \underbrace{\mathrm{KL}\big(q(z_1 | x) \,\|\, \mathcal N(0, I)\big)}_{\text{prior}}
    + \underbrace{\mathbb E[-\log p(x | z_0)]}_{\text{reconstruction}}
    + \underbrace{\tfrac12 \mathbb E_{t, \epsilon}\big[\gamma'(t)
    \lVert \epsilon - \hat\epsilon(z_t; \gamma(t), c) \rVert^2\big]}_{\text{diffusion}} .

In :math:`\gamma` instead of t the last is an integral from :math:`\gamma_0` to :math:`\gamma_1`
without :math:`\gamma'`: between its ends the shape of the schedule changes the variance of the
estimate, and no more. For :math:`p(x | z_0)` stands the normal density around
:math:`z_0 / \alpha_0` with the deviation :math:`e^{\gamma_0 / 2}` of the noise that is left, whose
expectation is known: a density of real events, not of their levels.

``loss`` and ``log_prob_bound`` are this bound, in nats. It bounds the log-probability of
*ancestral* samples, in the limit of many steps. The probability flow of the same network makes
other samples, of another density, `VPDiffusion.log_prob_by_flow`, which is not what is bounded:
only for an exact denoiser are the two densities the same. Where guesses of the data are clipped
(``clip``), samples, ``log_prob_bound`` and the flow's density are those of clipped guesses, and
``loss`` is not clipped.

References:
    D. P. Kingma, T. Salimans, B. Poole, J. Ho (2021), Variational diffusion models,
        arXiv:2107.00630, equations 2, 3, 11, 17 and 18, section 5.1 (invariance), appendix I.1
        (times that are spread evenly over a batch).
    Y. Song et al. (2021), Score-based generative modeling through stochastic differential
        equations, arXiv:2011.13456, equations 11 and 13.
    A. Nichol, P. Dhariwal (2021), arXiv:2102.09672, section 3.2 (a cosine for alpha).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from ..generator import AbstractBound
from .abstract_diffusion import DIFFUSION_RANGES, ClippedSettings
from .conditioning import Conditioning
from .ddim import ddim, diffused_at
from .denoising_network import NETWORK_CHOICES
from .gaussian_diffusion import normal_like
from .level_diffusion import AbstractLevelDiffusion
from .noise_levels import LevelDenoiser

__all__ = ["GammaName", "Sampler", "VPDiffusion", "VPDiffusionConfig", "gamma_at"]

GammaName = Literal["linear", "cosine"]
Sampler = Literal["ancestral", "flow"]

_RANGES = DIFFUSION_RANGES | {
    "gamma_0": (-30.0, 30.0, True),  # beyond, 32 bits lose the signal or the noise
    "gamma_1": (-30.0, 30.0, True),
    "sampling_steps": (1, math.inf, True),
    "bound_times": (1, math.inf, True),
    "flow_steps": (1, math.inf, True),
}
_CHOICES = NETWORK_CHOICES | {"schedule": get_args(GammaName), "sampler": get_args(Sampler)}


def gamma_at(
    schedule: GammaName, t: Float[Tensor, " times"], gamma_0: float, gamma_1: float
) -> tuple[Float[Tensor, " times"], Float[Tensor, " times"]]:
    r"""(N,) gamma and (N,) its derivative.

    Args:
        schedule: ``linear``; or ``cosine``, of which alpha is the cosine of an angle that grows
            linearly, so that :math:`\gamma = 2 \ln \tan` of it.
        t: (N,) times in [0, 1].
        gamma_0: At t = 0.
        gamma_1: At t = 1.

    Example:
        >>> gamma_at("linear", torch.tensor([0.5]), -13.0, 5.0)
        (tensor([-4.]), tensor([18.]))
    """
    if schedule == "linear":
        return gamma_0 + (gamma_1 - gamma_0) * t, torch.full_like(t, gamma_1 - gamma_0)
    first, rest = math.atan(math.exp(gamma_0 / 2)), math.atan(math.exp(-gamma_1 / 2))
    whole = math.pi / 2 - first - rest
    # alpha is the sine of what is left of a right angle, which 32 bits would lose near t = 1
    alpha, sigma = (rest + whole * (1 - t)).sin(), (first + whole * t).sin()
    return 2 * (sigma.log() - alpha.log()), 2 * whole / (alpha * sigma)


@dataclass(frozen=True)
class VPDiffusionConfig(ClippedSettings):
    """Hyper-parameters of `VPDiffusion`.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    _ranges = _RANGES
    _choices = _CHOICES

    gamma_0: float = -13.3
    """Minus the logarithm of the signal-to-noise ratio of events at t = 0; the paper's."""
    gamma_1: float = 5.0
    """The same at t = 1, of the noise that samples start from; the paper's."""
    schedule: GammaName = "linear"
    """How gamma rises with time: at which noise training looks, and sampling steps."""
    sampler: Sampler = "ancestral"
    """``ancestral``, whose samples are the bound's model, or ``flow``, of fewer steps."""
    sampling_steps: int = 200
    """Times at which a sampler asks the network; ``flow`` asks twice at each."""
    bound_times: int = 64
    """Times of an event at which its bound is estimated; the loss takes one."""
    flow_steps: int = 32
    """Runge-Kutta steps of a density by the flow, of four questions each."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.gamma_0 < self.gamma_1:
            raise ValueError(
                f"expected gamma_0 below gamma_1, got {self.gamma_0} and {self.gamma_1}"
            )


class VPDiffusion(AbstractLevelDiffusion, AbstractBound):
    """A diffusion model of real events, of about unit variance, trained on its bound.

    Temperature scales the noise that sampling starts from and draws. Pictures need ``clip``, or
    samples of a network that is not trained for long leave the data's range.

    Args:
        event_shape: (D,) of vectors, (C, L) of sequences or (C, H, W) of pictures.
        context_shape: Of one context, or None.
        hyperparameters: Fields of `VPDiffusionConfig`.

    Example:
        >>> model = VPDiffusion((2,), hidden_sizes=(16,), sampling_steps=10)
        >>> model.sample(3, rng=torch.Generator().manual_seed(0)).shape
        torch.Size([3, 2])
    """

    Config = VPDiffusionConfig
    name = "vp-diffusion"
    config: VPDiffusionConfig
    _time_scale = 16.0  # the network is told gamma, brought to [-1, 1]

    def log_prob_by_flow(
        self,
        x: Tensor,
        context: Tensor | None = None,
        *,
        trace: bool = False,
        num_probes: int | None = None,
        rng: torch.Generator | None = None,
    ) -> Tensor:
        """(B,) log-densities of the probability flow, in nats: see `probability_flow`.

        Args:
            x: (B, *event) events.
            context: (B, *context), if the generator takes one.
            trace: Integrate the trace of the Jacobian; else take determinants of the steps.
            num_probes: Vectors of random signs in place of the trace; None for the trace.
            rng: Of the signs.

        Raises:
            ValueError: As `check_events`, or there are no probes.
        """
        self.check_events(x, context)
        highest = math.exp(self.config.gamma_1 / 2)
        return self._density_by_flow(
            x,
            context,
            lowest=math.exp(self.config.gamma_0 / 2),
            highest=highest,
            latent_deviation=math.sqrt(1 + highest**2),  # z_1 / alpha_1 of a standard normal z_1
            trace=trace,
            num_probes=num_probes,
            rng=rng,
        )

    # ---- the contract ---------------------------------------------------------------------------

    def _loss(self, x: Tensor, context: Tensor | None, rng: torch.Generator | None) -> Tensor:
        # one draw for the batch: each time is uniform, and together they are spread evenly
        shift = torch.rand(1, generator=rng, dtype=x.dtype, device=x.device)
        places = torch.arange(len(x), dtype=x.dtype, device=x.device) / len(x)
        t = (shift + places) % 1
        present = self._present(context, rng)
        return self._diffusion_loss(x, t, context, present, rng) + self._fixed_loss(x)

    def _log_prob_bound(
        self, x: Tensor, context: Tensor | None, rng: torch.Generator | None
    ) -> Tensor:
        num, found = self.config.bound_times, -self._fixed_loss(x)
        for i in range(num):
            within = torch.rand(len(x), generator=rng, dtype=x.dtype, device=x.device)
            t = (i + within) / num
            found = found - self._diffusion_loss(x, t, context, None, rng, clipped=True) / num
        return found

    def _diffusion_loss(
        self,
        x: Tensor,
        t: Tensor,
        context: Tensor | None,
        present: Tensor | None,
        rng: torch.Generator | None,
        *,
        clipped: bool = False,
    ) -> Tensor:
        config, axes = self.config, (-1, *[1] * (x.dim() - 1))
        gamma, slope = gamma_at(config.schedule, t, config.gamma_0, config.gamma_1)
        alpha, sigma = (-gamma).sigmoid().sqrt().view(axes), gamma.sigmoid().sqrt().view(axes)
        noise = normal_like(x, rng)
        z = alpha * x + sigma * noise
        found: Tensor = self.network(z, self._told(gamma), context, present)
        if clipped and config.clip is not None:
            implied = (z - sigma * found) / alpha
            found = found + alpha / sigma * (implied - config.clipped(implied))
        return slope / 2 * (noise - found).square().flatten(1).sum(dim=1)

    def _fixed_loss(self, x: Tensor) -> Tensor:
        """(B,) what nothing is learnt by: the prior's part and the reconstruction's."""
        gamma = self.config.gamma_1
        share, log_rest = 1 / (1 + math.exp(gamma)), -math.log1p(math.exp(-gamma))
        prior = ((share * x**2 - share - log_rest) / 2).flatten(1).sum(dim=1)
        reconstruction = (math.log(2 * math.pi) + self.config.gamma_0 + 1) / 2
        return prior + self.num_entries * reconstruction

    # ---- inside ---------------------------------------------------------------------------------

    def _told(self, gamma: Any) -> Any:
        """Gamma as the network is told it, in [-1, 1]."""
        low, high = self.config.gamma_0, self.config.gamma_1
        return (2 * gamma - low - high) / (high - low)

    def _denoised(
        self, x: Tensor, sigma: float, context: Tensor | None, guidance: float
    ) -> Tensor:
        return self._denoiser([sigma], context, guidance)(x, sigma)

    def _denoiser(
        self, levels: Sequence[float], context: Tensor | None, guidance: float
    ) -> LevelDenoiser:
        times = [self._told(2 * math.log(level)) for level in levels]
        predict = self._predictor(times, context, guidance)

        def denoise(x: Tensor, sigma: float) -> Tensor:
            noise = predict(x / math.sqrt(1 + sigma**2), self._told(2 * math.log(sigma)))
            return self.config.clipped(torch.add(x, noise, alpha=-sigma))

        return denoise

    def _drawn(
        self,
        num: int,
        context: Tensor | None,
        temperature: float,
        rng: torch.Generator | None,
        conditioning: Conditioning,
    ) -> Tensor:
        config, steps = self.config, self.config.sampling_steps
        t = torch.arange(steps + 1, dtype=torch.float64) / steps
        gamma, _ = gamma_at(config.schedule, t, config.gamma_0, config.gamma_1)
        levels: list[float] = (gamma / 2).exp().tolist()  # of z / alpha, rising
        denoise = self._conditioned_denoiser(levels, context, conditioning)
        start = temperature * self._pure_noise(num, rng)
        if config.sampler == "flow":
            start = math.sqrt(1 + levels[-1] ** 2) * start  # of z / alpha
            drawn = self._along_levels(
                denoise, start, levels[::-1], conditioning, rng, temperature=temperature
            )
        else:
            drawn = self._by_ancestors(denoise, start, levels, temperature, rng, conditioning)
        return conditioning.fulfilled(drawn)

    def _by_ancestors(
        self,
        denoise: LevelDenoiser,
        start: Tensor,
        levels: list[float],
        temperature: float,
        rng: torch.Generator | None,
        conditioning: Conditioning,
    ) -> Tensor:
        shares = 1 / (1 + torch.tensor(levels, dtype=torch.float64) ** 2)
        by_alpha = shares.rsqrt().tolist()
        times = list(range(len(levels) - 1, 0, -1))
        z_0 = ddim(
            lambda z, i: denoise(by_alpha[i] * z, levels[i]),
            start,
            shares,
            times,
            eta=1.0,
            temperature=temperature,
            change=conditioning.change(diffused_at(shares), rng),
            rounds=conditioning.rounds,
            rng=rng,
        )
        # a draw of p(x | z_0)
        return torch.add(by_alpha[0] * z_0, normal_like(z_0, rng), alpha=temperature * levels[0])
