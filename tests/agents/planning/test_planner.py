"""The planners as agents: they act on their solution, in any observation space, and are kept."""

import dataclasses
import inspect

import gymnasium
import numpy as np
import pytest
from gymagine.agents.agent import AbstractAgent
from gymagine.agents.planning.planner import (
    AbstractPlanner,
    BackwardInduction,
    LinearProgramming,
    ModifiedPolicyIteration,
    PolicyIteration,
    PrioritizedSweeping,
    ValueIteration,
)
from gymagine.agents.planning.policy_evaluation import policy_evaluation
from gymagine.envs.mdp import TabularMDP
from gymagine.envs.tabular_env import TabularEnv
from gymagine.storage import read_arrays, write_arrays
from gymnasium import spaces

STATIONARY = [
    ValueIteration,
    PolicyIteration,
    ModifiedPolicyIteration,
    PrioritizedSweeping,
    LinearProgramming,
]
ALL = [*STATIONARY, BackwardInduction]
NAMES = [
    "value-iteration",
    "policy-iteration",
    "modified-policy-iteration",
    "prioritized-sweeping",
    "linear-programming",
    "backward-induction",
]


def test_names():
    assert [agent.name for agent in ALL] == NAMES


@pytest.mark.parametrize("kind", ALL)
def test_settings_have_docstrings_and_are_checked(kind):
    lines = inspect.getsource(inspect.getmodule(kind.Config)).splitlines()
    for field in dataclasses.fields(kind.Config):
        place = next(i for i, line in enumerate(lines) if line.startswith(f"    {field.name}: "))
        assert lines[place + 1].strip().startswith('"""')
    with pytest.raises(ValueError, match="discount"):
        kind("FrozenLake-v1", discount=1.5)
    with pytest.raises(TypeError, match="did you mean discount"):
        kind("FrozenLake-v1", discont=0.5)


@pytest.mark.parametrize("kind", STATIONARY)
def test_learn_solves_without_a_step(kind):
    agent = kind("FrozenLake-v1", discount=0.99, tolerance=1e-10)
    with pytest.raises(ValueError, match=r"learn\(\)"):
        agent.predict(0)
    assert agent.learn(5) is agent
    assert agent.num_timesteps == 0
    assert agent.solution.converged
    assert agent.state_values[0] == pytest.approx(0.5420259320003089, abs=1e-9)
    assert agent.action_values.shape == (16, 4)
    assert agent.policy.tolist() == [0, 3, 3, 3, 0, 0, 0, 0, 3, 1, 0, 0, 0, 2, 1, 0]
    action, state = agent.predict(np.int64(14))
    assert action == 1
    assert isinstance(action, np.integer)
    assert state is None
    actions, _ = agent.predict(np.arange(16))
    assert actions.tolist() == agent.policy.tolist()


def test_blackjack_by_tuples():
    agent = PolicyIteration(gymnasium.make("Blackjack-v1", sab=True), discount=1.0).learn(1)
    assert agent.mdp.num_states > agent.mdp.num_observations == 704
    assert agent.policy.shape == agent.state_values.shape == (704,)
    assert agent.predict((20, 10, 0))[0] == 0
    assert agent.predict((12, 2, 0))[0] == 1
    batch = (np.array([20, 12, 18]), np.array([10, 2, 9]), np.array([0, 0, 1]))
    assert agent.predict(batch)[0].tolist() == [0, 1, 1]


class Shifted(gymnasium.Env):
    """Observations 5, 6, 7 and actions -1, 0; from the first two, action 0 goes on for a prize."""

    observation_space = spaces.Discrete(3, start=5)
    action_space = spaces.Discrete(2, start=-1)
    initial_state_distrib = np.array([1.0, 0.0, 0.0])

    @property
    def P(self):  # noqa: N802
        return {
            0: {0: [(1.0, 0, 0.0, False)], 1: [(1.0, 1, 0.0, False)]},
            1: {0: [(1.0, 0, 0.0, False)], 1: [(1.0, 2, 1.0, True)]},
            2: {0: [(1.0, 2, 0.0, True)], 1: [(1.0, 2, 0.0, True)]},
        }


def shifted_model():
    table = Shifted().P
    return TabularMDP.from_outcomes([[table[s][a] for a in range(2)] for s in range(3)])


def test_spaces_that_do_not_start_at_zero():
    agent = ValueIteration(Shifted(), model=shifted_model()).learn(1)
    assert agent.predict(5)[0] == 0
    assert agent.predict(np.array([5, 6, 7]))[0].tolist() == [0, 0, -1]
    with pytest.raises(ValueError, match="observation"):
        agent.predict(4)


def test_action_mask_takes_the_next_best():
    agent = ValueIteration("FrozenLake-v1").learn(1)
    order = np.argsort(-agent.action_values[14], kind="stable")
    for allowed in range(1, 5):
        mask = np.zeros(4, dtype=np.bool_)
        mask[order[-allowed:]] = True
        assert agent.predict(14, action_mask=mask)[0] == order[-allowed]
    with pytest.raises(ValueError, match="allows an action"):
        agent.predict(14, action_mask=np.zeros(4, dtype=np.bool_))


@pytest.mark.parametrize("kind", ALL)
def test_save_and_load(kind, tmp_path):
    agent = kind("FrozenLake-v1", discount=0.9, seed=7).learn(1)
    path = tmp_path / "agent"
    agent.save(path)
    for env in (None, "FrozenLake-v1"):
        twin = kind.load(path, env=env)
        assert twin.config == agent.config
        assert twin.seed == 7
        assert (twin.env is None) == (env is None)
        for field in dataclasses.fields(agent.solution):
            mine, other = getattr(agent.solution, field.name), getattr(twin.solution, field.name)
            assert np.array_equal(mine, other)
        assert np.array_equal(twin.predict(np.arange(16))[0], agent.predict(np.arange(16))[0])
    twin.learn(1).save(tmp_path / "again")
    assert path.read_bytes() == (tmp_path / "again").read_bytes()
    with pytest.raises(ValueError, match="load the agent with env"):
        kind.load(path).learn(1)
    with pytest.raises(ValueError, match="observation space"):
        kind.load(path, env="FrozenLake8x8-v1")
    other = PolicyIteration if kind is not PolicyIteration else ValueIteration
    with pytest.raises(ValueError, match=kind.name):
        other.load(path)


def test_save_before_learning(tmp_path):
    ValueIteration("FrozenLake-v1").save(tmp_path / "agent")
    agent = ValueIteration.load(tmp_path / "agent", env="FrozenLake-v1")
    assert agent.solution is None
    assert agent.learn(1).solution.converged


def test_foreign_files_are_refused(tmp_path):
    (tmp_path / "foreign").write_bytes(b"PK\x03\x04 not ours")
    with pytest.raises(ValueError, match="gymagine-planner"):
        ValueIteration.load(tmp_path / "foreign")
    with pytest.raises(FileNotFoundError):
        ValueIteration.load(tmp_path / "missing")


def test_an_environment_without_a_model_says_so():
    with pytest.raises(ValueError, match="estimate"):
        ValueIteration("CartPole-v1")


def test_a_model_of_another_size_is_refused():
    with pytest.raises(ValueError, match="16 observations and 4 actions"):
        ValueIteration("FrozenLake-v1", model=shifted_model())


def test_an_infinite_optimum_is_refused():
    pays = TabularMDP.from_outcomes([[[(1.0, 0, 1.0, False)]]], max_episode_steps=9)
    with pytest.raises(ValueError, match="plus infinity"):
        PolicyIteration(TabularEnv(pays), discount=1.0).learn(1)
    assert BackwardInduction(TabularEnv(pays), horizon=9).learn(1).state_values.tolist() == [9.0]


# ---- backward induction keeps time --------------------------------------------------------------


def prize_walk(length=4, horizon=5):
    """Stay at -0.5, or walk at -1 a step to a prize of 10: worth it only with time enough."""
    rows = []
    for state in range(length):
        last = state == length - 1
        ahead = [(1.0, state if last else state + 1, 10.0 if last else -1.0, last)]
        rows.append([[(1.0, state, -0.5, False)], ahead])
    return TabularMDP.from_outcomes(rows, max_episode_steps=horizon)


def test_clock_runs_through_predict():
    agent = BackwardInduction(gymnasium.make("FrozenLake-v1")).learn(1)
    assert agent.solution.horizon == 100
    table = agent.solution.policies_by_time
    state = None
    for time in range(103):
        action, state = agent.predict(4, state=state, episode_start=np.array([time == 0]))
        assert action == table[min(time, 99), 4]
        assert state == time + 1
    action, state = agent.predict(4, state=state, episode_start=np.array([True]))
    assert action == table[0, 4]
    assert state == 1


def test_clocks_of_a_batch_are_apart():
    agent = BackwardInduction(TabularEnv(prize_walk()), horizon=5).learn(1)
    walk_at = agent.solution.policies_by_time[:, 0]
    assert walk_at.tolist() == [1, 1, 0, 0, 0]
    actions, clocks = agent.predict(np.zeros(3, dtype=np.int64), state=np.array([0, 1, 2]))
    assert actions.tolist() == [1, 1, 0]
    assert clocks.tolist() == [1, 2, 3]
    begins = np.array([True, False, True])
    actions, clocks = agent.predict(
        np.zeros(3, dtype=np.int64), state=np.array([4, 4, 4]), episode_start=begins
    )
    assert actions.tolist() == [1, 0, 1]
    assert clocks.tolist() == [1, 5, 1]


def test_horizon_is_needed():
    with pytest.raises(ValueError, match="horizon"):
        BackwardInduction("CliffWalking-v1").learn(1)
    assert BackwardInduction("CliffWalking-v1", horizon=13).learn(1).state_values[36] == -13


# ---- Stable-Baselines3's tools ------------------------------------------------------------------


@pytest.mark.parametrize("kind", [PolicyIteration, BackwardInduction])
def test_evaluate_policy_finds_the_exact_score(kind):
    """150 episodes: 4 standard errors of a Bernoulli score are 0.14."""
    from stable_baselines3.common.evaluation import evaluate_policy
    from stable_baselines3.common.monitor import Monitor

    env = Monitor(gymnasium.make("FrozenLake-v1"))
    agent = kind("FrozenLake-v1", seed=0).learn(1)
    env.reset(seed=123)
    mean, _ = evaluate_policy(agent, env, n_eval_episodes=150)
    if kind is BackwardInduction:
        truth = 0.7441902878
    else:
        worth = policy_evaluation(agent.mdp, agent.policy, discount=1.0, horizon=100)
        truth = float(worth.state_values[0])
    assert abs(mean - truth) < 0.14


def test_callbacks_see_start_and_end(tmp_path):
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.logger import configure

    seen = []

    class Watcher(BaseCallback):
        def _on_training_start(self):
            seen.append(("start", self.model.solution))

        def _on_step(self):
            seen.append("step")
            return True

        def _on_training_end(self):
            seen.append(("end", self.model.solution.converged))

    agent = PolicyIteration("FrozenLake-v1")
    agent.set_logger(configure(str(tmp_path), ["csv"]))
    agent.learn(1, callback=[Watcher()], progress_bar=True)
    assert seen == [("start", None), ("end", True)]
    header, line = (tmp_path / "progress.csv").read_text().splitlines()
    scalars = dict(zip(header.split(","), line.split(","), strict=True))
    assert int(scalars["plan/sweeps"]) == agent.solution.sweeps
    assert float(scalars["plan/error_bound"]) == agent.solution.error_bound
    with pytest.raises(TypeError, match="callback"):
        agent.learn(1, callback=3)
    with pytest.raises(ValueError, match="budget"):
        agent.learn(0)


def test_planners_are_agents():
    for kind in ALL:
        assert issubclass(kind, AbstractPlanner)
        assert issubclass(kind, AbstractAgent)


# ---- wrong input --------------------------------------------------------------------------------


@pytest.mark.parametrize("clock", [-1, 1.5, "x", np.nan, np.array([1, 2])])
def test_a_state_that_is_no_clock_is_refused(clock):
    agent = BackwardInduction(TabularEnv(prize_walk()), horizon=5).learn(1)
    with pytest.raises(ValueError, match="steps taken"):
        agent.predict(0, state=clock)


def test_settings_that_are_no_numbers_are_refused():
    for wrong in ({"max_sweeps": 1.5}, {"tolerance": None}, {"discount": "0.9"}):
        with pytest.raises(TypeError, match=next(iter(wrong))):
            ValueIteration("FrozenLake-v1", **wrong)


def test_what_is_no_model_is_refused():
    with pytest.raises(TypeError, match="TabularMDP"):
        ValueIteration("FrozenLake-v1", model=shifted_model().to_dict())


def test_a_file_that_lacks_something_is_refused(tmp_path):
    path = tmp_path / "agent"
    ValueIteration("FrozenLake-v1").learn(1).save(path)
    arrays, header = read_arrays(path, expected_format="gymagine-planner-1")
    for without in ("config", "agent", "action_space"):
        write_arrays(path, arrays, {k: v for k, v in header.items() if k != without})
        with pytest.raises(ValueError, match=without):
            ValueIteration.load(path)
    write_arrays(path, {k: v for k, v in arrays.items() if k != "policy"}, header)
    with pytest.raises(ValueError, match="policy"):
        ValueIteration.load(path)
