"""An encoder of observations, trained on what an environment shows."""

from __future__ import annotations

from typing import Any

from ..generative.codec import Codec
from ..generative.data.environments import Predictor, transitions
from ..generative.generator import AbstractLatent
from ..generative.normalisers import NormaliserName
from ..generative.observation_encoder import EncoderFit, train_encoder
from .environments import EnvLike, make_env

__all__ = ["fit_encoder"]


def fit_encoder(
    env: EnvLike,
    autoencoder: AbstractLatent,
    num_frames: int = 10_000,
    *,
    policy: Predictor | None = None,
    codec: Codec | None = None,
    normaliser: NormaliserName = "z-score",
    held_out: float = 0.1,
    seed: int = 0,
    progress_bar: bool = False,
    **settings: Any,
) -> EncoderFit:
    """Train an autoencoder on an environment's own observations, in place.

    Args:
        env: An id, a spec or an environment, which is reset and left open.
        autoencoder: As for `ObservationEncoder`.
        num_frames: Steps whose observations are collected, those held out included.
        policy: Acts meanwhile; None draws actions.
        codec: As for `ObservationEncoder`; None is fitted to what is collected.
        normaliser: Of that one, for numbers that are no bytes.
        held_out: Share of the observations in episodes that are held out, in (0, 1).
        seed: Of actions, of what is held out, and of training.
        progress_bar: Show one.
        settings: Of `fit`.

    Raises:
        TypeError: The autoencoder does not encode, or a setting is unknown.
        ValueError: It does not fit the observations, or a setting is out of range.

    Warns:
        UserWarning: Reconstructions are no better than the mean.

    Example:
        >>> from gymagine.generative import Autoencoder
        >>> tiny = Autoencoder((4,), latent_size=2, hidden_sizes=(16,))
        >>> fitted = fit_encoder("CartPole-v1", tiny, 1_000, num_updates=300)
        >>> fitted.error < 0.5 < fitted.mean_error
        True
    """
    made = make_env(env)
    data = transitions(made, num_frames, policy, seed=seed)
    return train_encoder(
        autoencoder,
        made.observation_space,
        data,
        codec=codec,
        normaliser=normaliser,
        held_out=held_out,
        seed=seed,
        progress_bar=progress_bar,
        **settings,
    )
