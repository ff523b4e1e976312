"""Files of deep agents whose parts are missing, false or foreign: a clear error each."""

import copy
import math

import numpy as np
import pytest
from gymagine.agents.deep.a2c import A2C
from gymagine.agents.deep.dqn import DQN
from gymagine.agents.deep.population import Population
from gymagine.agents.deep.reinforce import REINFORCE
from gymagine.storage import read_arrays, write_arrays

SETTINGS = {
    DQN: {"buffer_size": 300, "learning_starts": 10, "hidden_sizes": (8,), "num_envs": 2},
    A2C: {"hidden_sizes": (8,), "num_envs": 2},
    REINFORCE: {"hidden_sizes": (8,), "num_envs": 2, "episodes_per_update": 50},
}
agents = pytest.mark.parametrize("agent", list(SETTINGS), ids=lambda agent: agent.name)
FALSE = (None, -1, 2.5, "x", [], {}, math.nan)


@pytest.fixture(autouse=True)
def quick(without_shape_checks):
    """The parts are checked elsewhere."""


@pytest.fixture
def saved(agent, tmp_path):
    # between two updates of A2C, so that there is a roll-out
    agent("CartPole-v1", seed=0, **SETTINGS[agent]).learn(106).save(tmp_path / "agent")
    return read_arrays(tmp_path / "agent", expected_format="gymagine-deep-agent-1")


def refuses(agent, path, arrays, header):
    write_arrays(path, arrays, header)
    with pytest.raises(ValueError, match="expected"):
        agent.load(path, env="CartPole-v1")


@agents
def test_headers(agent, saved, tmp_path):
    arrays, header = saved
    false = {
        ("num_rows",): (*FALSE, 10**13, 0, 3),
        ("seed",): FALSE,
        ("num_episodes",): FALSE,
        ("agent",): FALSE,
        ("learners", "num_timesteps"): FALSE,
        ("learners", "begun"): FALSE,
        ("learners", "streams"): FALSE,
    }
    if agent is DQN:
        false |= {("learners", key): FALSE for key in ("remembers", "masks", "num_updates")}
    for path, values in false.items():
        for value in values:
            changed = copy.deepcopy(header)
            place = changed if len(path) == 1 else changed[path[0]]
            place[path[-1]] = value
            refuses(agent, tmp_path / "false", arrays, changed)
        del place[path[-1]]
        refuses(agent, tmp_path / "false", arrays, changed)


@agents
def test_arrays(agent, saved, tmp_path):
    arrays, header = saved
    for name, array in arrays.items():
        without = {key: value for key, value in arrays.items() if key != name}
        refuses(agent, tmp_path / "false", without, header)
        refuses(agent, tmp_path / "false", without | {name: array[..., np.newaxis]}, header)
        if not name.startswith("episodes."):  # which are read as numbers of any kind
            other = np.float16 if array.dtype != np.float16 else np.float32
            refuses(agent, tmp_path / "false", without | {name: array.astype(other)}, header)


@agents
def test_numbers_that_cannot_be(agent, saved, tmp_path):
    arrays, header = saved
    names = {
        DQN: ["rows.leaf0", "memory.values"],
        A2C: ["rows.leaf0", "rollout.rewards", "rollout.leaf0"],
        REINFORCE: ["rows.leaf0", "waiting.rewards", "waiting.leaf0"],
    }
    for name in names[agent]:
        refuses(agent, tmp_path / "false", arrays | {name: arrays[name] * np.nan}, header)
    latents = {DQN: [], A2C: ["rollout.latents"], REINFORCE: ["waiting.latents"]}
    for name in latents[agent]:
        refuses(agent, tmp_path / "false", arrays | {name: arrays[name] + 2}, header)
        refuses(agent, tmp_path / "false", arrays | {name: arrays[name] - 2}, header)


def test_populations(tmp_path):
    Population(A2C, "CartPole-v1", seeds=2, **SETTINGS[A2C]).learn(20).save(tmp_path / "two")
    arrays, header = read_arrays(tmp_path / "two", expected_format="gymagine-population-1")
    many = [header["configs"][0] | {"num_envs": 10**9}] * 2
    for changes in (
        {"configs": [], "seeds": []},
        {"configs": header["configs"][:1]},
        {"seeds": [0, None]},
        {"seeds": [0, 1, 2]},
        {"configs": many},
        {"num_episodes": [0]},
    ):
        write_arrays(tmp_path / "false", arrays, header | changes)
        with pytest.raises(ValueError, match="expected"):
            Population.load(tmp_path / "false", A2C, "CartPole-v1")


@agents
def test_pickles_and_halves(agent, saved, tmp_path):
    whole = (tmp_path / "agent").read_bytes()
    for content in (
        b"",
        whole[:7],
        whole[:-1],
        whole[: len(whole) // 2],
        b"\x80\x04N.",
        b"PK\3\4",
    ):
        (tmp_path / "false").write_bytes(content)
        with pytest.raises(ValueError, match=r"expected a gymagine-deep-agent-1 file.*false"):
            agent.load(tmp_path / "false")
