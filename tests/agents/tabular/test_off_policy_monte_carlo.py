"""Off-policy Monte Carlo control against weights by hand and on a world with short episodes."""

from fractions import Fraction

import numpy as np
import pytest
from gymagine.agents.tabular.off_policy_monte_carlo import OffPolicyMonteCarlo
from gymagine.envs.mdp import TabularMDP
from gymagine.envs.tabular_env import TabularEnv

observe, begin = OffPolicyMonteCarlo.kernels.observe, OffPolicyMonteCarlo.kernels.begin


def make(kind, rate=0.5):
    agent = OffPolicyMonteCarlo("FrozenLake-v1", seed=0, discount=0.5, exploration_rate=rate,
                                importance_sampling=kind)  # fmt: skip
    memory = agent._memory
    memory.action_values[:3] = [[0, 1, 0, 0], [0, 0, 1, 0], [4, 0, 0, 0]]
    begin(memory, 0)
    return memory


# With rate 1/2 of four actions the greedy action has probability 1/8 + 1/2 = 5/8.
WEIGHT = Fraction(8, 5)


def test_weighted_returns_by_hand():
    memory = make("weighted")
    observe(memory, 0, 1, 1.0, False, False, 1)
    observe(memory, 1, 2, 2.0, False, False, 2)
    assert observe(memory, 2, 0, 8.0, True, False, 15) == -1
    values, weights = memory.action_values, memory.weights
    # the first weights of a pair replace its value by the return
    assert [values[2, 0], values[1, 2], values[0, 1]] == [8.0, 6.0, 4.0]
    assert weights[2, 0] == 1.0
    assert weights[1, 2] == pytest.approx(float(WEIGHT))
    assert weights[0, 1] == pytest.approx(float(WEIGHT**2))
    begin(memory, 0)
    observe(memory, 0, 1, 1.0, True, False, 15)
    # (8/5)^2 * 4 and 1 * 1, over the sum of the weights
    expected = (WEIGHT**2 * 4 + 1) / (WEIGHT**2 + 1)
    assert values[0, 1] == pytest.approx(float(expected))


def test_weights_end_with_the_first_action_that_is_not_greedy():
    memory = make("weighted")
    memory.action_values[1, 2] = 64.0
    observe(memory, 0, 1, 1.0, False, False, 1)
    observe(memory, 1, 3, 2.0, False, False, 2)  # greedy is 2, and stays so
    observe(memory, 2, 0, 8.0, True, False, 15)
    assert memory.weights[[2, 1, 0], [0, 3, 1]].tolist() == pytest.approx([1, float(WEIGHT), 0])
    assert memory.action_values[0, 1] == 1.0, "untouched"


def test_ordinary_products_by_hand():
    memory = make("ordinary")
    memory.action_values[:] = np.where(memory.action_values > 0, 64.0, 0.0)  # stays greedy
    observe(memory, 0, 1, 1.0, False, False, 1)
    observe(memory, 1, 3, 2.0, False, False, 2)
    observe(memory, 2, 0, 128.0, True, False, 15)
    assert memory.weights[[2, 1, 0], [0, 3, 1]].tolist() == [1, 1, 1]
    assert memory.action_values[2, 0] == 128.0
    assert memory.action_values[1, 3] == pytest.approx(float(WEIGHT * 66))
    # its return of 33 + 1 counts zero if state 1's greedy action is still 2, which it is not:
    # 105.6 > 64 has made action 3 greedy before the weight is formed; b(3) was 1/8
    assert memory.action_values[0, 1] == pytest.approx(float(WEIGHT * 8 * 34))


def test_truncated_returns_go_on_with_the_largest_value():
    memory = make("weighted")
    assert observe(memory, 0, 1, 1.0, False, True, 2) == -1
    assert memory.action_values[0, 1] == 1.0 + 4.0 / 2


def test_weights_of_very_long_episodes_stay_finite():
    memory = make("weighted", rate=1.0)
    for _ in range(1_000):
        observe(memory, 0, 1, 0.0, False, False, 0)
    observe(memory, 0, 1, 1.0, True, False, 0)
    assert np.isfinite(memory.weights).all()
    assert np.isfinite(memory.action_values).all()


@pytest.mark.parametrize("kind", ["weighted", "ordinary"])
def test_the_optimal_values_of_a_short_world(kind):
    """Two steps, two actions each, noisy rewards; all answers in the comments."""
    second = [
        [(0.5, 0, 1.0, True), (0.5, 0, 0.0, True)],
        [(0.5, 0, 3.0, True), (0.5, 0, -4.0, True)],
    ]
    rows = [[[(1.0, 1, 0.0, False)], [(1.0, 2, 0.5, False)]], second,
            [second[1], second[0]]]  # fmt: skip
    # state 1: 0.5, -0.5; state 2: -0.5, 0.5; state 0 with discount 1: 0.5, 1.0
    env = TabularEnv(TabularMDP.from_outcomes(rows))
    agent = OffPolicyMonteCarlo(env, seed=0, discount=1.0, exploration_rate=0.6,
                                importance_sampling=kind).learn(400_000)  # fmt: skip
    expected = np.array([[0.5, 1.0], [0.5, -0.5], [-0.5, 0.5]])
    assert agent.action_values == pytest.approx(expected, abs=0.05)
