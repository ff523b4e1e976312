"""All tabular learners, and small worlds whose answers are known."""

from functools import partial

import gymnasium
import pytest
from gymagine.agents.tabular.double_q_learning import DoubleQLearning
from gymagine.agents.tabular.dyna_q import DynaQ
from gymagine.agents.tabular.expected_sarsa import ExpectedSARSA
from gymagine.agents.tabular.monte_carlo import MonteCarlo
from gymagine.agents.tabular.monte_carlo_prediction import MonteCarloPrediction
from gymagine.agents.tabular.n_step_sarsa import NStepSARSA
from gymagine.agents.tabular.off_policy_monte_carlo import OffPolicyMonteCarlo
from gymagine.agents.tabular.off_policy_monte_carlo_prediction import (
    OffPolicyMonteCarloPrediction,
)
from gymagine.agents.tabular.q_lambda import QLambda
from gymagine.agents.tabular.q_learning import QLearning
from gymagine.agents.tabular.sarsa import SARSA
from gymagine.agents.tabular.sarsa_lambda import SARSALambda
from gymagine.agents.tabular.td_prediction import TDPrediction
from gymagine.envs.mdp import TabularMDP
from gymagine.envs.tabular_env import TabularEnv

CONTROL = {
    "q-learning": QLearning,
    "double-q-learning": DoubleQLearning,
    "q-lambda": QLambda,
    "sarsa": SARSA,
    "expected-sarsa": ExpectedSARSA,
    "n-step-sarsa": NStepSARSA,
    "sarsa-lambda": SARSALambda,
    "dyna-q": partial(DynaQ, planning_steps=3),
    "dyna-q-plus": partial(DynaQ, planning_steps=3, exploration_bonus=1e-4, model_samples=4),
    "monte-carlo": MonteCarlo,
    "monte-carlo-every-visit": partial(MonteCarlo, visits="every"),
    "off-policy-monte-carlo": OffPolicyMonteCarlo,
    "off-policy-ordinary": partial(OffPolicyMonteCarlo, importance_sampling="ordinary"),
}
PREDICTION = {
    "td-prediction": TDPrediction,
    "td-n-step": partial(TDPrediction, num_steps=3),
    "td-lambda": partial(TDPrediction, trace_decay=0.8),
    "monte-carlo-prediction": MonteCarloPrediction,
    "off-policy-prediction": OffPolicyMonteCarloPrediction,
}
ALL = {**CONTROL, **PREDICTION}


@pytest.fixture(params=ALL.values(), ids=ALL)
def make_learner(request):
    return request.param


@pytest.fixture(params=CONTROL.values(), ids=CONTROL)
def make_control(request):
    return request.param


@pytest.fixture(params=PREDICTION.values(), ids=PREDICTION)
def make_prediction(request):
    return request.param


@pytest.fixture(params=["compiled", "stepped"])
def simulator(request):
    return request.param


def limited(mdp, max_episode_steps):
    """A model's environment under a step cap."""
    return gymnasium.wrappers.TimeLimit(TabularEnv(mdp), max_episode_steps)


@pytest.fixture
def make_limited():
    return limited


@pytest.fixture
def make_random_walk():
    """Example 6.2: states 0 to n in a row, an end on each side, reward 1 at the right end only."""

    def make(num_states=5, left=0.0, right=1.0):
        rows = []
        for state in range(num_states):
            steps = []
            for move in (-1, 1):
                target = state + move
                ended = not 0 <= target < num_states
                reward = (right if target > state else left) if ended else 0.0
                steps.append((0.5, state if ended else target, reward, ended))
            rows.append([steps])
        mdp = TabularMDP.from_outcomes(rows, initial_distribution=num_states // 2, name="walk")
        return TabularEnv(mdp)

    return make


@pytest.fixture
def paying_loop():
    """One state that pays 1 for ever, cut off after 20 steps: worth 1 / (1 - discount)."""
    return limited(TabularMDP.from_outcomes([[[(1.0, 0, 1.0, False)]]]), 20)


@pytest.fixture
def two_states():
    """State 0 stays for 0 or moves for 1; state 1 ends with 2, or returns to 0 for -1."""
    rows = [
        [[(1.0, 0, 0.0, False)], [(1.0, 1, 1.0, False)]],
        [[(1.0, 1, 2.0, True)], [(1.0, 0, -1.0, False)]],
    ]
    return TabularEnv(TabularMDP.from_outcomes(rows))
