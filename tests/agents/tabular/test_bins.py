"""Bins against numpy's histogram and Gymnasium's wrapper; learning from CartPole's own numbers."""

import gymnasium
import numpy as np
import pytest
from gymagine.agents.tabular.bins import BinIndex, check_table
from gymagine.agents.tabular.double_q_learning import DoubleQLearning
from gymagine.agents.tabular.monte_carlo import MonteCarlo
from gymagine.agents.tabular.monte_carlo_prediction import MonteCarloPrediction
from gymagine.agents.tabular.q_learning import QLearning
from gymagine.agents.tabular.sarsa_lambda import SARSALambda
from gymagine.envs.discretize import discretize
from gymagine.envs.state_index import StateIndex
from gymagine.storage import read_arrays, write_arrays
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor

CARTPOLE = gymnasium.make("CartPole-v1").observation_space
RANDOM_POLICY = 22.0  # mean return on CartPole
LEARNERS = [QLearning, SARSALambda, MonteCarlo, MonteCarloPrediction]


# ---- numbers ----------------------------------------------------------------------------------


def test_bins_are_those_of_numpys_histogram():
    space = spaces.Box(np.array([-1, 0, 5], np.float32), np.array([2, 1, 9], np.float32))
    index = BinIndex(space, (3, 4, 7))
    samples = np.random.default_rng(0).uniform(space.low, space.high, (400, 3))
    counts, _ = np.histogramdd(samples, bins=(3, 4, 7), range=[(-1, 2), (0, 1), (5, 9)])
    numbers = index.encode_batch(samples)
    np.testing.assert_array_equal(np.bincount(numbers, minlength=84), counts.ravel())
    assert index.num_states == 84
    assert [index.encode(sample) for sample in samples] == numbers.tolist()


def test_what_lies_beyond_a_bound_is_in_the_outermost_bin():
    index = BinIndex(CARTPOLE, (3, 4, 5, 6))
    far = np.array([[9, np.inf, 9, 1e38], [-9, -np.inf, -9, -1e38], [2.4, 3, 0.2095, 3.5]])
    assert index.encode_batch(far).tolist() == [359, 0, 359]
    assert [index.encode(row) for row in far] == [359, 0, 359]


@pytest.mark.parametrize(
    "space",
    [
        CARTPOLE,
        spaces.Box(-1.0, 1.0, (2, 2)),
        spaces.Box(0, 3, (2,), np.uint8),
        spaces.Box(0.0, 5.0, (), np.float64),
    ],
    ids=str,
)
def test_the_middle_of_a_bin_is_in_it(space):
    index = BinIndex(space, 5)
    for number in range(index.num_states):
        middle = index.decode(number)
        assert index.encode(middle) == number
        assert (middle.dtype, middle.shape) == (space.dtype, space.shape)
    with pytest.raises(IndexError, match=rf"\[0, {index.num_states}\)"):
        index.decode(index.num_states)


def test_dimensions_of_few_values_have_few_bins():
    constant = spaces.Box(np.array([0.0, 7.0]), np.array([1.0, 7.0]), dtype=np.float64)
    assert BinIndex(constant, 4).num_states == 4
    assert BinIndex(constant, 4).encode(np.array([0.6, 7.0])) == 2
    grid = BinIndex(spaces.Box(0, 3, (2,), np.uint8), 100)
    assert grid.num_states == 16
    assert grid.encode(np.array([2, 3], np.uint8)) == 11
    long = BinIndex(spaces.Box(0, 2**64 - 1, (1,), np.uint64), 4)
    assert [long.encode(np.array([k << 62], np.uint64)) for k in range(4)] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "observation",
    [
        np.zeros(3),
        np.zeros((4, 1)),
        1.0,
        [0, 0, 0, np.nan],
        [0, 0, 0, None],
        "four",
        [1, [2], 3, 4],
    ],
    ids=str,
)
def test_what_is_no_observation_has_no_number(observation):
    assert BinIndex(CARTPOLE, 3).encode(observation) == -1


def test_batches_tell_which_rows_are_none():
    index = BinIndex(CARTPOLE, 3)
    batch = np.zeros((3, 4), np.float32)
    batch[1, 2] = np.nan
    assert index.encode_batch(batch).tolist() == [40, -1, 40]
    assert index.encode_batch(batch[:0]).tolist() == []
    with pytest.raises(ValueError, match=r"got an array of shape \(4,\)"):
        index.encode_batch(batch[0])


def test_mistakes():
    with pytest.raises(ValueError, match=r"expected finite bounds, got .* bounds of shape \(2,\)"):
        BinIndex(spaces.Box(-np.inf, 1, (2,)), 3)
    with pytest.raises(ValueError, match=r"at least 1 for 4 dimensions, got \(3, 3\)"):
        BinIndex(CARTPOLE, (3, 3))
    with pytest.raises(ValueError, match=r"about 10\^21168, .* not for pictures"):
        BinIndex(spaces.Box(0, 255, (84, 84, 3), np.uint8), 10)
    with pytest.raises(ValueError, match=r"at most 67,108,864 entries, got 400,000,000"):
        check_table(BinIndex(spaces.Box(-1, 1, (8,)), 10), 4)
    with pytest.raises(ValueError, match="a bound for each dimension"):
        BinIndex.from_json(CARTPOLE, 3, {"low": [0], "high": [1]})
    with pytest.raises(ValueError, match="low <= high"):
        BinIndex.from_json(CARTPOLE, 3, {"low": [1] * 4, "high": [0] * 4})


# ---- learning ---------------------------------------------------------------------------------


@pytest.mark.parametrize("learner", LEARNERS)
def test_learning_equals_that_in_an_environment_cut_by_the_wrapper(learner):
    agents = [
        learner("CartPole-v1", bins=(2, 3, 6, 4), seed=3),
        learner(discretize("CartPole-v1", bins=(2, 3, 6, 4)), seed=3),
    ]
    for agent in agents:
        agent.learn(500)
    assert agents[0].simulator == "stepped"
    assert agents[0].num_states == 144
    assert agents[0].state_values.tobytes() == agents[1].state_values.tobytes()
    assert agents[0].episode_lengths.tolist() == agents[1].episode_lengths.tolist()


def test_the_defaults_balance_poles_far_longer_than_chance():
    agent = QLearning("CartPole-v1", seed=0).learn(15_000)
    assert agent.observation_space == CARTPOLE
    assert agent.num_states == 10_000
    env = Monitor(gymnasium.make("CartPole-v1"))
    env.reset(seed=0)
    mean, deviation = evaluate_policy(agent, env, n_eval_episodes=10)
    assert mean - deviation > 3 * RANDOM_POLICY


def test_stable_baselines_callbacks_see_the_observations_themselves():
    env = Monitor(gymnasium.make("CartPole-v1"))
    callback = EvalCallback(env, eval_freq=200, n_eval_episodes=1, verbose=0)
    QLearning("CartPole-v1", seed=0).learn(400, callback=callback)
    assert callback.n_calls == 400
    assert callback.last_mean_reward > 0

    def looks(variables, _):
        seen.append(variables["new_obs"][0])
        return True

    for made in (gymnasium.make("CartPole-v1"), gymnasium.make_vec("CartPole-v1", 2)):
        seen = []
        QLearning(made, seed=0).learn(20, callback=looks)
        assert len({observation.tobytes() for observation in seen}) == 20, "no bins"
        assert all(CARTPOLE.contains(observation) for observation in seen)


@pytest.mark.parametrize("learner", LEARNERS)
def test_predictions_for_one_observation_and_for_many(learner):
    agent = learner("CartPole-v1", seed=0, bins=4).learn(400)
    batch = np.random.default_rng(0).normal(0, 0.1, (20, 4)).astype(np.float32)
    actions, state = agent.predict(batch, state="kept")
    assert (actions.shape, state) == ((20,), "kept")
    assert [int(agent.predict(row)[0]) for row in batch] == actions.tolist()
    assert actions.tolist() == agent.policy[BinIndex(CARTPOLE, 4).encode_batch(batch)].tolist()
    with pytest.raises(ValueError, match=r"expected an observation of Box.* nan"):
        agent.predict(batch[0] * np.nan)
    with pytest.raises(ValueError, match="outside it at place 1"):
        agent.predict(np.array([[0, 0, 0, 0], [0, 0, 0, np.nan]]))
    with pytest.raises(ValueError, match=r"shape \(3,\)|expected an observation"):
        agent.predict(np.zeros(3))


@pytest.mark.parametrize(
    "mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED]
)
def test_copies_of_vector_environments(mode):
    def poles(make):
        return SyncVectorEnv([make] * 3, autoreset_mode=mode)

    cut = poles(lambda: discretize("CartPole-v1", bins=5))
    own = QLearning(poles(lambda: gymnasium.make("CartPole-v1")), seed=1, bins=5).learn(500)
    wrapped = QLearning(cut, seed=1).learn(500)
    assert own.action_values.tobytes() == wrapped.action_values.tobytes()
    assert own.observation_space == CARTPOLE
    fast = QLearning(gymnasium.make_vec("CartPole-v1", 4), seed=0).learn(500)
    assert fast.num_timesteps == 500
    assert fast.num_episodes > 10


def test_a_prediction_of_the_values_of_a_policy():
    # one bin, averaged over first visits: the mean return, which is the mean length
    agent = MonteCarloPrediction("CartPole-v1", seed=0, bins=1, discount=1.0, step_size_decay=1.0)
    agent.learn(1_000)
    assert agent.num_episodes < 100, "all episodes are known"
    assert agent.state_values.tolist() == [pytest.approx(agent.episode_lengths.mean())]
    agent = MonteCarloPrediction("CartPole-v1", seed=0, bins=(1, 1, 2, 1), policy=[0, 1])
    assert agent.predict(np.array([0, 0, 0.1, 0]))[0] == 1


class Wide(gymnasium.Env):
    """Shows what it is told to."""

    observation_space = spaces.Box(-np.inf, np.inf, (2,))
    action_space = spaces.Discrete(2)
    shows = np.zeros(2, np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.shows, {}

    def step(self, action):
        return self.shows, 1.0, False, False, {}


def test_environments_that_cannot_be_cut():
    with pytest.raises(ValueError, match=r"discretize\(env, bins=\.\.\., low=\[\.\.\.\]"):
        QLearning(Wide())
    assert QLearning(discretize(Wide(), low=-1, high=1), seed=0).learn(5).num_timesteps == 5
    picture = gymnasium.wrappers.AddRenderObservation(
        gymnasium.make("CartPole-v1", render_mode="rgb_array"), render_only=True
    )
    with pytest.raises(ValueError, match="not for pictures"):
        QLearning(picture)
    with pytest.raises(ValueError, match="no model knows the bins"):
        QLearning("CartPole-v1", simulator="compiled")


def test_a_nan_of_the_environment_is_refused():
    class Failing(Wide):
        observation_space = spaces.Box(-1, 1, (2,))

        def step(self, action):
            return self.shows * np.nan, 1.0, False, False, {}

    with pytest.raises(ValueError, match=r"observation of Box.* at step 0, got array\(\[nan, nan"):
        QLearning(Failing(), seed=0).learn(5)


# ---- files ------------------------------------------------------------------------------------


def test_resuming_leaves_the_same_bytes(make_learner, tmp_path):
    half, settings = 133, {"seed": 2, "bins": 4}
    make_learner("CartPole-v1", **settings).learn(2 * half).save(tmp_path / "whole")
    first = make_learner("CartPole-v1", **settings).learn(half)
    first.save(tmp_path / "half")
    second = type(first).load(tmp_path / "half", env="CartPole-v1")
    assert second.environment_restored
    second.learn(half).save(tmp_path / "resumed")
    assert (tmp_path / "resumed").read_bytes() == (tmp_path / "whole").read_bytes()


@pytest.mark.parametrize(("learner", "steps"), [(DoubleQLearning, 120), (SARSALambda, 121)])
def test_copies_resume(learner, steps, tmp_path):
    def poles():
        return gymnasium.make_vec("CartPole-v1", 3, vectorization_mode="sync")

    learner(poles(), seed=2).learn(250).save(tmp_path / "whole")
    learner(poles(), seed=2).learn(steps).save(tmp_path / "part")
    resumed = learner.load(tmp_path / "part", env=poles())
    assert resumed.environment_restored
    resumed.learn(250 - steps, callback=lambda *_: True).save(tmp_path / "resumed")
    assert (tmp_path / "resumed").read_bytes() == (tmp_path / "whole").read_bytes()


@pytest.mark.parametrize("learner", LEARNERS)
def test_files_predict_without_an_environment(learner, tmp_path):
    agent = learner("CartPole-v1", seed=0, bins=(3, 3, 6, 6)).learn(300)
    agent.save(tmp_path / "agent")
    loaded = learner.load(tmp_path / "agent")
    batch = np.random.default_rng(0).normal(0, 0.5, (50, 4))
    assert loaded.predict(batch)[0].tolist() == agent.predict(batch)[0].tolist()
    assert loaded.observation_space == CARTPOLE
    assert loaded.config.bins == (3, 3, 6, 6)
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "agent").read_bytes()


def test_the_files_bounds_decide(tmp_path):
    QLearning("CartPole-v1", seed=0, bins=4).learn(300).save(tmp_path / "agent")
    arrays, header = read_arrays(tmp_path / "agent", expected_format="gymagine-agent-1")
    assert header["bounds"]["high"] == pytest.approx([2.4, 3.0, 0.2095, 3.5])
    header["bounds"] = {"low": [-100.0] * 4, "high": [100.0] * 4}
    write_arrays(tmp_path / "wide", arrays, header)
    wide = QLearning.load(tmp_path / "wide", env="CartPole-v1")
    agent = QLearning.load(tmp_path / "agent")
    middle = StateIndex(spaces.MultiDiscrete([4] * 4)).encode([2, 2, 2, 2])
    assert wide.predict(np.full(4, 2.0))[0] == agent.policy[middle]
    for low in ([1.0], [-1.0, 0, 0, np.nan], [500.0] * 4):
        header["bounds"]["low"] = low
        write_arrays(tmp_path / "forged", arrays, header)
        with pytest.raises(ValueError, match="bound"):
            QLearning.load(tmp_path / "forged")


def test_finite_observations_have_no_bins(tmp_path):
    fine, coarse = (QLearning("FrozenLake-v1", seed=0, bins=b).learn(500) for b in (10, 2))
    assert fine.action_values.tobytes() == coarse.action_values.tobytes()
    fine.save(tmp_path / "agent")
    arrays, header = read_arrays(tmp_path / "agent", expected_format="gymagine-agent-1")
    assert "bounds" not in header
    del header["config"]["bins"]  # as files were written before there were bins
    write_arrays(tmp_path / "old", arrays, header)
    old = QLearning.load(tmp_path / "old", env="FrozenLake-v1")
    assert old.learn(500).action_values.tobytes() == fine.learn(500).action_values.tobytes()
