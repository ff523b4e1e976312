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
        equations 5, 12 and 14.
    J. Song, C. Meng, S. Ermon (2021), Denoising diffusion implicit models, arXiv:2010.02502.
    J. Ho, T. Salimans (2022), Classifier-free diffusion guidance, arXiv:2207.12598, algorithm 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import torch
from torch import Tensor
from torch.distributions import constraints

from ...configuration import build_config, check_fields
from ..family import AbstractFamily
from ..generator import AbstractBound
from .ddim import Change, ddim, guided, keeping, visited_times
from .denoising_network import DenoisingNetwork, NetworkSettings, NetworkWord
from .gaussian_diffusion import (
    Prediction,
    ScheduleName,
    alpha_bars,
    as_data,
    diffused,
    posterior,
    target_of,
)

__all__ = ["DDPM", "DDPMConfig"]

_RANGES = {
    "num_steps": (1, math.inf, True),
    "sampling_steps": (1, math.inf, True),
    "eta": (0.0, 1.0, True),
    "clip": (0.0, math.inf, False),
    "drop_context": (0.0, 1.0, True),
    "guidance": (-1.0, math.inf, True),
    "hidden_sizes": (1, math.inf, True),
    "channels": (1, math.inf, True),
    "multipliers": (1, math.inf, True),
    "num_blocks": (1, math.inf, True),
}
_CHOICES = {
    "schedule": get_args(ScheduleName),
    "prediction": get_args(Prediction),
    "network": get_args(NetworkWord),
}


@dataclass(frozen=True)
class DDPMConfig:
    """Hyper-parameters of `DDPM`.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    num_steps: int = 200
    """T; Ho et al. have 1,000."""
    schedule: ScheduleName = "cosine"
    """Of the noise."""
    prediction: Prediction = "noise"
    """What the network predicts."""
    sampling_steps: int | None = None
    """Times at which a sampler asks the network; None asks at all."""
    eta: float = 1.0
    """Noise that sampling draws anew: 1 is ancestral, 0 deterministic but for the start."""
    clip: float | None = None
    """The data that the network implies are kept between minus this and this while sampling."""
    drop_context: float = 0.1
    """Probability that training leaves a context out."""
    guidance: float = 0.0
    """w of classifier-free guidance in sampling: (1 + w) conditional less w unconditional."""
    network: NetworkWord = "auto"
    """``mlp`` or ``unet``; ``auto`` takes a U-Net for sequences and pictures."""
    hidden_sizes: tuple[int, ...] = (256, 256, 256)
    """Units of the dense layers."""
    channels: int = 32
    """Of the U-Net's finest level."""
    multipliers: tuple[int, ...] = (1, 2)
    """By which each level of the U-Net has more."""
    num_blocks: int = 1
    """Residual blocks of each level."""

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, _CHOICES)
        if self.network != "mlp" and not self.multipliers:
            raise ValueError("expected multipliers of at least one level, got none")


class DDPM(AbstractFamily, AbstractBound):
    """A diffusion model of real events, of about unit variance.

    Temperature scales the noise that sampling starts from and draws.

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
    alpha_bars: Tensor

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        context_shape: Sequence[int] | None = None,
        **hyperparameters: Any,
    ) -> None:
        config = build_config(DDPMConfig, hyperparameters, type(self).__name__)
        super().__init__(
            event_shape, context_shape=context_shape, support=constraints.real, config=config
        )
        settings = NetworkSettings(
            network=config.network,
            hidden_sizes=config.hidden_sizes,
            channels=config.channels,
            multipliers=config.multipliers,
            num_blocks=config.num_blocks,
        )
        self.network = DenoisingNetwork(self.event_shape, self.context_shape, settings)
        shares = alpha_bars(config.schedule, config.num_steps)
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
        """
        times = torch.full((len(x_t),), t, device=x_t.device)
        predicted = self._predicted(x_t, times, context, None)
        if context is not None and guidance != 0:
            absent = torch.zeros(len(x_t), dtype=torch.bool, device=x_t.device)
            other = self._predicted(x_t, times, context, absent)
            predicted = guided(predicted, other, guidance)
        x_0 = as_data(self.config.prediction, predicted, x_t, self.alpha_bars[times])
        clip = self.config.clip
        return x_0 if clip is None else x_0.clamp(-clip, clip)

    def complete(
        self,
        x: Tensor,
        known: Tensor,
        context: Tensor | None = None,
        *,
        temperature: float = 1.0,
        rng: torch.Generator | None = None,
    ) -> Tensor:
        """(B, *event) events with the known entries as given and the others drawn.

        Args:
            x: (B, *event) with what is known.
            known: (B, *event) which entries are.
            context: (B, *context), if the generator takes one.
            temperature: As in `sample`.
            rng: Of the draws.

        Raises:
            ValueError: A shape does not fit, or a context is missing or too much.
        """
        self._check_shapes(x, context)
        if known.shape != x.shape:
            raise ValueError(f"expected known entries {tuple(x.shape)}, got {tuple(known.shape)}")
        change = keeping(x, known, self.alpha_bars, rng=rng)
        with torch.no_grad():
            return self._drawn(len(x), context, temperature, rng, change)

    # ---- the contract ---------------------------------------------------------------------------

    def _loss(self, x: Tensor, context: Tensor | None, rng: torch.Generator | None) -> Tensor:
        times = torch.randint(
            1, self.config.num_steps + 1, (len(x),), generator=rng, device=x.device
        )
        noise = _normal(x, rng)
        share = self.alpha_bars[times]
        present = None
        if context is not None:
            kept = torch.rand(len(x), generator=rng, device=x.device)
            present = kept >= self.config.drop_context
        predicted = self._predicted(diffused(x, share, noise), times, context, present)
        target = target_of(self.config.prediction, x, noise, share)
        return (predicted - target).square().flatten(1).sum(dim=1)

    def _sample(
        self,
        num: int,
        context: Tensor | None,
        temperature: float,
        rng: torch.Generator | None,
    ) -> Tensor:
        return self._drawn(num, context, temperature, rng, None)

    def _log_prob_bound(
        self, x: Tensor, context: Tensor | None, rng: torch.Generator | None
    ) -> Tensor:
        shares = self.alpha_bars
        last = shares[-1].to(x)
        # KL(N(sqrt(a) x, 1 - a) || N(0, 1)) of each entry
        prior = ((last * x**2 - last - torch.log1p(-last)) / 2).flatten(1).sum(dim=1)
        bound = -prior
        for t in range(1, self.config.num_steps + 1):
            of_t, of_s = shares[t].expand(len(x)), shares[t - 1].expand(len(x))
            x_t = diffused(x, of_t, _normal(x, rng))
            implied = self.denoised(x_t, t, context)
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

    def _predicted(
        self, x_t: Tensor, times: Tensor, context: Tensor | None, present: Tensor | None
    ) -> Tensor:
        out: Tensor = self.network(x_t, times / self.config.num_steps, context, present)
        return out

    def _drawn(
        self,
        num: int,
        context: Tensor | None,
        temperature: float,
        rng: torch.Generator | None,
        change: Change | None,
    ) -> Tensor:
        config = self.config
        start = temperature * _normal(self.example.new_zeros(num, *self.event_shape), rng)
        steps = config.sampling_steps or config.num_steps
        return ddim(
            lambda x_t, t: self.denoised(x_t, t, context, guidance=config.guidance),
            start,
            self.alpha_bars,
            visited_times(config.num_steps, steps),
            eta=config.eta,
            temperature=temperature,
            change=change,
            rng=rng,
        )


def _normal(like: Tensor, rng: torch.Generator | None) -> Tensor:
    return torch.randn(like.shape, generator=rng, dtype=like.dtype, device=like.device)
