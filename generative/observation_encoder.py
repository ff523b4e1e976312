r"""An encoder of observations: trained on what an environment shows, kept with its codec.

What is lost is measured on episodes that were held out, as the share of variance that
reconstructions leave unexplained, beside two controls: principal components, of as many numbers as
a latent has, and the mean, which leaves 1. An encoder that does not beat the mean has learnt
nothing, and a warning says so. Exact latents, as those of flows, lose nothing.
"""

from __future__ import annotations

import copy
import os
import warnings
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from torch.distributions import constraints

from ..configuration import config_from_json, config_to_json
from ..space_json import space_from_json, space_to_json
from ..storage import read_arrays, write_arrays
from .arithmetic import acting_arithmetic
from .codec import Codec
from .data.dataset import Dataset, Events
from .data.environments import Transitions
from .family import AbstractFamily, family_named, name_of_family
from .generator import AbstractGenerator, AbstractLatent
from .module_state import module_arrays, restore_module
from .normalisers import NormaliserName
from .space_batches import rows_of
from .training import FitResult, fit
from .world_model_data import episode_starts, split_by_episodes

__all__ = ["EncoderFit", "ObservationEncoder", "codec_for", "train_encoder"]

_FORMAT = "gymagine-observation-encoder-1"
_FEW = 16  # observations that a second thread only hinders
_CHUNK = 512  # observations that are encoded at once when errors are measured


class ObservationEncoder:
    """Latents of observations.

    Args:
        space: Of the observations.
        autoencoder: Anything that encodes: a variational autoencoder (the posterior's mean), an
            autoencoder, a VQ-VAE (codes), a flow (its exact latents); without a context.
        codec: From observations to its events; None is a `Codec` of the space, which leaves
            numbers as they are and lays bytes where the autoencoder takes them, or from -1 to 1.

    Attributes:
        autoencoder: It, in evaluation mode.
        codec: The codec.
        latent_space: Box, or MultiDiscrete for codes.

    Raises:
        TypeError: The autoencoder does not encode.
        ValueError: It does not fit the observations.

    Example:
        >>> from gymagine.generative import VAE, VQVAE
        >>> box = spaces.Box(-1, 1, (4,))
        >>> encoder = ObservationEncoder(box, VAE((4,), latent_size=2).eval())
        >>> encoder.latent_space.shape, encoder.encode(np.zeros((5, 4), np.float32)).shape
        ((2,), (5, 2))
        >>> codes = VQVAE((4,), num_codes=8, num_positions=3).eval()
        >>> ObservationEncoder(box, codes).latent_space
        MultiDiscrete([8 8 8])
    """

    def __init__(
        self, space: spaces.Space[Any], autoencoder: AbstractLatent, codec: Codec | None = None
    ) -> None:
        self._model = _checked_model(autoencoder)
        self.autoencoder: AbstractLatent = autoencoder
        self.codec = codec_for(space, self._model) if codec is None else codec
        if self.codec.space != space:
            raise ValueError(f"expected a codec of {space}, got one of {self.codec.space}")
        if self.codec.event_shape != self._model.event_shape:
            raise ValueError(
                f"expected an encoder of events of shape {self.codec.event_shape}, as observations"
                f" in {space} are encoded, got a {type(autoencoder).__name__} of "
                f"{self._model.event_shape}"
            )
        self.latent_space = self._latent_space()

    def encode(self, batch: Any) -> NDArray[Any]:
        """(B, *latent) latents of a batch of observations, in the space's dtype.

        Args:
            batch: (B, ...) an array or, as the space has it, a dict or tuple of arrays.
        """
        found: NDArray[Any] = self._latents(self.codec.encode(batch)).cpu().numpy()
        return found.astype(self.latent_space.dtype, copy=False)

    def encode_one(self, observation: Any) -> NDArray[Any]:
        """(*latent) of one observation."""
        x = self.codec.encode_one(observation).unsqueeze(0)
        found: NDArray[Any] = self._latents(x)[0].cpu().numpy()
        return found.astype(self.latent_space.dtype, copy=False)

    def decode(self, latents: NDArray[Any]) -> Any:
        """A batch of observations that (B, *latent) latents stand for, as the space has them."""
        z = torch.as_tensor(latents, device=self._model.example.device)
        if z.is_floating_point():
            z = z.to(self._model.example.dtype)
        with torch.no_grad():
            return self.codec.decode(self.autoencoder.decode(z).to(torch.get_default_dtype()))

    def reconstruct(self, x: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """(B, *event) what latents tell of (B, *event) events."""
        with torch.no_grad():
            own = x.to(self._model.example)
            return self.autoencoder.decode(self.autoencoder.encode(own)).to(x)

    def _latents(self, x: Tensor) -> Tensor:
        threads = 1 if len(x) <= _FEW else None
        with torch.no_grad(), acting_arithmetic(threads):
            return self.autoencoder.encode(x.to(self._model.example))

    def _latent_space(self) -> spaces.Box | spaces.MultiDiscrete:
        space = self.codec.space
        own = copy.deepcopy(space)  # the environment's goes on as it was
        own.seed(0)
        x = self.codec.encode_one(own.sample()).unsqueeze(0)
        try:
            self._model.check_events(x.to(self._model.example))
        except ValueError as error:
            raise ValueError(
                f"expected an encoder of observations in {space}, got a "
                f"{type(self._model).__name__}: {error}"
            ) from error
        z = self._latents(x)
        shape = tuple(z.shape[1:])
        if z.is_floating_point():
            return spaces.Box(-np.inf, np.inf, shape, np.float32)
        num_codes = getattr(getattr(self._model, "config", None), "num_codes", None)
        if num_codes is None:
            raise ValueError(
                f"expected a {type(self._model).__name__} of whole numbers to say how many there "
                "are, as config.num_codes"
            )
        return spaces.MultiDiscrete(np.full(shape, num_codes))

    # ---- files ----------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write codec and autoencoder to one file, whole or not at all.

        Raises:
            TypeError: The autoencoder is not of a family, so that a file could not say what it is.
        """
        if not isinstance(self._model, AbstractFamily):
            raise TypeError(
                f"expected an autoencoder of a family to save, got a {type(self._model).__name__}"
            )
        codec = self.codec
        header = {
            "format": _FORMAT,
            "space": space_to_json(codec.space),
            "ends": [codec._low, codec._high],
            "channels": "last" if codec._channels_last else "first",
            "family": name_of_family(type(self._model)),
            "event_shape": list(self._model.event_shape),
            "config": config_to_json(self._model.config),
        }
        parts = (("codec", codec), ("autoencoder", self._model))
        arrays = {
            f"{title}.{name}": array
            for title, part in parts
            for name, array in module_arrays(part).items()
        }
        write_arrays(path, arrays, header)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], family: type[AbstractFamily] | None = None
    ) -> Self:
        """Read what `save` wrote.

        Args:
            path: The file.
            family: The autoencoder's class, where it is not one of this package.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is damaged, foreign, or of another family.
        """
        arrays, header = read_arrays(path, expected_format=_FORMAT)
        own_family = family or family_named(header["family"], path)
        if header["family"] != name_of_family(own_family):
            raise ValueError(
                f"expected an encoder of {name_of_family(own_family)}, got {path} of "
                f"{header['family']}"
            )
        family = own_family
        config = config_from_json(family.Config, header["config"])
        make: Any = family
        model = make(header["event_shape"], **{k: getattr(config, k) for k in header["config"]})
        (low, high), space = header["ends"], space_from_json(header["space"])
        codec = Codec(space, low=low, high=high, channels=header["channels"])
        for title, part in (("codec", codec), ("autoencoder", model)):
            start = f"{title}."
            own = {k[len(start) :]: v for k, v in arrays.items() if k.startswith(start)}
            restore_module(part, own)
        return cls(codec.space, model.eval(), codec)


@dataclass(frozen=True)
class EncoderFit:
    """What came of training an encoder.

    Errors are shares of the variance of held-out observations that are left unexplained.

    Attributes:
        encoder: It, with the codec that it was trained with.
        training: How it went.
        error: Of reconstructions; the mean of what was learnt from leaves 1, about.
        mean_error: Of that mean.
        linear_error: Of principal components, as many as a latent has numbers.
        num_frames: Observations learnt from.
    """

    encoder: ObservationEncoder
    training: FitResult
    error: float
    mean_error: float
    linear_error: float
    num_frames: int


def train_encoder(
    autoencoder: AbstractLatent,
    space: spaces.Space[Any],
    data: Transitions,
    *,
    codec: Codec | None = None,
    normaliser: NormaliserName = "z-score",
    held_out: float = 0.1,
    seed: int = 0,
    progress_bar: bool = False,
    **settings: Any,
) -> EncoderFit:
    """Train an autoencoder on the observations of steps, in place.

    Args:
        autoencoder: As for `ObservationEncoder`.
        space: Of the observations.
        data: Steps, in the order in which they were taken.
        codec: As for `ObservationEncoder`; None is fitted to the data.
        normaliser: Of that one, for numbers that are no bytes.
        held_out: Share of the observations in episodes that are held out, in (0, 1).
        seed: Of what is held out, and of training.
        progress_bar: Show one.
        settings: Of `fit`.

    Raises:
        TypeError: The autoencoder does not encode, or a setting is unknown.
        ValueError: It does not fit the observations, or a setting is out of range.

    Warns:
        UserWarning: Reconstructions are no better than the mean.
    """
    model = _checked_model(autoencoder)
    train, rest = split_by_episodes(episode_starts(data), held_out, seed)
    if codec is None:
        codec = codec_for(space, model)
        scaled = Codec.fitted(space, rows_of(data.observation, train), normaliser)
        codec.normaliser.load_state_dict(scaled.normaliser.state_dict())
    x = codec.encode(data.observation).to(model.example)
    encoder = ObservationEncoder(space, autoencoder, codec)
    events = Dataset(Events(x[train]), Events(x[rest]))
    training = fit(model, events, seed=seed, progress_bar=progress_bar, **settings)
    error, mean_error, linear_error = _errors(encoder, x[train], x[rest])
    if not error < mean_error:
        warnings.warn(
            f"the encoder leaves {error:.3g} of the variance of held-out observations unexplained,"
            f" no less than the mean does, {mean_error:.3g}: more than {len(train)} frames or "
            "more updates are needed",
            stacklevel=2,
        )
    return EncoderFit(encoder, training, error, mean_error, linear_error, len(train))


def codec_for(space: spaces.Space[Any], generator: AbstractGenerator) -> Codec:
    """A codec that lays bytes where a generator takes them.

    Args:
        space: Of observations.
        generator: Of their events.

    Example:
        >>> from gymagine.generative import VAE
        >>> grey = spaces.Box(0, 255, (8, 8, 1), np.uint8)
        >>> codec = codec_for(grey, VAE((1, 8, 8), decoder="bernoulli"))
        >>> codec.encode(np.zeros((1, 8, 8, 1), np.uint8)).min()
        tensor(0.)
    """
    low, high = _ends(generator)
    return Codec(space, low=low, high=high)


def _ends(generator: AbstractGenerator) -> tuple[float, float]:
    """Between which numbers a generator's events lie; -1 and 1 where that is not said."""
    support = generator.support
    if isinstance(support, type(constraints.boolean)):
        return 0.0, 1.0
    if support.is_discrete:
        return -1.0, 1.0
    low, high = (getattr(support, f"{end}_bound", None) for end in ("lower", "upper"))
    return (-1.0, 1.0) if low is None or high is None else (float(low), float(high))


def _checked_model(autoencoder: AbstractLatent) -> AbstractGenerator:
    if not isinstance(autoencoder, AbstractLatent):
        raise TypeError(
            f"expected a generator with an encoder (AbstractLatent), got a "
            f"{type(autoencoder).__name__}, which does not encode: autoencoders and flows do"
        )
    if not isinstance(autoencoder, AbstractGenerator):
        raise TypeError(f"expected a generator, got {type(autoencoder).__name__}")
    if autoencoder.context_shape is not None:
        raise ValueError(
            f"expected an encoder without a context, got a {type(autoencoder).__name__} with one "
            f"of shape {autoencoder.context_shape}"
        )
    return autoencoder


def _errors(
    encoder: ObservationEncoder, train: Tensor, rest: Tensor
) -> tuple[float, float, float]:
    """Of reconstructions, of the mean, and of principal components, by held-out variance."""
    rebuilt = torch.cat([encoder.reconstruct(rows) for rows in torch.split(rest, _CHUNK)])
    flat, held = train.flatten(1).double(), rest.flatten(1).double()
    mean = flat.mean(dim=0)
    num = int(np.prod(encoder.latent_space.shape))
    _, _, axes = torch.svd_lowrank(flat - mean, q=min(num, *flat.shape))
    linear = mean + (held - mean) @ axes @ axes.T
    total = (held - held.mean(dim=0)).square().sum().clamp(min=torch.finfo(held.dtype).tiny)
    error, mean_error, linear_error = (
        float((guess - held).square().sum() / total)
        for guess in (rebuilt.flatten(1).double(), mean, linear)
    )
    return error, mean_error, linear_error
