"""DQN and its switches on worlds whose answers are known."""

import copy
import pickle

import gymnasium
import numpy as np
import pytest
import torch
from gymagine.agents.deep.dqn import DQN
from gymagine.agents.deep.population import Population
from gymagine.envs import probes
from gymagine.storage import read_arrays

SWITCHES = {
    "plain": {},
    "double": {"double": True},
    "duelling": {"duelling": True},
    "prioritised": {"prioritised": True},
    "n-step": {"n_step": 3},
    "categorical": {"categorical": True, "v_min": -2.0, "v_max": 2.0},
    "noisy": {"noisy": True},
    "rainbow": {"rainbow": True, "v_min": -2.0, "v_max": 2.0},
}
# in the whole suite each switch is tried alone, and all together
switches = pytest.mark.parametrize(
    "switches",
    [name if name == "plain" else pytest.param(name, marks=pytest.mark.slow) for name in SWITCHES],
)
SMALL = {
    "learning_rate": 3e-3,
    "buffer_size": 2_000,
    "hidden_sizes": (16,),
    "train_freq": 2,
    "target_update_interval": 50,
    "discount": 0.5,
    "exploration_rate": 0.5,
}


@pytest.fixture(autouse=True)
def quick(without_shape_checks):
    """Small networks are learnt most quickly by one thread; the parts are checked elsewhere."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def learnt(probe, switches, steps=1_500, **changes):
    return DQN(probe, seed=1, **SMALL | SWITCHES[switches] | changes).learn(steps)


def values(agent, seen):
    return agent.action_values(np.array([seen], dtype=np.float32))


@switches
def test_values_of_probes_with_one_action(switches):
    near = {"abs": 0.12}
    agent = learnt(probes.value_probe(), switches)
    assert values(agent, 0.0) == pytest.approx([1.0], **near)
    agent = learnt(probes.observation_probe(), switches)
    assert values(agent, -1.0) == pytest.approx([-1.0], **near)
    assert values(agent, 1.0) == pytest.approx([1.0], **near)
    agent = learnt(probes.discount_probe(), switches)
    assert values(agent, 0.0) == pytest.approx([0.5], **near)
    assert values(agent, 1.0) == pytest.approx([1.0], **near)


@switches
def test_actions_of_probes_with_two(switches):
    near = {"abs": 0.15}
    agent = learnt(probes.action_probe(), switches)
    assert values(agent, 0.0) == pytest.approx([-1.0, 1.0], **near)
    agent = learnt(probes.policy_probe(), switches)
    assert values(agent, -1.0) == pytest.approx([1.0, -1.0], **near)
    assert values(agent, 1.0) == pytest.approx([-1.0, 1.0], **near)
    seen = np.array([[-1.0], [1.0], [1.0]], dtype=np.float32)
    assert agent.predict(seen)[0].tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    "switches",
    [name if name == "plain" else pytest.param(name, marks=pytest.mark.slow) for name in SWITCHES],
)
def test_truncation_is_bootstrapped(switches):
    agent = learnt(probes.truncation_probe(), switches, 3_000, v_max=3.0)
    assert values(agent, 0.0) == pytest.approx([2.0], abs=0.15)


def test_a_copy_of_a_vector_environment_each():
    for mode in gymnasium.vector.AutoresetMode:
        env = gymnasium.vector.SyncVectorEnv([probes.policy_probe] * 4, autoreset_mode=mode)
        agent = learnt(env, "plain", 2_000)
        assert values(agent, 1.0) == pytest.approx([-1.0, 1.0], abs=0.15)
        assert 2_000 <= agent.num_timesteps < 2_004


@switches
def test_resuming_leaves_the_same_bytes(switches, tmp_path):
    def make():
        return gymnasium.make("CartPole-v1")

    settings = SMALL | SWITCHES[switches]
    DQN(make(), seed=3, **settings).learn(400).save(tmp_path / "whole")
    DQN(make(), seed=3, **settings).learn(201).save(tmp_path / "half")
    resumed = DQN.load(tmp_path / "half", env=make()).learn(199)
    resumed.save(tmp_path / "resumed")
    whole, whole_header = read_arrays(tmp_path / "whole", expected_format="gymagine-deep-agent-1")
    other, other_header = read_arrays(
        tmp_path / "resumed", expected_format="gymagine-deep-agent-1"
    )
    assert whole.keys() == other.keys()
    for name, array in whole.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)
    assert whole_header == other_header


def test_a_memory_in_files(tmp_path):
    settings = SMALL | {"prioritised": True, "buffer_size": 300}
    in_files = {"replay_folder": str(tmp_path / "replay")}
    plain = DQN("CartPole-v1", seed=0, **settings).learn(500)
    agent = DQN("CartPole-v1", seed=0, **settings, **in_files).learn(250)
    agent.save(tmp_path / "agent")
    assert sum(file.stat().st_size for file in (tmp_path / "replay").iterdir()) > 300 * 16
    agent = DQN.load(tmp_path / "agent", env="CartPole-v1").learn(250)
    seen = np.ones((3, 4), dtype=np.float32)
    np.testing.assert_array_equal(agent.action_values(seen), plain.action_values(seen))
    np.testing.assert_array_equal(agent.episode_returns, plain.episode_returns)
    with pytest.raises(ValueError, match="replay_folder=None in a population"):
        Population(DQN, "CartPole-v1", seeds=2, **in_files)


def test_equal_seeds_learn_the_same():
    one, same, other = (DQN("CartPole-v1", seed=s, **SMALL).learn(300) for s in (0, 0, 1))
    seen = np.zeros(4, dtype=np.float32)
    assert (one.action_values(seen) == same.action_values(seen)).all()
    assert (one.action_values(seen) != other.action_values(seen)).all()


def test_actions_that_start_elsewhere():
    class Shifted(gymnasium.ActionWrapper):
        def __init__(self, env):
            super().__init__(env)
            self.action_space = gymnasium.spaces.Discrete(2, start=7)

        def action(self, action):
            assert action in self.action_space
            return action - 7

    agent = learnt(Shifted(probes.policy_probe()), "plain")
    assert agent.predict(np.array([1.0], dtype=np.float32))[0] == 8


@pytest.mark.parametrize("env_id", ["FrozenLake-v1", "Blackjack-v1"])
def test_finite_observations(env_id):
    agent = DQN(env_id, seed=0, **SMALL).learn(200)
    observation = agent.observation_space.sample()
    assert agent.predict(observation)[0] in agent.action_space


class Moody(gymnasium.Wrapper):
    """Raises at its 150th step, or then gives NaN."""

    def __init__(self, mood):
        super().__init__(gymnasium.make("CartPole-v1"))
        self.mood, self.count = mood, 0

    def step(self, action):
        self.count += 1
        observation, reward, *rest = self.env.step(action)
        if self.count == 150 and self.mood == "raises":
            raise RuntimeError("no more")
        return observation, np.nan if self.count == 150 else reward, *rest


@pytest.mark.parametrize(
    ("mood", "error", "message"),
    [("raises", RuntimeError, "no more"), ("nan", ValueError, "finite")],
)
def test_what_was_learnt_stays_and_nothing_false_is_remembered(mood, error, message, tmp_path):
    agent = DQN(Moody(mood), seed=0, **SMALL)
    with pytest.raises(error, match=message):
        agent.learn(1_000)
    assert agent.num_timesteps == 149
    assert agent.num_episodes > 0
    agent.save(tmp_path / "agent")
    loaded = DQN.load(tmp_path / "agent")
    assert loaded.num_timesteps == 149
    assert loaded.num_episodes == agent.num_episodes
    agent.learn(300)
    assert agent.num_timesteps == 449
    assert agent.episode_returns.sum() == agent.episode_lengths.sum() < 449
    drawn = agent.learners.memory.sample(2_000, [np.random.default_rng(0)])
    before, after = drawn.observations[0][0].numpy(), drawn.next_observations[0][0].numpy()
    # a cart moves by its speed: no transition joins two episodes
    np.testing.assert_allclose(after[:, 0], before[:, 0] + 0.02 * before[:, 1], atol=1e-6)


@pytest.mark.parametrize("settings", [{"num_envs": 64}, {"learning_starts": 0, "train_freq": 1}])
def test_the_first_update_waits_for_the_first_return(settings):
    """64 copies have taken 128 steps, which are past 100, before any has taken three."""
    agent = DQN("CartPole-v1", seed=0, **SMALL | {"n_step": 3} | settings).learn(256)
    assert agent.learners.num_updates > 0


@pytest.mark.parametrize(("num_envs", "updates"), [(1, 10), (8, 10), (64, 14)])
def test_no_update_for_steps_before_learning_starts(num_envs, updates):
    """Steps 102, 104, ..., 120; with 64 copies those up to 128, which is 14 of them."""
    agent = DQN("CartPole-v1", seed=0, **SMALL, num_envs=num_envs).learn(120)
    assert agent.learners.num_updates == updates


def test_the_target_follows_as_fast_with_several_copies():
    """Where the network stands still, k moves by tau leave (1 - tau)^k of the way."""
    left = []
    for num_envs in (1, 8):
        settings = {"learning_starts": 1_000, "target_update_interval": 1, "tau": 0.1}
        agent = DQN("CartPole-v1", seed=0, **SMALL | settings, num_envs=num_envs)
        update = agent.learners.update
        before = update.targets["trunk.layers.0.weight"].clone()
        update.parameters["trunk.layers.0.weight"].add_(1.0)
        agent.learn(16)
        moved = update.targets["trunk.layers.0.weight"] - before
        left.append(1 - float(moved.mean()))
    assert left == pytest.approx([0.9**16] * 2, abs=1e-5)


def test_mistakes():
    with pytest.raises(ValueError, match=r"expected Discrete actions.*got Box"):
        DQN("Pendulum-v1")
    with pytest.raises(ValueError, match="batch_size within the buffer_size of 10, got 32"):
        DQN("CartPole-v1", buffer_size=10)
    with pytest.raises(TypeError, match="did you mean learning_rate"):
        DQN("CartPole-v1", learning_rat=1.0)
    with pytest.raises(ValueError, match="at least one timestep, got 0"):
        DQN("CartPole-v1", buffer_size=100).learn(0)


def test_callbacks_see_what_the_environment_said():
    seen = []

    def callback(local, _):
        seen.extend(local["new_obs"])
        return True

    class Counted(gymnasium.ObservationWrapper):
        def __init__(self, env):
            super().__init__(env)
            tiles = gymnasium.spaces.Discrete(16, start=100)
            self.observation_space = gymnasium.spaces.Dict(tile=tiles)

        def observation(self, observation):
            return {"tile": 100 + observation}

    env = Counted(gymnasium.make("FrozenLake-v1"))
    DQN(env, seed=0, **SMALL).learn(20, callback)
    assert len(seen) == 20
    assert all(observation in env.observation_space for observation in seen)


def test_interrupted_while_learning(monkeypatch):
    """Ctrl-C between remembering a step and the next episode's beginning costs an episode."""
    agent = DQN("CartPole-v1", seed=0, **SMALL).learn(150)
    memory = agent.learners.memory
    begin = memory.begin

    def interrupted(*arguments):
        monkeypatch.setattr(memory, "begin", begin)
        raise KeyboardInterrupt

    monkeypatch.setattr(memory, "begin", interrupted)
    with pytest.raises(KeyboardInterrupt):
        agent.learn(1_000)
    steps = agent.num_timesteps
    assert agent.learn(100).num_timesteps == steps + 100


def test_no_copies():
    """A copy would act by the weights of the moment it was made, whatever it learns."""
    agent = DQN("CartPole-v1", buffer_size=100)
    for make_copy in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="save and load"):
            make_copy(agent)
