r"""An environment whose observations are latents: any agent sees what an encoder sees.

.. math:: z_t = e(o_t),

with the encoder e of an autoencoder, a VQ-VAE or a flow. Train it first on what the environment
shows, with `fit_encoder`; an encoder that was not trained is the control (random features). To
encode frames where observations are numbers, let Gymnasium's ``AddRenderObservation`` show them
first.

References:
    D. Ha, J. Schmidhuber (2018), World models, arXiv:1803.10122 (a controller on the latents of a
        variational autoencoder).
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import VectorEnv, VectorObservationWrapper, VectorWrapper
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from ..generative.codec import Codec
from ..generative.generator import AbstractLatent
from ..generative.observation_encoder import ObservationEncoder

__all__ = ["LatentObservation", "LatentVectorObservation"]


class LatentObservation(
    gymnasium.ObservationWrapper[NDArray[Any], Any, Any], RecordConstructorArgs
):
    """One environment, seen through an encoder.

    Args:
        env: The environment: observations are vectors, pictures of bytes, or what else a `Codec`
            takes.
        autoencoder: Anything that encodes, as `ObservationEncoder` says; or an
            `ObservationEncoder`, which `fit_encoder` gives, with its codec.
        codec: From observations to its events; None as in `ObservationEncoder`.

    Attributes:
        encoder: Encoder and codec.

    Raises:
        TypeError: There is no environment, or the autoencoder does not encode.
        ValueError: It does not fit the observations.

    Example:
        >>> from gymagine.envs.encoder_fitting import fit_encoder
        >>> from gymagine.generative import Autoencoder
        >>> tiny = Autoencoder((4,), latent_size=2, hidden_sizes=(16,))
        >>> fitted = fit_encoder("CartPole-v1", tiny, 500, num_updates=100)
        >>> env = LatentObservation(gymnasium.make("CartPole-v1"), fitted.encoder)
        >>> observation, _ = env.reset(seed=0)
        >>> env.observation_space.shape, env.observation_space.contains(observation)
        ((2,), True)
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        autoencoder: AbstractLatent | ObservationEncoder,
        codec: Codec | None = None,
    ) -> None:
        if not isinstance(env, gymnasium.Env):
            raise TypeError(
                f"expected one environment, got {type(env).__name__}: LatentVectorObservation is "
                "for vectors of them"
            )
        # not copied: an environment that is made again from its spec sees through the same encoder
        RecordConstructorArgs.__init__(
            self, autoencoder=autoencoder, codec=codec, _disable_deepcopy=True
        )
        gymnasium.ObservationWrapper.__init__(self, env)
        self.encoder = _encoder(env.observation_space, autoencoder, codec)
        self.observation_space = self.encoder.latent_space

    def observation(self, observation: Any) -> NDArray[Any]:
        """(*latent) what the encoder makes of an observation."""
        return self.encoder.encode_one(observation)


class LatentVectorObservation(VectorObservationWrapper[Any, Any, Any, Any]):
    """A vector of environments, all seen through an encoder in one pass.

    Every autoreset mode is kept; final observations in infos are latents too.

    Args:
        env: The vector environment.
        autoencoder: As for `LatentObservation`.
        codec: Likewise.

    Attributes:
        encoder: Encoder and codec.

    Raises:
        TypeError: There is no vector environment, or the autoencoder does not encode.
        ValueError: It does not fit the observations.

    Example:
        >>> from gymagine.generative import VAE
        >>> envs = gymnasium.make_vec("CartPole-v1", num_envs=3, vectorization_mode="sync")
        >>> envs = LatentVectorObservation(envs, VAE((4,), latent_size=2).eval())
        >>> envs.reset(seed=0)[0].shape, envs.single_observation_space.shape
        ((3, 2), (2,))
    """

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        autoencoder: AbstractLatent | ObservationEncoder,
        codec: Codec | None = None,
    ) -> None:
        if not isinstance(env, VectorEnv):
            raise TypeError(f"expected a vector environment, got {type(env).__name__}")
        # VectorObservationWrapper's own refuses SAME_STEP, whose final observations it leaves be
        VectorWrapper.__init__(self, env)
        self.encoder = _encoder(env.single_observation_space, autoencoder, codec)
        self.single_observation_space = self.encoder.latent_space
        self.observation_space = batch_space(self.encoder.latent_space, self.num_envs)

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Take a step in each."""
        observations, rewards, terminated, truncated, infos = self.env.step(actions)
        if "final_obs" in infos:
            infos = {**infos, "final_obs": self._final(infos["final_obs"], infos)}
        return self.observations(observations), rewards, terminated, truncated, infos

    def observations(self, observations: Any) -> NDArray[Any]:
        """(B, *latent) what the encoder makes of a batch of observations."""
        return self.encoder.encode(observations)

    def _final(self, found: Any, infos: dict[str, Any]) -> NDArray[Any]:
        """(B,) objects: the latents of episodes that ended, None of the others."""
        final = np.full(self.num_envs, None, dtype=object)
        for copy in np.flatnonzero(infos.get("_final_obs", [own is not None for own in found])):
            final[copy] = self.encoder.encode_one(found[copy])
        return final


def _encoder(
    space: gymnasium.Space[Any],
    autoencoder: AbstractLatent | ObservationEncoder,
    codec: Codec | None,
) -> ObservationEncoder:
    if not isinstance(autoencoder, ObservationEncoder):
        return ObservationEncoder(space, autoencoder, codec)
    if codec is not None:
        raise ValueError("expected no codec beside that of the ObservationEncoder, got another")
    if autoencoder.codec.space != space:
        raise ValueError(
            f"expected an encoder of observations in {space}, got one of {autoencoder.codec.space}"
        )
    return autoencoder
