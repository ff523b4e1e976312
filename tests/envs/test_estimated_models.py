"""Estimated models count what happened, and converge to the truth."""

import gymnasium
import numpy as np
import pytest
from gymagine.envs.mdp import TabularMDP
from gymnasium import spaces, wrappers


class ScriptedEnv(gymnasium.Env):
    """Plays transitions from a list; observations and actions are numbered from 5 and from 1."""

    def __init__(self, episodes):
        self.observation_space = spaces.Discrete(3, start=5)
        self.action_space = spaces.Discrete(1, start=1)
        self.episodes, self.closed = iter(episodes), False

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        start, self.steps = next(self.episodes)
        self.steps = iter(self.steps)
        return start, {}

    def step(self, action):
        assert action == 1
        return *next(self.steps), {}

    def close(self):
        self.closed = True


def test_counts_by_hand():
    episodes = [
        (5, [(6, 1.0, False, False), (7, 2.0, True, False)]),
        (5, [(6, 1.0, False, False), (7, 2.0, False, True)]),
        (6, [(7, 2.0, False, False), (5, 0.5, False, False)]),
    ]
    mdp = TabularMDP.estimate(ScriptedEnv(episodes), num_steps=6, seed=0)
    assert mdp.to_dict() == {
        0: {0: [(1.0, 1, 1.0, False)]},
        1: {0: [(pytest.approx(2 / 3), 2, 2.0, False), (pytest.approx(1 / 3), 2, 2.0, True)]},
        2: {0: [(1.0, 0, 0.5, False)]},
    }
    np.testing.assert_allclose(mdp.initial_distribution, [2 / 3, 1 / 3, 0])


def test_unseen_pairs_loop_and_are_counted():
    episodes = [(6, [(6, 1.0, False, False)])]
    with pytest.warns(UserWarning, match="2 of 3 pairs of state and action were never tried") as w:
        mdp = TabularMDP.estimate(ScriptedEnv(episodes), num_steps=1, seed=0)
    assert len(w) == 1
    assert mdp.outcomes(0, 0) == [(1.0, 0, 0.0, False)]
    assert mdp.outcomes(1, 0) == [(1.0, 1, 1.0, False)]
    assert mdp.outcomes(2, 0) == [(1.0, 2, 0.0, False)]


def distance(mdp, truth):
    """Mean total variation between the outcomes of the pairs that can be tried."""
    distances = []
    for state in range(truth.num_states):
        for action in range(truth.num_actions):
            sides = [
                {(s, r, end): p for p, s, r, end in model.outcomes(state, action)}
                for model in (mdp, truth)
            ]
            if all(end for _, _, end in sides[1]):
                continue  # holes and goal: no step is ever taken there
            keys = set(sides[0]) | set(sides[1])
            distances.append(sum(abs(sides[0].get(k, 0) - sides[1].get(k, 0)) for k in keys) / 2)
    return np.mean(distances)


def test_estimates_converge_to_the_true_model():
    truth = TabularMDP.from_env("FrozenLake-v1")
    errors = []
    for num_steps in (1000, 6000, 36_000):
        with pytest.warns(UserWarning, match="never tried"):  # from holes and from the goal
            mdp = TabularMDP.estimate("FrozenLake-v1", num_steps=num_steps, seed=3)
        errors.append(distance(mdp, truth))
    assert mdp.name == "FrozenLake-v1 (estimated)"
    assert mdp.max_episode_steps == 100
    np.testing.assert_array_equal(mdp.initial_distribution, truth.initial_distribution)
    # the error falls with the root of the steps, 2.4-fold each time
    assert errors[1] < errors[0] / 1.7
    assert errors[2] < errors[1] / 1.7
    assert errors[2] < 0.04


class LoopEnv(gymnasium.Env):
    """One state, two actions; a fair coin decides on the reward."""

    observation_space = spaces.Discrete(1)

    def __init__(self):
        self.action_space = spaces.Discrete(2)
        self.last = None

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 0, {}

    def step(self, action):
        self.last = action
        return 0, float(self.np_random.random() < 0.5), False, False, {}


def test_truncation_is_not_termination():
    mdp = TabularMDP.estimate(wrappers.TimeLimit(LoopEnv(), 3), num_steps=100, seed=0)
    assert not mdp.terminated.any()
    assert mdp.max_episode_steps == 3


def test_actions_do_not_foretell_the_environments_draws():
    # with one stream for both, the draw that chooses the action would choose the reward too
    steps = 8000
    mdp = TabularMDP.estimate(LoopEnv(), num_steps=steps, seed=11)
    np.testing.assert_allclose(mdp.expected_rewards, 0.5, atol=4 * 0.5 / np.sqrt(steps / 2))


def test_the_seed_decides():
    models = [TabularMDP.estimate(LoopEnv(), num_steps=200, seed=seed) for seed in (1, 1, 2)]
    assert models[0].to_dict() == models[1].to_dict()
    assert models[0].to_dict() != models[2].to_dict()


def test_a_policy_chooses_the_actions():
    policy = np.array([[0.0, 1.0]])
    with pytest.warns(UserWarning, match="1 of 2 pairs"):
        mdp = TabularMDP.estimate(LoopEnv(), num_steps=50, seed=0, policy=policy)
    assert mdp.outcomes(0, 0) == [(1.0, 0, 0.0, False)]
    assert len(mdp.outcomes(0, 1)) == 2

    class CountingEnv(LoopEnv):
        counts = np.zeros(2)

        def step(self, action):
            self.counts[action] += 1
            return super().step(action)

    TabularMDP.estimate(CountingEnv(), num_steps=4000, seed=0, policy=np.array([[0.2, 0.8]]))
    assert abs(CountingEnv.counts[0] - 800) < 4 * np.sqrt(4000 * 0.16)


class VectorActionEnv(LoopEnv):
    """Actions are pairs, observations too; the reward tells which action it was."""

    def __init__(self):
        self.observation_space = spaces.Tuple((spaces.Discrete(1), spaces.Discrete(1, start=3)))
        self.action_space = spaces.MultiDiscrete([2, 3])

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return (0, 3), {}

    def step(self, action):
        assert action in self.action_space
        return (0, 3), float(action[0] * 10 + action[1]), False, False, {}


def test_any_finite_space_will_do():
    mdp = TabularMDP.estimate(VectorActionEnv(), num_steps=200, seed=0)
    np.testing.assert_array_equal(mdp.expected_rewards, [[0, 1, 2, 10, 11, 12]])
    with pytest.warns(UserWarning, match="never tried"):
        mdp = TabularMDP.estimate("Blackjack-v1", num_steps=3000, seed=0)
    assert mdp.num_states == 704
    # hitting on a hard 4 to 11 cannot bust
    for outcomes in (mdp.outcomes((total * 11 + 10) * 2, 1) for total in range(4, 12)):
        assert all(reward == 0 for _, _, reward, _ in outcomes)


def test_what_was_made_here_is_closed_and_nothing_else():
    env = ScriptedEnv([(5, [(5, 0.0, False, False)])])
    with pytest.warns(UserWarning):
        TabularMDP.estimate(env, num_steps=1, seed=0)
    assert not env.closed
    made = []

    def make():
        made.append(ScriptedEnv([(5, [(5, np.nan, False, False)])]))
        return made[-1]

    gymnasium.register("gymagine-test/Scripted-v0", make, disable_env_checker=True)
    try:
        with pytest.raises(ValueError, match="finite"):
            TabularMDP.estimate("gymagine-test/Scripted-v0", num_steps=1, seed=0)
    finally:
        del gymnasium.registry["gymagine-test/Scripted-v0"]
    assert made[0].closed


@pytest.mark.parametrize(
    ("env", "options", "message"),
    [
        ("CartPole-v1", {}, "expected finitely many observations: .*discretize"),
        ("Pendulum-v1", {}, "expected finitely many observations"),
        ("FrozenLake-v1", {"num_steps": 0}, "expected num_steps of at least 1, got 0"),
        ("FrozenLake-v1", {"policy": np.ones((16, 3)) / 3}, r"shape \(16, 4\), got \(16, 3\)"),
        ("FrozenLake-v1", {"policy": np.ones((16, 4))}, "state 0: expected action probabilities"),
        ("FrozenLake-v1", {"policy": np.full((16, 4), np.nan)}, "state 0: expected action prob"),
    ],
)
def test_wrong_arguments_are_refused(env, options, message):
    with pytest.raises(ValueError, match=message):
        TabularMDP.estimate(env, **({"num_steps": 10, "seed": 0} | options))


@pytest.mark.parametrize(
    ("episode", "message"),
    [
        ((5, [(6, np.nan, False, False)]), "finite rewards, got nan from state 0, action 0"),
        ((5, [(9, 0.0, False, False)]), r"an observation in Discrete\(3, start=5\), got 9"),
        ((4, []), r"an observation in Discrete\(3, start=5\), got 4"),
    ],
)
def test_an_environment_that_misbehaves_is_named(episode, message):
    with pytest.raises(ValueError, match=message):
        TabularMDP.estimate(ScriptedEnv([episode]), num_steps=1, seed=0)
