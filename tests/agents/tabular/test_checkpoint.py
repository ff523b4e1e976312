"""The law of resuming: learn(n), save, load, learn(n) leaves the bytes of learn(2n)."""

import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymagine.agents.tabular.checkpoint import FORMAT
from gymagine.agents.tabular.dyna_q import DynaQ
from gymagine.agents.tabular.monte_carlo import MonteCarlo
from gymagine.agents.tabular.n_step_sarsa import NStepSARSA
from gymagine.agents.tabular.q_learning import QLearning
from gymagine.agents.tabular.sarsa import SARSA
from gymagine.agents.tabular.sarsa_lambda import SARSALambda
from gymagine.agents.tabular.td_prediction import TDPrediction
from gymagine.envs.mdp import TabularMDP
from gymagine.envs.tabular_env import TabularEnv
from gymagine.schedules import Schedule
from gymagine.space_json import space_from_json, space_to_json
from gymagine.storage import read_arrays, write_arrays
from gymnasium import spaces

# odd halves, so that the cut falls into the middle of an episode
WORLDS = {"FrozenLake-v1": 1_237, "CliffWalking-v1": 1_501}


def settings_of(agent_class):
    """Schedules that change on both sides of the cut, where the learner has them."""
    fields = agent_class.func.Config if hasattr(agent_class, "func") else agent_class.Config
    names = fields.__dataclass_fields__
    changing = {
        "exploration_rate": Schedule("linear", 0.9, 0.05, 2_000),
        "step_size": Schedule("exponential", 0.5, 0.01, 3_000),
        "step_size_decay": 0.3,
    }
    return {name: value for name, value in changing.items() if name in names}


def resume(learner, simulator, world, half, folder):
    settings = settings_of(learner)
    whole = learner(world, seed=5, simulator=simulator, **settings).learn(2 * half)
    whole.save(folder / "whole")
    first = learner(world, seed=5, simulator=simulator, **settings).learn(half)
    first.save(folder / "half")
    second = type(first).load(folder / "half", env=world)
    assert second.environment_restored
    assert second.num_timesteps == half
    second.learn(half).save(folder / "resumed")
    assert (folder / "resumed").read_bytes() == (folder / "whole").read_bytes()


@pytest.mark.parametrize("world", WORLDS)
def test_resuming_leaves_the_same_bytes(make_learner, simulator, world, tmp_path):
    resume(make_learner, simulator, world, WORLDS[world], tmp_path)


@pytest.mark.parametrize("learner", [QLearning, MonteCarlo, TDPrediction])
@pytest.mark.parametrize(("world", "half"), [("Blackjack-v1", 801), ("Taxi-v4", 777)])
def test_and_in_worlds_of_other_kinds(learner, simulator, world, half, tmp_path):
    resume(learner, simulator, world, half, tmp_path)


def test_two_calls_equal_one(make_learner, simulator, tmp_path):
    settings = settings_of(make_learner)
    whole = make_learner("FrozenLake-v1", seed=1, simulator=simulator, **settings).learn(2_000)
    parts = make_learner("FrozenLake-v1", seed=1, simulator=simulator, **settings)
    for steps in (1, 2, 997, 1_000):
        parts.learn(steps)
    whole.save(tmp_path / "whole")
    parts.save(tmp_path / "parts")
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "parts").read_bytes()


RESUME = """
import sys
from gymagine.agents.tabular.q_learning import QLearning
QLearning.load(sys.argv[1], env="FrozenLake-v1").learn(1_000).save(sys.argv[2])
"""


def test_resuming_in_a_fresh_process(simulator, tmp_path):
    agent = QLearning("FrozenLake-v1", seed=2, simulator=simulator).learn(1_000)
    agent.save(tmp_path / "half")
    arguments = [str(tmp_path / "half"), str(tmp_path / "resumed")]
    subprocess.run([sys.executable, "-c", RESUME, *arguments], check=True)
    agent.learn(1_000).save(tmp_path / "whole")
    assert (tmp_path / "resumed").read_bytes() == (tmp_path / "whole").read_bytes()


def test_saving_changes_nothing(tmp_path):
    quiet = QLearning("FrozenLake-v1", seed=2, simulator="stepped").learn(600)
    saved = QLearning("FrozenLake-v1", seed=2, simulator="stepped")
    for _ in range(6):
        saved.learn(100).save(tmp_path / "agent")
    assert (quiet.action_values == saved.action_values).all()


def test_episodes_longer_than_the_first_buffer_resume(tmp_path):
    # the random policy falls off the cliff for tens of thousands of steps before its first goal
    from gymagine.agents.tabular.monte_carlo_prediction import MonteCarloPrediction

    whole = MonteCarloPrediction("CliffWalking-v1", seed=0).learn(12_000)
    half = MonteCarloPrediction("CliffWalking-v1", seed=0).learn(6_000)
    half.save(tmp_path / "half")
    resumed = MonteCarloPrediction.load(tmp_path / "half", env="CliffWalking-v1").learn(6_000)
    whole.save(tmp_path / "whole")
    resumed.save(tmp_path / "resumed")
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "resumed").read_bytes()
    arrays, _ = read_arrays(tmp_path / "whole", expected_format=FORMAT)
    assert len(arrays["memory.episode.states"]) > 4_096


# ---- without, and with another environment ----------------------------------------------------


def test_an_agent_without_environment_predicts_and_saves_but_does_not_learn(
    make_learner, tmp_path
):
    agent = make_learner("Blackjack-v1", seed=0).learn(500)
    agent.save(tmp_path / "agent")
    loaded = type(agent).load(tmp_path / "agent")
    assert loaded.env is None
    assert loaded.simulator is None
    assert loaded.predict((20, 10, 0))[0] == agent.predict((20, 10, 0))[0]
    assert (loaded.state_values == agent.state_values).all()
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "agent").read_bytes()
    with pytest.raises(ValueError, match="expected an environment to learn in"):
        loaded.learn(10)


class Opaque(gymnasium.Env):
    """An environment whose state nobody knows how to capture."""

    observation_space = spaces.Discrete(3)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.seeds = [*getattr(self, "seeds", []), seed]
        return 0, {}

    def step(self, action):
        ended = bool(self.np_random.random() < 0.1)
        return int(self.np_random.integers(3)), float(action), ended, False, {}


def test_an_environment_that_cannot_be_restored_is_reset_and_that_is_said(
    make_learner, tmp_path, caplog
):
    agent = make_learner(Opaque(), seed=0).learn(105)
    agent.save(tmp_path / "agent")
    envs = [Opaque(), Opaque()]
    resumed = [type(agent).load(tmp_path / "agent", env=env) for env in envs]
    assert not resumed[0].environment_restored
    assert "could not be restored" in caplog.text
    values = [other.learn(50).state_values.tolist() for other in resumed]
    assert resumed[0].num_timesteps == 155
    assert values[0] == values[1], "the reset is seeded from the agent's own seed"
    assert isinstance(envs[0].seeds[0], int)
    assert envs[0].seeds[0] != agent.env.seeds[0]


def test_a_model_that_differs_begins_an_episode(tmp_path):
    agent = QLearning("FrozenLake-v1", seed=0).learn(105)
    agent.save(tmp_path / "agent")
    dry = gymnasium.make("FrozenLake-v1", is_slippery=False)
    resumed = QLearning.load(tmp_path / "agent", env=dry)
    assert not resumed.environment_restored
    assert resumed.learn(100).num_timesteps == 205


def test_other_agents_and_other_spaces_are_refused(tmp_path):
    QLearning("FrozenLake-v1", seed=0).learn(10).save(tmp_path / "agent")
    with pytest.raises(ValueError, match=r"expected a sarsa agent, got .* of q-learning"):
        SARSA.load(tmp_path / "agent")
    with pytest.raises(ValueError, match=r"observation space Discrete\(16\), got Discrete\(64\)"):
        QLearning.load(tmp_path / "agent", env="FrozenLake8x8-v1")


def test_foreign_and_damaged_files_are_refused(tmp_path):
    (tmp_path / "pickle").write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(ValueError, match="damaged or of another kind"):
        QLearning.load(tmp_path / "pickle")
    write_arrays(tmp_path / "other", {"x": np.zeros(1)}, {"format": "gymagine-mdp-1"})
    with pytest.raises(ValueError, match="expected a gymagine-agent-1 file"):
        QLearning.load(tmp_path / "other")
    QLearning("FrozenLake-v1", seed=0).learn(10).save(tmp_path / "agent")
    arrays, header = read_arrays(tmp_path / "agent", expected_format=FORMAT)
    del arrays["memory.num_updates"]
    write_arrays(tmp_path / "older", arrays, header)
    with pytest.raises(ValueError, match="of another version"):
        QLearning.load(tmp_path / "older")
    header["config"]["momentum"] = 0.9
    write_arrays(tmp_path / "later", arrays, header)
    with pytest.raises(ValueError, match="momentum"):
        QLearning.load(tmp_path / "later")
    with pytest.raises(FileNotFoundError):
        QLearning.load(tmp_path / "nothing")


def test_the_configuration_comes_back(tmp_path):
    agent = QLearning(
        "FrozenLake-v1", seed=0, exploration="softmax", temperature="exponential:1:0.01:500"
    )
    agent.save(tmp_path / "agent")
    assert QLearning.load(tmp_path / "agent").config == agent.config
    assert agent.config.temperature == Schedule("exponential", 1.0, 0.01, 500)


@pytest.mark.parametrize(
    "space",
    [
        spaces.Discrete(3, start=-2),
        spaces.MultiDiscrete([2, 3], start=[0, 5]),
        spaces.MultiDiscrete(np.array([[2, 3], [4, 5]])),
        spaces.MultiBinary(4),
        spaces.Tuple((spaces.Discrete(2), spaces.Tuple((spaces.MultiBinary(2),)))),
    ],
    ids=str,
)
def test_spaces_come_back(space):
    assert space_from_json(space_to_json(space)) == space


FORGERIES = {
    "memory.traces.states": (SARSALambda, lambda array: array + 10**6),
    "memory.traces.actions": (SARSALambda, lambda array: array - 1),
    "memory.traces.num_active": (SARSALambda, lambda array: array + 65),
    "memory.traces.values": (SARSALambda, lambda array: array * 0),
    "memory.recent.states": (NStepSARSA, lambda array: array + 16),
    "memory.recent.place": (NStepSARSA, lambda array: array * [50, 0]),
    "memory.model.known": (DynaQ, lambda array: array & False),
    "memory.model.pairs": (DynaQ, lambda array: array + 64),
    "memory.model.next_states": (DynaQ, lambda array: array - 17),
    "memory.model.num_tries": (DynaQ, lambda array: array - 10**6),
    "memory.episode.place": (MonteCarlo, lambda array: array + 5_000),
    "memory.exploration.random": (QLearning, lambda array: array * 0),
    "memory.action_values": (QLearning, lambda array: array.astype(np.float32)),
    "interaction.position": (QLearning, lambda array: array + 10**6),
    "interaction.log_ends": (QLearning, lambda array: np.zeros(10**5, dtype=np.int64)),
    "interaction.random": (QLearning, lambda array: array.astype(np.float64)),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_indices_beyond_the_tables_are_refused(name, tmp_path):
    """Compiled code would follow them: a stranger's file must not write where it likes."""
    learner, forge = FORGERIES[name]
    learner("FrozenLake-v1", seed=0).learn(203).save(tmp_path / "agent")
    arrays, header = read_arrays(tmp_path / "agent", expected_format=FORMAT)
    arrays[name] = forge(arrays[name])
    write_arrays(tmp_path / "forged", arrays, header)
    with pytest.raises(ValueError, match=r"damaged|of another version"):
        learner.load(tmp_path / "forged", env="FrozenLake-v1")


@pytest.mark.parametrize("place", [[4, 0], [3, -1], [2, 3]])
def test_a_ring_that_would_overflow_is_refused(place, tmp_path):
    """Of the last four steps at most three wait for their return when the next one is taken."""
    NStepSARSA("FrozenLake-v1", seed=0, num_steps=4).learn(203).save(tmp_path / "agent")
    arrays, header = read_arrays(tmp_path / "agent", expected_format=FORMAT)
    arrays["memory.recent.place"] = np.array(place)
    write_arrays(tmp_path / "forged", arrays, header)
    with pytest.raises(ValueError, match="damaged"):
        NStepSARSA.load(tmp_path / "forged", env="FrozenLake-v1")


def test_a_state_without_any_action_is_refused(tmp_path):
    """One would be drawn for ever, in compiled code that Ctrl-C does not reach."""
    agent = QLearning("Taxi-v4", seed=0, action_masks="always", exploration_rate=1.0)
    agent.learn(50).save(tmp_path / "agent")
    arrays, header = read_arrays(tmp_path / "agent", expected_format=FORMAT)
    arrays["memory.exploration.allowed"][7] = False
    write_arrays(tmp_path / "forged", arrays, header)
    with pytest.raises(ValueError, match="damaged"):
        QLearning.load(tmp_path / "forged", env="Taxi-v4")


@pytest.mark.parametrize("simulator", ["compiled", "stepped"])
def test_a_damaged_header_is_said_to_be_one(simulator, tmp_path):
    QLearning("FrozenLake-v1", seed=0, simulator=simulator).learn(99).save(tmp_path / "agent")
    arrays, header = read_arrays(tmp_path / "agent", expected_format=FORMAT)
    used = {"agent", "config", "interaction", "num_episodes", "observation_space", "seed"}
    for name in used:
        for wrong in ([], "x", -1.5):
            write_arrays(tmp_path / "forged", arrays, {**header, name: wrong})
            with pytest.raises(ValueError, match=r"damaged|expected a"):
                QLearning.load(tmp_path / "forged", env="FrozenLake-v1")
        without = {key: value for key, value in header.items() if key != name}
        write_arrays(tmp_path / "forged", arrays, without)
        with pytest.raises(ValueError, match="damaged"):
            QLearning.load(tmp_path / "forged", env="FrozenLake-v1")


def test_a_stepped_place_beyond_the_spaces_is_refused(tmp_path):
    QLearning("FrozenLake-v1", seed=0, simulator="stepped").learn(203).save(tmp_path / "agent")
    arrays, header = read_arrays(tmp_path / "agent", expected_format=FORMAT)
    arrays["interaction.position"] += 100
    write_arrays(tmp_path / "forged", arrays, header)
    with pytest.raises(ValueError, match="damaged"):
        QLearning.load(tmp_path / "forged", env="FrozenLake-v1")


def test_the_model_of_the_new_environment_says_what_is_masked(tmp_path):
    """Not that of the file: in the new model a masked action has no outcomes."""
    ends = [(1.0, 0, 1.0, True)]
    free, bound = (
        TabularEnv(TabularMDP.from_outcomes([row])) for row in ([ends, ends], [ends, []])
    )
    QLearning(free, seed=0).learn(50).save(tmp_path / "agent")
    resumed = QLearning.load(tmp_path / "agent", env=bound).learn(50)
    assert np.isneginf(resumed.action_values[0]).tolist() == [False, True]
    assert resumed.policy.tolist() == [0]
