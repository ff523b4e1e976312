import gymnasium
import numpy as np
import pytest
import torch
from gymagine.envs.imagined import ImaginedEnv, ImaginedVectorEnv
from gymagine.generative import VAE, VQVAE, Autoencoder, ConditionalGaussian, RealNVP
from gymagine.generative.data.environments import transitions
from gymagine.generative.latent_world_model import LatentWorldModel
from gymagine.generative.observation_encoder import ObservationEncoder
from gymagine.generative.world_model_fitting import fit_scales, fit_world_model
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env

torch.set_num_threads(1)

SMALL = {"hidden_sizes": (16,)}


class Bar(gymnasium.Env):
    """A picture of 8 x 8 with a bright column; actions move it, and right of the last it ends."""

    observation_space = spaces.Box(0, 255, (8, 8, 1), np.uint8)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = int(self.np_random.integers(4))
        return picture(self.place), {}

    def step(self, action):
        self.place = max(0, self.place + (1 if action else -1))
        ended = self.place == 8
        return picture(min(self.place, 7)), float(ended), ended, False, {}


def picture(place):
    shown = np.zeros((8, 8, 1), np.uint8)
    shown[:, place] = 255
    return shown


def model_of(autoencoder=None, **more):
    autoencoder = autoencoder or Autoencoder((1, 8, 8), latent_size=4)
    encoder = ObservationEncoder(Bar.observation_space, autoencoder.eval())
    more = {"hyperparameters": SMALL, **more}
    return LatentWorldModel(encoder, Bar.action_space, ConditionalGaussian, **more).eval()


@pytest.fixture(scope="module")
def data():
    return transitions(Bar(), 300)


@pytest.mark.parametrize(
    "autoencoder",
    [Autoencoder((1, 8, 8), latent_size=3), VAE((1, 8, 8)), VQVAE((1, 8, 8))],
    ids=lambda each: each.name,
)
def test_imagined_pictures_are_those_of_their_latents(autoencoder, data):
    model = model_of(autoencoder, history=2)
    fit_scales(model, data)
    state = model.recall(data, np.arange(5))
    state, step = model.step(state, np.ones(5, int), rng=torch.Generator().manual_seed(0))
    assert step.observation.shape == (5, 8, 8, 1) and step.observation.dtype == np.uint8
    np.testing.assert_array_equal(model.observations(state), step.observation)
    expected = model.encoder.decode(model.inner.observations(state))
    np.testing.assert_array_equal(step.observation, expected)
    assert model.latents(state).shape == (5, model.num_latents)


def test_it_remembers_as_its_inner_model_would_of_latents(data):
    model = model_of(history=3)
    fit_scales(model, data)
    steps = np.array([0, 7, 100, 299])
    found = model.recall(data, steps)
    expected = model.inner.recall(model.latent_transitions(data), steps)
    for own, other in zip(found.arrays().values(), expected.arrays().values(), strict=True):
        np.testing.assert_allclose(own, other, atol=1e-5)  # batches of other sizes round otherwise


def test_functions_of_the_user_see_observations(data):
    seen = []

    def judge(before, actions, after):
        seen.append((before.shape, after.dtype))
        return actions == 1

    model = model_of(termination=judge, reward_function=lambda o, a, o2: o2.mean(axis=(1, 2, 3)))
    fit_scales(model, data)
    _, step = model.step(model.begin(data.observation[:3]), np.array([0, 1, 0]))
    assert seen == [((3, 8, 8, 1), np.dtype(np.uint8))]
    np.testing.assert_array_equal(step.terminated, [False, True, False])
    np.testing.assert_allclose(step.reward, step.observation.mean(axis=(1, 2, 3)))


@pytest.mark.parametrize("obs_mode", ["observation", "latent"])
def test_imagined_environments_of_pictures_pass_the_checker(obs_mode, data):
    import warnings

    model = model_of(history=2)
    fit_scales(model, data)
    env = ImaginedEnv(model, data, horizon=6, obs_mode=obs_mode)
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message=".*Box observation space.*|.*not have a `spec`.*"
        )
        check_env(env, skip_render_check=True)


@pytest.mark.slow
def test_a_moving_bar_is_learnt_and_dreamt_of(data):
    torch.manual_seed(0)
    model = model_of(hyperparameters={"hidden_sizes": (64, 64)})
    data = transitions(Bar(), 1_500)
    found = fit_world_model(
        model,
        data,
        encoder_settings={"num_updates": 500, "learning_rate": 3e-3},
        num_updates=800,
        learning_rate=3e-3,
        head_settings={"num_updates": 500, "learning_rate": 3e-3},
    )
    assert found.error < 0.3 * found.copying_error
    envs = ImaginedVectorEnv(model, data, 16, horizon=20, temperature=0.0)
    shown, _ = envs.reset(seed=0)
    places = shown.mean(axis=(1, 3)).argmax(axis=1)
    for _ in range(3):
        shown, *_ = envs.step(np.ones(16, int))
        places = np.minimum(places + 1, 7)
    own = shown.mean(axis=(1, 3))
    assert (own.argmax(axis=1) == places).mean() > 0.9
    assert np.median(own.max(axis=1)) > 180  # a bright column, the rest dark
    assert np.median(own) < 30


def test_files_bring_back_the_same_dream(tmp_path, data):
    model = model_of(VAE((1, 8, 8)), history=2, num_members=2)
    fit_scales(model, data)
    model.save(tmp_path / "model")
    loaded = LatentWorldModel.load(tmp_path / "model")
    actions = np.array([0, 1, 1])
    steps = [
        each.step(each.recall(data, np.arange(3)), actions, rng=torch.Generator().manual_seed(0))[
            1
        ]
        for each in (model, loaded)
    ]
    np.testing.assert_array_equal(steps[0].observation, steps[1].observation)
    np.testing.assert_array_equal(steps[0].reward, steps[1].reward)
    assert loaded.inner.history == 2 and len(loaded.inner.members) == 2


def test_an_encoder_is_trained_once_and_only_where_asked(data):
    quick = {"num_updates": 2, "head_settings": {"num_updates": 2}, "batch_size": 16}
    torch.manual_seed(0)
    model = model_of()
    before = {name: value.clone() for name, value in model.autoencoder.state_dict().items()}

    def changed():
        now = model.autoencoder.state_dict()
        return any(not now[name].equal(value) for name, value in before.items())

    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit_world_model(model, data, **quick)
        assert not changed()
        fit_world_model(model, data, encoder_settings={"num_updates": 2}, **quick)
        assert not changed()  # the inner model knows these latents by now
        model = model_of()
        before = {name: value.clone() for name, value in model.autoencoder.state_dict().items()}
        fit_world_model(model, data, encoder_settings={"num_updates": 2}, **quick)
        assert changed()


def test_families_that_do_not_encode_are_refused(without_shape_checks):
    with pytest.raises(TypeError, match="does not encode"):
        ObservationEncoder(Bar.observation_space, ConditionalGaussian((1, 8, 8)))
    flow = RealNVP((64,))
    with pytest.raises(ValueError, match="events of shape"):
        model_of(flow)
