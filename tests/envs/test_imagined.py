import json
import subprocess
import sys
import warnings
from dataclasses import fields

import gymnasium
import numpy as np
import pytest
import torch
from gymagine.envs.imagined import ImaginedEnv, ImaginedVectorEnv
from gymagine.envs.imagined_rendering import ObservationRenderer, draw_observation
from gymagine.envs.imagined_starts import DataStarts, ResetStarts
from gymagine.envs.sb3_vec_env import SB3VecEnv
from gymagine.envs.vector_environment_state import capture_vector, restore_vector
from gymagine.generative.baselines.conditional_gaussian import ConditionalGaussian
from gymagine.generative.data.environments import Transitions, transitions
from gymagine.generative.flows.real_nvp import RealNVP
from gymagine.generative.world_model import WorldModel
from gymagine.generative.world_model_fitting import fit_scales, fit_world_model
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

torch.set_num_threads(1)

SMALL = {"hidden_sizes": (8,)}
CARTPOLE = gymnasium.make("CartPole-v1")


class Walk(gymnasium.Env):
    """Values of a space at random, in episodes of four."""

    def __init__(self, observation_space, action_space):
        self.observation_space, self.action_space = observation_space, action_space
        self.clock = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self.clock = 0
        return self.observation_space.sample(), {}

    def step(self, action):
        self.clock += 1
        return self.observation_space.sample(), 1.0, self.clock == 4, False, {}


def walk_of(space, actions=None):
    return transitions(Walk(space, actions or spaces.Discrete(2)), 12)


def model_of(space=CARTPOLE.observation_space, actions=CARTPOLE.action_space, **more):
    more = {"hyperparameters": SMALL, **more}
    family = more.pop("family", ConditionalGaussian)
    return WorldModel(space, actions, family, **more).eval()


CARTPOLE_DATA = transitions("CartPole-v1", 60)


def cartpole(num_envs=4, data=CARTPOLE_DATA, horizon=5, model=None, **options):
    return ImaginedVectorEnv(model or model_of(), data, num_envs, horizon=horizon, **options)


SPACES = [
    spaces.Box(-2, 2, (3,), dtype=np.float32),
    spaces.Box(np.array([-1.0, -np.inf]), np.array([1.0, np.inf]), dtype=np.float64),
    spaces.Discrete(4, start=-1),
    spaces.MultiBinary(3),
    spaces.MultiDiscrete([2, 3]),
    spaces.Tuple([spaces.Box(-1, 1, (2,)), spaces.Discrete(3)]),
    spaces.Dict(place=spaces.Box(-1, 1, (2,)), lamp=spaces.MultiBinary(2)),
]


@pytest.mark.parametrize("obs_mode", ["observation", "latent"])
@pytest.mark.parametrize("space", SPACES, ids=str)
def test_every_imagined_environment_passes_gymnasiums_checker(space, obs_mode):
    model = model_of(space, history=2, num_members=2)
    env = ImaginedEnv(model, walk_of(space), horizon=6, obs_mode=obs_mode)
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message=".*Box observation space.*|.*not have a `spec`.*"
        )
        check_env(env, skip_render_check=True)


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("space", SPACES, ids=str)
def test_batches_are_of_the_declared_space(space, mode):
    model = model_of(space, history=2, num_members=2)
    envs = ImaginedVectorEnv(model, walk_of(space), 3, horizon=2, autoreset_mode=mode)
    envs.action_space.seed(0)
    observations, _ = envs.reset(seed=0)
    for _ in range(4):
        assert envs.observation_space.contains(observations)
        observations, rewards, terminated, truncated, _ = envs.step(envs.action_space.sample())
        assert rewards.dtype == np.float64
        assert terminated.dtype == truncated.dtype == bool
        over = terminated | truncated
        if mode is AutoresetMode.DISABLED and over.any():
            observations, _ = envs.reset(options={"reset_mask": over})


def test_steps_are_those_of_the_model():
    model = model_of(num_members=2, termination="never")
    envs = cartpole(model=model, pessimism=0.5, temperature=0.7)
    shown, _ = envs.reset(seed=3)
    state, rng = envs.state, envs._rng().clone_state()
    actions = np.array([0, 1, 1, 0])
    for _ in range(3):
        state, expected = model.step(state, actions, temperature=0.7, rng=rng)
        shown, rewards, _, _, infos = envs.step(actions)
        np.testing.assert_array_equal(shown, expected.observation)
        np.testing.assert_array_equal(rewards, expected.reward - 0.5 * expected.disagreement)
        np.testing.assert_array_equal(infos["model_uncertainty"], expected.disagreement)
        assert (expected.disagreement > 0).all()


def test_latents_are_what_the_model_remembers():
    model = model_of(history=3)
    envs = cartpole(model=model, obs_mode="latent")
    shown, _ = envs.reset(seed=0)
    assert envs.single_observation_space.shape == (3 * 4 + 2 * (2 + 1),)
    np.testing.assert_array_equal(shown, model.latents(envs.state).numpy())
    shown, *_ = envs.step(np.array([0, 1, 1, 0]))
    np.testing.assert_array_equal(shown, model.latents(envs.state).numpy())


def test_only_the_horizon_truncates_and_only_the_model_terminates():
    envs = cartpole(model=model_of(termination="never"), horizon=4)
    envs.reset(seed=0)
    for step in range(1, 5):
        _, _, terminated, truncated, _ = envs.step(np.zeros(4, dtype=int))
        assert not terminated.any()
        assert truncated.all() == truncated.any() == (step == 4)
    always = cartpole(model=model_of(termination=lambda o, a, o2: a == 1), horizon=None)
    always.reset(seed=0)
    _, _, terminated, truncated, _ = always.step(np.array([0, 1, 1, 0]))
    np.testing.assert_array_equal(terminated, [False, True, True, False])
    assert not truncated.any()


def ends_by_action(mode, **options):
    model = model_of(termination=lambda o, a, o2: a == 1, num_members=2)
    return cartpole(model=model, horizon=9, autoreset_mode=mode, **options)


def starts_of(data):
    begins = np.r_[True, (data.terminated | data.truncated)[:-1]]
    return data.observation[begins]


def is_start(observation):
    return np.isclose(starts_of(CARTPOLE_DATA), observation, atol=1e-6).all(axis=1).any()


def test_the_next_step_begins_episodes():
    envs = ends_by_action("NextStep")
    envs.reset(seed=0)
    last, _, terminated, _, infos = envs.step(np.array([0, 1, 0, 0]))
    assert not is_start(last[1])
    assert infos["_model_uncertainty"].all()
    shown, rewards, terminated, truncated, infos = envs.step(np.array([0, 1, 0, 0]))
    assert is_start(shown[1])  # its action was ignored: it neither ends nor earns
    assert not is_start(shown[0])
    assert (rewards[1], terminated[1], truncated[1]) == (0, False, False)
    np.testing.assert_array_equal(infos["_model_uncertainty"], [True, False, True, True])
    _, rewards, *_ = envs.step(np.zeros(4, dtype=int))
    assert rewards[1] != 0


def test_the_same_step_begins_episodes_and_tells_their_ends():
    envs = ends_by_action("SameStep")
    other = ends_by_action("Disabled")
    envs.reset(seed=0)
    other.reset(seed=0)
    actions = np.array([0, 1, 0, 0])
    shown, rewards, terminated, _, infos = envs.step(actions)
    expected, expected_rewards, _, _, expected_infos = other.step(actions)
    np.testing.assert_array_equal(infos["final_obs"][1], expected[1])
    assert infos["final_obs"][0] is None
    np.testing.assert_array_equal(shown[[0, 2, 3]], expected[[0, 2, 3]])
    assert is_start(shown[1]) and not is_start(expected[1])
    np.testing.assert_array_equal(rewards, expected_rewards)
    assert terminated[1]
    name = "model_uncertainty"
    assert (expected_infos[name] > 0).all()
    for told, rows in ((infos["final_info"][name], actions == 1), (infos[name], actions != 1)):
        np.testing.assert_array_equal(told, np.where(rows, expected_infos[name], 0))
    np.testing.assert_array_equal(infos["final_info"][f"_{name}"], actions == 1)
    np.testing.assert_array_equal(infos[f"_{name}"], actions != 1)


def test_without_resets_of_its_own_it_waits_for_them():
    envs = ends_by_action("Disabled")
    envs.reset(seed=0)
    before, *_ = envs.step(np.array([0, 1, 0, 0]))
    with pytest.raises(ResetNeeded, match=r"reset\(\) after the end of episodes \[1\]"):
        envs.step(np.zeros(4, dtype=int))
    shown, _ = envs.reset(options={"reset_mask": np.array([False, True, False, False])})
    assert is_start(shown[1])
    np.testing.assert_allclose(shown[[0, 2, 3]], before[[0, 2, 3]], rtol=1e-6)
    envs.step(np.zeros(4, dtype=int))


def test_each_row_has_a_horizon_of_its_own():
    envs = ends_by_action("SameStep")
    envs.reset(seed=0)
    envs.step(np.array([0, 0, 0, 0]))
    envs.step(np.array([0, 1, 0, 0]))
    for _ in range(6):
        assert not envs.step(np.zeros(4, dtype=int))[3].any()
    assert envs.step(np.zeros(4, dtype=int))[3].tolist() == [True, False, True, True]
    envs.step(np.zeros(4, dtype=int))
    assert envs.step(np.zeros(4, dtype=int))[3].tolist() == [False, True, False, False]


class Counter(gymnasium.Env):
    """Shows the step's number, earns it, and ends at five: all parts of a step are told apart."""

    observation_space = spaces.Box(0, 10, (1,), dtype=np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = int(self.np_random.integers(3))
        return np.array([self.count], dtype=np.float32), {}

    def step(self, action):
        earned, self.count = 10 * self.count + action, self.count + 1 + action
        return np.array([self.count], np.float32), float(earned), self.count >= 5, False, {}


@pytest.fixture(scope="module")
def learnt_counter():
    data = transitions(Counter(), 2_000)
    model = model_of(
        Counter.observation_space,
        Counter.action_space,
        num_members=2,
        hyperparameters={"hidden_sizes": (32, 32)},
    )
    fit_world_model(model, data, num_updates=1_000, learning_rate=3e-3)
    return model, data


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_a_learnt_counter_stays_aligned_through_resets(learnt_counter, mode):
    model, data = learnt_counter
    envs = ImaginedVectorEnv(model, data, 8, horizon=50, temperature=0.0, autoreset_mode=mode)
    actions = np.random.default_rng(0)
    shown, _ = envs.reset(seed=0)
    ended = np.zeros(8, dtype=bool)
    for _ in range(60):
        count, action = np.round(shown[:, 0]), actions.integers(2, size=8)
        shown, rewards, terminated, truncated, infos = envs.step(action)
        after = shown.copy()
        if mode is AutoresetMode.SAME_STEP and terminated.any():
            for row in np.flatnonzero(terminated):
                after[row] = infos["final_obs"][row]
        taken = ~ended if mode is AutoresetMode.NEXT_STEP else np.ones(8, dtype=bool)
        expected = count + 1 + action
        np.testing.assert_allclose(after[taken, 0], expected[taken], atol=0.3)
        np.testing.assert_allclose(rewards[taken], (10 * count + action)[taken], atol=1.5)
        np.testing.assert_array_equal(terminated[taken], expected[taken] >= 5)
        assert (shown[~taken, 0] <= 2.01).all()  # where episodes begin
        ended = terminated | truncated
        if mode is AutoresetMode.DISABLED and ended.any():
            shown, _ = envs.reset(options={"reset_mask": ended})


def dreamt(envs, num=6):
    actions = np.random.default_rng(0)
    shown, _ = envs.reset(seed=5)
    found = [shown]
    for _ in range(num):
        step = envs.step(actions.integers(2, size=envs.num_envs))
        found += [step[0], step[1], step[2]]
    return np.concatenate([np.ravel(each).astype(float) for each in found])


def test_a_seed_tells_the_dream():
    envs = cartpole()
    first = dreamt(envs)
    np.testing.assert_array_equal(dreamt(envs), first)
    np.testing.assert_array_equal(dreamt(cartpole()), first)
    envs.reset(seed=6)
    assert (envs.step(np.zeros(4, int))[0] != dreamt(envs)[16:32].reshape(4, 4)).any()


def test_a_saved_model_dreams_the_same_in_another_process(tmp_path):
    model = model_of(family=RealNVP, hyperparameters={"num_couplings": 2, **SMALL}, num_members=2)
    model.save(tmp_path / "model.safetensors")
    program = (
        "import sys, numpy as np\n"
        "from gymagine.generative import transitions, WorldModel\n"
        "from gymagine.envs.imagined import ImaginedVectorEnv\n"
        f"model = WorldModel.load({str(tmp_path / 'model.safetensors')!r})\n"
        "envs = ImaginedVectorEnv(model, transitions('CartPole-v1', 60), 4, horizon=5)\n"
        "envs.reset(seed=5)\n"
        "found = [envs.step(np.zeros(4, int))[0] for _ in range(8)]\n"
        f"np.save({str(tmp_path / 'dream.npy')!r}, np.stack(found))\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    envs = cartpole(model=model)
    envs.reset(seed=5)
    own = np.stack([envs.step(np.zeros(4, int))[0] for _ in range(8)])
    np.testing.assert_array_equal(np.load(tmp_path / "dream.npy"), own)


@pytest.mark.parametrize("num_before", [0, 3])
def test_a_captured_dream_goes_on_the_same(num_before):
    model, actions = model_of(history=2, num_members=2), np.array([0, 1, 1, 0])
    one, other = cartpole(model=model), cartpole(model=model)
    one.reset(seed=4)
    for _ in range(num_before):
        one.step(actions)
    restore_vector(other, json.loads(json.dumps(capture_vector(one))))
    for _ in range(6):
        for own, expected in zip(other.step(actions)[:4], one.step(actions)[:4], strict=True):
            np.testing.assert_array_equal(own, expected)
    assert (other.num_steps, other.num_clipped) == (one.num_steps, one.num_clipped)
    with pytest.raises(ValueError, match="NextStep"):
        restore_vector(cartpole(model=model, autoreset_mode="SameStep"), capture_vector(one))


@pytest.mark.slow
def test_an_agent_goes_on_in_a_dream_bit_for_bit(tmp_path):
    from gymagine.agents.deep import DQN

    model = model_of(num_members=2)
    small = {"seed": 0, "learning_starts": 20, "hidden_sizes": (8,)}
    whole = DQN(cartpole(model=model), **small).learn(240)
    half = DQN(cartpole(model=model), **small).learn(120)
    half.save(tmp_path / "half")
    resumed = DQN.load(tmp_path / "half", cartpole(model=model)).learn(120)
    whole.save(tmp_path / "whole")
    resumed.save(tmp_path / "resumed")
    assert (tmp_path / "resumed").read_bytes() == (tmp_path / "whole").read_bytes()


def test_episodes_begin_with_their_history():
    data = transitions("CartPole-v1", 60)
    model = model_of(history=3)
    starts = DataStarts(model, data, "any")
    assert len(starts.steps) == 60
    state = starts._states
    begins = np.flatnonzero(np.r_[True, data.terminated[:-1]])
    # the history that would have been burnt in by what was done
    for begin, end in zip(begins, np.r_[begins[1:], 60], strict=True):
        expected = model.begin(data.observation[begin : begin + 1])
        for step in range(begin, end):
            own = state.take([step])
            torch.testing.assert_close(own.observations, expected.observations)
            torch.testing.assert_close(own.actions, expected.actions)
            assert own.known.equal(expected.known)
            action, after = data.action[step : step + 1], data.next_observation[step : step + 1]
            expected = model.observe(expected, action, after)


def test_episodes_can_begin_where_the_real_ones_do():
    envs = cartpole(data=ResetStarts(model_of(), gymnasium.make("CartPole-v1")), num_envs=50)
    shown, _ = envs.reset(seed=0)
    assert (np.abs(shown) <= 0.05 + 1e-6).all()
    assert shown.std() == pytest.approx(0.1 / np.sqrt(12), rel=0.15)
    with pytest.raises(ValueError, match="observations of"):
        ResetStarts(model_of(), gymnasium.make("Pendulum-v1"))


def test_what_leaves_the_space_is_counted_and_said():
    narrow = spaces.Box(-0.01, 0.01, (4,), dtype=np.float32)
    data = walk_of(narrow)
    model = model_of(narrow, termination="never")
    envs = cartpole(model=model, data=data, num_envs=64, horizon=3)
    envs.reset(seed=0)
    told = 0
    with pytest.warns(UserWarning, match="left the observation space in"):
        for _ in range(24):
            *_, infos = envs.step(np.zeros(64, int))
            told += (infos["num_clipped"] > 0).sum()
    assert envs.num_steps == 18 * 64  # each fourth step begins episodes
    assert 0 < envs.num_clipped == told


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_stable_baselines3_trains_inside(mode):
    from stable_baselines3 import PPO

    envs = SB3VecEnv(cartpole(autoreset_mode=mode))
    PPO("MlpPolicy", envs, n_steps=16, batch_size=32, seed=0, device="cpu").learn(128)


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_stable_baselines3_goes_on_where_scales_are_of_data(mode):
    space = spaces.Box(-1, 1, (60,), dtype=np.float32)  # bounds are no multiples of the scales
    data, model = walk_of(space), model_of(space)
    fit_scales(model, data)
    envs = SB3VecEnv(cartpole(8, data, 7, model, start_at="any", autoreset_mode=mode))
    envs.reset()
    ends = [envs.step(np.zeros(8, dtype=int))[2].sum() for _ in range(30)]
    assert sum(ends) > 8  # it raises where a reset changes what others see


@pytest.mark.parametrize(
    "name",
    [
        "CartPole-v1",
        "MountainCar-v0",
        "MountainCarContinuous-v0",
        "Pendulum-v1",
        "Acrobot-v1",
        "FrozenLake-v1",
        "CliffWalking-v1",
        "Taxi-v4",
    ],
)
def test_the_real_environment_draws_what_is_imagined(name):
    env = gymnasium.make(name, render_mode="rgb_array")
    renderer = ObservationRenderer(gymnasium.make(name, render_mode="rgb_array"))
    observation, _ = env.reset(seed=1)
    shown = env.render()
    other = {"FrozenLake-v1": 5, "CliffWalking-v1": 0, "Taxi-v4": 272}.get(name, -observation)
    assert (renderer(other) != shown).any()
    np.testing.assert_array_equal(renderer(observation), shown)  # whatever was drawn before


def test_pictures_of_all_rows():
    renderer = ObservationRenderer(gymnasium.make("CartPole-v1", render_mode="rgb_array"))
    envs = cartpole(render_mode="rgb_array", renderer=renderer)
    envs.reset(seed=0)
    pictures = envs.render()
    assert len(pictures) == 4
    assert (pictures[0] != pictures[1]).any()
    env = ImaginedEnv(
        model_of(), CARTPOLE_DATA, horizon=5, render_mode="rgb_array", renderer=renderer
    )
    env.reset(seed=0)
    assert env.render().shape == (400, 600, 3)
    assert draw_observation(np.zeros((4, 4, 1), dtype=np.uint8)).shape == (4, 4, 3)
    with pytest.raises(ValueError, match="picture of bytes"):
        draw_observation(np.zeros(4))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_envs": 0}, "num_envs"),
        ({"horizon": 0}, "horizon"),
        ({"temperature": -1.0}, "temperature"),
        ({"pessimism": float("nan")}, "pessimism"),
        ({"obs_mode": "pixels"}, "obs_mode"),
        ({"start_at": "last"}, "place"),
        ({"render_mode": "human"}, "render_mode"),
        ({"render_mode": "rgb_array"}, "renderer"),
        ({"autoreset_mode": "Never"}, "Never"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message, without_shape_checks):
    with pytest.raises(ValueError, match=message):
        cartpole(**options)


def test_calls_that_make_no_sense_are_refused(without_shape_checks):
    with pytest.raises(TypeError, match="expected a world model"):
        ImaginedVectorEnv(ConditionalGaussian((2,)), CARTPOLE_DATA, horizon=5)
    none = {each.name: getattr(CARTPOLE_DATA, each.name)[:0] for each in fields(Transitions)}
    with pytest.raises(ValueError, match="at least one step to begin at"):
        cartpole(data=Transitions(**none))
    with pytest.raises(TypeError, match="Transitions or a function"):
        cartpole(data=[1, 2])
    with pytest.raises(ValueError, match="shape"):
        cartpole(data=walk_of(spaces.Box(-1, 1, (3,))))
    envs = cartpole()
    with pytest.raises(ResetNeeded):
        envs.step(np.zeros(4, int))
    with pytest.raises(ResetNeeded):
        envs.reset(options={"reset_mask": np.array([True, False, False, False])})
    with pytest.raises(TypeError, match="one seed"):
        envs.reset(seed=[1, 2, 3, 4])
    envs.reset(seed=0)
    with pytest.raises(ValueError, match="reset_mask"):
        envs.reset(options={"reset_mask": np.zeros(4, dtype=bool)})
    with pytest.raises(TypeError, match="boolean"):
        envs.reset(options={"reset_mask": [1, 0, 0, 0]})
    with pytest.raises(ValueError, match="4 actions"):
        envs.step(np.zeros(3, int))
    with pytest.raises(ValueError):
        envs.step(np.full(4, 7))
