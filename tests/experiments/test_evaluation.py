"""Truths: reference/tabular_truths.json (dynamic programming) and closed forms."""

import gymnasium
import numpy as np
import pytest
from gymagine.agents.random_policy import RandomPolicy
from gymagine.agents.tabular.q_learning import QLearning
from gymagine.experiments.environment_names import EnvironmentName
from gymagine.experiments.evaluation import Evaluation, evaluate

# greedy at discount 0.99 on FrozenLake-v1; 0.7401648978 under the 100-step cap
GREEDY = np.array([0, 3, 3, 3, 0, 0, 0, 0, 3, 1, 0, 0, 0, 2, 1, 0])


class Table:
    """A policy given as a table, with the little of the agent's interface that is needed."""

    def __init__(self, actions):
        self.actions = actions

    def predict(self, observation, state=None, episode_start=None, deterministic=True):
        return self.actions[observation], state


class Counter:
    """Acts by the number of steps since the episode began: a memory that must be reset."""

    def predict(self, observation, state=None, episode_start=None, deterministic=True):
        state = np.zeros(len(observation), dtype=np.int64) if state is None else state
        state = np.where(episode_start, 0, state)
        return np.where(state % 2 == 0, 2, 1), state + 1


class Rewards(gymnasium.Env):
    """Pays given rewards in turn, then terminates."""

    observation_space = gymnasium.spaces.Discrete(1)
    action_space = gymnasium.spaces.Discrete(1)

    def __init__(self, rewards, truncate=False):
        self.rewards, self.truncate = rewards, truncate

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return 0, {}

    def step(self, action):
        reward = self.rewards[self.time]
        self.time += 1
        over = self.time == len(self.rewards)
        return 0, reward, over and not self.truncate, over and self.truncate, {}


@pytest.mark.slow
def test_interval_covers_the_exact_return_as_often_as_it_says():
    inside = [
        e.low <= 0.7401648977587051 <= e.high
        for e in (
            evaluate(Table(GREEDY), "FrozenLake-v1", num_episodes=40, seed=seed)
            for seed in range(60)
        )
    ]
    # binomial(60, 0.95): fewer than 50 has probability 0.0003
    assert sum(inside) >= 50


def test_mean_is_near_the_exact_return():
    evaluation = evaluate(Table(GREEDY), "FrozenLake-v1", num_episodes=1_500, seed=1)
    assert abs(evaluation.mean - 0.7401648977587051) < 4 * 0.4385 / np.sqrt(1_500)
    assert evaluation.criterion == "undiscounted return over at most 100 steps"
    assert evaluation.num_capped == 0


def test_interval_is_students():
    from scipy.stats import t

    evaluation = evaluate(Table(GREEDY), "FrozenLake-v1", num_episodes=12, seed=3)
    mean, error = evaluation.returns.mean(), evaluation.returns.std(ddof=1) / np.sqrt(12)
    assert (evaluation.low, evaluation.high) == pytest.approx(
        t.interval(0.95, 11, loc=mean, scale=error)
    )


def test_discounted_returns_by_hand():
    env = Rewards([1.0, 2.0, 4.0])
    evaluation = evaluate(Table(np.zeros(1, np.int64)), env, num_episodes=2, discount=0.5)
    assert evaluation.returns.tolist() == [1 + 0.5 * 2 + 0.25 * 4] * 2
    assert evaluation.lengths.tolist() == [3, 3]
    assert (evaluation.low, evaluation.mean, evaluation.high) == (3.0, 3.0, 3.0)


def test_one_episode_has_no_interval():
    evaluation = evaluate(Table(np.zeros(1, np.int64)), Rewards([1.0]), num_episodes=1)
    assert evaluation.mean == 1.0
    assert np.isnan(evaluation.low) and np.isnan(evaluation.high)


def test_endless_episodes_are_stopped_and_counted():
    stuck = Table(np.zeros(48, dtype=np.int64))  # up, against the wall, for ever
    evaluation = evaluate(stuck, "CliffWalking-v1", num_episodes=3)
    assert evaluation.returns.tolist() == [-1000.0] * 3
    assert evaluation.num_capped == 3 and evaluation.max_steps == 1000
    assert evaluate(stuck, "CliffWalking-v1", num_episodes=3, max_steps=7).mean == -7.0


def test_truncation_by_the_environment_is_not_the_cap():
    env = Rewards([1.0, 1.0, 1.0], truncate=True)
    table = Table(np.zeros(1, np.int64))
    assert evaluate(table, env, num_episodes=2, max_steps=3).num_capped == 0
    assert evaluate(table, env, num_episodes=2, max_steps=2).num_capped == 2


@pytest.mark.parametrize("num_episodes", [1, 5, 40])
def test_playing_in_turns_changes_nothing(num_episodes):
    one = evaluate(Table(GREEDY), gymnasium.make("FrozenLake-v1"), num_episodes=num_episodes)
    many = evaluate(Table(GREEDY), "FrozenLake-v1", num_episodes=num_episodes)
    assert one.returns.tolist() == many.returns.tolist()
    assert one.lengths.tolist() == many.lengths.tolist()
    assert one.seeds == many.seeds


def test_memory_begins_anew_with_every_episode():
    name = EnvironmentName("FrozenLake-v1", {"is_slippery": False})
    # right, down, right, down, ...: from the corner (0, 1) is reached first, then the hole (1, 1)
    evaluation = evaluate(Counter(), name, num_episodes=40)
    assert set(evaluation.lengths.tolist()) == {2}


def test_seeds_decide_the_episodes():
    first, second, third = (
        evaluate(Table(GREEDY), "FrozenLake-v1", num_episodes=30, seed=seed) for seed in (5, 5, 6)
    )
    assert first.returns.tolist() == second.returns.tolist()
    assert first.lengths.tolist() != third.lengths.tolist()
    assert len(set(first.seeds)) == 30


def test_tuple_observations_are_batched():
    agent = QLearning("Blackjack-v1", seed=0).learn(2_000)
    evaluation = evaluate(agent, num_episodes=50)
    assert set(evaluation.returns.tolist()) <= {-1.0, 0.0, 1.0, 1.5}


def test_models_of_stable_baselines3_are_evaluated_as_they_are():
    from stable_baselines3 import A2C

    model = A2C("MlpPolicy", "CartPole-v1", seed=0, device="cpu")
    evaluation = evaluate(model, "CartPole-v1", num_episodes=5)
    assert (evaluation.returns == evaluation.lengths).all()


def test_evaluation_leaves_the_learner_alone():
    agents = [QLearning("FrozenLake-v1", seed=0, simulator="stepped") for _ in range(2)]
    for agent in agents:
        agent.learn(500)
        if agent is agents[0]:
            evaluate(agent, num_episodes=20)
            evaluate(agent, num_episodes=20, deterministic=False)
        agent.learn(500)
    assert np.array_equal(agents[0].action_values, agents[1].action_values)


@pytest.mark.parametrize("reward", [float("nan"), float("inf")])
def test_rewards_that_are_no_numbers_are_refused(reward):
    with pytest.raises(ValueError, match=r"finite reward, got (nan|inf) at step 2"):
        evaluate(Table(np.zeros(1, np.int64)), Rewards([1.0, reward, 1.0]), num_episodes=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_episodes": 0}, "num_episodes of at least 1, got 0"),
        ({"discount": 1.5}, r"discount in \[0, 1\], got 1.5"),
        ({"max_steps": 0}, "max_steps of at least 1, got 0"),
    ],
)
def test_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        evaluate(Table(GREEDY), "FrozenLake-v1", **arguments)


def test_an_environment_is_needed():
    with pytest.raises(ValueError, match="expected an environment to evaluate in"):
        evaluate(Table(GREEDY))
    with pytest.raises(FileNotFoundError, match="expected a run at nowhere"):
        evaluate("nowhere")


def test_json_holds_everything():
    evaluation = evaluate(RandomPolicy("FrozenLake-v1"), num_episodes=3)
    value = evaluation.to_json()
    assert value["criterion"] == evaluation.criterion
    assert value["returns"] == evaluation.returns.tolist()
    assert isinstance(evaluation, Evaluation)
