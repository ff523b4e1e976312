r"""The vector-quantised autoencoder: a grid of codes stands for an event, and a prior for grids.

An encoder gives a vector for each of n places, the nearest codes of a `codebook` replace them, and
a decoder reads the result. Training minimises

.. math:: \ell(x) = -\log p(x \mid z_q)
    + \beta \sum_{i=1}^n \| z_i - \operatorname{sg}[e_{k(z_i)}] \|^2 ,

in nats and summed, where the second term keeps the encoder near its codes; the codes themselves
follow the encoder after every update. Gradients pass the codes as if they were the encoder's
vectors. Once that is done, a distribution P of grids, autoregressive, is fitted to the codes of
the data (`fit_prior`). An event has the probability

.. math:: p(x) = \sum_k P(k)\, p(x \mid k) \ge P(k(x))\, p(x \mid k(x)),

the right side of which is computed exactly, and is a bound from the first: an unfitted prior is a
bad distribution, but a distribution.

References:
    A. van den Oord, O. Vinyals, K. Kavukcuoglu (2017), Neural discrete representation learning,
        arXiv:1711.00937, equations 1 to 3, sections 3.3 and 4 and appendix A.1.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from ...configuration import build_config, check_fields
from ..autoregressive.gated_pixelcnn import GatedPixelCNN
from ..autoregressive.made import MADE
from ..data.dataset import Dataset, Events
from ..decoders import decoder_named
from ..family import AbstractFamily
from ..generator import AbstractBound, AbstractDensity, AbstractLatent, AbstractMeanSampler
from ..trainable import AbstractAdjusted, AbstractInitialised, AbstractTwoStage
from ..training import FitResult, fit
from .codebook import Codebook, straight_through
from .coder_config import CODER_CHOICES, CODER_RANGES, AbstractDecoderConfig
from .grid_coders import GridDecoder, GridEncoder, grid_shape

__all__ = ["VQVAE", "VQVAEConfig", "fit_prior"]

_ENCODED_TOGETHER = 500

_RANGES = CODER_RANGES | {
    "num_codes": (2, math.inf, True),
    "code_size": (1, math.inf, True),
    "num_positions": (1, math.inf, True),
    "commitment": (0.0, math.inf, True),
    "codebook_decay": (0.0, 1.0, True),
    "dead_share": (0.0, 1.0, True),
    "prior_hidden_sizes": (1, math.inf, True),
    "prior_features": (1, math.inf, True),
    "prior_layers": (1, math.inf, True),
}
_CHOICES = CODER_CHOICES


@dataclass(frozen=True)
class VQVAEConfig(AbstractDecoderConfig):
    """Hyper-parameters of `VQVAE`; the paper has 512 codes of 64 numbers.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    num_codes: int = 64
    """K, codes in the book."""
    code_size: int = 16
    """d, numbers of a code."""
    num_positions: int = 8
    """Codes of an event, where the network is dense; convolutions give as many as the picture has
    places after all halvings."""
    commitment: float = 0.25
    """Beta, weight of the encoder's distance from its codes."""
    codebook_decay: float = 0.99
    """Gamma, of the codes' running means."""
    dead_share: float = 0.03
    """Codes that are used less than this share of the mean use are put elsewhere; 0 keeps them."""
    prior_hidden_sizes: tuple[int, ...] = (256,)
    """Units of the hidden layers of the prior of a row of codes, a MADE."""
    prior_features: int = 32
    """Of the prior of a map of codes, a gated PixelCNN."""
    prior_layers: int = 6
    """Of the latter."""

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, _CHOICES)


class VQVAE(
    AbstractFamily,
    AbstractBound,
    AbstractMeanSampler,
    AbstractLatent,
    AbstractInitialised,
    AbstractAdjusted,
    AbstractTwoStage,
):
    """Vector-quantised variational autoencoder (van den Oord et al. 2017).

    Latents are codes, integers from 0 to K - 1: a map (1, h, w) of them where convolutions make
    them of a picture, else a row (n,). Train with `fit`, then call `fit_prior`: samples are
    decoded draws of the prior, and with an untrained one sampling warns. The temperature scales
    both, the prior's conditionals and the decoder's noise.

    Args:
        event_shape: Vectors (D,), pictures (C, H, W) or others, which are flattened.
        context_shape: Of a context that encoder, decoder and prior are given, or None.
        hyperparameters: Fields of `VQVAEConfig`.

    Attributes:
        codebook: The codes.
        prior: A density of grids of codes; its parameters learn in `fit_prior` only.
        prior_updates: () how many updates it was trained for.

    Raises:
        TypeError: A hyper-parameter is unknown.
        ValueError: A hyper-parameter is out of range, or convolutions are asked for vectors.

    Example:
        >>> vq_vae = VQVAE((1, 28, 28), num_codes=32)
        >>> codes = vq_vae.encode(torch.zeros(5, 1, 28, 28))
        >>> codes.shape, codes.dtype, vq_vae.decode(codes).shape
        (torch.Size([5, 1, 7, 7]), torch.int64, torch.Size([5, 1, 28, 28]))
    """

    Config = VQVAEConfig
    name = "vq-vae"
    config: VQVAEConfig
    prior_updates: Tensor

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        context_shape: Sequence[int] | None = None,
        **hyperparameters: Any,
    ) -> None:
        config = build_config(VQVAEConfig, hyperparameters, type(self).__name__)
        likelihood = decoder_named(config.decoder, config.num_levels)
        super().__init__(
            event_shape, context_shape=context_shape, support=likelihood.support, config=config
        )
        coders = config.coders
        context, size = self.context_shape, config.code_size
        grid = grid_shape(self.event_shape, coders, config.num_positions)
        self.latent_shape = grid if len(grid) == 1 else (1, *grid)
        self.likelihood = likelihood
        self.encoder = GridEncoder(self.event_shape, grid, size, coders, context_shape=context)
        self.codebook = Codebook(
            config.num_codes, size, decay=config.codebook_decay, dead_share=config.dead_share
        )
        self.decoder = GridDecoder(
            grid, size, self.event_shape, likelihood.num_outputs, coders, context_shape=context
        )
        self.prior = _prior(self.latent_shape, context, config).requires_grad_(False)
        self.register_buffer("prior_updates", torch.zeros((), dtype=torch.int64))

    # ---- codes ----------------------------------------------------------------------------------

    def encode(
        self,
        x: Shaped[Tensor, "batch ..."],
        context: Float[Tensor, "batch ..."] | None = None,
        *,
        rng: torch.Generator | None = None,
    ) -> Int64[Tensor, "batch ..."]:
        """(B, *latent) codes; nothing is drawn."""
        self.check_events(x, context)  # NaN would become a code like any other
        z = self._vectors(x, context)
        codes: Tensor = self.codebook(z.flatten(0, 1))
        return codes.view(len(x), *self.latent_shape)

    def decode(
        self,
        z: Int64[Tensor, "batch ..."],
        context: Float[Tensor, "batch ..."] | None = None,
    ) -> Shaped[Tensor, "batch ..."]:
        """(B, *event) the most probable events of (B, *latent) codes."""
        return self.likelihood.mode(self._decoded(z, context))

    def decode_mean(
        self,
        z: Int64[Tensor, "batch ..."],
        context: Float[Tensor, "batch ..."] | None = None,
    ) -> Float[Tensor, "batch ..."]:
        """(B, *event) the expected events of (B, *latent) codes."""
        return self.likelihood.mean(self._decoded(z, context))

    def _vectors(self, x: Tensor, context: Tensor | None) -> Tensor:
        """(B, n, d) the encoder's vectors."""
        scaled = self.likelihood.scaled(x, self.codebook.codes.dtype)
        z: Tensor = self.encoder(scaled, context)
        return z

    def _decoded(self, codes: Tensor, context: Tensor | None) -> Tensor:
        if tuple(codes.shape[1:]) != self.latent_shape:
            raise ValueError(
                f"expected codes of shape {('B', *self.latent_shape)}, got {tuple(codes.shape)}"
            )
        self._check_context(context, len(codes))
        outputs: Tensor = self.decoder(self.codebook.codes[codes.flatten(1)], context)
        return outputs

    # ---- training -------------------------------------------------------------------------------

    def initialise(self, x: Tensor, context: Tensor | None) -> None:
        """Put the codes on vectors of the first batch."""
        with torch.no_grad():
            self.codebook.start_from(self._vectors(x, context).flatten(0, 1), None)

    def adjust(self, x: Tensor, context: Tensor | None, rng: torch.Generator | None) -> None:
        """Let the codes follow the vectors that the encoder now gives a batch."""
        with torch.no_grad():
            self.codebook.follow(self._vectors(x, context).flatten(0, 1), rng)

    def _loss(self, x: Tensor, context: Tensor | None, rng: torch.Generator | None) -> Tensor:
        z = self._vectors(x, context)
        codes = self.codebook.codes[self.codebook(z.detach().flatten(0, 1))].view_as(z)
        outputs = self.decoder(straight_through(z, codes), context)
        distance = ((z - codes) ** 2).flatten(1).sum(dim=1)
        return self.config.commitment * distance - self.likelihood.log_prob(outputs, x)

    # ---- distribution ---------------------------------------------------------------------------

    def _log_prob_bound(
        self, x: Tensor, context: Tensor | None, rng: torch.Generator | None
    ) -> Tensor:
        codes = self.encode(x, context)
        given_codes = self.likelihood.log_prob(self._decoded(codes, context), x)
        return given_codes + self.prior.log_prob(codes, context)

    def fit_second(self, data: Dataset, *, seed: int, **arguments: Any) -> FitResult:
        """Fit the prior (see `fit_prior`)."""
        return fit_prior(self, data, seed=seed, **arguments)

    def _sample(
        self,
        num: int,
        context: Tensor | None,
        temperature: float,
        rng: torch.Generator | None,
    ) -> Tensor:
        codes = self._drawn(num, context, temperature, rng)
        return self.likelihood.sample(self._decoded(codes, context), temperature, rng)

    def _sample_means(
        self,
        num: int,
        context: Tensor | None,
        temperature: float,
        rng: torch.Generator | None,
    ) -> Tensor:
        codes = self._drawn(num, context, temperature, rng)
        return self.likelihood.mean(self._decoded(codes, context))

    def _drawn(
        self,
        num: int,
        context: Tensor | None,
        temperature: float,
        rng: torch.Generator | None,
    ) -> Tensor:
        """(num, *latent) codes of the prior."""
        if not self.prior_updates:
            warnings.warn(
                "this VQVAE's prior was not trained: call fit_prior after fit", stacklevel=5
            )
        if context is None:
            codes = self.prior.sample(num, temperature=temperature, rng=rng)
        else:
            drawn = self.prior.sample(1, context, temperature=temperature, rng=rng)
            codes = drawn.squeeze(0)
        return codes


def fit_prior(
    vq_vae: VQVAE, data: Dataset | Tensor, *, seed: int = 0, **arguments: Any
) -> FitResult:
    """Fit the prior of a trained model to the codes of its data; all else stays as it is.

    Args:
        vq_vae: Its prior is trained in place.
        data: What it was trained on. Noise of its preparation is drawn once.
        seed: Of the batches and all noise.
        arguments: Of `fit`: settings, a watcher, a checkpoint.

    Returns:
        What came of it; losses are in nats per grid of codes.

    Raises:
        TypeError: A setting is unknown.
        ValueError: A setting is out of range, or events do not fit.

    Example:
        >>> vq_vae = VQVAE((4,), num_codes=8, num_positions=2)
        >>> x = torch.randn(100, 4, generator=torch.Generator().manual_seed(0))
        >>> fit_prior(vq_vae, x, num_updates=5).num_updates
        5
    """
    given = data if isinstance(data, Dataset) else Dataset(Events(data))
    held_out = None if given.held_out is None else _codes(vq_vae, given, given.held_out, seed)
    codes = Dataset(_codes(vq_vae, given, given.train, seed), held_out, name=given.name)
    vq_vae.prior.requires_grad_(True)
    try:
        result = fit(vq_vae.prior, codes, seed=seed, **arguments)
        vq_vae.prior_updates.fill_(result.num_updates)
        return result
    finally:
        vq_vae.prior.requires_grad_(False)


def _prior(
    shape: tuple[int, ...], context_shape: tuple[int, ...] | None, config: VQVAEConfig
) -> AbstractDensity:
    codes: dict[str, Any] = {
        "conditional": "categorical",
        "num_levels": config.num_codes,
        "one_hot": True,
    }
    if len(shape) == 1:
        hidden_sizes = config.prior_hidden_sizes
        return MADE(shape, context_shape=context_shape, hidden_sizes=hidden_sizes, **codes)
    return GatedPixelCNN(
        shape,
        context_shape=context_shape,
        num_features=config.prior_features,
        num_layers=config.prior_layers,
        **codes,
    )


def _codes(vq_vae: VQVAE, data: Dataset, events: Events, seed: int) -> Events:
    device = vq_vae.codebook.codes.device
    rng = torch.Generator(device=device).manual_seed(seed)
    found = []
    with torch.no_grad():
        for start in range(0, len(events), _ENCODED_TOGETHER):
            part = events.take(slice(start, start + _ENCODED_TOGETHER))
            x = data.prepared(part.x.to(device), rng)
            context = None if part.context is None else part.context.to(device)
            found.append(vq_vae.encode(x, context).cpu())
    return Events(torch.cat(found), events.context)
