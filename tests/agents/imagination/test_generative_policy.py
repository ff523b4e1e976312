"""Policies of chunks: alignment in play, memory, files, every family, learning by returns."""

import dataclasses
import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest
import torch
from gymagine.agents.imagination.generative_policy import GenerativePolicy
from gymagine.envs.two_ways import two_ways_expert
from gymagine.experiments.evaluation import evaluate
from gymagine.generative.adversarial.wgan_gp import WGANGP
from gymagine.generative.autoencoders.vae import VAE
from gymagine.generative.autoencoders.vq_vae import VQVAE
from gymagine.generative.autoregressive.made import MADE
from gymagine.generative.baselines.conditional_gaussian import ConditionalGaussian
from gymagine.generative.baselines.mixture_regression import MixtureRegression
from gymagine.generative.baselines.regression import Regression
from gymagine.generative.data.environments import Transitions, transitions
from gymagine.generative.diffusion.ddpm import DDPM
from gymagine.generative.diffusion.edm import EDM
from gymagine.generative.flows.flow_matching import FlowMatching
from gymagine.generative.flows.real_nvp import RealNVP
from gymnasium import spaces

torch.set_num_threads(1)

HORIZONS = {"observation_horizon": 2, "prediction_horizon": 4, "action_horizon": 2}
SMALL = {
    Regression: {"hidden_sizes": (16,)},
    ConditionalGaussian: {"hidden_sizes": (16,)},
    MixtureRegression: {"hidden_sizes": (16,)},
    VAE: {"decoder": "gaussian", "hidden_sizes": (16,), "latent_size": 2},
    VQVAE: {"decoder": "gaussian", "hidden_sizes": (16,), "num_codes": 4},
    MADE: {"conditional": "gaussian-mixture", "hidden_sizes": (16,)},
    RealNVP: {"num_couplings": 2, "hidden_sizes": (16,)},
    FlowMatching: {"hidden_sizes": (16,), "num_steps": 4},
    WGANGP: {"hidden_sizes": (16,)},
    DDPM: {"hidden_sizes": (16,), "num_steps": 8, "eta": 0.0},
    EDM: {"hidden_sizes": (16,), "sampling_steps": 3},
}


class Clock(gymnasium.Env):
    """Shows the step's number; the return is minus how far actions are from `TUNE`."""

    observation_space = spaces.Box(0, 20, (1,), np.float32)
    action_space = spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.now = 0
        return np.array([self.now], dtype=np.float32), {}

    def step(self, action):
        off = abs(float(action[0]) - TUNE[self.now])
        self.now += 1
        return np.array([self.now], dtype=np.float32), -off, self.now == len(TUNE), False, {}


TUNE = np.array([0.9, -0.8, 0.5, -0.9, 0.1, 0.9, -0.5, -0.9, 0.8, -0.2, 0.7, -0.7])


class Player:
    """Plays the tune."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return np.array([TUNE[int(observation[0])]], dtype=np.float32), None


def random_steps(space, num=60, length=10, observation_space=None):
    """Episodes of random values of spaces, all of which terminate."""
    seen = spaces.Box(-1, 1, (3,)) if observation_space is None else observation_space
    seen.seed(0), space.seed(0)
    ends = (np.arange(num) + 1) % length == 0
    observations = np.stack([seen.sample() for _ in range(num)])
    actions = np.stack([space.sample() for _ in range(num)])
    no = np.zeros(num, dtype=bool)
    return Transitions(observations, actions, np.zeros(num), observations, ends, no)


class Spaces(gymnasium.Env):
    """An environment that is its spaces."""

    def __init__(self, action_space, observation_space=None):
        self.action_space = action_space
        self.observation_space = observation_space or spaces.Box(-1, 1, (3,))


def made(env, family=Regression, **config):
    hyperparameters = SMALL[family] | config.pop("hyperparameters", {})
    given = HORIZONS | config
    return GenerativePolicy(env, generator=family, hyperparameters=hyperparameters, **given)


# ---- chunks in play -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def player():
    """A policy that has learnt the tune."""
    policy = made(Clock(), noise=0.0, hyperparameters={"hidden_sizes": (64, 64)})
    data = transitions(Clock(), 10 * len(TUNE), Player())
    policy.fit(data, num_updates=500, learning_rate=5e-3, step_sizes="cosine")
    return policy


@pytest.mark.parametrize("action_horizon, ensembling", [(1, None), (3, None), (4, 0.1)])
def test_each_action_is_played_at_its_own_step(player, action_horizon, ensembling):
    """The clock shows the time: a chunk that is one step late would miss every note."""
    player.config = dataclasses.replace(
        player.config, action_horizon=action_horizon, ensembling=ensembling
    )
    env, memory, played = Clock(), None, []
    observation, _ = env.reset()
    for step in range(len(TUNE)):
        action, memory = player.predict(observation, memory, np.array([step == 0]))
        played.append(float(action[0]))
        observation = env.step(action)[0]
    assert np.abs(np.array(played) - TUNE).max() < 0.4
    assert np.abs(np.array(played[1:]) - TUNE[:-1]).max() > 1


def test_chunks_are_asked_for_when_they_have_run_out():
    policy = made(Spaces(spaces.Box(-1, 1, (2,))), prediction_horizon=5, action_horizon=3)
    policy.fit(random_steps(policy.action_space), num_updates=2)
    seen = np.zeros((2, 3), np.float32)
    _, memory = policy.predict(seen)
    left = []
    for starts in ([0, 0], [0, 1], [0, 0], [0, 0]):
        _, memory = policy.predict(seen, memory, np.array(starts, dtype=bool))
        left.append(memory.queue.left.tolist())
    assert left == [[1, 1], [0, 2], [2, 1], [1, 0]]


def test_a_batch_is_its_rows_and_a_row_that_begins_anew_is_new():
    policy = made(Spaces(spaces.Box(-1, 1, (2,))))
    policy.fit(random_steps(policy.action_space), num_updates=5)
    rng = np.random.default_rng(0)
    steps = rng.standard_normal((5, 3, 3)).astype(np.float32)
    together, memory = [], None
    for time, seen in enumerate(steps):
        starts = np.array([False, time == 2, False])
        actions, memory = policy.predict(seen, memory, starts)
        together.append(actions)
    for row, first in ((0, 0), (1, 2), (2, 0)):
        memory = None
        for time in range(first, 5):
            action, memory = policy.predict(steps[time, row], memory)
            np.testing.assert_allclose(action, together[time][row], atol=1e-6)


# ---- every family, every space ------------------------------------------------------------------


@pytest.mark.parametrize("family", SMALL, ids=lambda family: family.name)
def test_every_family_plays(family, tmp_path):
    """Fit, predict within the space, save, load, and the same actions from there on."""
    env = Spaces(spaces.Box(np.array([-1, 0], np.float32), np.array([1, 5], np.float32)))
    policy = made(env, family)
    found = policy.fit(random_steps(env.action_space), num_updates=3, batch_size=8)
    assert found.num_windows + found.num_held_out == 60
    assert np.isfinite(found.errors.error) and found.training.num_updates == 3
    seen, memory = np.zeros((4, 3), np.float32), None
    for _ in range(3):
        actions, memory = policy.predict(seen, memory)
        assert all(env.action_space.contains(action) for action in actions)
    policy.save(tmp_path / "policy")
    loaded = GenerativePolicy.load(tmp_path / "policy")
    for deterministic in (True, False):
        one = policy.predict(seen, None, deterministic=deterministic)[0]
        other = loaded.predict(seen, None, deterministic=deterministic)[0]
        np.testing.assert_array_equal(one, other)
    loaded.save(tmp_path / "again")
    policy.save(tmp_path / "policy")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "policy").read_bytes()


LEVELS = {"conditional": "categorical", "num_levels": 11}


@pytest.mark.parametrize("family, extra", [(Regression, {}), (MADE, {}), (MADE, LEVELS)])
@pytest.mark.parametrize(
    "space",
    [
        spaces.Discrete(4, start=2),
        spaces.MultiDiscrete([3, 5]),
        spaces.MultiBinary(2),
        spaces.Box(-2, 2, (1,), np.float64),
        spaces.Dict(move=spaces.Box(-1, 1, (2,)), gear=spaces.Discrete(3)),
    ],
    ids=lambda space: type(space).__name__,
)
def test_every_space_is_played_in(space, family, extra):
    env = Spaces(space)
    data = random_steps(spaces.Discrete(2))
    space.seed(0)
    drawn = [space.sample() for _ in range(60)]
    is_dict = isinstance(space, spaces.Dict)
    actions = (
        {k: np.stack([d[k] for d in drawn]) for k in drawn[0]} if is_dict else np.stack(drawn)
    )
    data = Transitions(
        data.observation,
        actions,
        data.reward,
        data.next_observation,
        data.terminated,
        data.truncated,
    )
    policy = made(env, family, hyperparameters=extra)
    policy.fit(data, num_updates=2)
    action, memory = policy.predict(np.zeros(3, np.float32))
    assert space.contains(action)
    actions, _ = policy.predict(np.zeros((1, 3), np.float32), memory)
    if not is_dict:
        assert space.contains(space.dtype.type(actions[0]) if actions.ndim == 1 else actions[0])


def test_constant_levels_are_played_exactly():
    """What demonstrators always do in five places of a range: levels tell it without noise."""
    env = Spaces(spaces.Box(-2, 2, (1,)))
    data = random_steps(env.action_space)
    data.action[:] = 0.5
    data.action[::10], data.action[1::10] = -2, 2
    policy = made(env, MADE, hyperparameters={"conditional": "categorical", "num_levels": 9})
    policy.fit(data, num_updates=150, learning_rate=2e-2)
    actions, _ = policy.predict(np.repeat(data.observation[5:6], 20, axis=0))
    assert (actions == np.float32(0.5)).mean() > 0.9


def test_masked_actions_are_not_taken():
    env = Spaces(spaces.Discrete(3, start=5))
    policy = made(env)
    policy.fit(random_steps(env.action_space), num_updates=2)
    seen = np.zeros((2, 3), np.float32)
    actions, _ = policy.predict(seen, action_mask=np.array([[0, 1, 0], [0, 0, 1]], np.int8))
    assert actions.tolist() == [6, 7]
    other = made(Spaces(spaces.Box(-1, 1, (1,))))
    other.fit(random_steps(other.action_space), num_updates=2)
    with pytest.raises(ValueError, match="expected no action mask"):
        other.predict(np.zeros(3, np.float32), action_mask=np.array([1], np.int8))


def test_sequences_for_networks_over_time():
    policy = made(
        Spaces(spaces.Box(-1, 1, (2,))),
        DDPM,
        layout="sequence",
        hyperparameters={"network": "unet", "channels": 8},
    )
    policy.fit(random_steps(policy.action_space), num_updates=2)
    assert policy.generator.event_shape == (2, 4)
    assert policy.predict(np.zeros(3, np.float32))[0].shape == (2,)


def test_deterministic_leaves_out_the_noise_of_those_that_can():
    policy = made(Spaces(spaces.Box(-1, 1, (2,))), ConditionalGaussian)
    policy.fit(random_steps(policy.action_space), num_updates=2)
    seen = np.zeros((1, 3), np.float32)
    means = [policy.predict(seen)[0] for _ in range(2)]
    draws = [policy.predict(seen, deterministic=False)[0] for _ in range(2)]
    np.testing.assert_array_equal(*means)
    assert (draws[0] != draws[1]).any()


def test_sampler_steps_are_a_knob_of_acting(tmp_path):
    policy = made(Spaces(spaces.Box(-1, 1, (2,))), DDPM, sampler_steps=3)
    policy.fit(random_steps(policy.action_space), num_updates=2)
    assert policy.generator.config.sampling_steps == 3
    before = policy.predict(np.zeros(3, np.float32))[0]
    policy.use_sampler_steps(8)
    assert policy.config.sampler_steps == policy.generator.config.sampling_steps == 8
    assert (policy.predict(np.zeros(3, np.float32))[0] != before).any()
    policy.save(tmp_path / "policy")
    loaded = GenerativePolicy.load(tmp_path / "policy")
    assert loaded.config == policy.config and loaded.generator.config == policy.generator.config
    with pytest.raises(ValueError, match="expected sampling_steps in"):
        policy.use_sampler_steps(0)
    with pytest.raises(ValueError, match="expected a family that draws in steps"):
        made(Spaces(spaces.Box(-1, 1, (2,))), sampler_steps=3)


@pytest.mark.slow
def test_a_file_acts_the_same_in_another_process(tmp_path):
    policy = made(Spaces(spaces.Box(-1, 1, (2,))), DDPM, seed=3)
    policy.fit(random_steps(policy.action_space), num_updates=5)
    policy.save(tmp_path / "policy")
    code = (
        "import sys, numpy as np, torch; torch.set_num_threads(1)\n"
        "from gymagine.agents.imagination.generative_policy import GenerativePolicy\n"
        f"policy = GenerativePolicy.load({str(tmp_path / 'policy')!r})\n"
        "memory = None\n"
        "for i in range(4):\n"
        "    action, memory = policy.predict(np.full((2, 3), i, np.float32), memory)\n"
        "    print(action.tobytes().hex())\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    memory, own = None, []
    for i in range(4):
        action, memory = policy.predict(np.full((2, 3), i, np.float32), memory)
        own.append(action.tobytes().hex())
    assert run.stdout.split() == own


def test_errors_stand_beside_controls():
    """Actions that follow the observation: least squares is near 0, the mean action at 1."""
    data = random_steps(spaces.Box(-1, 1, (1,)), num=600)
    data.action[:, 0] = 0.5 * data.observation[:, 0] + 0.3 * data.observation[:, 1]
    policy = made(Spaces(spaces.Box(-1, 1, (1,))), prediction_horizon=1, action_horizon=1)
    errors = policy.fit(data, num_updates=300, learning_rate=1e-2, step_sizes="cosine").errors
    assert errors.linear_error < 1e-5 and 0.9 < errors.constant_error < 1.1
    assert errors.error < 0.1
    assert errors.energy_score < 0.1 < 0.7 < errors.constant_energy_score < 0.95
    assert not errors.beats_controls  # which a line is


def test_scales_are_those_of_the_first_demonstrations():
    policy = made(Spaces(spaces.Box(-1, 1, (2,))), EDM)
    data = random_steps(policy.action_space)
    policy.fit(data, num_updates=2)
    scale = policy.model.actions.normaliser.scale.clone(), policy.generator.sigma_data.clone()
    data.action[:] = data.action / 3
    policy.fit(data, num_updates=2)
    assert torch.equal(policy.model.actions.normaliser.scale, scale[0])
    assert torch.equal(policy.generator.sigma_data, scale[1])


def test_stable_baselines_evaluates_it():
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.evaluation import evaluate_policy

    policy = made("CartPole-v1")
    policy.fit(transitions("CartPole-v1", 300), num_updates=20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found, _ = evaluate_policy(policy, make_vec_env("CartPole-v1", 2, seed=0), 4)
    assert 5 < found < 100


# ---- the two ways -------------------------------------------------------------------------------


@pytest.mark.slow
def test_one_way_is_taken_where_the_mean_crashes():
    """Diffusion passes the block, on both sides; least squares with the same chunks does not."""
    data = transitions("gymagine/TwoWays-v0", 3_000, two_ways_expert(np.random.default_rng(0)))
    settings = {"num_updates": 800, "step_sizes": "cosine", "learning_rate": 2e-3}
    steps = {"num_steps": 50, "eta": 0.0, "prediction": "data"}
    success = {}
    for family, more in ((Regression, {}), (DDPM, steps)):
        policy = made(
            "gymagine/TwoWays-v0",
            family,
            hyperparameters={"hidden_sizes": (128, 128)} | more,
            sampler_steps=10 if more else None,
        )
        errors = policy.fit(data, batch_size=256, **settings).errors
        success[family] = evaluate(policy, num_episodes=50, seed=1).mean
        if family is DDPM:
            assert errors.beats_controls
    assert success[Regression] < 0.1
    assert success[DDPM] > 0.7


# ---- learning by its own returns ----------------------------------------------------------------


class Coin(gymnasium.Env):
    """One step; action 1 is worth 1, action 0 nothing."""

    observation_space = spaces.Box(-1, 1, (1,), np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, dtype=np.float32), {}

    def step(self, action):
        return np.zeros(1, dtype=np.float32), float(action), True, False, {}


def coin_policy(family, **config):
    env = Coin()
    policy = made(
        env,
        family,
        **{"prediction_horizon": 1, "action_horizon": 1, "refit_episodes": 200} | config,
        memory_episodes=200,
    )
    data = transitions(env, 1_000)
    data.action[:] = np.arange(1_000) % 4 == 0  # a quarter
    policy.fit(data, num_updates=300, learning_rate=1e-2, step_sizes="cosine")
    return policy


def share_of_ones(policy, num=2_000):
    seen = np.zeros((num, 1), np.float32)
    return float(np.mean(policy.predict(seen, deterministic=False)[0]))


@pytest.mark.slow
def test_a_refit_multiplies_odds_by_the_weights():
    """With a share p of ones the odds grow by exp(1 / (tau sigma)), sigma^2 = p (1 - p)."""
    policy = coin_policy(
        MADE,
        hyperparameters={"conditional": "categorical", "num_levels": 2},
        return_temperature=2.0,
        refit_learning_rate=1e-2,
        refit_updates=400,
    )
    assert share_of_ones(policy) == pytest.approx(0.25, abs=0.05)
    policy.learn(200)
    played = policy.episode_returns
    assert len(played) == 100 and policy.num_episodes == 200
    p = policy._collected.transitions().reward.mean()
    odds = p / (1 - p) * np.exp(1 / (2.0 * np.sqrt(p * (1 - p))))
    assert share_of_ones(policy) == pytest.approx(odds / (1 + odds), abs=0.08)
    assert share_of_ones(policy) > 0.35


@pytest.mark.slow
@pytest.mark.parametrize("family", [DDPM, VAE], ids=lambda family: family.name)
def test_other_families_learn_what_is_worth_more(family):
    """Bounds and samplers have no odds to multiply; they go the same way."""
    policy = coin_policy(family, refit_episodes=100, refit_learning_rate=3e-3)
    before = share_of_ones(policy)
    assert share_of_ones(policy.learn(200)) > before + 0.2


@pytest.mark.parametrize("family", [DDPM, VQVAE, WGANGP], ids=lambda f: f.name)
def test_every_family_goes_on_learning(family, tmp_path):
    policy = made(Clock(), family, refit_episodes=2, memory_episodes=3, refit_updates=2)
    with pytest.raises(ValueError, match="expected a policy that has learnt from demonstrations"):
        policy.learn(1)
    policy.fit(transitions(Clock(), 5 * len(TUNE), Player()), num_updates=3)
    policy.learn(5 * len(TUNE))
    assert policy.num_episodes == 5 and policy._scalars()["train/refits"] == 2
    policy.save(tmp_path / "policy")
    first, second = (GenerativePolicy.load(tmp_path / "policy", Clock()) for _ in range(2))
    assert first.num_episodes == 5
    for agent in (first, second):
        agent.learn(len(TUNE))
        assert agent._scalars()["train/refits"] == 3
    seen = np.ones((1, 1), np.float32)
    np.testing.assert_array_equal(first.predict(seen)[0], second.predict(seen)[0])


# ---- what cannot be -----------------------------------------------------------------------------


def test_what_cannot_play_is_refused(without_shape_checks):
    from gymagine.generative.adversarial.dcgan import DCGAN

    env = Spaces(spaces.Box(-1, 1, (2,)))
    with pytest.raises(TypeError, match="expected a family of generators"):
        GenerativePolicy(env, generator="ddpm")
    with pytest.raises(TypeError, match="has no hyper-parameter 'horizon'"):
        GenerativePolicy(env, generator=Regression, horizon=3)
    with pytest.raises(ValueError, match="expected an action_horizon of at most prediction_hori"):
        GenerativePolicy(env, generator=Regression, prediction_horizon=2, action_horizon=3)
    with pytest.raises(ValueError, match="expected memory_episodes of at least refit_episodes"):
        GenerativePolicy(env, generator=Regression, refit_episodes=9, memory_episodes=3)
    with pytest.raises(ValueError, match="expected min-max as the action_normaliser of levels"):
        made(env, MADE, hyperparameters=LEVELS, action_normaliser="z-score")
    with pytest.raises(ValueError, match="expected "):
        GenerativePolicy(env, generator=DCGAN)
    frames = Spaces(spaces.Box(-1, 1, (2,)), spaces.Box(0, 255, (8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match="expected observations that are vectors, got pictures"):
        GenerativePolicy(frames, generator=Regression)


def test_data_that_do_not_fit_are_refused(without_shape_checks):
    policy = made(Spaces(spaces.Box(-1, 1, (2,))))
    with pytest.raises(TypeError, match="expected Transitions to fit to, got list"):
        policy.fit([])
    with pytest.raises(ValueError, match="expected values as numbers of shape"):
        policy.fit(random_steps(spaces.Box(-1, 1, (3,))))
    seen = np.zeros((2, 3), np.float32)
    policy.fit(random_steps(policy.action_space), num_updates=1)
    _, memory = policy.predict(seen)
    with pytest.raises(ValueError, match="expected 2 observations, as many as are remembered"):
        policy.predict(seen[0], memory)
    with pytest.raises(ValueError, match="expected observations of Box"):
        policy.predict(seen[:, :2])


def test_an_environment_of_other_spaces_is_refused(tmp_path):
    policy = made(Spaces(spaces.Box(-1, 1, (2,))))
    with pytest.warns(UserWarning, match="in training mode"):
        policy.predict(np.zeros(3, np.float32))
    policy.save(tmp_path / "policy")
    with pytest.raises(ValueError, match="expected an environment of observation_space"):
        GenerativePolicy.load(tmp_path / "policy", "CartPole-v1")
    loaded = GenerativePolicy.load(tmp_path / "policy")
    with pytest.raises(ValueError, match="expected an environment to learn in, got none"):
        loaded.learn(5)
