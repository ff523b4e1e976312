import subprocess
import sys

import gymnasium
import numpy as np
import pytest
import torch
from gymagine.agents.imagination.decision_transformer import DecisionTransformer
from gymagine.generative.data.environments import transitions
from gymnasium import spaces
from stable_baselines3.common.evaluation import evaluate_policy

torch.set_num_threads(1)

SMALL = {"context_length": 3, "width": 32, "num_layers": 1}
FEW = {"num_updates": 5, "warm_up": 0, "reward_settings": {"num_updates": 5}}


class Pushes(gymnasium.Env):
    """Three pushes a in [-1, 1] move x to x + a and bring a; the reward is in the change of x."""

    observation_space = spaces.Box(-4, 4, (1,))
    action_space = spaces.Box(-1, 1, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x, self.t = self.np_random.uniform(-1, 1, 1).astype(np.float32), 0
        return self.x.copy(), {}

    def step(self, action):
        self.x = (self.x + action).astype(np.float32)
        self.t += 1
        return self.x.copy(), float(action[0]), self.t == 3, False, {}


def played(agent, num=50):
    """(E, 3) what was done."""
    x = np.random.default_rng(0).uniform(-1, 1, (num, 1)).astype(np.float32)
    memory, done = None, []
    for _ in range(3):
        actions, memory = agent.predict(x, memory)
        x = (x + actions).astype(np.float32)
        done.append(actions[:, 0])
    return np.stack(done, axis=1)


@pytest.mark.slow
def test_the_return_that_is_asked_for_is_got():
    """Of three random pushes that bring R together, each is R / 3 on average: so the first is."""
    agent = DecisionTransformer(Pushes(), **SMALL)
    found = agent.fit(
        transitions(Pushes(), 4_500, seed=0),
        num_updates=400,
        learning_rate=3e-3,
        reward_settings={"num_updates": 500},
    )
    assert found.reward_error < 0.1  # rewards deviate by 0.58
    assert agent.target_return == found.highest_return > 2
    for asked in (-1.5, 0.0, 1.5):
        agent.ask_for(asked)
        done = played(agent)
        assert done[:, 0].mean() == pytest.approx(asked / 3, abs=0.15)
        assert done.sum(axis=1).mean() == pytest.approx(asked, abs=0.15)
        assert done.sum(axis=1).std() < 0.2


def fitted(**more):
    agent = DecisionTransformer("CartPole-v1", **(SMALL | more))
    agent.fit(transitions("CartPole-v1", 300), **FEW)
    return agent


def test_rewards_are_taken_off_what_is_asked_for():
    agent = fitted(target_return=50.0)
    observations = np.zeros((2, 4), np.float32)
    _, memory = agent.predict(observations)
    assert memory.to_come.tolist() == [50, 50]
    _, memory = agent.predict(observations, memory)
    np.testing.assert_allclose(memory.to_come, 49, atol=0.3)  # CartPole pays 1 for each step
    _, memory = agent.predict(observations, memory, np.array([False, True]))
    assert memory.lengths.tolist() == [3, 1]
    np.testing.assert_allclose(memory.to_come, [48, 50], atol=0.6)


def test_the_highest_return_of_the_data_is_asked_for_unless_another_is():
    agent = DecisionTransformer("CartPole-v1", **SMALL)
    with pytest.raises(ValueError, match="a return to play for"):
        agent.predict(np.zeros(4, np.float32))
    found = agent.fit(transitions("CartPole-v1", 300), **FEW)
    assert agent.target_return == found.highest_return > found.lowest_return > 5
    agent.ask_for(3)
    assert agent.target_return == 3
    with pytest.raises(ValueError, match="finite return"):
        agent.ask_for(np.inf)


def test_tools_play_it_and_only_draws_differ():
    agent = fitted()
    env = gymnasium.make("CartPole-v1", max_episode_steps=8)
    mean, _ = evaluate_policy(agent, env, n_eval_episodes=2, warn=False)
    assert mean > 0
    observations = np.zeros((200, 4), np.float32)
    assert len(set(agent.predict(observations)[0].tolist())) == 1
    assert len(set(agent.predict(observations, deterministic=False)[0].tolist())) == 2


def test_files_bring_everything_back(tmp_path):
    agent = fitted(seed=3)
    agent.save(tmp_path / "agent")
    again = DecisionTransformer.load(tmp_path / "agent", "CartPole-v1")
    again.save(tmp_path / "again")
    assert (tmp_path / "agent").read_bytes() == (tmp_path / "again").read_bytes()
    observations = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    one, other = (own.predict(observations, deterministic=False)[0] for own in (agent, again))
    np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match="observation space"):
        DecisionTransformer.load(tmp_path / "agent", "Pendulum-v1")


@pytest.mark.slow
def test_another_process_acts_alike(tmp_path):
    agent = fitted()
    agent.save(tmp_path / "agent")
    code = (
        "import sys, numpy as np, torch; torch.set_num_threads(1)\n"
        "from gymagine.agents.imagination.decision_transformer import DecisionTransformer\n"
        "agent = DecisionTransformer.load(sys.argv[1])\n"
        "x = np.linspace(-1, 1, 80, dtype='f4').reshape(20, 4)\n"
        "print(agent.predict(x, deterministic=False)[0].tolist())"
    )
    path = str(tmp_path / "agent")
    told = subprocess.run([sys.executable, "-c", code, path], capture_output=True, check=True)
    x = np.linspace(-1, 1, 80, dtype=np.float32).reshape(20, 4)
    assert told.stdout.decode().strip() == str(agent.predict(x, deterministic=False)[0].tolist())


def test_mistakes_are_told():
    with pytest.raises(TypeError, match="did you mean context_length"):
        DecisionTransformer("CartPole-v1", context_lengths=3)
    with pytest.raises(ValueError, match="multiple of the number of heads"):
        DecisionTransformer("CartPole-v1", width=5, num_heads=2)
    agent = fitted()
    _, memory = agent.predict(np.zeros((3, 4), np.float32))
    with pytest.raises(ValueError, match="3 observations"):
        agent.predict(np.zeros((2, 4), np.float32), memory)
    with pytest.raises(ValueError, match="no action_mask"):
        agent.predict(np.zeros(4, np.float32), action_mask=np.ones(2, bool))
    with pytest.raises(ValueError, match="no callback"):
        agent.learn(10, callback=lambda *_: True)
