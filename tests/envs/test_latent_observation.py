"""Latent environments against the encoder on the plain ones, Gymnasium's checker, and learners."""

import gymnasium
import numpy as np
import pytest
import torch
from gymagine.agents import A2C, DQN, QLearning
from gymagine.envs.latent_observation import LatentObservation, LatentVectorObservation
from gymagine.generative import GAN, VAE, VQVAE, Autoencoder, RealNVP
from gymagine.generative.observation_encoder import ObservationEncoder
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv

pytestmark = [
    pytest.mark.usefixtures("without_shape_checks"),
    pytest.mark.filterwarnings("ignore:.*different from the unwrapped version"),
]

CARTPOLE = {
    "autoencoder": lambda: Autoencoder((4,), latent_size=2, hidden_sizes=(8,)),
    "vae": lambda: VAE((4,), latent_size=2, hidden_sizes=(8,)),
    "vq-vae": lambda: VQVAE((4,), num_codes=4, num_positions=2, hidden_sizes=(8,)),
    "flow": lambda: RealNVP((4,), num_couplings=2, hidden_sizes=(8,)),
}


class Pictures(gymnasium.Env):
    """A bright column that walks to the right."""

    observation_space = spaces.Box(0, 255, (8, 8, 1), np.uint8)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._column = 0
        return self._seen(), {}

    def step(self, action):
        self._column += 1
        return self._seen(), 1.0, self._column == 7, False, {}

    def _seen(self):
        shown = np.zeros((8, 8, 1), np.uint8)
        shown[:, self._column] = 255
        return shown


def made(name):
    torch.manual_seed(0)
    return CARTPOLE[name]().eval()


@pytest.mark.parametrize("name", CARTPOLE)
def test_gymnasium_accepts_it(name):
    env = LatentObservation(gymnasium.make("CartPole-v1"), made(name))
    expected = {
        "flow": spaces.Box(-np.inf, np.inf, (4,), np.float32),
        "vq-vae": spaces.MultiDiscrete([4, 4]),
    }.get(name, spaces.Box(-np.inf, np.inf, (2,), np.float32))
    assert env.observation_space == expected
    check_env(env, skip_render_check=True)


@pytest.mark.parametrize("family", [VAE, VQVAE])
def test_pictures(family):
    torch.manual_seed(0)
    env = LatentObservation(Pictures(), family((1, 8, 8), channels=(4,)).eval())
    check_env(env, skip_render_check=True)
    first, _ = env.reset()
    assert not np.array_equal(first, env.step(0)[0])


def test_steps_are_those_of_the_environment_but_for_what_is_seen():
    plain, encoder = gymnasium.make("CartPole-v1"), made("vae")
    env = LatentObservation(gymnasium.make("CartPole-v1"), encoder)
    seen = [(plain.reset(seed=3)[0], env.reset(seed=3)[0])]
    for action in (0, 1, 1, 0):
        real, latent = plain.step(action), env.step(action)
        assert real[1:4] == latent[1:4]
        seen.append((real[0], latent[0]))
    for observation, latent in seen:
        expected = encoder.encode(torch.from_numpy(observation)[None])[0].detach().numpy()
        np.testing.assert_allclose(latent, expected, rtol=1e-5)


def test_a_spec_makes_it_again_with_the_same_encoder():
    env = LatentObservation(gymnasium.make("CartPole-v1"), made("vae"))
    again = gymnasium.make(env.spec)
    assert np.array_equal(again.reset(seed=5)[0], env.reset(seed=5)[0])


@pytest.mark.parametrize("mode", AutoresetMode)
def test_vectors_show_what_single_environments_show(mode):
    def plain():
        makers = [Pictures] * 2
        return SyncVectorEnv(makers, autoreset_mode=mode)

    torch.manual_seed(0)
    encoder = ObservationEncoder(Pictures.observation_space, VAE((1, 8, 8), channels=(4,)).eval())
    real, latent = plain(), LatentVectorObservation(plain(), encoder)
    assert latent.metadata["autoreset_mode"] is mode
    shown = [(real.reset(seed=0)[0], latent.reset(seed=0)[0])]
    finals = 0
    for _ in range(10):
        one, other = real.step(np.zeros(2, int)), latent.step(np.zeros(2, int))
        shown.append((one[0], other[0]))
        assert np.array_equal(one[2], other[2])
        if "final_obs" in one[4]:
            finals += 1
            expected = encoder.encode(np.stack(one[4]["final_obs"]))
            np.testing.assert_allclose(np.stack(other[4]["final_obs"]), expected, rtol=1e-4)
        if mode is AutoresetMode.DISABLED and one[2].any():
            options = {"reset_mask": one[2]}
            shown.append((real.reset(options=options)[0], latent.reset(options=options)[0]))
    assert finals == (mode is AutoresetMode.SAME_STEP)
    for observations, latents in shown:
        np.testing.assert_allclose(latents, encoder.encode(observations), rtol=1e-4)
        assert latents in latent.observation_space


def test_deep_learners_and_tables_learn_on_it():
    env = LatentObservation(gymnasium.make("CartPole-v1"), made("vae"))
    agent = DQN(env, seed=0, learning_starts=50).learn(120)
    assert agent.num_timesteps == 120
    codes = LatentObservation(gymnasium.make("CartPole-v1"), made("vq-vae"))
    assert QLearning(codes, seed=0).learn(200).action_values.shape == (16, 2)
    makers = [lambda: gymnasium.make("CartPole-v1")] * 2
    envs = LatentVectorObservation(SyncVectorEnv(makers), made("flow"))
    assert A2C(envs, seed=0).learn(100).num_timesteps >= 100


def test_mistakes_are_named():
    env = gymnasium.make("CartPole-v1")
    with pytest.raises(TypeError, match="got a GAN, which does not encode"):
        LatentObservation(env, GAN((4,)))
    with pytest.raises(TypeError, match="LatentVectorObservation is for vectors"):
        LatentObservation(SyncVectorEnv([Pictures]), made("vae"))
    with pytest.raises(TypeError, match="expected a vector environment"):
        LatentVectorObservation(env, made("vae"))
    encoder = ObservationEncoder(env.observation_space, made("vae"))
    with pytest.raises(ValueError, match="expected an encoder of observations in"):
        LatentObservation(Pictures(), encoder)
    with pytest.raises(ValueError, match="no codec beside"):
        LatentObservation(env, encoder, encoder.codec)
