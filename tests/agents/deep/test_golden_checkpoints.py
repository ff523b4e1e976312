"""Files that an earlier version wrote can be read, and mean what they meant.

The files lie in golden_checkpoints.json, as text. Where the format changes, on purpose and with a
new format number, ``python tests/agents/deep/test_golden_checkpoints.py`` writes them anew.
"""

import base64
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from gymagine.agents.deep.a2c import A2C
from gymagine.agents.deep.dqn import DQN
from gymagine.agents.deep.population import Population
from gymagine.agents.deep.reinforce import REINFORCE

GOLDEN = Path(__file__).with_name("golden_checkpoints.json")
OBSERVATIONS = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
DQN_SETTINGS = {
    "hidden_sizes": (3,),
    "buffer_size": 40,
    "batch_size": 4,
    "learning_starts": 10,
    "learning_rate": 1e-2,
}
RAINBOW = {"rainbow": True, "num_atoms": 3, "v_min": 0.0, "v_max": 20.0}
SMALL = {"hidden_sizes": (3,), "num_envs": 2}
AGENTS = {
    "dqn": lambda: DQN("CartPole-v1", seed=1, prioritised=True, **DQN_SETTINGS),
    "rainbow": lambda: DQN("CartPole-v1", seed=2, **DQN_SETTINGS, **RAINBOW),
    "reinforce": lambda: REINFORCE("CartPole-v1", seed=3, **SMALL),
    "a2c": lambda: A2C("CartPole-v1", seed=4, **SMALL),
    "population": lambda: Population(DQN, "CartPole-v1", seeds=2, **DQN_SETTINGS),
}
STEPS = 53


def told(agent):
    """What an agent makes of some observations."""
    if isinstance(agent, Population):
        return [told(member) for member in agent.members]
    seen = agent.action_values if isinstance(agent, DQN) else agent.state_values
    return [seen(OBSERVATIONS).tolist(), agent.predict(OBSERVATIONS)[0].tolist()]


def load(name, path):
    made = AGENTS[name]()
    if isinstance(made, Population):
        return Population.load(path, DQN, "CartPole-v1")
    return type(made).load(path, env="CartPole-v1")


@pytest.mark.parametrize("name", AGENTS)
def test_a_file_of_an_earlier_version(name, tmp_path, without_shape_checks):
    golden = json.loads(GOLDEN.read_text())[name]
    (tmp_path / "agent").write_bytes(base64.b64decode(golden["file"]))
    agent = load(name, tmp_path / "agent")
    assert agent.num_timesteps == golden["num_timesteps"]
    assert agent.environment_restored
    np.testing.assert_allclose(_flat(told(agent)), _flat(golden["told"]), rtol=1e-5, atol=1e-6)
    agent.learn(golden["more"])
    # over so few updates another processor's rounding does not matter
    np.testing.assert_allclose(_flat(told(agent)), _flat(golden["later"]), rtol=1e-3, atol=1e-4)


def _flat(value):
    return [number for part in value for number in _flat(part)] if _is_list(value) else [value]


def _is_list(value):
    return isinstance(value, list)


def write():
    """Write the golden files of this version."""
    found = {}
    for name, make in AGENTS.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "agent"
            agent = make().learn(STEPS)
            agent.save(path)
            found[name] = {
                "file": base64.b64encode(path.read_bytes()).decode(),
                "num_timesteps": agent.num_timesteps,
                "told": told(agent),
                "more": 17,
                "later": told(agent.learn(17)),
            }
    GOLDEN.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    write()
