"""Latents against the encoders, errors against algebra, files against what was saved."""

import gymnasium
import numpy as np
import pytest
import torch
from gymagine.agents import RandomPolicy
from gymagine.envs.encoder_fitting import fit_encoder
from gymagine.generative import GAN, MADE, VAE, VQVAE, Autoencoder, Codec, RealNVP
from gymagine.generative.observation_encoder import ObservationEncoder, codec_for
from gymnasium import spaces

BOX = spaces.Box(-1, 1, (3,), np.float32)
GREY = spaces.Box(0, 255, (8, 8, 1), np.uint8)


class Plane(gymnasium.Env):
    """Three numbers that lie in a plane about (1, 2, 3), and a fourth that is noise."""

    observation_space = spaces.Box(-np.inf, np.inf, (4,), np.float64)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._seen(), {}

    def step(self, action):
        return self._seen(), 0.0, bool(self.np_random.random() < 0.05), False, {}

    def _seen(self):
        a, b, noise = self.np_random.standard_normal(3)
        return np.array([1 + a, 2 + b, 3 + a - b, 0.01 * noise])


@pytest.mark.slow
def test_the_errors_are_those_of_principal_components():
    """A linear autoencoder of two numbers finds the plane that principal components find."""
    torch.manual_seed(0)
    linear = Autoencoder((4,), latent_size=2, hidden_sizes=())
    settings = {"num_updates": 1_000, "learning_rate": 0.02, "step_sizes": "cosine"}
    fitted = fit_encoder(Plane(), linear, 1_000, normaliser="identity", **settings)
    assert fitted.linear_error < 1e-3
    assert fitted.error == pytest.approx(fitted.linear_error, abs=5e-3)
    assert fitted.mean_error == pytest.approx(1.0, abs=0.1)
    assert 850 < fitted.num_frames < 950


def test_an_exact_latent_loses_nothing():
    torch.manual_seed(0)
    flow = RealNVP((4,), num_couplings=2, hidden_sizes=(8,))
    fitted = fit_encoder(Plane(), flow, 200, num_updates=5)
    assert fitted.error < 1e-8
    assert fitted.encoder.latent_space.shape == (4,)


def test_what_learnt_nothing_is_warned_of():
    torch.manual_seed(0)
    model = VAE((4,), latent_size=1, hidden_sizes=(4,))
    with pytest.warns(UserWarning, match="unexplained, no less than the mean does"):
        fit_encoder(Plane(), model, 100, num_updates=1, learning_rate=1e-9)


def test_the_policy_decides_what_is_seen():
    calls = []

    class Counting(RandomPolicy):
        def predict(self, observation, **arguments):
            calls.append(observation)
            return super().predict(observation, **arguments)

    env = Plane()
    fit_encoder(env, RealNVP((4,), num_couplings=2), 50, policy=Counting(env), num_updates=1)
    assert len(calls) == 50


@pytest.mark.parametrize("decoder", ["bernoulli", "gaussian"])
def test_bytes_lie_where_the_decoder_has_its_events(decoder):
    model = VAE((1, 8, 8), decoder=decoder, latent_size=2, channels=(4,))
    codec = codec_for(GREY, model)
    low = float(codec.encode(np.zeros((1, 8, 8, 1), np.uint8)).min())
    assert low == (0.0 if decoder == "bernoulli" else -1.0)


def test_latents_are_those_of_the_encoder():
    torch.manual_seed(0)
    model = VAE((3,), latent_size=2, hidden_sizes=(8,)).eval()
    batch = np.random.default_rng(0).uniform(-1, 1, (5, 3)).astype(np.float32)
    encoder = ObservationEncoder(BOX, model)
    found = encoder.encode(batch)
    mean, _ = model.model.posterior(torch.from_numpy(batch), None)
    np.testing.assert_allclose(found, mean.detach().numpy(), rtol=1e-6)
    np.testing.assert_allclose(encoder.encode_one(batch[2]), found[2], rtol=1e-5)
    assert found.dtype == np.float32


@pytest.mark.parametrize("family", [VAE, VQVAE, RealNVP])
def test_files_hold_codec_and_autoencoder(family, tmp_path):
    torch.manual_seed(0)
    data = np.random.default_rng(0).normal(5, 2, (20, 3)).astype(np.float32)
    space = spaces.Box(-np.inf, np.inf, (3,), np.float32)
    codec = Codec.fitted(space, data, "z-score", low=0.0)
    encoder = ObservationEncoder(space, family((3,)).eval(), codec)
    encoder.save(tmp_path / "encoder")
    loaded = ObservationEncoder.load(tmp_path / "encoder")
    assert np.array_equal(loaded.encode(data), encoder.encode(data))
    assert loaded.latent_space == encoder.latent_space
    with pytest.raises(ValueError, match=r"expected an encoder of .*:Autoencoder, got .*:"):
        ObservationEncoder.load(tmp_path / "encoder", Autoencoder)


def test_mistakes_are_named(without_shape_checks):
    for family in (GAN, MADE):
        with pytest.raises(TypeError, match=f"got a {family.__name__}, which does not encode"):
            ObservationEncoder(BOX, family((3,)))
    with pytest.raises(ValueError, match=r"events of shape \(3,\).* got a VAE of \(4,\)"):
        ObservationEncoder(BOX, VAE((4,)))
    with pytest.raises(ValueError, match="without a context"):
        ObservationEncoder(BOX, VAE((3,), context_shape=(1,)))
    with pytest.raises(ValueError, match="expected an encoder of observations in Box"):
        ObservationEncoder(BOX, VAE((3,), decoder="bernoulli"))
    with pytest.raises(ValueError, match="expected a codec of"):
        ObservationEncoder(BOX, VAE((3,)), Codec(spaces.Discrete(3)))
