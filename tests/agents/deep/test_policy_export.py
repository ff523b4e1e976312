"""A policy by itself, in PyTorch and in onnxruntime, acts as its agent does."""

import gymnasium
import numpy as np
import pytest
import torch
from gymagine.agents.deep.a2c import A2C
from gymagine.agents.deep.dqn import DQN
from gymagine.agents.deep.policy_export import export_onnx
from gymagine.agents.deep.population import Population
from gymagine.agents.deep.reinforce import REINFORCE
from gymnasium import spaces

ATOMS = {"categorical": True, "v_min": -5.0, "v_max": 5.0, "duelling": True}
FLOOR = spaces.Discrete(3, start=5)
CAMERA = spaces.Box(0, 255, (8, 8, 3), np.uint8)
ROOM = spaces.Dict(camera=CAMERA, floor=FLOOR)


class Room(gymnasium.Env):
    """Random observations and any actions."""

    def __init__(self, observation_space, action_space):
        self.observation_space, self.action_space = observation_space, action_space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        return self.observation_space.sample(), 1.0, False, False, {}


def rooms():
    turns = spaces.MultiDiscrete([3, 2], start=[1, 4])
    arms = spaces.Box(np.array([-1.0, 0.0]), np.array([1.0, 2.0]), dtype=np.float32)
    yield DQN(Room(ROOM, spaces.Discrete(4, start=-2)), buffer_size=50)
    yield DQN(Room(CAMERA, spaces.Discrete(3)), buffer_size=50, **ATOMS)
    yield DQN("CartPole-v1", buffer_size=50, noisy=True)
    yield DQN("FrozenLake-v1", buffer_size=50)
    yield A2C(Room(ROOM, turns), num_envs=1)
    yield A2C(Room(spaces.Box(-1, 1, (3,), np.float64), arms), num_envs=1, squash=True)
    yield REINFORCE(Room(spaces.Box(-1, 1, (2, 2)), arms), num_envs=1)
    yield REINFORCE(Room(FLOOR, spaces.MultiBinary(3)), num_envs=1, baseline=False)
    yield Population(A2C, "CartPole-v1", seeds=3).members[2]


def batch_of(agent, num):
    """Observations for `predict`, and their leaves."""
    space = agent.observation_space
    seen = [space.sample() for _ in range(num)]
    if isinstance(space, spaces.Dict):
        whole = {key: np.stack([one[key] for one in seen]) for key in space.spaces}
        return whole, list(whole.values())
    return np.stack(seen), [np.stack(seen)]


@pytest.mark.parametrize("number", range(9))
def test_modules_act_as_their_agents(number):
    agent = list(rooms())[number]
    module = agent.policy_module()
    whole, leaves = batch_of(agent, 20)
    expected, _ = agent.predict(whole)
    actions = module(*map(torch.from_numpy, leaves)).detach().numpy()
    np.testing.assert_allclose(actions, expected, rtol=1e-5, atol=1e-6)
    assert actions.shape == expected.shape


def test_what_is_learnt_later_does_not_change_a_module():
    agent = DQN("CartPole-v1", learning_starts=10, train_freq=1, learning_rate=0.1)
    module = agent.policy_module()
    seen = torch.randn(50, 4)
    before = module.network((seen[None],)).detach()
    agent.learn(50)
    assert torch.equal(module.network((seen[None],)).detach(), before)
    assert not torch.equal(agent.policy_module().network((seen[None],)).detach(), before)


@pytest.mark.slow  # three seconds each
@pytest.mark.parametrize("number", range(9))
def test_onnxruntime_acts_as_the_agent(number, tmp_path, unchecked):
    runtime = pytest.importorskip("onnxruntime")
    agent = list(rooms())[number]
    path = export_onnx(agent, tmp_path / "policy.onnx")
    assert [file.name for file in tmp_path.iterdir()] == ["policy.onnx"]
    session = runtime.InferenceSession(path)
    for num in (1, 2, 17):
        whole, leaves = batch_of(agent, num)
        expected, _ = agent.predict(whole)
        names = [given.name for given in session.get_inputs()]
        assert names == (["camera", "floor"] if len(leaves) == 2 else ["observation"])
        (actions,) = session.run(["action"], dict(zip(names, leaves, strict=True)))
        np.testing.assert_allclose(actions, expected, rtol=1e-4, atol=1e-5)
