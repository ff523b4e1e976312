"""Laws of control: what every off-policy and every on-policy method must converge to.

The truths are computed here, by value iteration and by a linear solve in numpy.
"""

import gymnasium
import numpy as np
import pytest
from gymagine.agents.tabular.double_q_learning import DoubleQLearning
from gymagine.agents.tabular.dyna_q import DynaQ
from gymagine.agents.tabular.expected_sarsa import ExpectedSARSA
from gymagine.agents.tabular.monte_carlo import MonteCarlo
from gymagine.agents.tabular.n_step_sarsa import NStepSARSA
from gymagine.agents.tabular.population import learn_many
from gymagine.agents.tabular.q_lambda import QLambda
from gymagine.agents.tabular.q_learning import QLearning
from gymagine.agents.tabular.sarsa import SARSA
from gymagine.agents.tabular.sarsa_lambda import SARSALambda
from gymagine.envs.mdp import TabularMDP
from gymagine.envs.tabular_env import TabularEnv

DISCOUNT = 0.8
NUM_STATES, NUM_ACTIONS = 5, 3


def random_rows(seed=0):
    """Pairs with three outcomes each, one of which ends the episode half of the time."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(NUM_STATES):
        actions = []
        for _ in range(NUM_ACTIONS):
            weights = rng.dirichlet([1.0, 1.0, 1.0])
            targets = rng.choice(NUM_STATES, 3, replace=False)
            rewards = rng.integers(-2, 3, 3)
            ends = (False, False, bool(rng.random() < 0.5))
            actions.append(
                [(float(p), int(s), float(r), e)
                 for p, s, r, e in zip(weights, targets, rewards, ends, strict=True)]
            )  # fmt: skip
        rows.append(actions)
    return rows


ROWS = random_rows()


def backup(values):
    """One exact backup of every pair from state values."""
    return np.array(
        [[sum(p * (r + DISCOUNT * (0.0 if end else values[s])) for p, s, r, end in outcomes)
          for outcomes in actions] for actions in ROWS]
    )  # fmt: skip


def values_under(policy_of):
    values = np.zeros(NUM_STATES)
    for _ in range(2_000):
        values = policy_of(backup(values))
    return backup(values)


OPTIMAL = values_under(lambda q: q.max(axis=1))
UNIFORM = values_under(lambda q: q.mean(axis=1))


def epsilon_greedy_values(rate):
    return values_under(lambda q: rate * q.mean(axis=1) + (1 - rate) * q.max(axis=1))


def world():
    mdp = TabularMDP.from_outcomes(ROWS, initial_distribution=np.full(NUM_STATES, 0.2))
    return TabularEnv(mdp)


FADING = {"step_size": 1.0, "step_size_decay": 0.8}
AVERAGE = {"step_size": 1.0, "step_size_decay": 1.0}


def learnt(learner, budget=400_000, **settings):
    """(S, A) the mean over four seeds: the error of one is mostly noise of its last updates."""
    agents = [learner(world(), seed=seed, discount=DISCOUNT, **settings) for seed in range(4)]
    return np.mean([agent.action_values for agent in learn_many(agents, budget)], axis=0)


@pytest.mark.parametrize(
    ("learner", "settings"),
    [
        (QLearning, FADING),
        (DoubleQLearning, FADING),
        (QLambda, {**FADING, "trace_decay": 0.5}),
        (DynaQ, {**FADING, "planning_steps": 0}),
    ],
)
def test_off_policy_methods_find_the_optimal_values(learner, settings):
    assert learnt(learner, exploration_rate=1.0, **settings) == pytest.approx(OPTIMAL, abs=0.06)


def test_planning_from_a_model_of_many_samples_finds_the_optimal_values():
    values = learnt(
        DynaQ, 60_000, exploration_rate=1.0, planning_steps=5, model_samples=4_000,
        step_size="exponential:0.5:0.001:40000",
    )  # fmt: skip
    assert values == pytest.approx(OPTIMAL, abs=0.1)


@pytest.mark.parametrize(
    ("learner", "settings"),
    [
        (SARSA, FADING),
        (ExpectedSARSA, FADING),
        (NStepSARSA, {**FADING, "num_steps": 3}),
        (SARSALambda, {**FADING, "trace_decay": 0.7}),
        (SARSALambda, {**FADING, "trace_decay": 0.7, "traces": "accumulating"}),
        (MonteCarlo, AVERAGE),
        (MonteCarlo, {**AVERAGE, "visits": "every"}),
    ],
)
def test_on_policy_methods_find_the_values_of_their_policy(learner, settings):
    assert learnt(learner, exploration_rate=1.0, **settings) == pytest.approx(UNIFORM, abs=0.06)


@pytest.mark.parametrize("learner", [SARSA, ExpectedSARSA])
def test_and_of_an_epsilon_greedy_one(learner):
    values = learnt(learner, exploration_rate=0.4, **FADING)
    assert values == pytest.approx(epsilon_greedy_values(0.4), abs=0.06)


@pytest.mark.parametrize("method", ["epsilon-greedy", "softmax"])
def test_exploration_that_fades_finds_the_optimum(make_control, method):
    fading = {"exploration_rate": "linear:1.0:0.1:200000", "temperature": "linear:2.0:0.2:200000"}
    agent = make_control(world(), seed=1, discount=DISCOUNT, exploration=method, **fading)
    if agent.name == "off-policy-monte-carlo" and not agent._memory.is_weighted:
        pytest.skip("ordinary importance sampling has an infinite variance here")
    if agent.name == "dyna-q" and agent.config.model_samples == 1:
        pytest.skip("the book's model is for deterministic worlds")
    agent.learn(400_000)
    rows = np.arange(NUM_STATES)
    greedy = values_under(lambda q: q[rows, agent.policy])[rows, agent.policy]
    best, random = OPTIMAL.max(axis=1), UNIFORM.mean(axis=1)
    assert (best - greedy).mean() < 0.1 * (best - random).mean()


def test_optimistic_values_try_everything_without_exploring(make_control):
    env = gymnasium.wrappers.TimeLimit(world(), 50)  # a greedy policy may never end an episode
    agent = make_control(
        env, seed=0, discount=DISCOUNT, exploration_rate=0.0, initial_action_value=50.0
    )
    if agent.name == "off-policy-monte-carlo":
        pytest.skip("pairs before an action that was not greedy are not updated")
    assert (agent.learn(20_000).action_values < 50.0).all()
