"""Stable-Baselines3 sees through `SB3VecEnv` what its own `DummyVecEnv` shows it, in each mode."""

import subprocess
import sys

import gymnasium
import numpy as np
import pytest
import torch
from gymagine.envs import probes
from gymagine.envs.sb3_vec_env import SB3VecEnv
from gymagine.envs.tabular_env import TabularEnv
from gymagine.envs.tabular_vector_env import TabularVectorEnv
from gymagine.envs.textbook.cliff import cliff
from gymagine.envs.textbook.short_corridor import short_corridor
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import RescaleAction, TimeLimit
from gymnasium.wrappers.vector import (
    ClipReward,
    DictInfoToList,
    FlattenObservation,
    NormalizeObservation,
    NormalizeReward,
    RecordEpisodeStatistics,
)
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    VecFrameStack,
    VecMonitor,
    VecNormalize,
    VecTransposeImage,
)

MODES = list(AutoresetMode)
NEXT, SAME, DISABLED = AutoresetMode


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Counter(gymnasium.Env):
    """Sees which episode this is and how many steps it has; rewards tell step and action."""

    render_mode = None

    def __init__(self, length, *, terminates, truncates):
        self.observation_space = spaces.Box(0, 1000, (2,), np.float32)
        self.action_space = spaces.Discrete(10)
        self.length, self.ends = length, (terminates, truncates)
        self.episode = self.steps = -1

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode, self.steps = self.episode + 1, 0
        return self.seen(), {"begun": self.episode, "options": options}

    def step(self, action):
        reward = 10.0 * self.steps + action
        self.steps += 1
        ended = self.steps == self.length
        flags = [ended and end for end in self.ends]
        return self.seen(), reward, *flags, {"steps": self.steps, "who": f"{self.steps} steps"}

    def seen(self):
        return np.array([self.episode, self.steps], dtype=np.float32)

    def double(self, number):
        return 2 * number + self.length


COUNTERS = [(3, True, False), (4, False, True), (1, True, True), (4, True, False)]


def counters():
    return [
        lambda length=length, t=t, c=c: Counter(length, terminates=t, truncates=c)
        for length, t, c in COUNTERS
    ]


def sync(mode, makers=None, **options):
    return SyncVectorEnv(makers or counters(), autoreset_mode=mode, **options)


def asynchronous(mode, makers=None, **options):
    return AsyncVectorEnv(makers or counters(), autoreset_mode=mode, **options)


def listed(mode):
    return DictInfoToList(sync(mode))


def reusing(mode):
    return sync(mode, copy=False)


# ---- episodes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [sync, listed, reusing, asynchronous])
@pytest.mark.parametrize("mode", MODES)
def test_every_transition_is_aligned(mode, make):
    """In closed form: copy i of length L is at step t mod L of episode t div L."""
    env = SB3VecEnv(make(mode))
    seen = env.reset()
    np.testing.assert_array_equal(seen, np.zeros((4, 2)))
    history = []
    for t in range(30):
        actions = np.array([(t + copy) % 10 for copy in range(4)])
        following, rewards, ended, infos = env.step(actions)
        history.append((following, following.copy()))
        for copy, (length, terminates, truncates) in enumerate(COUNTERS):
            episode, step = divmod(t, length)
            assert seen[copy].tolist() == [episode, step]
            assert rewards[copy] == 10 * step + actions[copy]
            assert ended[copy] == (step + 1 == length)
            info = dict(infos[copy])
            cut = info.pop("TimeLimit.truncated")
            assert cut is (bool(ended[copy]) and truncates and not terminates)
            if ended[copy]:
                assert info.pop("terminal_observation").tolist() == [episode, length]
                assert following[copy].tolist() == [episode + 1, 0]
                assert env.reset_infos[copy]["begun"] == episode + 1
            else:
                assert following[copy].tolist() == [episode, step + 1]
                assert env.reset_infos[copy]["begun"] == episode
            assert info == {"steps": step + 1, "who": f"{step + 1} steps"}
        seen = following
    for batch, as_returned in history:  # nobody writes over what was returned
        np.testing.assert_array_equal(batch, as_returned)
    env.close()


class Shifted(gymnasium.Env):
    """Spaces that start elsewhere than at 0, within a Dict or a Tuple."""

    render_mode = None
    parts = {  # noqa: RUF012 - sorted, as Dict has them
        "flags": spaces.MultiBinary(3),
        "hand": spaces.MultiDiscrete([3, 4], start=[1, -1]),
        "place": spaces.Discrete(5, start=-2),
        "view": spaces.Box(0, 255, (2, 2), np.uint8),
    }

    def __init__(self, kind):
        by_kind = {"Dict": spaces.Dict(self.parts), "Tuple": spaces.Tuple(self.parts.values())}
        self.observation_space = by_kind.get(kind) or self.parts[kind]
        self.action_space = spaces.MultiDiscrete([3, 3], start=[5, -7])
        self.kind = kind

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = 0
        return self.seen(), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        self.place += 1
        return self.seen(), float(action[0]), self.place == 2, False, {}

    def seen(self):
        values = {
            "flags": np.array([0, 1, self.place == 2], np.int8),
            "hand": np.array([1 + self.place, -1]),
            "place": np.int64(self.place),
            "view": np.full((2, 2), self.place, np.uint8),
        }
        if self.kind == "Dict":
            return values
        return tuple(values.values()) if self.kind == "Tuple" else values[self.kind]


def shown(step):  # what Stable-Baselines3 should see of `Shifted`
    return {
        "place": step + 2,
        "hand": [step, 0],
        "view": [[step, step]] * 2,
        "flags": [0, 1, int(step == 2)],
    }


@pytest.mark.parametrize("kind", ["Dict", "Tuple", "place", "hand", "view", "flags"])
@pytest.mark.parametrize("mode", MODES)
def test_spaces_are_those_that_stable_baselines3_reads(mode, kind):
    env = SB3VecEnv(sync(mode, [lambda: Shifted(kind)] * 2))

    def check(observation, step, batched):
        space = env.observation_space
        keys = {"Dict": list(Shifted.parts), "Tuple": ["0", "1", "2", "3"]}.get(kind)
        parts = {kind: observation} if keys is None else observation
        assert list(parts) == (keys or [kind])
        for name, own in zip(Shifted.parts if keys else [kind], parts.values(), strict=True):
            for row in own if batched else [own]:
                assert np.asarray(row).tolist() == shown(step)[name]
        single = observation
        if batched:
            single = {key: own[1] for key, own in parts.items()} if keys else observation[1]
        assert space.contains(single)

    check(env.reset(), 0, True)
    assert env.action_space == spaces.MultiDiscrete([3, 3])
    observation, rewards, _, _ = env.step(np.array([[0, 0], [2, 2]]))
    check(observation, 1, True)
    assert rewards.tolist() == [5, 7]
    observation, _, ended, infos = env.step(np.array([[0, 0], [2, 2]]))
    check(observation, 0, True)
    assert ended.all()
    check(infos[1]["terminal_observation"], 2, False)


@pytest.mark.parametrize("kind", ["Dict", "Tuple", "place", "hand", "flags"])
def test_algorithms_take_the_spaces(kind):
    env = SB3VecEnv(sync(NEXT, [lambda: Shifted(kind)] * 2))
    policy = "MultiInputPolicy" if kind in ("Dict", "Tuple") else "MlpPolicy"
    model = PPO(policy, env, n_steps=8, batch_size=8, seed=0, device="cpu").learn(16)
    assert model.get_env() is env
    assert env.action_space.contains(model.predict(env.reset())[0][0])


@pytest.mark.parametrize("kind", ["Dict", "Tuple"])
def test_observations_of_a_vector_wrapper(kind):
    """Flattened: 3 flags, one of 3 and one of 4, one of 5, four pixels."""
    env = SB3VecEnv(FlattenObservation(sync(NEXT, [lambda: Shifted(kind)] * 2)))
    env.reset()
    flat = [[0, 1, 0, *np.eye(3)[step], 1, 0, 0, 0, *np.eye(5)[step + 2]] for step in range(3)]
    flat[2][2] = 1
    for step in (1, 2):
        seen, _, ended, infos = env.step(np.zeros((2, 2), int))
        reached = infos[0]["terminal_observation"] if step == 2 else seen[0]
        assert reached.tolist() == [*flat[step], *[step] * 4]
    assert ended.all()
    assert seen[1].tolist() == [*flat[0], *[0] * 4]


class Switches(gymnasium.Env):
    observation_space = spaces.Box(-1, 1, (1,), np.float32)
    action_space = spaces.MultiBinary(3)
    render_mode = None

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        return np.zeros(1, np.float32), float(action.sum()), True, False, {}


def test_binary_actions_arrive_as_whole_numbers():
    env = SB3VecEnv(sync(SAME, [Switches] * 2))
    env.reset()
    floats = np.array([[0, 1, 1], [1, 1, 1]], np.float32)  # as PPO gives them
    assert env.step(floats)[1].tolist() == [2, 3]
    PPO("MlpPolicy", env, n_steps=8, batch_size=8, seed=0, device="cpu").learn(16)
    with pytest.raises(ValueError, match="expected whole numbers as actions, got"):
        env.step(floats / 2)


# ---- against Stable-Baselines3's own vector environment -----------------------------------------


def cart_poles():
    return [lambda: gymnasium.make("CartPole-v1", max_episode_steps=17)] * 3


def pendulums():
    return [
        lambda: RescaleAction(gymnasium.make("Pendulum-v1", max_episode_steps=9), -1.0, 1.0)
    ] * 3


def lakes():
    return [lambda: gymnasium.make("FrozenLake-v1", max_episode_steps=8)] * 3


def corridors():
    return [lambda: TimeLimit(TabularEnv(cliff()), 11)] * 3


WORLDS = {"cart": cart_poles, "pendulum": pendulums, "lake": lakes, "tabular": corridors}


def equal(ours, theirs):
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        np.testing.assert_array_equal(ours[key], value)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("mode", MODES)
def test_data_are_those_of_dummy_vec_env(mode, world):
    makers = WORLDS[world]()
    ours, theirs = SB3VecEnv(sync(mode, makers)), DummyVecEnv(makers)
    assert ours.seed(5) == theirs.seed(5) == [5, 6, 7]
    rng = np.random.default_rng(0)
    for _ in range(2):  # a reset in mid-episode, too, and without a seed
        np.testing.assert_array_equal(first := ours.reset(), theirs.reset())
        assert first.dtype == ours.observation_space.dtype
        for _ in range(60):
            theirs.action_space.seed(int(rng.integers(1000)))
            actions = np.stack([theirs.action_space.sample() for _ in makers])
            mine, other = ours.step(actions), theirs.step(actions)
            for left, right in zip(mine[:3], other[:3], strict=True):
                np.testing.assert_array_equal(left, right)
                assert left.dtype == right.dtype
            for left, right in zip(mine[3], other[3], strict=True):
                if mode is SAME and world == "lake":  # a reset says prob=1, which makes
                    del left["prob"], right["prob"]  # SyncVectorEnv round the others
                equal(left, right)
            for left, right in zip(ours.reset_infos, theirs.reset_infos, strict=True):
                equal(left, right)


@pytest.mark.parametrize("mode", MODES)
def test_tabular_vector_env_gives_the_data_of_its_copies(mode):
    model = short_corridor()
    ours = SB3VecEnv(TabularVectorEnv(model, 3, autoreset_mode=mode, max_episode_steps=6))
    theirs = DummyVecEnv([lambda: TimeLimit(TabularEnv(model), 6)] * 3)
    ours.seed(3), theirs.seed(3)
    np.testing.assert_array_equal(ours.reset(), theirs.reset())
    rng = np.random.default_rng(1)
    for _ in range(60):
        actions = rng.integers(2, size=3)
        mine, other = ours.step(actions), theirs.step(actions)
        for left, right in zip(mine[:3], other[:3], strict=True):
            np.testing.assert_array_equal(left, right)
        for left, right in zip(mine[3], other[3], strict=True):
            equal(left, right)


class Picture(Counter):
    def __init__(self):
        super().__init__(4, terminates=False, truncates=True)
        self.observation_space = spaces.Box(0, 255, (36, 38, 3), np.uint8)

    def seen(self):
        values = self.episode * 50 + self.steps * 10 + np.arange(36 * 38 * 3) % 7
        return values.astype(np.uint8).reshape(36, 38, 3)


@pytest.mark.parametrize("mode", MODES)
def test_pictures_are_transposed_and_stacked(mode):
    def wrapped(env):
        return VecFrameStack(VecTransposeImage(env), 2)

    ours = wrapped(SB3VecEnv(sync(mode, [Picture] * 2)))
    theirs = wrapped(DummyVecEnv([Picture] * 2))
    assert ours.observation_space == theirs.observation_space
    np.testing.assert_array_equal(ours.reset(), theirs.reset())
    for _ in range(10):
        mine, other = ours.step(np.zeros(2, int)), theirs.step(np.zeros(2, int))
        np.testing.assert_array_equal(mine[0], other[0])
        for left, right in zip(mine[3], other[3], strict=True):
            equal(left, right)


def trained(algorithm, env, **settings):
    return algorithm("MlpPolicy", env, seed=3, device="cpu", **settings).learn(400)


SETTINGS = {
    PPO: {"n_steps": 40, "batch_size": 40, "n_epochs": 2},
    A2C: {},
    DQN: {"learning_starts": 50, "buffer_size": 2000, "train_freq": 8},
}


@pytest.mark.parametrize("algorithm", SETTINGS)
def test_algorithms_learn_the_same_as_in_dummy_vec_env(algorithm):
    settings = SETTINGS[algorithm]
    theirs = trained(algorithm, DummyVecEnv(cart_poles()), **settings)
    for mode in MODES:
        ours = trained(algorithm, SB3VecEnv(sync(mode, cart_poles())), **settings)
        weights = ours.policy.state_dict()
        for name, tensor in theirs.policy.state_dict().items():
            assert torch.equal(weights[name], tensor), (mode, name)
        if algorithm is DQN:
            mine, other = ours.replay_buffer, theirs.replay_buffer
            for name in ("observations", "actions", "rewards", "next_observations", "dones"):
                np.testing.assert_array_equal(getattr(mine, name), getattr(other, name))
            np.testing.assert_array_equal(mine.timeouts, other.timeouts)
            assert 0 < other.timeouts.sum() < other.dones.sum()


def test_processes_give_the_same_data():
    ours = trained(PPO, SB3VecEnv(asynchronous(NEXT, cart_poles())), **SETTINGS[PPO])
    theirs = trained(PPO, DummyVecEnv(cart_poles()), **SETTINGS[PPO])
    assert torch.equal(ours.policy.action_net.weight, theirs.policy.action_net.weight)
    ours.get_env().close()


@pytest.mark.parametrize("mode", [SAME, DISABLED])
def test_processes_without_shared_memory(mode):
    env = SB3VecEnv(asynchronous(mode, cart_poles(), shared_memory=False))
    other = DummyVecEnv(cart_poles())
    env.seed(0), other.seed(0)
    np.testing.assert_array_equal(env.reset(), other.reset())
    for _ in range(40):
        mine, theirs = env.step(np.ones(3, np.int64)), other.step(np.ones(3, np.int64))
        for left, right in zip(mine[:3], theirs[:3], strict=True):
            np.testing.assert_array_equal(left, right)
    env.close()


# ---- learning -----------------------------------------------------------------------------------


LEARNERS = {
    PPO: {"n_steps": 32, "batch_size": 64, "learning_rate": 0.003},
    A2C: {"n_steps": 8, "learning_rate": 0.01},
    DQN: {"learning_starts": 100, "learning_rate": 0.01, "target_update_interval": 50},
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("algorithm", LEARNERS)
def test_algorithms_solve_the_policy_probe(algorithm, mode):
    """One step, and the observation tells the action that pays 1; the other pays -1."""
    env = SB3VecEnv(sync(mode, [probes.policy_probe] * 4))
    model = algorithm("MlpPolicy", env, seed=0, device="cpu", **LEARNERS[algorithm])
    model.learn(2560)
    actions, _ = model.predict(np.array([[-1.0], [1.0]], np.float32), deterministic=True)
    assert actions.tolist() == [0, 1]
    mean, deviation = evaluate_policy(model, SB3VecEnv(sync(mode, [probes.policy_probe] * 2)))
    assert (mean, deviation) == (1.0, 0.0)


@pytest.mark.parametrize("mode", MODES)
def test_values_bootstrap_where_a_cap_cuts(mode):
    """The truncation probe: V = 1 / (1 - 0.5) = 2; were each tenth step an end, 1.8."""
    env = SB3VecEnv(sync(mode, [probes.truncation_probe] * 4))
    model = A2C("MlpPolicy", env, gamma=0.5, learning_rate=0.02, seed=0, device="cpu")
    model.learn(4000)
    with torch.no_grad():
        value = float(model.policy.predict_values(torch.zeros(1, 1)))
    assert value == pytest.approx(2.0, abs=0.02)


def cart_pole_vector(**options):
    return gymnasium.make_vec(
        "CartPole-v1", num_envs=4, vectorization_mode="vector_entry_point", **options
    )


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["sync", "vector_entry_point"])
def test_ppo_learns_cart_pole(mode):
    """A random policy balances for 22 steps on average, and never for 200 of 20 times."""
    envs = gymnasium.make_vec("CartPole-v1", num_envs=4, vectorization_mode=mode)
    env = SB3VecEnv(envs)
    model = PPO("MlpPolicy", env, n_steps=128, batch_size=128, seed=0, device="cpu")
    model.learn(25_000)
    mean, _ = evaluate_policy(model, gymnasium.make("CartPole-v1"), 20, warn=False)
    assert mean > 150


# ---- CartPole's own vector environment ----------------------------------------------------------


def test_cart_poles_own_transitions_are_those_of_cart_pole():
    """Each step that is seen obeys the single environment's dynamics, none is a reset's."""
    env = SB3VecEnv(cart_pole_vector(max_episode_steps=30))
    single = gymnasium.make("CartPole-v1").unwrapped
    single.reset(seed=0)
    rng = np.random.default_rng(0)
    env.seed(1)
    seen, steps, cuts, falls = env.reset(), np.zeros(4, int), 0, 0
    for _ in range(300):
        actions = rng.integers(2, size=4)
        actions[0] = seen[0, 2] + seen[0, 3] > 0  # balances, so that the cap cuts it
        following, rewards, ended, infos = env.step(actions)
        assert (rewards == 1).all()
        steps += 1
        for copy in range(4):
            single.state, single.steps_beyond_terminated = seen[copy].astype(np.float64), None
            expected, _, terminated, _, _ = single.step(int(actions[copy]))
            cut = steps[copy] == 30
            assert ended[copy] == (terminated or cut)
            assert infos[copy]["TimeLimit.truncated"] == (cut and not terminated)
            reached = infos[copy]["terminal_observation"] if ended[copy] else following[copy]
            np.testing.assert_allclose(reached, expected, atol=1e-5)
            if ended[copy]:
                assert (np.abs(following[copy]) <= 0.05).all()
                steps[copy], cuts, falls = 0, cuts + cut, falls + terminated
        seen = following
    assert cuts >= 5 and falls >= 20


def test_cart_poles_own_environment_is_refused_within_wrappers():
    refused = r"expected CartPole's own .* got <ClipReward, .*vectorization_mode='sync'\) takes"
    with pytest.raises(ValueError, match=refused):
        SB3VecEnv(ClipReward(cart_pole_vector(), 0.0, 1.0))


class Maskless(SyncVectorEnv):
    """Resets all copies, whatever the mask."""

    def reset(self, *, seed=None, options=None):
        return super().reset(seed=seed)


@pytest.mark.parametrize("mode", MODES)
def test_observations_may_be_nan(mode):
    class Blank(Counter):
        def seen(self):
            return np.array([np.nan, self.steps], dtype=np.float32)

    makers = [lambda length=length: Blank(length, terminates=True, truncates=False)
              for length in (2, 3)]  # fmt: skip
    env = SB3VecEnv(sync(mode, makers))
    env.reset()
    seen = [env.step(np.zeros(2, int))[0][:, 1].tolist() for _ in range(4)]
    assert seen == [[1, 1], [0, 2], [1, 0], [0, 1]]


def test_what_is_said_of_all_copies_is_said_of_each():
    class Talkative(SyncVectorEnv):
        def step(self, actions):
            *outcome, infos = super().step(actions)
            return *outcome, infos | {"speed": 2.5, "note": "slow", "three": [1, 2, 3]}

    env = SB3VecEnv(Talkative(counters(), autoreset_mode=NEXT))
    env.reset()
    for info in env.step(np.zeros(4, int))[3]:
        assert (info["speed"], info["note"], info["three"]) == (2.5, "slow", [1, 2, 3])


@pytest.mark.parametrize("mode", [NEXT, DISABLED])
def test_a_reset_of_all_copies_is_refused_when_it_shows(mode):
    env = SB3VecEnv(Maskless(counters()[:2], autoreset_mode=mode))
    env.reset()
    for _ in range(2):
        env.step(np.zeros(2, int))
    refused = r"leave the other copies as they were, got other observations of copies \[1\].*SAME_"
    with pytest.raises(ValueError, match=refused):
        env.step(np.zeros(2, int))


@pytest.mark.parametrize("mode", MODES)
def test_one_copy_needs_no_mask(mode):
    class Strict(SyncVectorEnv):
        def reset(self, *, seed=None, options=None):
            assert options is None
            return super().reset(seed=seed)

    makers = cart_poles()[:1]
    ours, theirs = SB3VecEnv(Strict(makers, autoreset_mode=mode)), DummyVecEnv(makers)
    ours.seed(2), theirs.seed(2)
    np.testing.assert_array_equal(ours.reset(), theirs.reset())
    for _ in range(40):
        np.testing.assert_array_equal(ours.step(np.array([1]))[0], theirs.step(np.array([1]))[0])


@pytest.mark.parametrize(
    "make",
    [
        lambda: cart_pole_vector(max_episode_steps=9),
        lambda: sync(NEXT, cart_poles()),
        lambda: TabularVectorEnv(cliff(), 4, autoreset_mode=DISABLED, max_episode_steps=5),
    ],
)
def test_one_seed_one_stream_of_data(make):
    def stream(seed):
        env = SB3VecEnv(make())
        env.seed(seed)
        rng = np.random.default_rng(0)
        seen = [env.reset()]
        for _ in range(60):
            seen.append(env.step(rng.integers(2, size=env.num_envs))[0])
        return np.array(seen)

    np.testing.assert_array_equal(stream(4), stream(4))


def test_seeds_differ_and_serve_once():
    env = SB3VecEnv(cart_pole_vector())
    env.seed(np.int64(4))
    first = env.reset()
    assert not np.array_equal(first, env.reset())
    env.seed(4)
    np.testing.assert_array_equal(first, env.reset())
    env.seed(5)
    assert not np.array_equal(first, env.reset())
    env.set_options({"low": 0.5, "high": 0.6})
    assert (env.reset() >= 0.5).all()
    with pytest.raises(ValueError, match="expected one dictionary of options for all copies"):
        env.set_options([{}] * 4)


def test_options_serve_once():
    env = SB3VecEnv(sync(NEXT))
    env.set_options({"level": 3})
    env.reset()
    assert [info["options"] for info in env.reset_infos] == [{"level": 3}] * 4
    env.reset()
    assert [info["options"] for info in env.reset_infos] == [None] * 4


# ---- Stable-Baselines3's tools ------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("monitored", [False, True])
def test_tools_work_as_on_dummy_vec_env(mode, monitored, tmp_path):
    def wrapped(maker):
        return lambda: Monitor(maker()) if monitored else maker()

    makers = [wrapped(maker) for maker in cart_poles()]

    def run(make_inner, folder):
        inner = make_inner()
        env = VecNormalize(inner if monitored else VecMonitor(inner))
        model = PPO("MlpPolicy", env, n_steps=30, batch_size=30, seed=0, device="cpu")
        other = VecNormalize(VecMonitor(make_inner()), training=False)
        other.seed(7)
        callback = EvalCallback(
            other, n_eval_episodes=4, eval_freq=30, log_path=str(folder), verbose=0
        )
        model.learn(180, callback=callback)
        log = np.load(folder / "evaluations.npz")
        episodes = [episode["r"] for episode in model.ep_info_buffer]
        return env.obs_rms.mean, env.ret_rms.var, log["results"], log["ep_lengths"], episodes

    ours = run(lambda: SB3VecEnv(sync(mode, makers)), tmp_path / "ours")
    theirs = run(lambda: DummyVecEnv(makers), tmp_path / "theirs")
    for left, right in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(left, right)
    assert len(theirs[-1]) > 3


def test_statistics_of_a_vector_wrapper_reach_the_log():
    env = SB3VecEnv(RecordEpisodeStatistics(sync(SAME)))
    env.reset()
    ends = [[] for _ in COUNTERS]
    for _ in range(12):
        for copy, info in enumerate(env.step(np.zeros(4, int))[3]):
            assert ("episode" in info) == ("terminal_observation" in info)
            if "episode" in info:
                ends[copy].append((info["episode"]["l"], info["episode"]["r"]))
    for (length, _, _), found in zip(COUNTERS, ends, strict=True):
        assert found == [(length, 10 * sum(range(length)))] * (12 // length)


@pytest.mark.parametrize("make", [sync, asynchronous])
def test_copies_are_reached(make):
    env = SB3VecEnv(make(NEXT))
    assert env.get_attr("length") == [3, 4, 1, 4]
    assert env.get_attr("length", [2, 0]) == [1, 3]
    assert env.get_attr("length", 1) == [4]
    assert env.env_method("double", 5) == [13, 14, 11, 14]
    assert env.has_attr("double") and not env.has_attr("nothing")
    with pytest.raises(AttributeError, match="nothing"):
        env.get_attr("nothing")
    with pytest.raises(AttributeError, match="nothing"):
        env.env_method("nothing")
    with pytest.raises(ValueError, match="expected a call of the SB3VecEnv's own method"):
        env.env_method("reset")
    env.set_attr("length", 7)
    assert env.get_attr("length") == [7] * 4
    env.reset()  # and all of them still live
    assert not any(env.env_is_wrapped(Monitor))
    env.close()


def test_some_copies_are_reached_where_they_can_be():
    env = SB3VecEnv(sync(NEXT))
    env.set_attr("length", 9, [1, 3])
    assert env.env_method("double", 0, indices=[0, 1, 3]) == [3, 9, 9]
    other = SB3VecEnv(asynchronous(NEXT))
    for call in (
        lambda: other.set_attr("length", 9, [1]),
        lambda: other.env_method("double", 1, indices=0),
    ):
        with pytest.raises(ValueError, match="expected indices=None"):
            call()
    other.close()


@pytest.mark.parametrize("make", [sync, asynchronous])
def test_wrappers_of_copies_are_seen(make):
    makers = [lambda: Monitor(gymnasium.make("CartPole-v1"))] * 2
    env = SB3VecEnv(make(NEXT, makers))
    assert env.env_is_wrapped(Monitor) == env.env_is_wrapped(TimeLimit) == [True, True]
    assert env.env_is_wrapped(RescaleAction) == [False, False]
    assert env.env_is_wrapped(Monitor, 1) == [True]
    env.close()


class Answering(TabularVectorEnv):
    def action_masks(self):
        return np.ones((self.num_envs, 2), bool)

    def forget(self):
        self.forgotten = True

    def total(self):
        return 3.0


def test_copies_that_are_stepped_together():
    inner = Answering(short_corridor(), 4)
    env = SB3VecEnv(ClipReward(inner, 0.0, 1.0))
    assert env.get_attr("mdp") == [inner.mdp] * 4
    assert is_masking_supported(env)  # so that MaskablePPO learns
    assert get_action_masks(env).tolist() == [[True, True]] * 4
    assert env.env_method("forget") == [None] * 4
    assert inner.forgotten is True
    assert env.env_is_wrapped(Monitor) == [False] * 4
    assert not env.has_attr("nothing")
    env.set_attr("forgotten", 5)
    assert env.get_attr("forgotten", [0]) == [5] and inner.forgotten == 5
    with pytest.raises(ValueError, match=r"to answer for each of 4 copies, got 3\.0"):
        env.env_method("total")
    with pytest.raises(AttributeError, match=r"expected an attribute of .*, got 'colour'"):
        env.set_attr("colour", "red")
    with pytest.raises(ValueError, match="expected indices=None"):
        env.env_method("forget", indices=[0])


@pytest.mark.parametrize(
    "make",
    [
        lambda: cart_pole_vector(render_mode="rgb_array"),
        lambda: sync(NEXT, [lambda: gymnasium.make("CartPole-v1", render_mode="rgb_array")] * 4),
    ],
)
def test_pictures_are_tiled(make):
    env = SB3VecEnv(make())
    env.reset()
    assert env.render_mode == "rgb_array"
    assert env.metadata["render_fps"] == 50
    picture, single = env.render(), env.get_images()
    assert picture.shape == (800, 1200, 3)
    np.testing.assert_array_equal(picture[400:, 600:], single[3])
    env.close()


def test_no_pictures_without_a_mode():
    env = SB3VecEnv(sync(NEXT))
    assert env.get_images() == [None] * 4


def test_close_closes():
    env = SB3VecEnv(sync(NEXT))
    env.close()
    assert env.env.closed


# ---- refusals -----------------------------------------------------------------------------------


def test_what_is_no_vector_env_is_refused():
    """In a process of its own, without the checks of types that tests add."""
    code = """
import gymnasium
from gymagine.envs import SB3VecEnv
for given in (gymnasium.make("CartPole-v1"), "CartPole-v1", None):
    try:
        SB3VecEnv(given)
    except TypeError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 3, done.stderr
    for line, given in zip(lines, ("<TimeLimit<", "'CartPole-v1'", "None"), strict=True):
        assert line.startswith(
            "expected a gymnasium.vector.VectorEnv, as of gymnasium.make_vec(id, num_envs), got "
            + given
        )


@pytest.mark.parametrize("mode", [None, "sometimes", 3])
def test_unknown_modes_are_refused(mode):
    env = sync(NEXT)
    env.metadata = {} if mode is None else {"autoreset_mode": mode}
    with pytest.raises(ValueError, match=rf"declares metadata.*'SameStep'.*got {mode!r} in Sync"):
        SB3VecEnv(env)


def test_modes_may_be_words():
    env = sync(SAME)
    env.metadata = {"autoreset_mode": "SameStep"}
    assert SB3VecEnv(env).autoreset_mode is SAME


def test_processes_that_forget_resets_are_refused():
    env = asynchronous(NEXT, shared_memory=False)
    with pytest.raises(
        ValueError, match="expected shared_memory=True in mode NextStep, got False"
    ):
        SB3VecEnv(env)
    env.close()


@pytest.mark.parametrize(
    "wrapper", [NormalizeObservation, NormalizeReward, RecordEpisodeStatistics]
)
def test_wrappers_whose_statistics_a_mask_spoils_are_refused(wrapper):
    name = f"expected no {wrapper.__name__} in mode NextStep.*VecMonitor or VecNormalize"
    with pytest.raises(ValueError, match=name):
        SB3VecEnv(ClipReward(wrapper(sync(NEXT)), 0.0, 1.0))


def test_one_copy_keeps_its_running_mean():
    """As in a loop over the vector environment that takes its own step to reset."""
    ours = SB3VecEnv(NormalizeObservation(sync(NEXT, counters()[3:])))
    alone = NormalizeObservation(sync(NEXT, counters()[3:]))
    np.testing.assert_array_equal(ours.reset(), alone.reset()[0])
    for step in range(1, 13):
        seen, _, ended, infos = ours.step(np.array([3]))
        reached = alone.step(np.array([3]))[0]
        assert ended == (step % 4 == 0)
        if ended:
            np.testing.assert_array_equal(infos[0]["terminal_observation"], reached[0])
            reached = alone.step(np.array([0]))[0]
        np.testing.assert_array_equal(seen, reached)


def test_a_mask_spoils_statistics():
    """Why they are refused: a copy that goes on has its length counted from another's reset."""
    env = RecordEpisodeStatistics(sync(NEXT))
    env.reset()
    _, _, terminated, truncated, _ = env.step(np.zeros(4, int))
    env.reset(options={"reset_mask": terminated | truncated})
    assert env.episode_lengths.tolist() == [0, 0, 0, 0]  # should be [1, 1, 0, 1]


@pytest.mark.parametrize(
    "space",
    [spaces.Text(3), spaces.Dict({"a": spaces.Dict({"b": spaces.Discrete(2)})}),
     spaces.Sequence(spaces.Discrete(2))],
)  # fmt: skip
@pytest.mark.parametrize("role", ["observation", "action"])
def test_spaces_that_nobody_learns_from_are_refused(space, role):
    class Odd(Counter):
        def __init__(self):
            super().__init__(3, terminates=True, truncates=False)
            setattr(self, f"{role}_space", space)

    refused = "expected Box, Discrete, MultiDiscrete or MultiBinary, .*, got "
    with pytest.raises(ValueError, match=refused):
        SB3VecEnv(sync(NEXT, [Odd]))


def test_actions_of_another_shape_are_refused():
    env = SB3VecEnv(sync(NEXT))
    env.reset()
    with pytest.raises(ValueError, match=r"expected actions of shape \(4,\), got \(3,\)"):
        env.step(np.zeros(3, int))
    with pytest.raises(RuntimeError, match="expected step_async"):
        env.step_wait()
    env.step_async(np.zeros(4, int))
    env.reset()  # what was under way is cancelled
    with pytest.raises(RuntimeError, match="expected step_async"):
        env.step_wait()


def test_an_end_without_its_observation_is_refused():
    class Lacking(SyncVectorEnv):
        def step(self, actions):
            *outcome, infos = super().step(actions)
            infos.pop("final_obs", None)
            return *outcome, infos

    env = SB3VecEnv(Lacking(counters(), autoreset_mode=SAME))
    env.reset()
    with pytest.raises(ValueError, match=r"expected infos\['final_obs'\] of copy 2"):
        env.step(np.zeros(4, int))
