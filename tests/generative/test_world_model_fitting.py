import dataclasses
import warnings

import gymnasium
import numpy as np
import pytest
import torch
from gymagine.generative.baselines.conditional_gaussian import ConditionalGaussian
from gymagine.generative.data.environments import Transitions, transitions
from gymagine.generative.flows.real_nvp import RealNVP
from gymagine.generative.world_model import WorldModel
from gymagine.generative.world_model_fitting import TargetNoise, fit_world_model
from gymnasium import spaces

torch.set_num_threads(1)

FAST = {"learning_rate": 3e-3, "step_sizes": "cosine", "batch_size": 128}


class Counter(gymnasium.Env):
    """Sees how many steps were taken; earns 10 o_t + a_t; ends when it sees 6."""

    observation_space = spaces.Box(0, 20, (1,), dtype=np.float32)
    action_space = spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 0
        return np.array([0], np.float32), {}

    def step(self, action):
        reward = 10.0 * self.count + action
        self.count += 1
        return np.array([self.count], np.float32), reward, self.count == 6, False, {}


class Line(gymnasium.Env):
    """o' = 0.8 o + 0.5 a + 0.1 times normal noise, in two coordinates; the reward is -o'_0."""

    observation_space = spaces.Box(-10, 10, (2,), dtype=np.float64)
    action_space = spaces.Box(-1, 1, (1,), dtype=np.float64)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.num = self.np_random.normal(size=2), 0
        return self.place, {}

    def step(self, action):
        self.place = 0.8 * self.place + 0.5 * action + 0.1 * self.np_random.normal(size=2)
        self.num += 1
        return self.place, float(-self.place[0]), False, self.num == 50, {}


def model_of(env, family=ConditionalGaussian, **more):
    more.setdefault("hyperparameters", {"hidden_sizes": (64, 64)})
    return WorldModel(env.observation_space, env.action_space, family, **more)


@pytest.mark.parametrize("history", [1, 2])
def test_observation_action_reward_and_end_stay_aligned(history):
    env = Counter()
    model = model_of(env, history=history)
    fit_world_model(
        model,
        transitions(env, 1_200),
        num_updates=600,
        head_settings={"num_updates": 400, **FAST},
        **FAST,
    )
    state = model.begin(np.zeros((3, 1), np.float32))
    for t in range(6):
        actions = np.array([0, 1, 2])
        state, step = model.step(state, actions, temperature=0.0, rng=torch.Generator())
        np.testing.assert_allclose(step.observation[:, 0], t + 1, atol=0.25)
        np.testing.assert_allclose(step.reward, 10 * t + actions, atol=0.8)
        assert (step.terminated == (t == 5)).all()


def test_what_never_varies_stays_so():
    env = Line()
    data = transitions(env, 200)
    constant = dataclasses.replace(data, reward=np.full(200, 0.1))
    model = model_of(env, termination="never")
    fit_world_model(model, constant, num_updates=2)
    assert model.varies.tolist() == [True, True, False]
    _, step = model.step(model.begin(data.observation), data.action)
    np.testing.assert_allclose(step.reward, 0.1, rtol=1e-6)
    counter = model_of(Counter(), termination="never")
    fit_world_model(counter, transitions(Counter(), 60), num_updates=2)
    assert counter.varies.tolist() == [False, True]  # it goes up by 1, but for rounding


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "hyperparameters", "knows_dependence"),
    [
        (ConditionalGaussian, {"hidden_sizes": (64, 64)}, False),
        (RealNVP, {"hidden_sizes": (64, 64), "num_couplings": 4}, True),
    ],
)
def test_a_linear_environment_is_learnt_with_its_noise(family, hyperparameters, knows_dependence):
    env = Line()
    model = model_of(env, family, hyperparameters=hyperparameters, termination="never")
    data = transitions(env, 6_000, seed=1)
    found = fit_world_model(model, data, num_updates=1_000, **FAST)
    # the best guess is off by the noise; the linear model is that guess, all but exactly
    assert found.linear_error < found.error < 1.15 * found.linear_error
    assert found.error < 0.7 * found.copying_error
    place = np.array([[0.5, -0.8]]).repeat(3_000, axis=0)  # deviations are 0.5
    action = np.full((3_000, 1), 0.5)
    _, step = model.step(model.begin(place), action, rng=torch.Generator().manual_seed(0))
    expected = 0.8 * place[0] + 0.25
    np.testing.assert_allclose(step.observation.mean(axis=0), expected, atol=0.05)
    np.testing.assert_allclose(step.observation.std(axis=0), 0.1, rtol=0.3)
    # given what was before, the reward hangs on the noise alone: independent entries miss that
    correlation = np.corrcoef(step.reward, -step.observation[:, 0])[0, 1]
    assert (correlation > 0.9) == knows_dependence


def noise(num):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(num, 2)).astype(np.float32)
    ends = np.zeros(num, dtype=bool)
    ends[9::10] = True
    return Transitions(x, rng.integers(0, 2, num), np.zeros(num), x, ends, np.zeros_like(ends))


def test_a_model_that_learnt_nothing_is_warned_of():
    space = spaces.Box(-9, 9, (2,), dtype=np.float32)
    model = WorldModel(space, spaces.Discrete(2), ConditionalGaussian, hyperparameters={})
    with pytest.warns(UserWarning, match="no better than that of copying the last observation"):
        found = fit_world_model(model, noise(60), num_updates=2)  # where nothing ever changes
    assert found.copying_error == 0
    assert not found.beats_copying


def test_scales_are_taken_once():
    env = Line()
    model = model_of(env, termination="never")
    data = transitions(env, 300, seed=0)
    fit_world_model(model, data, num_updates=1)
    scales = {name: value.clone() for name, value in model.state_dict().items() if "scale" in name}
    assert len(scales) == 3
    fit_world_model(model, transitions(env, 300, seed=1), num_updates=1)
    for name, value in scales.items():
        assert torch.equal(model.state_dict()[name], value)
    assert not model.training


def test_a_reward_that_comes_late_is_learnt():
    env = Line()
    data = transitions(env, 400)
    model = model_of(env, termination="never")
    fit_world_model(model, dataclasses.replace(data, reward=np.zeros(400)), num_updates=2)
    scale = model.targets.scale.clone()
    late = dataclasses.replace(data, reward=5.0 * (data.action[:, 0] > 0))
    fit_world_model(model, late, num_updates=400, **FAST)
    assert model.varies.all()
    assert model.targets.scale[:2].equal(scale[:2])
    place = np.zeros((2, 2))
    _, step = model.step(model.begin(place), np.array([[0.7], [-0.7]]), temperature=0.0)
    np.testing.assert_allclose(step.reward, [5, 0], atol=0.7)
    with pytest.raises(ValueError, match="NaN"):
        fit_world_model(model, dataclasses.replace(data, reward=data.reward * np.nan))


@pytest.mark.filterwarnings("ignore:the world model's error")
def test_copying_tells_the_mean_reward():
    env = Line()
    data = transitions(env, 200)
    found = [
        fit_world_model(
            model_of(env, termination="never"),
            dataclasses.replace(data, reward=data.reward + shift),
            num_updates=1,
        ).copying_error
        for shift in (0.0, 50.0)
    ]
    assert found[0] == pytest.approx(found[1], rel=1e-4)


def test_members_learn_apart():
    env = Line()
    model = model_of(env, num_members=2, termination="never")
    found = fit_world_model(model, transitions(env, 200), num_updates=3)
    assert len(found.members) == 2
    assert found.members[0].losses != found.members[1].losses
    assert found.head is found.end_loss is None


def test_the_same_seed_is_the_same_model():
    env = Line()
    both = []
    for _ in range(2):
        model = model_of(env, seed=4, termination="never")
        fit_world_model(model, transitions(env, 200), seed=4, num_updates=3)
        both.append(model.state_dict())
    assert all(torch.equal(both[0][name], both[1][name]) for name in both[0])


def test_noise_is_as_told():
    x = TargetNoise((0.0, 2.0))(torch.zeros(4_000, 2), torch.Generator().manual_seed(0))
    assert (x[:, 0] == 0).all()
    assert abs(float(x[:, 1].std()) - 2) < 0.1


def test_mistakes(without_shape_checks):
    env = Line()
    data = transitions(env, 20)
    with pytest.raises(TypeError, match="expected a WorldModel to fit"):
        fit_world_model(ConditionalGaussian((2,)), data)
    with pytest.raises(TypeError, match="expected Transitions to fit to"):
        fit_world_model(model_of(env), torch.zeros(3, 2))
    with pytest.raises(ValueError, match="leaves steps in both parts"):
        fit_world_model(model_of(env), data, held_out=0.0)
    with pytest.raises(ValueError, match="expected"):
        fit_world_model(model_of(Counter()), data)


@pytest.mark.filterwarnings("ignore:the world model's error")
def test_what_is_imagined_stays_near_the_data():
    """Of data in [2, 5] and rewards of 1 to 3 nothing beyond [-1, 8] and [-1, 5] is imagined."""
    numbers = np.random.default_rng(0)
    seen = numbers.permutation(np.linspace(2, 5, 400)).reshape(200, 2)
    no = np.zeros(200, dtype=bool)
    reward = numbers.permutation(np.linspace(1, 3, 200))
    after = numbers.permutation(seen)
    data = Transitions(seen, no.astype(np.int64), reward, after, no, no)
    space = spaces.Box(-np.inf, np.inf, (2,), dtype=np.float64)
    model = WorldModel(
        space,
        spaces.Discrete(2),
        ConditionalGaussian,
        hyperparameters={"hidden_sizes": (8,)},
        termination="never",
    )
    fit_world_model(model, data, num_updates=1, held_out=0.05)
    state = model.begin(np.full((500, 2), 3.5))
    rng = torch.Generator().manual_seed(0)
    _, step = model.step(state, np.zeros(500, int), temperature=1e6, rng=rng)
    wide = pytest.approx(8, abs=0.3), pytest.approx(-1, abs=0.3)
    assert (step.observation.max(), step.observation.min()) == wide
    assert step.reward.max() == pytest.approx(5, abs=0.2)
    assert step.reward.min() == pytest.approx(-1, abs=0.2)
    assert (step.num_clipped == 2).mean() > 0.9
    lowest = model.lowest.clone()
    fit_world_model(model, dataclasses.replace(data, reward=2 * reward), num_updates=1)
    assert model.lowest[:-1].equal(lowest[:-1])
    assert model.highest[-1] > 9


@pytest.mark.filterwarnings("ignore:the world model's error")
def test_second_stages_are_trained_too():
    from gymagine.generative.autoencoders.vq_vae import VQVAE

    model = model_of(Counter(), VQVAE, hyperparameters={}, termination="never")
    data = transitions(Counter(), 100)
    fit_world_model(model, data, num_updates=3, batch_size=16)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of a prior that was not trained, for one
        model.step(model.begin(data.observation[:4]), data.action[:4])
