r"""What diffusion families have in common whose network can be asked at any noise level.

Events with noise are :math:`x = x_0 + \sigma \epsilon`, and such a family gives the data that are
expected behind them, its *denoiser*. This gives it samples and densities by the probability flow
of that denoiser: `noise_levels` and `probability_flow`, with `Conditioning` and contexts.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .abstract_diffusion import AbstractDiffusion
from .conditioning import Conditioning
from .noise_levels import LevelDenoiser, check_level, diffused_to_level, follow_levels
from .probability_flow import log_prob_in_contexts

__all__ = ["AbstractLevelDiffusion"]


class AbstractLevelDiffusion(AbstractDiffusion):
    """A diffusion family with a denoiser of noise levels.

    Its config has ``flow_steps``, the Runge-Kutta steps of a density.

    Args:
        event_shape: (D,) of vectors, (C, L) of sequences or (C, H, W) of pictures.
        context_shape: Of one context, or None.
        hyperparameters: Fields of ``Config``.
    """

    def denoised(
        self,
        x: Tensor,
        sigma: float,
        context: Tensor | None = None,
        *,
        guidance: float = 0.0,
    ) -> Tensor:
        """(B, *event) the data expected behind noisy events, both in the data's units.

        Args:
            x: (B, *event) events with noise added; those of diffusion that shrinks data too,
                divided by the data's share.
            sigma: The noise's deviation.
            context: (B, *context), or None.
            guidance: w of classifier-free guidance.

        Raises:
            ValueError: A shape or a dtype does not fit, the deviation is not positive, or there is
                no context to be guided by.
        """
        self._check_question(x, context, guidance)
        check_level(sigma)
        return self._denoised(x, sigma, context, guidance)

    # ---- what a family implements ---------------------------------------------------------------

    @abstractmethod
    def _denoised(
        self, x: Tensor, sigma: float, context: Tensor | None, guidance: float
    ) -> Tensor:
        """(B, *event) the expected data: as `denoised`, with shapes that fit."""

    @abstractmethod
    def _denoiser(
        self, levels: Sequence[float], context: Tensor | None, guidance: float
    ) -> LevelDenoiser:
        """From x and sigma to the expected data, in the units of training.

        Args:
            levels: At which it will be asked, so that what does not depend on x is made once.
            context: (B, *context), or None.
            guidance: w.
        """

    # ---- what families use, in the units of training --------------------------------------------

    def _density_by_flow(self, x: Tensor, context: Tensor | None, **how: Any) -> Tensor:
        """(B,) log-densities of unguided samples; ``how`` as for `log_prob_by_flow`."""
        return log_prob_in_contexts(
            lambda own: self._denoiser([], own, 0.0),
            x,
            context,
            num_steps=self.config.flow_steps,
            **how,
        )

    def _conditioned_denoiser(
        self, levels: Sequence[float], context: Tensor | None, conditioning: Conditioning
    ) -> LevelDenoiser:
        """The guided denoiser, tilted if that is wished."""
        own = self._denoiser(levels, context, self.config.guidance)

        def denoise(x: Tensor, sigma: float) -> Tensor:
            return conditioning.expected(lambda y: own(y, sigma), x, alpha=1.0, sigma=sigma)

        return denoise

    def _along_levels(
        self,
        denoise: LevelDenoiser,
        start: Tensor,
        levels: Sequence[float],
        conditioning: Conditioning,
        rng: torch.Generator | None,
        **how: Any,
    ) -> Tensor:
        """(B, *event) samples from (B, *event) noise; ``how`` as for `follow_levels`."""
        return follow_levels(
            denoise,
            start,
            levels,
            change=conditioning.change(diffused_to_level, rng),
            rounds=conditioning.rounds,
            rng=rng,
            **how,
        )
