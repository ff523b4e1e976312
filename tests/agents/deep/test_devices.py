"""Networks on another device learn the same, and everything else stays on the processor."""

import logging

import gymnasium
import numpy as np
import pytest
import torch
from gymagine.agents.deep.a2c import A2C
from gymagine.agents.deep.devices import device_for
from gymagine.agents.deep.dqn import DQN
from gymagine.agents.deep.encoders import Encoder
from gymagine.agents.deep.population import Population
from gymagine.agents.deep.reinforce import REINFORCE
from gymnasium import spaces

from .other_device import OTHER, other_device

SMALL = {"hidden_sizes": (8,)}
SOON = SMALL | {"learning_starts": 20, "buffer_size": 200}


class Frames(gymnasium.Env):
    """A picture and a number; four steps an episode."""

    observation_space = spaces.Dict(
        {"picture": spaces.Box(0, 255, (6, 6, 2), np.uint8), "number": spaces.Discrete(3)}
    )
    action_space = spaces.Discrete(2, start=1)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._steps = 0
        return self._seen(), {}

    def step(self, action):
        self._steps += 1
        return self._seen(), float(action), False, self._steps == 4, {}

    def _seen(self):
        picture = self.np_random.integers(0, 256, (6, 6, 2), dtype=np.uint8)
        return {"picture": picture, "number": np.int64(self._steps % 3)}


CASES = [
    pytest.param(DQN, "CartPole-v1", SOON, id="dqn"),
    pytest.param(DQN, "CartPole-v1", SOON | {"rainbow": True}, id="rainbow"),
    pytest.param(DQN, "FrozenLake-v1", SOON | {"duelling": True, "tau": 0.1}, id="places"),
    pytest.param(DQN, "Taxi-v4", SOON, id="masks"),
    pytest.param(DQN, Frames, SOON, id="pictures"),
    pytest.param(A2C, "CartPole-v1", SMALL, id="a2c"),
    pytest.param(A2C, "Taxi-v4", SMALL | {"optimiser": "adam"}, id="a2c, masks"),
    pytest.param(A2C, Frames, SMALL | {"num_envs": 1}, id="a2c, pictures"),
    pytest.param(A2C, "Pendulum-v1", SMALL | {"squash": True}, id="a2c, squashed"),
    pytest.param(REINFORCE, "CartPole-v1", SMALL | {"normalise_returns": True}, id="reinforce"),
    pytest.param(REINFORCE, "Pendulum-v1", SMALL | {"baseline": False}, id="without values"),
]


@pytest.mark.parametrize(("agent", "env", "settings"), CASES)
def test_the_same_on_another_device(agent, env, settings, tmp_path):
    env = env if isinstance(env, str) else env()
    steps = 230 if agent is REINFORCE else 80
    here = agent(env, seed=1, device="cpu", **settings).learn(steps)
    seen = here.observation_space.sample()
    path = tmp_path / "agent"
    with other_device():
        there = agent(env, seed=1, device=OTHER, **settings).learn(steps)
        assert {tensor.device.type for tensor in tensors_of(there)} == {OTHER}
        found = there.learners.arrays()
        action = there.predict(seen)[0]
        there.predict(seen, deterministic=False)
        exported = there.policy_module()
        there.save(path)
        again = agent.load(path).learners.arrays()
    assert {value.device.type for value in exported.state_dict().values()} <= {"cpu"}
    assert here.learners.num_updates > 0
    np.testing.assert_allclose(action, here.predict(seen)[0], atol=1e-5)
    for name, array in here.learners.arrays().items():
        scale = max(1.0, float(np.abs(array).max(initial=0)))
        np.testing.assert_allclose(found[name] / scale, array / scale, atol=1e-4, err_msg=name)
        np.testing.assert_array_equal(again[name], found[name], err_msg=name)


def tensors_of(agent):
    learners = agent.learners
    if isinstance(agent, DQN):
        return learners.update.tensors().values()
    update = learners._update if isinstance(agent, A2C) else learners._updates[0]
    return update.tensors().values()


def test_a_population_on_another_device():
    settings = SOON | {"prioritised": True, "n_step": 2}
    here = Population(DQN, "CartPole-v1", seeds=2, **settings).learn(60)
    with other_device():
        there = Population(DQN, "CartPole-v1", seeds=2, device=OTHER, **settings).learn(60)
        found = [there.members[i].learners.arrays(i) for i in range(2)]
    for i, arrays in enumerate(found):
        for name, array in here.members[i].learners.arrays(i).items():
            np.testing.assert_allclose(arrays[name], array, atol=1e-5, err_msg=name)


def test_pictures_go_to_cuda_where_there_is_one(monkeypatch):
    rngs = [np.random.default_rng(0)]
    pictures = Encoder([spaces.Box(0, 255, (6, 6, 2), np.uint8)], rngs=rngs)
    numbers = Encoder([spaces.Discrete(3)], rngs=rngs)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert [device_for("auto", encoder).type for encoder in (pictures, numbers)] == ["cpu"] * 2
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [device_for("auto", each).type for each in (pictures, numbers)] == ["cuda", "cpu"]


@pytest.mark.parametrize("agent", [DQN, A2C, REINFORCE], ids=lambda agent: agent.name)
def test_mistakes(agent):
    with pytest.raises(ValueError, match=r"expected device as auto, cpu, cuda.*got 'gpu'"):
        agent("CartPole-v1", device="gpu")
    for there_is_none in ("cuda:99", "meta", "hpu"):  # tensors on meta have no numbers
        with pytest.raises(ValueError, match=f"that is there, got '{there_is_none}'"):
            agent("CartPole-v1", device=there_is_none)


def test_a_file_from_a_machine_with_more_devices(tmp_path, monkeypatch, caplog):
    path = tmp_path / "agent"
    agent = A2C("CartPole-v1", **SMALL).learn(40)
    object.__setattr__(agent.config, "device", "cuda:99")
    agent.save(path)
    with caplog.at_level(logging.WARNING):
        loaded = A2C.load(path)
    assert "learnt on cuda:99, which is not here" in caplog.text
    assert loaded.config.device == "cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize(("agent", "env", "settings"), CASES)
def test_the_same_on_cuda(agent, env, settings, compiled, without_shape_checks):
    env = env if isinstance(env, str) else env()
    steps = 230 if agent is REINFORCE else 60
    here = agent(env, seed=1, device="cpu", **settings).learn(steps).learners.arrays()
    there = agent(env, seed=1, device="cuda", compile=compiled, **settings).learn(steps)
    for name, array in there.learners.arrays().items():
        scale = max(1.0, float(np.abs(array).max(initial=0)))
        np.testing.assert_allclose(here[name] / scale, array / scale, atol=1e-3, err_msg=name)
