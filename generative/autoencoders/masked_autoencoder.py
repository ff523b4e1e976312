r"""The masked autoencoder: any entries of an event, given any others.

A network is told which entries are known and what they are, and gives a distribution of every
other. With squared errors it would learn the means :math:`\mathbb E[x_u \mid x_o]` alone; with a
distribution of each entry it learns a generator, for events can be drawn entry by entry in any
order o of the D:

.. math:: \log p(x) \ge \mathbb E_o \log p(x \mid o) = \mathbb E_o \sum_{d=1}^{D}
    \log p(x_{o_d} \mid x_{o_1}, \dots, x_{o_{d-1}}),

where the bound, by Jensen's inequality, is on the mixture over all orders, which is what samples
are drawn of. One pass gives an unbiased estimate of it. Let the number s of known entries be
uniform on 0 to D - 1 and the known set S uniform among those of its size. Each of the D - s others
is then as likely to be the order's next, so that

.. math:: \ell(x) = -\frac{D}{D - s} \sum_{d \notin S} \log p(x_d \mid x_S), \qquad
    \mathbb E\,\ell(x) = -\mathbb E_o \log p(x \mid o) .

References:
    B. Uria, I. Murray, H. Larochelle (2014), A deep and tractable density estimator,
        arXiv:1310.1757, section 3 (the estimate).
    D. Pathak et al. (2016), Context encoders: feature learning by inpainting, arXiv:1604.07379.
    K. He et al. (2022), Masked autoencoders are scalable vision learners, arXiv:2111.06377.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from ...configuration import build_config, check_fields
from ..decoders import decoder_named
from ..family import AbstractFamily
from ..generator import AbstractBound
from ..networks.coders import Decoder, Encoder
from .coder_config import CODER_CHOICES, CODER_RANGES, AbstractDecoderConfig

__all__ = ["MaskedAutoencoder", "MaskedAutoencoderConfig", "drawn_masks"]

_RANGES = CODER_RANGES | {
    "drawn_together": (1, math.inf, True),
}
_CHOICES = CODER_CHOICES


@dataclass(frozen=True)
class MaskedAutoencoderConfig(AbstractDecoderConfig):
    """Hyper-parameters of `MaskedAutoencoder`.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    latent_size: int = 128
    """Numbers between encoder and decoder."""
    drawn_together: int = 1
    """Entries that are drawn at once. With 1 samples are of the distribution whose bound is
    known; more are as many times faster, and take these entries for independent."""

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, _CHOICES)


def drawn_masks(
    num: int, num_entries: int, device: torch.device, rng: torch.Generator | None
) -> Bool[Tensor, "num entries"]:
    """(num, D) which entries are known: 0 to D - 1 of them, as likely each, and then any."""
    places = torch.rand(num, num_entries, generator=rng, device=device).argsort(dim=1)
    num_known = torch.randint(num_entries, (num, 1), generator=rng, device=device)
    return places < num_known


class MaskedAutoencoder(AbstractFamily, AbstractBound):
    """Masked autoencoder: filling in any entries, and sampling in a random order.

    It has no latents for whole events: what is known is never asked for in training. Samples take
    a pass for each entry (see ``drawn_together``); the temperature is that of the decoder, for
    each entry when it is drawn.

    Args:
        event_shape: Vectors (D,), pictures (C, H, W) or others, which are flattened.
        context_shape: Of a context that encoder and decoder are given, or None.
        hyperparameters: Fields of `MaskedAutoencoderConfig`.

    Raises:
        TypeError: A hyper-parameter is unknown.
        ValueError: A hyper-parameter is out of range, or convolutions are asked for vectors.

    Example:
        >>> generator = MaskedAutoencoder((8,), hidden_sizes=(32,))
        >>> x, known = torch.randn(5, 8), torch.arange(8) < 4
        >>> filled = generator.complete(x, known)
        >>> torch.equal(filled[:, :4], x[:, :4])
        True
    """

    Config = MaskedAutoencoderConfig
    name = "masked-autoencoder"
    config: MaskedAutoencoderConfig

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        context_shape: Sequence[int] | None = None,
        **hyperparameters: Any,
    ) -> None:
        config = build_config(MaskedAutoencoderConfig, hyperparameters, type(self).__name__)
        likelihood = decoder_named(config.decoder, config.num_levels)
        super().__init__(
            event_shape, context_shape=context_shape, support=likelihood.support, config=config
        )
        coders = config.coders
        self.likelihood = likelihood
        first, *rest = self.event_shape or (1,)
        self.encoder = Encoder(
            (2 * first, *rest), config.latent_size, coders, context_shape=self.context_shape
        )
        self.decoder = Decoder(
            config.latent_size,
            self.event_shape,
            likelihood.num_outputs,
            coders,
            context_shape=self.context_shape,
        )

    # ---- likelihood -----------------------------------------------------------------------------

    def outputs(
        self,
        x: Shaped[Tensor, "batch ..."],
        known: Bool[Tensor, "batch ..."],
        context: Float[Tensor, "batch ..."] | None = None,
    ) -> Float[Tensor, "batch ..."]:
        """(B, *event, P) what the decoder's distribution of every entry is made of.

        Args:
            x: (B, *event) events; what they are where they are not known makes no difference.
            known: (B, *event) which entries are known.
            context: (B, *context), if the generator takes one.
        """
        scaled = self.likelihood.scaled(x, next(self.encoder.parameters()).dtype)
        told = torch.where(known, scaled, 0.0)
        given = torch.stack([told, known.to(told.dtype)], dim=1)
        outputs: Tensor = self.decoder(self.encoder(given.flatten(1, 2), context), context)
        return outputs

    def masked_loss(
        self,
        x: Shaped[Tensor, "batch ..."],
        known: Bool[Tensor, "batch ..."],
        context: Float[Tensor, "batch ..."] | None = None,
    ) -> Float[Tensor, " batch"]:
        """(B,) -log p of the entries that are not known, given the others, as if independent.

        Args:
            x: (B, *event) events.
            known: (B, *event) which entries are known.
            context: (B, *context), if the generator takes one.
        """
        entries = self.likelihood.entry_log_probs(self.outputs(x, known, context), x)
        return -entries.masked_fill(known, 0).flatten(1).sum(dim=1)

    def _loss(self, x: Tensor, context: Tensor | None, rng: torch.Generator | None) -> Tensor:
        known = drawn_masks(len(x), self.num_entries, x.device, rng)
        weights = self.num_entries / (~known).sum(dim=1)
        return weights * self.masked_loss(x, known.view(x.shape), context)

    def _log_prob_bound(
        self, x: Tensor, context: Tensor | None, rng: torch.Generator | None
    ) -> Tensor:
        return -self._loss(x, context, rng)

    # ---- filling in -----------------------------------------------------------------------------

    def expected(
        self,
        x: Shaped[Tensor, "batch ..."],
        known: Bool[Tensor, "entries ..."],
        context: Float[Tensor, "batch ..."] | None = None,
    ) -> Float[Tensor, "batch ..."]:
        """(B, *event) events with the expected entries, given the known ones, where not known.

        Args:
            x: (B, *event) events; what they are where they are not known makes no difference.
            known: Which entries are known: (B, *event), or (*event) for all events alike.
            context: (B, *context), if the generator takes one.

        Raises:
            ValueError: A shape does not fit.
        """
        spread = self._spread(known, x, context)
        means = self.likelihood.mean(self.outputs(x, spread, context))
        return torch.where(spread, x.to(means.dtype), means)

    def complete(
        self,
        x: Shaped[Tensor, "batch ..."],
        known: Bool[Tensor, "entries ..."],
        context: Float[Tensor, "batch ..."] | None = None,
        *,
        temperature: float = 1.0,
        rng: torch.Generator | None = None,
    ) -> Shaped[Tensor, "batch ..."]:
        """(B, *event) events with drawn entries where they are not known.

        Entries are drawn in a random order, each given the known ones and those drawn before.

        Args:
            x: (B, *event) events; what they are where they are not known makes no difference.
            known: Which entries are known: (B, *event), or (*event) for all events alike.
            context: (B, *context), if the generator takes one.
            temperature: As of ``sample``.
            rng: Of the order and the entries.

        Raises:
            TypeError: What is known is marked by other than bools.
            ValueError: A shape or a dtype does not fit, a known entry is outside the support, or
                the temperature is out of range.

        Warns:
            UserWarning: As ``sample``.
        """
        self._warn_in_training_mode()
        self._check_temperature(temperature)
        spread = self._spread(known, x, context)
        with torch.no_grad():
            return self._filled(x, spread, context, temperature, rng)

    def _filled(
        self,
        x: Tensor,
        known: Tensor,
        context: Tensor | None,
        temperature: float,
        rng: torch.Generator | None,
    ) -> Tensor:
        shape, together = x.shape, self.config.drawn_together
        x, known = x.flatten(1).clone(), known.flatten(1).clone()
        # known entries come last in the order; where rows differ some are met, and left alone
        keys = torch.rand(x.shape, generator=rng, device=x.device) + 2 * known
        order = keys.argsort(dim=1)
        num_left = int((~known).sum(dim=1).max())
        for start in range(0, num_left, together):
            which = order[:, start : start + together]
            outputs = self.outputs(x.view(shape), known.view(shape), context).flatten(1, -2)
            own = outputs.gather(1, which.unsqueeze(-1).expand(-1, -1, outputs.shape[-1]))
            drawn = self.likelihood.sample(own, temperature, rng).to(x.dtype)
            kept = torch.where(known.gather(1, which), x.gather(1, which), drawn)
            x.scatter_(1, which, kept)
            known.scatter_(1, which, True)
        return x.view(shape)

    def _sample(
        self,
        num: int,
        context: Tensor | None,
        temperature: float,
        rng: torch.Generator | None,
    ) -> Tensor:
        example = next(self.encoder.parameters())
        dtype = torch.int64 if self.likelihood.support.is_discrete else example.dtype
        if self.config.decoder == "bernoulli":
            dtype = example.dtype
        x = torch.zeros((num, *self.event_shape), dtype=dtype, device=example.device)
        nothing = torch.zeros(x.shape, dtype=torch.bool, device=x.device)
        return self._filled(x, nothing, context, temperature, rng)

    def _spread(self, known: Tensor, x: Tensor, context: Tensor | None) -> Tensor:
        """(B, *event) which entries are known."""
        self._check_shapes(x, context)
        spread = self._spread_known(known, x)
        self.check_events(x.masked_fill(~spread, 0), context)
        return spread
