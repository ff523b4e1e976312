"""Stepping an environment: masks in its info, and the arguments it is called with."""

import gymnasium
import numpy as np
import pytest
from gymagine.agents.tabular.q_learning import QLearning
from gymnasium import spaces


class Masked(gymnasium.Env):
    """Three states in a row; each allows two of three actions and fails on the other.

    The forbidden action of a state is its own number; the best one is the next, modulo 3.
    """

    observation_space = spaces.Discrete(3)
    action_space = spaces.Discrete(3)

    def __init__(self, masks=True):
        self.masks = masks

    def _info(self):
        allowed = np.ones(3, dtype=np.int8)
        allowed[self.state] = 0
        return {"action_mask": allowed} if self.masks else {}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state = 0
        return 0, self._info()

    def step(self, action):
        if action == self.state:
            raise RuntimeError(f"action {action} is forbidden")
        good = action == (self.state + 1) % 3
        self.state += 1
        ended = self.state == 3
        if ended:
            self.state = 2
        return self.state, float(good), ended, False, self._info()


def test_masks_in_info_are_obeyed(make_control):
    agent = make_control(Masked(), seed=0, discount=1.0, exploration_rate=0.5).learn(2_000)
    assert agent.num_timesteps == 2_000
    assert np.isneginf(np.diag(agent.action_values)).all()
    for state in range(3):
        draws = {int(agent.predict(state, deterministic=False)[0]) for _ in range(60)}
        assert draws == set(range(3)) - {state}


def test_masks_can_be_ignored_on_demand():
    with pytest.raises(RuntimeError, match="forbidden"):
        QLearning(Masked(), seed=0, exploration_rate=1.0, action_masks="never").learn(100)


def test_masks_are_saved(tmp_path):
    agent = QLearning(Masked(), seed=0).learn(100)
    agent.save(tmp_path / "agent")
    again = QLearning.load(tmp_path / "agent")
    assert again.action_values.tobytes() == agent.action_values.tobytes()
    assert again.predict(0)[0] == agent.predict(0)[0]


def test_taxi_masks_forbid_only_on_demand():
    """Taxi's mask leaves out actions that change nothing, but its model has them all."""
    assert QLearning("Taxi-v4").simulator == "compiled"
    plain = QLearning("Taxi-v4", seed=0, simulator="stepped", exploration_rate=1.0).learn(3_000)
    assert not np.isneginf(plain.action_values).any()
    masked = QLearning("Taxi-v4", seed=0, action_masks="always", exploration_rate=1.0)
    assert masked.simulator == "stepped"
    masked.learn(3_000)
    hidden = np.isneginf(masked.action_values)
    assert hidden.any()
    env = gymnasium.make("Taxi-v4").unwrapped
    for state in np.flatnonzero(hidden.any(axis=1)):
        assert (env.action_mask(int(state)).astype(bool) == ~hidden[state]).all()


@pytest.mark.parametrize(
    ("mask", "message"), [(np.zeros(3), "allow an action"), (np.ones(2), "of 3 entries")]
)
def test_bad_masks(mask, message):
    class Bad(Masked):
        def _info(self):
            return {"action_mask": mask}

    with pytest.raises(ValueError, match=message):
        QLearning(Bad(), seed=0).learn(10)


def test_actions_have_the_type_that_the_space_has():
    class Strict(gymnasium.Env):
        observation_space = spaces.Discrete(1)
        action_space = spaces.MultiDiscrete([2, 3])

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            return 0, {}

        def step(self, action):
            assert action in self.action_space
            return 0, 0.0, False, False, {}

    QLearning(Strict(), seed=0, exploration_rate=1.0).learn(50)


@pytest.mark.parametrize("world", ["CliffWalking-v1", "FrozenLake-v1"])
def test_an_environment_that_others_used_begins_an_episode(world, caplog):
    """As after evaluate_policy(agent, agent.get_env()): the old state is no longer where it is."""
    agent = QLearning(world, seed=0, simulator="stepped", exploration_rate=1.0).learn(1)
    heard = []
    while agent._interaction._action < 0 or agent._interaction._length < 2:
        agent.learn(1)
    agent.env.reset(seed=3)
    agent.env.step(0)
    agent.env.step(0)
    before = agent.action_values
    resets = agent.env.reset
    agent.env.reset = lambda **arguments: heard.append(arguments) or resets(**arguments)
    agent.learn(1)
    assert heard == [{"seed": None}]
    assert "used by others" in caplog.text
    start = 36 if world == "CliffWalking-v1" else 0
    changed = np.flatnonzero((before != agent.action_values).any(axis=1))
    assert set(changed) <= {start}


def test_looking_at_an_environment_is_no_use_of_it():
    env = gymnasium.make("CliffWalking-v1", render_mode="ansi")
    agent = QLearning(env, seed=0, simulator="stepped").learn(50)
    length = agent._interaction._length
    env.render()
    env.action_space.sample()
    agent.learn(1)
    assert agent._interaction._length == length + 1


class Paying(gymnasium.Env):
    """One state that pays what it is told to."""

    observation_space = spaces.Discrete(1)
    action_space = spaces.Discrete(1)

    def __init__(self, reward):
        self.reward = reward

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 0, {}

    def step(self, action):
        return 0, self.reward, False, False, {}


@pytest.mark.parametrize("reward", [None, np.nan, "much", np.float32(np.inf), 10**400, 1j])
def test_rewards_that_are_no_numbers_are_refused_by_step(reward):
    with pytest.raises(ValueError, match="expected a finite reward at step 0, got"):
        QLearning(Paying(reward), seed=0).learn(3)


@pytest.mark.parametrize("reward", [True, np.float32(1), np.int8(1), np.bool_(True), np.array(1)])
def test_rewards_of_any_type_are_the_same_number(reward):
    agent = QLearning(Paying(reward), seed=0).learn(20)
    assert agent.state_values == QLearning(Paying(1.0), seed=0).learn(20).state_values


def test_values_that_overflow_are_told(caplog):
    QLearning(Paying(1.0), seed=0).learn(10)
    assert not caplog.text
    QLearning(Paying(1e308), seed=0, discount=1.0).learn(200)
    assert "the values of q-learning overflowed" in caplog.text
