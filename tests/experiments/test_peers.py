"""Stable-Baselines3's algorithms through the adapter behave as they do without it."""

import dataclasses
from typing import ClassVar

import gymnasium
import numpy as np
import pytest
import torch
from gymagine.experiments.catalogue import agent_class
from gymagine.experiments.peers import FINITE_PRESETS
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.callbacks import BaseCallback


class Shifted(gymnasium.Env):
    """Two states from 5, two actions from -1; the action that names the state's parity pays."""

    observation_space = gymnasium.spaces.Discrete(2, start=5)
    action_space = gymnasium.spaces.Discrete(2, start=-1)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state = int(self.np_random.integers(5, 7))
        return self.state, {}

    def step(self, action):
        assert self.action_space.contains(action), f"got {action!r}"
        reward = float(action == (-1 if self.state == 5 else 0))
        self.state = int(self.np_random.integers(5, 7))
        return self.state, reward, bool(self.np_random.random() < 0.1), False, {}


class CountSteps(BaseCallback):
    def _on_step(self):
        return True


def weights(model):
    return {name: value.numpy() for name, value in model.policy.state_dict().items()}


@pytest.mark.parametrize(
    ("name", "algorithm", "steps", "more"),
    [
        ("sb3:a2c", A2C, 250, {}),
        ("sb3:ppo", PPO, 256, {"n_steps": 128}),
        ("sb3:dqn", DQN, 600, {}),
    ],
)
def test_without_presets_it_is_the_library_itself(name, algorithm, steps, more):
    ours = agent_class(name)("FrozenLake-v1", seed=3, preset="none", **more).learn(steps)
    theirs = algorithm("MlpPolicy", "FrozenLake-v1", seed=3, device="cpu", **more).learn(steps)
    ours_by_name, theirs_by_name = weights(ours.model), weights(theirs)
    assert ours_by_name.keys() == theirs_by_name.keys()
    for key, value in theirs_by_name.items():
        assert np.array_equal(ours_by_name[key], value), key


@pytest.mark.parametrize(("name", "steps"), [("sb3:ppo", 777), ("sb3:a2c", 503), ("sb3:dqn", 601)])
def test_budgets_are_exact(name, steps):
    agent = agent_class(name)("FrozenLake-v1", seed=0).learn(steps)
    assert agent.num_timesteps == steps
    agent.learn(101)
    assert agent.num_timesteps == steps + 101
    # rollouts begin where the last call stopped, wherever whole ones since 0 would end
    rest = -agent.num_timesteps % 2_048 + 2_048
    agent.learn(rest)
    assert agent.num_timesteps == steps + 101 + rest


@pytest.mark.parametrize("name", ["sb3:ppo", "sb3:a2c", "sb3:dqn"])
def test_budgets_of_several_at_once_are_exact_but_for_the_last_step(name):
    agent = agent_class(name)(gymnasium.make_vec("CartPole-v1", 4), seed=0)
    for budget, expected in ((10, 12), (203, 216), (64, 280)):
        assert agent.learn(budget).num_timesteps == expected


def test_a_budget_too_small_to_learn_is_said(caplog):
    agent_class("sb3:ppo")("FrozenLake-v1", seed=0).learn(100)
    assert "a budget of 100 teaches it nothing" in caplog.text


def test_presets_apply_to_finite_observations_only():
    dqn = agent_class("sb3:dqn")
    lake, pole = dqn("FrozenLake-v1"), dqn("CartPole-v1")
    for key, value in FINITE_PRESETS["DQN"].items():
        assert getattr(lake.config, key) == value
    assert dataclasses.asdict(pole.config) == dataclasses.asdict(dqn.Config())
    assert dqn("FrozenLake-v1", learning_rate=0.5).config.learning_rate == 0.5
    assert dqn("FrozenLake-v1", preset="none").config.learning_rate == 1e-4
    assert lake.model.learning_rate == 1e-3


def test_defaults_are_the_librarys():
    import inspect

    for name, algorithm in (("sb3:dqn", DQN), ("sb3:ppo", PPO)):
        config = agent_class(name).Config()
        signature = inspect.signature(algorithm.__init__).parameters
        for field in dataclasses.fields(config):
            if field.name not in ("preset", "net_arch", "device"):
                assert getattr(config, field.name) == signature[field.name].default


@pytest.mark.parametrize("env", ["FrozenLake-v1", "Blackjack-v1", "CartPole-v1"])
def test_saved_weights_predict_the_same(tmp_path, env):
    dqn = agent_class("sb3:dqn")
    agent = dqn(env, seed=1, net_arch=(16, 8)).learn(300)
    agent.save(tmp_path / "agent")
    loaded = dqn.load(tmp_path / "agent", env=env)
    assert loaded.num_timesteps == 300 and loaded.config == agent.config
    agent.observation_space.seed(0)
    for _ in range(30):
        observation = agent.observation_space.sample()
        assert loaded.predict(observation)[0] == agent.predict(observation)[0]


def test_foreign_files_are_refused(tmp_path):
    dqn, a2c = agent_class("sb3:dqn"), agent_class("sb3:a2c")
    dqn("FrozenLake-v1").save(tmp_path / "agent")
    with pytest.raises(ValueError, match=r"expected a checkpoint of sb3:a2c, got one of sb3:dqn"):
        a2c.load(tmp_path / "agent", env="FrozenLake-v1")
    with pytest.raises(ValueError, match="expected the spaces"):
        dqn.load(tmp_path / "agent", env="CartPole-v1")
    with pytest.raises(ValueError, match="needs its environment"):
        dqn.load(tmp_path / "agent")


def test_batches_and_singles_agree_on_tuples():
    agent = agent_class("sb3:a2c")("Blackjack-v1", seed=0)
    batch = (np.array([12, 20, 5]), np.array([1, 10, 7]), np.array([0, 1, 0]))
    together, _ = agent.predict(batch)
    alone = [agent.predict(tuple(int(part[i]) for part in batch))[0] for i in range(3)]
    assert together.tolist() == [int(action) for action in alone]


@pytest.mark.slow
def test_spaces_that_do_not_start_at_zero_are_learnt_rightly():
    agent = agent_class("sb3:a2c")(Shifted(), seed=0, gamma=0.0, learning_rate=0.003).learn(3_000)
    actions, _ = agent.predict(np.array([5, 6]))
    assert actions.tolist() == [-1, 0]


def test_callbacks_and_threads_pass_through():
    before = torch.get_num_threads()
    counter = CountSteps()
    agent = agent_class("sb3:a2c")("FrozenLake-v1", seed=0).learn(203, callback=counter)
    assert counter.n_calls == 203
    assert torch.get_num_threads() == before
    assert agent.get_env() is agent.model.get_env()


@pytest.mark.parametrize(
    ("name", "env", "more", "error", "message"),
    [
        ("sb3:dqn", "Pendulum-v1", {}, ValueError, "sb3:dqn refuses this environment"),
        ("sb3:sac", "FrozenLake-v1", {}, ValueError, "sb3:sac refuses this environment"),
        ("sb3:dqn", "FrozenLake-v1", {"learning_rat": 1}, TypeError, "did you mean learning_rate"),
        ("sb3:dqn", "FrozenLake-v1", {"preset": "fast"}, ValueError, "preset of auto or none"),
    ],
)
def test_mistakes(name, env, more, error, message):
    with pytest.raises(error, match=message):
        agent_class(name)(env, **more)


@pytest.mark.parametrize(
    ("reward", "position"), [(float("nan"), 0.0), (float("inf"), 0.0), (0.0, float("nan"))]
)
def test_what_is_not_finite_is_refused(reward, position, monkeypatch):
    env = gymnasium.make("Pendulum-v1", disable_env_checker=True)
    seen = np.array([position, 0.0, 0.0], dtype=np.float32)
    monkeypatch.setattr(env.unwrapped, "step", lambda action: (seen, reward, False, False, {}))
    with pytest.raises(ValueError, match=r"expected a finite (reward|observation), got"):
        agent_class("sb3:a2c")(env, seed=0).learn(5)


class NotFinite(gymnasium.vector.VectorEnv):
    """Two copies, the second of which shows or earns what is not finite."""

    metadata: ClassVar = {"autoreset_mode": gymnasium.vector.AutoresetMode.SAME_STEP}
    num_envs = 2
    single_observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    single_action_space = gymnasium.spaces.Discrete(2)
    observation_space = gymnasium.vector.utils.batch_space(single_observation_space, 2)
    action_space = gymnasium.vector.utils.batch_space(single_action_space, 2)

    def __init__(self, reward, place):
        self.reward, self.place = reward, place

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros((2, 2), np.float32), {}

    def step(self, actions):
        seen, never = np.zeros((2, 2), np.float32), np.zeros(2, dtype=bool)
        seen[1, 0] = self.place
        return seen, np.array([0.0, self.reward]), never, never, {}


@pytest.mark.parametrize(
    ("reward", "place", "message"),
    [(np.nan, 0.0, "nan in rewards"), (0.0, np.nan, "nan in obs"), (np.inf, 0.0, "inf in rew")],
)
def test_what_is_not_finite_in_one_of_several_is_refused(reward, place, message):
    agent = agent_class("sb3:dqn")(NotFinite(reward, place), seed=0, learning_starts=4)
    with pytest.raises(ValueError, match=message):
        agent.learn(40)


@pytest.mark.slow
def test_dqn_with_the_preset_learns_frozen_lake():
    from gymagine.experiments.environment_names import EnvironmentName
    from gymagine.experiments.exact_evaluation import exact_return_of

    agent = agent_class("sb3:dqn")("FrozenLake-v1", seed=0).learn(30_000)
    name = EnvironmentName("FrozenLake-v1")
    # over three seeds at 30 000 steps the exact return of the greedy policy was above 0.4
    assert exact_return_of(agent, name, discount=1.0, horizon=100) > 0.3
