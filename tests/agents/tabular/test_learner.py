"""The contract of every tabular learner: spaces, seeds, budgets, errors, predictions."""

import copy
import pickle

import gymnasium
import numpy as np
import pytest
from gymagine.agents.tabular.q_learning import QLearning
from gymagine.agents.tabular.sarsa import SARSA
from gymagine.envs.mdp import TabularMDP
from gymagine.envs.tabular_env import TabularEnv
from gymagine.schedules import Schedule
from gymnasium import spaces


class ShiftedCorridor(gymnasium.Env):
    """Observations 5 to 8, actions 3 (left) and 4 (right); the right end pays 1."""

    observation_space = spaces.Discrete(4, start=5)
    action_space = spaces.Discrete(2, start=3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = 5
        return np.int64(self.place), {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.place = min(max(self.place + (1 if action == 4 else -1), 5), 8)
        return np.int64(self.place), float(self.place == 8), self.place == 8, False, {}


class Scripted(gymnasium.Env):
    """One state, one action; what each step gives is scripted, then it pays 0."""

    observation_space = spaces.Discrete(2)
    action_space = spaces.Discrete(2)

    def __init__(self, script):
        self.script = dict(script)
        self.steps = 0
        self.resets = []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.resets.append(seed)
        return 0, {}

    def step(self, action):
        outcome = self.script.get(self.steps, (0, 0.0))
        self.steps += 1
        if isinstance(outcome, BaseException):
            raise outcome
        return (*outcome, False, False, {})


# ---- spaces -----------------------------------------------------------------------------------


def test_unbounded_observations_are_refused_with_the_wrapper_that_helps(make_learner):
    env = gymnasium.wrappers.NormalizeObservation(gymnasium.make("CartPole-v1"))
    with pytest.raises(ValueError, match=r"gymagine\.envs\.discretize"):
        make_learner(env)


def test_continuous_actions_are_refused(make_learner):
    class Continuous(Scripted):
        action_space = spaces.Box(-1, 1)

    with pytest.raises(ValueError, match="finite action space"):
        make_learner(Continuous({}))


def test_unknown_environments_and_hyperparameters_get_a_suggestion():
    with pytest.raises(ValueError, match="did you mean FrozenLake-v1"):
        QLearning("FrozenLak-v1")
    with pytest.raises(TypeError, match="did you mean step_size"):
        QLearning("FrozenLake-v1", stepsize=0.1)


def test_spaces_that_start_elsewhere(make_control):
    agent = make_control(ShiftedCorridor(), seed=0, exploration_rate=0.5).learn(4_000)
    assert agent.simulator == "stepped"
    actions, _ = agent.predict(np.array([5, 6, 7]))
    assert actions.dtype == np.int64
    assert [int(agent.predict(place)[0]) for place in (5, 6, 7)] == actions.tolist()
    assert set(actions.tolist()) <= {3, 4}
    if getattr(agent.config, "importance_sampling", None) != "ordinary":  # infinite variance
        assert actions.tolist() == [4, 4, 4]
    drawn = {int(agent.predict(6, deterministic=False)[0]) for _ in range(200)}
    assert drawn == {3, 4}


def test_tuple_observations(make_control, simulator):
    agent = make_control("Blackjack-v1", seed=0, simulator=simulator).learn(2_000)
    assert agent.num_states == 32 * 11 * 2
    single, _ = agent.predict((20, 10, 0))
    assert single in (0, 1)
    hands = (np.array([20, 5, 12]), np.array([10, 2, 4]), np.array([0, 0, 1]))
    batch, _ = agent.predict(hands)
    one_by_one = [int(agent.predict(tuple(int(x[i]) for x in hands))[0]) for i in range(3)]
    assert batch.tolist() == one_by_one


def test_multidiscrete_spaces():
    class Grid(gymnasium.Env):
        observation_space = spaces.MultiDiscrete([3, 2], start=[1, 0])
        action_space = spaces.MultiDiscrete([2, 2])

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            return np.array([1, 0]), {}

        def step(self, action):
            assert self.action_space.contains(action)
            good = action.tolist() == [1, 0]
            return np.array([3, 1]), float(good), True, False, {}

    agent = QLearning(Grid(), seed=0, exploration_rate=1.0).learn(200)
    assert agent.predict(np.array([1, 0]))[0].tolist() == [1, 0]
    assert agent.predict(np.array([[1, 0], [1, 0]]))[0].tolist() == [[1, 0], [1, 0]]
    with pytest.raises(ValueError, match="expected an observation"):
        agent.predict(np.array([0, 0]))


# ---- seeds and budgets ------------------------------------------------------------------------


def test_equal_seeds_learn_the_same_and_others_do_not(make_learner, simulator):
    def tables(seed):
        agent = make_learner("FrozenLake-v1", seed=seed, simulator=simulator).learn(3_000)
        return agent.state_values.tobytes(), agent.episode_lengths.tobytes()

    assert tables(3) == tables(3)
    assert tables(3) != tables(4)


def test_a_drawn_seed_is_kept():
    first, second = QLearning("FrozenLake-v1"), QLearning("FrozenLake-v1")
    assert first.seed != second.seed
    again = QLearning("FrozenLake-v1", seed=first.seed)
    assert (first.learn(500).action_values == again.learn(500).action_values).all()


@pytest.mark.parametrize("seed", [-1, True])
def test_bad_seeds(seed):
    with pytest.raises(ValueError, match="expected a seed"):
        QLearning("FrozenLake-v1", seed=seed)


@pytest.mark.parametrize("budget", [1, 2, 997, 12_345])
def test_budgets_are_exact(make_learner, simulator, budget):
    if simulator == "stepped" and budget > 1_000:
        budget = 1_013
    agent = make_learner("FrozenLake-v1", seed=0, simulator=simulator)
    assert agent.learn(budget) is agent
    assert agent.num_timesteps == budget


@pytest.mark.parametrize("budget", [0, -5, True])
def test_bad_budgets(budget):
    with pytest.raises(ValueError, match="timestep"):
        QLearning("FrozenLake-v1", seed=0).learn(budget)


def test_reset_num_timesteps_counts_from_zero_again():
    rate = Schedule("linear", 1.0, 0.0, 100)
    agent = QLearning("FrozenLake-v1", seed=0, exploration_rate=rate).learn(100)
    assert agent.exploration_rate == 0.0
    agent.learn(50, reset_num_timesteps=True)
    assert agent.num_timesteps == 50
    assert agent.exploration_rate == 0.5


# ---- bad environments -------------------------------------------------------------------------


def test_an_exception_of_the_environment_passes_and_leaves_the_agent_whole(make_learner, tmp_path):
    env = Scripted({7: RuntimeError("the robot fell over")})
    agent = make_learner(env, seed=0)
    with pytest.raises(RuntimeError, match="fell over"):
        agent.learn(20)
    assert agent.num_timesteps == 7
    agent.save(tmp_path / "agent")
    assert type(agent).load(tmp_path / "agent").num_timesteps == 7
    agent.learn(5)
    assert agent.num_timesteps == 12
    assert len(env.resets) == 2, "the broken episode is given up"


@pytest.mark.parametrize("reward", [float("nan"), float("inf"), -float("inf")])
def test_rewards_that_are_not_finite(make_learner, reward):
    agent = make_learner(Scripted({4: (0, reward)}), seed=0)
    with pytest.raises(ValueError, match=f"finite reward at step 4, got {reward}"):
        agent.learn(20)
    assert agent.num_timesteps == 4
    assert np.isfinite(agent.state_values).all()


@pytest.mark.parametrize("observation", [2, -1, 1.5, None, "a"])
def test_observations_outside_their_space(make_learner, observation):
    agent = make_learner(Scripted({4: (observation, 0.0)}), seed=0)
    with pytest.raises(ValueError, match=r"observation of Discrete\(2\) at step 4"):
        agent.learn(20)
    assert agent.num_timesteps == 4


def test_only_the_first_reset_is_seeded():
    env = gymnasium.wrappers.TimeLimit(Scripted({}), 3)
    QLearning(env, seed=0).learn(10)
    seeds = env.unwrapped.resets
    assert len(seeds) == 4
    assert isinstance(seeds[0], int)
    assert seeds[1:] == [None] * 3


# ---- predictions ------------------------------------------------------------------------------


def test_predictions_follow_the_policy(make_learner):
    agent = make_learner("FrozenLake-v1", seed=0).learn(2_000)
    actions, state = agent.predict(np.arange(16), state="kept")
    assert actions.tolist() == agent.policy.tolist()
    assert state == "kept"
    assert all(agent.predict(s)[0] == actions[s] for s in range(16))
    assert isinstance(agent.predict(0)[0], np.int64)


def test_masks_of_predictions(make_learner):
    agent = make_learner("FrozenLake-v1", seed=0).learn(2_000)
    only = np.array([False, False, True, False])
    for deterministic in (True, False):
        assert agent.predict(0, deterministic=deterministic, action_mask=only)[0] == 2
        both = np.stack([only, np.roll(only, 1)])
        actions, _ = agent.predict([0, 1], deterministic=deterministic, action_mask=both)
        assert actions.tolist() == [2, 3]
    with pytest.raises(ValueError, match="allows an action"):
        agent.predict(0, action_mask=np.zeros(4, dtype=bool))
    with pytest.raises(ValueError, match="expected an action mask of shape"):
        agent.predict(0, action_mask=np.ones(3, dtype=bool))


def test_predictions_do_not_disturb_learning(make_learner):
    quiet = make_learner("FrozenLake-v1", seed=0).learn(1_000)
    asked = make_learner("FrozenLake-v1", seed=0)
    for _ in range(10):
        asked.learn(100)
        asked.predict(np.arange(16), deterministic=False)
    assert (quiet.state_values == asked.state_values).all()


@pytest.mark.parametrize("observation", [-1, 16, 1.5, [0, 16], [[0]]])
def test_predictions_outside_the_space(observation):
    with pytest.raises(ValueError, match="expected"):
        QLearning("FrozenLake-v1", seed=0).predict(observation)


# ---- truncation, masks, episodes --------------------------------------------------------------


def test_truncation_is_bootstrapped(make_learner, simulator, paying_loop):
    # worth 1 / (1 - 0.8) = 5, and 20 steps of it 4.94: a learner that stopped at the cap would
    # find at most that, one that stops the bootstrap at each truncation less
    settings = (
        {}
        if "off" in str(make_learner) or "Off" in str(make_learner)
        else {"step_size": 1.0, "step_size_decay": 0.6}
    )
    agent = make_learner(paying_loop, seed=0, simulator=simulator, discount=0.8, **settings).learn(
        20_000
    )
    assert agent.state_values[0] == pytest.approx(5.0, abs=0.01)


def test_masked_actions_are_never_taken_nor_bootstrapped(make_control, simulator):
    # action 1 of state 0 and action 0 of state 1 do not exist
    rows = [
        [[(1.0, 1, 1.0, False)], [], [(1.0, 0, 0.0, True)]],
        [[], [(1.0, 0, -1.0, True)], [(1.0, 1, -2.0, True)]],
    ]
    env = TabularEnv(TabularMDP.from_outcomes(rows))
    agent = make_control(
        env, seed=0, simulator=simulator, discount=1.0, exploration_rate=0.3,
        initial_action_value=-10.0,
    ).learn(5_000)  # fmt: skip
    assert agent.action_values[0, 1] == agent.action_values[1, 0] == -np.inf
    values = agent.action_values[[0, 1], [0, 1]]
    # a masked 0 would have entered the bootstrap as 1 + 0; the best there really is 1 - 1
    assert values[1] == pytest.approx(-1.0, abs=0.05)
    assert values[0] <= 0.05
    assert agent.predict(1)[0] == 1


def test_finished_episodes_are_told(make_learner, simulator):
    heard = []
    agent = make_learner("FrozenLake-v1", seed=0, simulator=simulator)
    agent.episode_watcher = heard.append
    agent.learn(700).learn(800)
    timesteps = np.concatenate([episodes.timesteps for episodes in heard])
    lengths = np.concatenate([episodes.lengths for episodes in heard])
    returns = np.concatenate([episodes.returns for episodes in heard])
    assert agent.num_episodes == len(timesteps) > 50
    assert (np.cumsum(lengths) == timesteps).all()
    assert timesteps[-1] <= 1_500
    assert agent.episode_returns.tolist() == returns[-100:].tolist()
    assert agent.episode_lengths.tolist() == lengths[-100:].tolist()


def test_tables_have_their_shapes(make_control):
    agent = make_control("FrozenLake-v1", seed=0).learn(100)
    assert agent.action_values.shape == (16, 4)
    assert agent.state_values.shape == agent.policy.shape == (16,)
    assert (agent.action_values.max(axis=1) == agent.state_values).all()
    agent.action_values[:] = 1e9
    assert agent.action_values.max() < 2, "what is handed out is a copy"


def test_prediction_agents_have_no_action_values(make_prediction):
    agent = make_prediction("FrozenLake-v1", seed=0)
    assert getattr(agent, "action_values", None) is None


def test_simulator_is_told():
    assert QLearning("FrozenLake-v1").simulator == "compiled"
    assert QLearning("FrozenLake-v1", simulator="stepped").simulator == "stepped"
    assert SARSA(ShiftedCorridor()).simulator == "stepped"


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda agent: pickle.loads(pickle.dumps(agent))]
)
def test_copies_go_on_alike(make_learner, simulator, copied):
    """As joblib sends agents to other processes."""
    agent = make_learner("FrozenLake-v1", seed=0, simulator=simulator).learn(301)
    other = copied(agent)
    agent.learn(300)
    assert other.num_timesteps == 301
    assert other.learn(300).state_values.tobytes() == agent.state_values.tobytes()
