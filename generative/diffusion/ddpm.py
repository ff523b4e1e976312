r"""Denoising diffusion probabilistic models, in discrete time.

Data become noise in T steps (`gaussian_diffusion`), and a network learns to predict the noise, the
data or the velocity. Training minimises Ho et al.'s simple loss, summed over an event's entries,

.. math:: L_{simple} = \mathbb E_{t, \epsilon}
    \lVert y(x_0, \epsilon) - y_\theta(x_t, t, c) \rVert^2 ,

whose mean is no likelihood. The variational bound is

.. math::
    \log p(x_0 | c) \ge \underbrace{\mathbb E \log p(x_0 | x_1)}_{-L_0}
    - \sum_{t=2}^{T} \mathbb E\, \mathrm{KL}\bigl(q(x_{t-1} | x_t, x_0) \,\|\,
        p(x_{t-1} | x_t)\bigr)
    - \mathrm{KL}\bigl(q(x_T | x_0) \,\|\, \mathcal N(0, I)\bigr),

with the posterior's variance for p's, and for :math:`p(x_0|x_1)` a normal density with the
variance :math:`1 - \bar\alpha_1` of the first step's noise: a density of real events, not of their
levels.

Samples come from `ddim`, in fewer steps if one likes, and in a context with classifier-free
guidance: contexts are left out at random in training, so that the network knows both.

References:
    J. Ho, A. Jain, P. Abbeel (2020), Denoising diffusion probabilistic models, arXiv:2006.11239,
        equations 5, 8, 12 and 14.
    J. Song, C. Meng, S. Ermon (2021), Denoising diffusion implicit models, arXiv:2010.02502.
    J. Ho, T. Salimans (2022), Classifier-free diffusion guidance, arXiv:2207.12598, algorithm 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, get_args

import torch
from torch import Tensor

from ..generator import AbstractBound
from .abstract_diffusion import DIFFUSION_RANGES, AbstractDiffusion, ClippedSettings
from .conditioning import Conditioning
from .ddim import Denoiser, ddim, diffused_at, visited_times
from .denoising_network import NETWORK_CHOICES
from .gaussian_diffusion import (
    Prediction,
    ScheduleName,
    alpha_bars,
    data_weights,
    diffused,
    normal_like,
    posterior,
    target_of,
)

__all__ = ["DDPM", "DDPMConfig"]

_RANGES = DIFFUSION_RANGES | {
    "num_steps": (1, math.inf, True),
    "sampling_steps": (1, math.inf, True),
    "eta": (0.0, 1.0, True),
}
_CHOICES = NETWORK_CHOICES | {
    "schedule": get_args(ScheduleName),
    "prediction": get_args(Prediction),
}


@dataclass(frozen=True)
class DDPMConfig(ClippedSettings):
    """Hyper-parameters of `DDPM`.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    _ranges = _RANGES
    _choices = _CHOICES

    num_steps: int = 200
    """T; Ho et al. have 1,000."""
    schedule: ScheduleName = "cosine"
    """Of the noise."""
    prediction: Prediction = "noise"
    """What the network predicts."""
    sampling_steps: int | None = None
    """Times at which a sampler asks the network; None asks at all T of them."""
    eta: float = 1.0
    """Noise that sampling draws anew: 1 is ancestral, 0 deterministic but for the start."""


class DDPM(AbstractDiffusion, AbstractBound):
    """A diffusion model of real events, of about unit variance.

    Temperature scales the noise that sampling starts from and draws. Pictures need ``clip``, or
    samples of a network that is not trained for long go hundreds of deviations astray.

    Args:
        event_shape: (D,) of vectors, (C, L) of sequences or (C, H, W) of pictures.
        context_shape: Of one context, or None.
        hyperparameters: Fields of `DDPMConfig`.

    Example:
        >>> model = DDPM((2,), num_steps=10, hidden_sizes=(16,))
        >>> model.sample(3, rng=torch.Generator().manual_seed(0)).shape
        torch.Size([3, 2])
    """

    Config = DDPMConfig
    name = "ddpm"
    config: DDPMConfig
    _time_scale = 1000.0  # times are shares of all steps
    alpha_bars: Tensor

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        context_shape: Sequence[int] | None = None,
        **hyperparameters: Any,
    ) -> None:
        super().__init__(event_shape, context_shape=context_shape, **hyperparameters)
        shares = alpha_bars(self.config.schedule, self.config.num_steps)
        self.register_buffer("alpha_bars", shares, persistent=False)

    def denoised(
        self,
        x_t: Tensor,
        t: int,
        context: Tensor | None = None,
        *,
        guidance: float = 0.0,
    ) -> Tensor:
        """(B, *event) the data expected behind events at a time.

        Args:
            x_t: (B, *event) noisy events.
            t: From 1 to T.
            context: (B, *context), or None.
            guidance: w of classifier-free guidance.

        Raises:
            ValueError: A shape or a dtype does not fit, there is no such time, or no context to be
                guided by.
        """
        self._check_question(x_t, context, guidance)
        if not 1 <= t <= self.config.num_steps:
            raise ValueError(f"expected a time from 1 to {self.config.num_steps}, got {t}")
        return self._denoiser([t], context, guidance, Conditioning())(x_t, t)

    # ---- the contract ---------------------------------------------------------------------------

    def _loss(self, x: Tensor, context: Tensor | None, rng: torch.Generator | None) -> Tensor:
        times = torch.randint(
            1, self.config.num_steps + 1, (len(x),), generator=rng, device=x.device
        )
        noise = normal_like(x, rng)
        share = self.alpha_bars[times]
        present = self._present(context, rng)
        asked = (times / self.config.num_steps).to(x.dtype)
        predicted: Tensor = self.network(diffused(x, share, noise), asked, context, present)
        target = target_of(self.config.prediction, x, noise, share)
        return (predicted - target).square().flatten(1).sum(dim=1)

    def _log_prob_bound(
        self, x: Tensor, context: Tensor | None, rng: torch.Generator | None
    ) -> Tensor:
        shares = self.alpha_bars
        last = shares[-1].to(x)
        # KL(N(sqrt(a) x, 1 - a) || N(0, 1)) of each entry
        prior = ((last * x**2 - last - torch.log1p(-last)) / 2).flatten(1).sum(dim=1)
        bound, num_steps = -prior, self.config.num_steps
        denoise = self._denoiser(range(1, num_steps + 1), context, 0.0, Conditioning())
        for t in range(1, num_steps + 1):
            of_t, of_s = shares[t].expand(len(x)), shares[t - 1].expand(len(x))
            x_t = diffused(x, of_t, normal_like(x, rng))
            implied = denoise(x_t, t)
            if t == 1:
                variance = (1 - shares[1]).to(x)
                error = (x - implied) ** 2
                terms = -(error / variance + torch.log(2 * math.pi * variance)) / 2
            else:
                mean, variance = posterior(x, x_t, of_s, of_t)
                other, _ = posterior(implied, x_t, of_s, of_t)
                terms = -((mean - other) ** 2) / (2 * variance)
            bound = bound + terms.flatten(1).sum(dim=1)
        return bound

    # ---- inside ---------------------------------------------------------------------------------

    def _denoiser(
        self,
        visited: Sequence[int],
        context: Tensor | None,
        guidance: float,
        conditioning: Conditioning,
    ) -> Denoiser:
        """From x_t and t to the expected x_0, at the times that are visited."""
        num_steps = self.config.num_steps
        predict = self._predictor([t / num_steps for t in visited], context, guidance)
        shares = self.alpha_bars.tolist()

        def expected(t: int, x_t: Tensor) -> Tensor:
            by_x_t, by_predicted = data_weights(self.config.prediction, shares[t])
            x_0 = torch.add(by_x_t * x_t, predict(x_t, t / num_steps), alpha=by_predicted)
            return self.config.clipped(x_0)

        def denoise(x_t: Tensor, t: int) -> Tensor:
            alpha, sigma = math.sqrt(shares[t]), math.sqrt(1 - shares[t])
            return conditioning.expected(partial(expected, t), x_t, alpha=alpha, sigma=sigma)

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
        start = self._pure_noise(num, rng)
        steps = config.sampling_steps or config.num_steps
        times = visited_times(config.num_steps, steps)
        return ddim(
            self._denoiser(times, context, config.guidance, conditioning),
            temperature * start,
            self.alpha_bars,
            times,
            eta=config.eta,
            temperature=temperature,
            change=conditioning.change(diffused_at(self.alpha_bars), rng),
            rounds=conditioning.rounds,
            rng=rng,
        )
