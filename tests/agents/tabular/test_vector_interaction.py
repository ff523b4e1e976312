"""Learners in vector environments: one copy is one environment, many are many in turn."""

import gymnasium
import numpy as np
import pytest
from gymagine.agents import tabular
from gymagine.agents.tabular import NStepSARSA, QLearning, TDPrediction
from gymagine.agents.tabular.checkpoint import FORMAT
from gymagine.agents.tabular.learner import AbstractTabularAgent
from gymagine.agents.tabular.memory import named_arrays
from gymagine.envs.mdp import TabularMDP
from gymagine.envs.tabular_env import TabularEnv
from gymagine.envs.tabular_vector_env import TabularVectorEnv
from gymagine.storage import read_arrays, write_arrays
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3.common.callbacks import BaseCallback, CheckpointCallback

MODES = list(AutoresetMode)
LEARNERS = sorted(
    (
        member
        for member in (getattr(tabular, name) for name in tabular.__all__)
        if isinstance(member, type)
        and issubclass(member, AbstractTabularAgent)
        and getattr(member, "name", "")
    ),
    key=lambda learner: learner.name,
)
ids = {"argvalues": LEARNERS, "ids": [learner.name for learner in LEARNERS]}


def lake(mode, copies, cap=20):
    makers = [lambda: gymnasium.make("FrozenLake-v1", max_episode_steps=cap)] * copies
    return SyncVectorEnv(makers, autoreset_mode=mode)


def tables(agent):
    return {name: array.copy() for name, array in named_arrays(agent._memory)}


def assert_same_tables(agent, other):
    mine, others = tables(agent), tables(other)
    assert mine.keys() == others.keys()
    for name, array in mine.items():
        np.testing.assert_array_equal(array, others[name], err_msg=name)


def test_every_learner_is_here():
    assert len(LEARNERS) >= 13


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("learner", **ids)
def test_one_copy_is_one_environment(learner, mode):
    single = gymnasium.make("FrozenLake-v1", max_episode_steps=20)
    alone = learner(single, seed=3, simulator="stepped", action_masks="never").learn(700)
    vector = learner(lake(mode, 1), seed=3, action_masks="never").learn(700)
    assert vector.simulator == "stepped"
    assert vector.num_timesteps == 700
    assert vector.num_episodes == alone.num_episodes > 20
    np.testing.assert_array_equal(vector.episode_returns, alone.episode_returns)
    np.testing.assert_array_equal(vector.episode_lengths, alone.episode_lengths)
    assert_same_tables(vector, alone)


def in_turn(agent, num_envs, num_steps, waits):
    """The same learning, written out over single environments; `waits`: the mode is NEXT_STEP."""
    seed = agent._interaction._seed
    envs = [gymnasium.make("FrozenLake-v1", max_episode_steps=20) for _ in range(num_envs)]
    begin, observe, _ = agent.kernels
    memories = agent._memories
    states = [int(env.reset(seed=seed + copy)[0]) for copy, env in enumerate(envs)]
    actions = [begin(memories[copy], states[copy]) for copy in range(num_envs)]
    taken = 0
    while True:
        outcomes = [
            None if action < 0 else env.step(action)
            for env, action in zip(envs, actions, strict=True)
        ]
        for copy, outcome in enumerate(outcomes):
            if outcome is None:
                states[copy] = int(envs[copy].reset()[0])
                actions[copy] = begin(memories[copy], states[copy])
                continue
            if taken == num_steps:
                return
            following, reward, terminated, truncated, _ = outcome
            actions[copy] = observe(
                memories[copy],
                states[copy],
                actions[copy],
                float(reward),
                bool(terminated),
                bool(truncated),
                int(following),
            )
            states[copy] = int(following)
            taken += 1
            if actions[copy] < 0 and not waits:
                states[copy] = int(envs[copy].reset()[0])
                actions[copy] = begin(memories[copy], states[copy])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("learner", **ids)
def test_many_copies_are_learnt_from_in_turn(learner, mode):
    expected = learner(lake(mode, 3), seed=8, action_masks="never")
    in_turn(expected, 3, 401, mode is AutoresetMode.NEXT_STEP)
    found = learner(lake(mode, 3), seed=8, action_masks="never")
    for budget in (1, 100, 300):  # not multiples of three
        found.learn(budget)
    assert found.num_timesteps == 401
    assert_same_tables(found, expected)


def test_copies_share_tables_but_not_episodes():
    agent = NStepSARSA(lake(AutoresetMode.SAME_STEP, 4), seed=0)
    first, second = agent._memories[:2]
    assert first.action_values is second.action_values
    assert first.exploration.random is second.exploration.random
    assert first.recent.states is not second.recent.states


@pytest.mark.parametrize(
    ("learner", "kind", "mode"),
    [
        *((learner, "sync", AutoresetMode.NEXT_STEP) for learner in LEARNERS),
        *((NStepSARSA, kind, mode) for kind in ("sync", "tabular") for mode in MODES[1:]),
        (NStepSARSA, "tabular", AutoresetMode.NEXT_STEP),
    ],
)
def test_resuming_between_two_copies_leaves_the_same_bytes(learner, kind, mode, tmp_path):
    def make():
        if kind == "sync":
            return lake(mode, 3)
        mdp = TabularMDP.from_env("FrozenLake-v1")
        return TabularVectorEnv(mdp, 3, autoreset_mode=mode, max_episode_steps=20)

    learner(make(), seed=1).learn(310).save(tmp_path / "whole")
    learner(make(), seed=1).learn(155).save(tmp_path / "half")  # 155 = 3 * 51 + 2
    resumed = learner.load(tmp_path / "half", env=make())
    assert resumed.environment_restored
    resumed.learn(155).save(tmp_path / "resumed")
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "resumed").read_bytes()


def test_another_number_of_copies_goes_on_with_new_episodes(tmp_path):
    agent = NStepSARSA(lake(AutoresetMode.NEXT_STEP, 3), seed=1).learn(500)
    agent.save(tmp_path / "agent")
    for env in (lake(AutoresetMode.NEXT_STEP, 5), "FrozenLake-v1"):
        resumed = NStepSARSA.load(tmp_path / "agent", env=env)
        assert not resumed.environment_restored
        np.testing.assert_array_equal(resumed.action_values, agent.action_values)
        assert resumed.learn(100).num_timesteps == 600
    alone = NStepSARSA.load(tmp_path / "agent")
    assert alone.predict(np.array([0, 1]))[0].shape == (2,)


@pytest.mark.slow
def test_values_of_the_uniform_policy_on_the_random_walk():
    """Seven copies, TD(0): near the truth of Sutton and Barto, example 6.2."""
    env = gymnasium.make_vec("gymagine/RandomWalk5-v0", 7, vectorization_mode="vector_entry_point")
    agent = TDPrediction(env, seed=0, discount=1.0, step_size=1.0, step_size_decay=0.8)
    values = agent.learn(60_000).state_values
    model = TabularMDP.from_env("gymagine/RandomWalk5-v0")
    inner = np.flatnonzero(np.diff(model.row_starts) > 1)
    assert len(inner) == 5
    np.testing.assert_allclose(values[inner], np.arange(1, 6) / 6, atol=0.05)


class Counting(BaseCallback):
    def __init__(self):
        super().__init__()
        self.rewards, self.ends = 0.0, 0

    def _on_step(self):
        self.rewards += float(self.locals["rewards"][0])
        self.ends += int(self.locals["dones"][0])
        assert self.locals["new_obs"][0] in self.model.observation_space
        return True


@pytest.mark.parametrize("mode", MODES)
def test_callbacks_see_every_step(mode, tmp_path):
    agent, counting = QLearning(lake(mode, 3), seed=0), Counting()
    checkpoints = CheckpointCallback(40, str(tmp_path), name_prefix="q")
    agent.learn(100, callback=[counting, checkpoints])
    assert counting.n_calls == agent.num_timesteps == 100
    assert counting.ends == agent.num_episodes
    assert counting.rewards == agent.episode_returns.sum()
    assert len(list(tmp_path.iterdir())) == 2
    assert agent.get_env().num_envs == 3


def test_masks_of_the_infos_hold():
    makers = [lambda: gymnasium.make("Taxi-v4")] * 2
    agent = QLearning(SyncVectorEnv(makers), seed=0, exploration_rate=1.0).learn(2_000)
    model = TabularMDP.from_env("Taxi-v4")
    seen = agent._memory.num_updates.sum(axis=1) > 0
    env = gymnasium.make("Taxi-v4").unwrapped
    for state in np.flatnonzero(seen):
        mask = env.action_mask(state).astype(bool)
        assert not agent._memory.num_updates[state, ~mask].any()
    assert seen.sum() > 100 and model.num_states == 500


class Moody(gymnasium.Wrapper):
    """Raises, or gives NaN, at its tenth step."""

    def __init__(self, env, mood):
        super().__init__(env)
        self.mood, self.count = mood, 0

    def step(self, action):
        self.count += 1
        observation, reward, *rest = self.env.step(action)
        if self.count == 10 and self.mood == "raises":
            raise RuntimeError("no more")
        return observation, np.nan if self.count == 10 else reward, *rest


@pytest.mark.parametrize(
    ("mood", "error", "message"),
    [
        ("raises", RuntimeError, "no more"),
        ("nan", ValueError, "expected a finite reward at step 19, got nan"),
    ],
)
def test_what_was_learnt_stays(mood, error, message):
    makers = [lambda: gymnasium.make("FrozenLake-v1")]
    makers.append(lambda: Moody(gymnasium.make("FrozenLake-v1"), mood))
    env = SyncVectorEnv(makers, autoreset_mode="SameStep")
    agent = QLearning(env, seed=0)
    with pytest.raises(error, match=message):
        agent.learn(100)
    taken = agent.num_timesteps
    assert taken in (18, 19)
    assert agent.learn(50).num_timesteps == taken + 50


def test_others_in_the_environment_are_noticed(caplog):
    env = lake(AutoresetMode.SAME_STEP, 2)
    agent = QLearning(env, seed=0).learn(5)
    agent.learn(5)
    assert not caplog.records
    env.step(np.array([0, 0]))
    agent.learn(5)
    assert "used by others" in caplog.text


def test_mistakes(tmp_path):
    env = lake(AutoresetMode.SAME_STEP, 2)
    with pytest.raises(ValueError, match="one environment, or its id, can be simulated"):
        QLearning(env, simulator="compiled")
    with pytest.raises(ValueError, match="to be simulated from exploring starts"):
        tabular.MonteCarlo(env, exploring_starts=True)
    pendulums = gymnasium.make_vec("Pendulum-v1", 2)
    with pytest.raises(ValueError, match="finite action space, got Box"):
        QLearning(pendulums)
    QLearning(env, seed=0).learn(30).save(tmp_path / "agent")
    with pytest.raises(ValueError, match="observation space"):
        QLearning.load(tmp_path / "agent", env=gymnasium.make_vec("Taxi-v4", 2))


def test_discrete_actions_that_do_not_start_at_zero():
    class Shifted(gymnasium.ActionWrapper):
        def __init__(self, env):
            super().__init__(env)
            self.action_space = gymnasium.spaces.Discrete(4, start=5)

        def action(self, action):
            assert action in self.action_space
            return action - 5

    env = SyncVectorEnv([lambda: Shifted(gymnasium.make("FrozenLake-v1"))] * 2)
    plain = QLearning(lake(AutoresetMode.NEXT_STEP, 2, cap=100), seed=0).learn(500)
    np.testing.assert_array_equal(
        QLearning(env, seed=0).learn(500).action_values, plain.action_values
    )


def test_actions_of_several_parts():
    class Pairs(TabularEnv):
        """Four actions as two bits."""

        def __init__(self):
            super().__init__(TabularMDP.from_env("FrozenLake-v1"))
            self.action_space = gymnasium.spaces.MultiDiscrete([2, 2])

        def step(self, action):
            return super().step(int(2 * action[0] + action[1]))

    env = SyncVectorEnv([Pairs] * 2)
    plain = SyncVectorEnv([lambda: TabularEnv(TabularMDP.from_env("FrozenLake-v1"))] * 2)
    np.testing.assert_array_equal(
        QLearning(env, seed=0).learn(500).action_values,
        QLearning(plain, seed=0).learn(500).action_values,
    )


@pytest.mark.parametrize("mode", MODES)
def test_short_calls_are_one_long_call_also_where_wrappers_hold_clocks(mode, caplog, tmp_path):
    def make():
        makers = [lambda: gymnasium.wrappers.RecordEpisodeStatistics(one_lake())] * 3
        return SyncVectorEnv(makers, autoreset_mode=mode)

    def one_lake():
        return gymnasium.make("FrozenLake-v1", max_episode_steps=20)

    long = NStepSARSA(make(), seed=3).learn(200)
    short = NStepSARSA(make(), seed=3)
    for _ in range(100):
        short.learn(1)
    short.save(tmp_path / "half")
    short = NStepSARSA.load(tmp_path / "half", env=make()).learn(100)
    assert not caplog.records
    assert_same_tables(short, long)


@pytest.mark.parametrize("learner", [NStepSARSA, tabular.MonteCarlo, tabular.SARSALambda])
def test_a_file_loaded_without_an_environment_is_saved_whole(learner, tmp_path):
    learner(lake(AutoresetMode.NEXT_STEP, 3), seed=1).learn(155).save(tmp_path / "agent")
    learner.load(tmp_path / "agent").save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "agent").read_bytes()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("other", MODES)
def test_another_autoreset_mode_goes_on_with_new_episodes(mode, other, tmp_path):
    """One copy with episodes of three steps: a copy may be waiting where none ever begins."""
    QLearning(lake(mode, 1, cap=3), seed=0).learn(3).save(tmp_path / "agent")
    resumed = QLearning.load(tmp_path / "agent", env=lake(other, 1, cap=3))
    assert resumed.environment_restored == (mode is other)
    assert resumed.learn(30).num_timesteps == 33
    assert resumed.num_episodes >= 11


def test_what_was_learnt_in_a_simulation_goes_on_in_a_vector_environment(tmp_path):
    simulated = QLearning("FrozenLake-v1", seed=0).learn(500)
    simulated.save(tmp_path / "agent")
    resumed = QLearning.load(tmp_path / "agent", env=lake(AutoresetMode.NEXT_STEP, 3, cap=100))
    assert (simulated.simulator, resumed.simulator) == ("compiled", "stepped")
    np.testing.assert_array_equal(resumed.action_values, simulated.action_values)
    assert resumed.learn(100).num_timesteps == 600


@pytest.mark.parametrize("copies", [1, 3])
def test_the_first_episodes_are_not_lived_again(copies, tmp_path):
    """Loaded elsewhere and saved before its next step, an agent keeps its new seed."""

    def make():
        return lake(AutoresetMode.NEXT_STEP, copies)

    first = QLearning(make(), seed=0)
    seed = first._interaction._seed
    first.learn(50).save(tmp_path / "agent")
    elsewhere = QLearning.load(tmp_path / "agent", env=lake(AutoresetMode.SAME_STEP, copies))
    elsewhere.save(tmp_path / "moved")
    moved = QLearning.load(tmp_path / "moved", env=make())
    assert moved._interaction._seed == elsewhere._interaction._seed != seed


FORGED_COPIES = {
    "interaction.actions": lambda array: array * 0 - 1,
    "interaction.states": lambda array: array + 16,
    "interaction.next": lambda array: array + 4,
    "interaction.waiting": lambda array: array | True,
    "memory.copy2.recent.states": lambda array: array - 17,
    "memory.copy1.recent.place": lambda array: array * 0 + [4, 0],
    "memory.copy1.recent.due_states": None,
}


@pytest.mark.parametrize("name", FORGED_COPIES)
def test_places_beyond_the_spaces_are_refused(name, tmp_path):
    NStepSARSA(lake(AutoresetMode.SAME_STEP, 3), seed=0).learn(155).save(tmp_path / "agent")
    arrays, header = read_arrays(tmp_path / "agent", expected_format=FORMAT)
    forge = FORGED_COPIES[name]
    if forge is None:
        del arrays[name]
    else:
        arrays[name] = forge(arrays[name])
    write_arrays(tmp_path / "forged", arrays, header)
    with pytest.raises(ValueError, match=r"damaged|of another version"):
        NStepSARSA.load(tmp_path / "forged", env=lake(AutoresetMode.SAME_STEP, 3))
