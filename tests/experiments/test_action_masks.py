"""Truths: worlds whose returns under masks and without are known by hand, and Taxi's model."""

import logging

import gymnasium
import numpy as np
import pytest
from gymagine.agents.deep.dqn import DQN
from gymagine.agents.planning.planner import ValueIteration
from gymagine.agents.planning.policy_evaluation import policy_evaluation
from gymagine.agents.random_policy import RandomPolicy
from gymagine.agents.tabular.monte_carlo_prediction import MonteCarloPrediction
from gymagine.agents.tabular.q_learning import QLearning
from gymagine.envs.mdp import TabularMDP
from gymagine.envs.tabular_env import TabularEnv
from gymagine.experiments.action_masks import masks_of_states, wants_masks
from gymagine.experiments.environment_names import EnvironmentName
from gymagine.experiments.evaluation import evaluate
from gymagine.experiments.exact_evaluation import (
    exact_return,
    exact_return_of,
    known_model,
    policy_table,
)
from gymagine.experiments.training import train
from gymagine.experiments.watching import play_episodes
from gymnasium.envs.toy_text.frozen_lake import FrozenLakeEnv
from gymnasium.envs.toy_text.taxi import TaxiEnv

LENGTH = 3


class Corridor(gymnasium.Env):
    """Three steps: action 1 costs 1, action 2 costs 2, and action 0 is forbidden and costs 100.

    Nobody who keeps to the masks ever takes action 0, so that its value stays where it began,
    above those of the others: the best return is -3, and without masks it is -300.
    """

    observation_space = gymnasium.spaces.Discrete(LENGTH)
    action_space = gymnasium.spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = 0
        return 0, self.info()

    def step(self, action):
        reward = (-100.0, -1.0, -2.0)[action]
        self.place += 1
        over = self.place == LENGTH
        return min(self.place, LENGTH - 1), reward, over, False, {} if over else self.info()

    def info(self):
        return {"action_mask": np.array([0, 1, 1], dtype=np.int8)}


class Doors(gymnasium.Env):
    """One observation, and one open door that only the mask tells: 1 for it, -1 for the other."""

    observation_space = gymnasium.spaces.Discrete(1)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.open, self.time = int(self.np_random.integers(2)), 0
        return 0, self.info()

    def step(self, action):
        reward = 1.0 if action == self.open else -1.0
        self.open, self.time = int(self.np_random.integers(2)), self.time + 1
        return 0, reward, self.time == 4, False, self.info()

    def info(self):
        return {"action_mask": np.arange(2) == self.open}


class LateDoor(Doors):
    """All is allowed at every second step."""

    def info(self):
        return {"action_mask": np.array([self.time % 2 == 0, True])}


class SecretLake(FrozenLakeEnv):
    """Tells its masks of the current state only."""

    def reset(self, *, seed=None, options=None):
        observation, info = super().reset(seed=seed, options=options)
        return observation, {**info, "action_mask": np.array([0, 1, 1, 1], dtype=np.int8)}


class BackwardTaxi(TaxiEnv):
    """Tells other masks of its states than ``info`` does."""

    def step(self, action):
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward, terminated, truncated, self.turned(info)

    def reset(self, *, seed=None, options=None):
        observation, info = super().reset(seed=seed, options=options)
        return observation, self.turned(info)

    def turned(self, info):
        return {**info, "action_mask": info["action_mask"][::-1]}


class Watched:
    """Takes the first allowed action, and keeps the masks that it was handed."""

    def __init__(self):
        self.masks = []

    def predict(
        self,
        observation,
        state=None,
        episode_start=None,
        deterministic=True,
        *,
        action_mask=None,
    ):
        self.masks.append(action_mask)
        return action_mask.argmax(axis=-1), state


gymnasium.register("gymagine-tests/MaskedCorridor-v0", Corridor, max_episode_steps=LENGTH + 1)
gymnasium.register("gymagine-tests/Doors-v0", Doors, max_episode_steps=5)
CORRIDOR = "gymagine-tests/MaskedCorridor-v0"
QUICK = {"learning_starts": 50, "hidden_sizes": (16,), "learning_rate": 5e-3, "train_freq": 1}


@pytest.fixture(scope="module")
def learnt():
    """A network that knows the corridor, and thinks best of what is forbidden."""
    agent = DQN(CORRIDOR, seed=0, target_update_interval=50, **QUICK).learn(1_000)
    assert agent.predict(np.arange(LENGTH))[0].tolist() == [0, 0, 0]
    return agent


@pytest.mark.parametrize("source", [CORRIDOR, Corridor], ids=["in turns", "one environment"])
def test_agents_that_learnt_under_masks_are_played_under_them(learnt, source):
    env = source if isinstance(source, str) else source()
    assert evaluate(learnt, env, num_episodes=40).returns.tolist() == [-3.0] * 40


@pytest.mark.parametrize("agent_type", [DQN, QLearning])
def test_agents_that_learnt_without_are_handed_none(agent_type):
    agent = agent_type(CORRIDOR, seed=0, action_masks="never")
    seen = []
    predict = agent.predict
    agent.predict = lambda *args, **options: (seen.append(options), predict(*args, **options))[1]
    evaluate(agent, CORRIDOR, num_episodes=2)
    assert seen and not any("action_mask" in options for options in seen)


@pytest.mark.slow
def test_what_is_recorded_and_watched_is_played_under_masks(learnt, tmp_path):
    result = train(
        "dqn", CORRIDOR, total_timesteps=1_000, evaluate_every=1_000, evaluation_episodes=3,
        final_episodes=7, folder=tmp_path, target_update_interval=50, **QUICK,
    )  # fmt: skip
    assert result.evaluations[-1].mean_reward == -3.0
    assert evaluate(result.record, num_episodes=3).mean == -3.0
    returns = []
    assert not list(play_episodes(Corridor(), learnt, [0, 1], 10, returns))
    assert returns == [-3.0, -3.0]


def test_every_row_has_the_mask_of_its_own_environment():
    agent = Watched()
    evaluation = evaluate(agent, "gymagine-tests/Doors-v0", num_episodes=20)
    assert evaluation.returns.tolist() == [4.0] * 20
    assert {masks.shape for masks in agent.masks} == {(20, 2)}
    assert any(len(np.unique(masks, axis=0)) == 2 for masks in agent.masks)


def test_masks_that_change_under_one_observation_reach_tables():
    """What a table has noted of the observation is the mask of another moment."""
    agent = QLearning("gymagine-tests/Doors-v0", seed=0).learn(100)
    assert evaluate(agent, num_episodes=30).mean == 4.0
    returns = []
    assert not list(play_episodes(Doors(), agent, [0, 1, 2], 10, returns))
    assert returns == [4.0] * 3


def test_tables_read_from_files_want_the_masks_that_they_wanted(tmp_path):
    """Whatever the last mask was that a table has noted: one that allows all tells nothing."""
    for steps in range(4, 8):
        agent = QLearning(LateDoor(), seed=0).learn(steps)
        agent.save(tmp_path / "agent")
        again = QLearning.load(tmp_path / "agent")
        assert agent.reads_masks and again.reads_masks
        again.save(tmp_path / "again")
        assert (tmp_path / "again").read_bytes() == (tmp_path / "agent").read_bytes()
    compiled = QLearning("FrozenLake-v1", seed=0).learn(10)
    compiled.save(tmp_path / "agent")
    assert not QLearning.load(tmp_path / "agent").reads_masks


@pytest.mark.parametrize("mask", [[1, 1], [1, 1, 1, 1, 1]])
def test_the_random_policy_takes_masks_of_its_own_actions_only(mask):
    agent = RandomPolicy(CORRIDOR, seed=0)
    with pytest.raises(ValueError, match=r"mask of shape \(3,\) or \(4, 3\), got"):
        agent.predict(np.zeros(4, dtype=np.int64), action_mask=np.array(mask, dtype=np.bool_))


def test_the_random_policy_takes_one_mask_for_many():
    agent = RandomPolicy(CORRIDOR, seed=0)
    actions, _ = agent.predict(
        np.zeros(200, dtype=np.int64), action_mask=np.array([False, True, True])
    )
    assert actions.shape == (200,) and set(actions) == {1, 2}
    action, _ = agent.predict(0, action_mask=np.array([False, False, True]))
    assert np.shape(action) == () and action == 2


def test_predictors_without_the_keyword_are_left_alone():
    from stable_baselines3 import A2C

    model = A2C("MlpPolicy", CORRIDOR, seed=0, device="cpu")
    assert not wants_masks(model)
    assert evaluate(model, CORRIDOR, num_episodes=3).num_episodes == 3


def test_predictors_that_do_not_tell_their_keywords_are_left_alone():
    class Compiled:
        predict = max

    assert not wants_masks(Compiled())


# ---- exactly --------------------------------------------------------------------------------


def taxi_masks():
    inner = gymnasium.make("Taxi-v4").unwrapped
    return np.array([inner.action_mask(state) for state in range(500)], dtype=np.bool_)


def test_exact_returns_of_networks_are_those_under_masks():
    name = EnvironmentName("Taxi-v4")
    agent = DQN("Taxi-v4", seed=0, **QUICK).learn(300)
    masks = taxi_masks()
    actions = np.array(
        [int(agent.predict(state, action_mask=masks[state])[0]) for state in range(500)]
    )
    mdp = TabularMDP.from_env("Taxi-v4")
    values = policy_evaluation(mdp, actions, discount=0.9, horizon=200).state_values
    exact = exact_return_of(agent, name, discount=0.9, horizon=200)
    assert exact == pytest.approx(float(mdp.initial_distribution @ values), abs=1e-9)
    plain = agent.predict(np.arange(500))[0]
    assert exact > 1 + exact_return(mdp, plain, discount=0.9, horizon=200)
    assert masks[np.arange(500), actions].all() and not masks[np.arange(500), plain].all()


@pytest.mark.slow
def test_exact_returns_of_tables_are_those_that_playing_finds():
    """States that were never visited have masks too, which the table does not know."""
    agent = QLearning("Taxi-v4", seed=0, action_masks="always").learn(30_000)
    exact = exact_return_of(agent, EnvironmentName("Taxi-v4"), discount=1.0, horizon=200)
    played = evaluate(agent, "Taxi-v4", num_episodes=400)
    error = played.returns.std() / 20
    assert error > 0 and abs(exact - played.mean) < 4 * error


def test_who_knows_the_model_is_handed_no_masks():
    """Taxi's model has all actions: -771.09 of the random policy is with all of them."""
    name = EnvironmentName("Taxi-v4")
    table = QLearning("Taxi-v4", seed=0).learn(10)
    assert [wants_masks(agent) for agent in (table, ValueIteration("Taxi-v4"))] == [False] * 2
    random = exact_return_of(RandomPolicy("Taxi-v4"), name, discount=1.0, horizon=200)
    assert random == pytest.approx(-771.0909994496636, abs=1e-6)
    assert wants_masks(RandomPolicy(CORRIDOR))
    played = evaluate(RandomPolicy(CORRIDOR, seed=0), CORRIDOR, num_episodes=20)
    assert set(played.returns) <= {-3.0, -4.0, -5.0, -6.0}


def test_policies_that_are_evaluated_share_out_what_is_forbidden():
    agent = MonteCarloPrediction("Taxi-v4", seed=0, action_masks="always")
    env, mdp = gymnasium.make("Taxi-v4"), TabularMDP.from_env("Taxi-v4")
    masks = taxi_masks()
    expected = masks / masks.sum(axis=1, keepdims=True)
    assert np.allclose(policy_table(agent, mdp, env, horizon=200), expected)


def test_masks_of_states_come_from_the_environment():
    env = gymnasium.make("Taxi-v4")
    assert np.array_equal(masks_of_states(env, TabularMDP.from_env(env)), taxi_masks())
    lake = gymnasium.make("FrozenLake-v1")
    assert masks_of_states(lake, TabularMDP.from_env(lake)) is None


def test_masks_of_our_own_environments_come_from_their_model():
    allowed = np.array([[True, False], [True, True]])
    mdp = TabularMDP.from_arrays(
        np.array([[[0.0, 1.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]]),
        np.array([[1.0, 0.0], [0.0, 0.0]]),
        action_mask=allowed,
    )
    assert np.array_equal(masks_of_states(TabularEnv(mdp), mdp), allowed)


@pytest.mark.parametrize(
    ("world", "plain"), [(SecretLake, "FrozenLake-v1"), (BackwardTaxi, "Taxi-v4")]
)
def test_without_the_masks_of_all_states_episodes_are_played(world, plain, caplog):
    env, mdp = world(), TabularMDP.from_env(plain)
    agent = DQN(world(), seed=0, **QUICK)
    with caplog.at_level(logging.WARNING):
        assert policy_table(agent, mdp, env, horizon=200) is None
        assert policy_table(agent, mdp, env, horizon=200) is None
    assert [record.message[:44] for record in caplog.records] == [
        "no exact return, episodes are played instead"
    ]


def test_runs_without_an_exact_return_play_episodes(monkeypatch, tmp_path):
    monkeypatch.setattr(
        "gymagine.experiments.exact_evaluation.masks_of_states",
        lambda env, mdp: (_ for _ in ()).throw(ValueError("not told")),
    )
    assert known_model(EnvironmentName("Taxi-v4")) is not None
    result = train(
        "dqn", "Taxi-v4", total_timesteps=100, evaluate_every=100, evaluation_episodes=0,
        final_episodes=3, folder=tmp_path, **QUICK,
    )  # fmt: skip
    point = result.evaluations[-1]
    assert point.exact_return is None and point.num_episodes == 3
