"""Off-policy prediction against the book's one-state example and its own weights."""

from fractions import Fraction

import numpy as np
import pytest
from gymagine.agents.tabular.off_policy_monte_carlo_prediction import (
    OffPolicyMonteCarloPrediction,
)
from gymagine.envs.mdp import TabularMDP
from gymagine.envs.tabular_env import TabularEnv

observe = OffPolicyMonteCarloPrediction.kernels.observe
begin = OffPolicyMonteCarloPrediction.kernels.begin


def make(kind, env="FrozenLake-v1"):
    policy = np.tile([0.5, 0.5, 0.0, 0.0], (16, 1))
    agent = OffPolicyMonteCarloPrediction(
        env, seed=0, discount=0.5, policy=policy, importance_sampling=kind
    )
    begin(agent._memory, 0)
    return agent._memory


def test_weights_by_hand():
    """Target 1/2, behaviour 1/4: every step that the target may take doubles the weight."""
    for kind, expected in (("weighted", [Fraction(3), Fraction(4)]), ("ordinary", [12, 8])):
        memory = make(kind)
        observe(memory, 0, 0, 1.0, False, False, 1)
        assert observe(memory, 1, 1, 4.0, True, False, 15) == -1
        assert [Fraction(v) for v in memory.state_values[:2, 0]] == expected
    memory = make("ordinary")
    observe(memory, 0, 0, 1.0, False, False, 1)
    observe(memory, 1, 3, 4.0, True, False, 15)  # the target never does this
    assert memory.state_values[:2, 0].tolist() == [0.0, 0.0]
    assert memory.weights[:2, 0].tolist() == [1.0, 1.0]


def loop():
    """Example 5.5: left stays with probability 0.9, else ends with 1; right ends with 0."""
    left = [(0.9, 0, 0.0, False), (0.1, 0, 1.0, True)]
    return TabularEnv(TabularMDP.from_outcomes([[left, [(1.0, 0, 0.0, True)]]]))


def test_example_5_5_infinite_variance():
    """Always left is worth 1. Weighted estimates are exactly 1 from the first episode that the
    target could have made; ordinary ones stay scattered after 50 000 episodes."""

    def estimates(kind):
        return [
            OffPolicyMonteCarloPrediction(
                loop(), seed=seed, discount=1.0, policy=[0], importance_sampling=kind
            ).learn(100_000).state_values[0]
            for seed in range(10)
        ]  # fmt: skip

    assert estimates("weighted") == pytest.approx([1.0] * 10)
    ordinary = np.array(estimates("ordinary"))
    assert np.ptp(ordinary) > 0.2
    assert (ordinary != 1.0).all()


def test_both_kinds_where_the_variance_is_finite():
    step = [[(1.0, 0, 1.0, True)], [(1.0, 0, 0.0, True)]]
    env = TabularEnv(TabularMDP.from_outcomes([step]))
    for kind in ("weighted", "ordinary"):
        agent = OffPolicyMonteCarloPrediction(
            env, seed=0, policy=[[0.9, 0.1]], behaviour_policy=[[0.3, 0.7]],
            importance_sampling=kind,
        )  # fmt: skip
        assert agent.learn(50_000).state_values[0] == pytest.approx(0.9, abs=0.02)


def test_behaviours_must_cover_their_target():
    with pytest.raises(ValueError, match="probability 0 for action 0 in state 0"):
        OffPolicyMonteCarloPrediction(loop(), policy=[0], behaviour_policy=[1])


def test_ratios_are_those_of_what_masks_leave():
    """With two of four actions masked, target (1/2, 1/2, 0, 0) and uniform behaviour are one."""
    memory = make("ordinary")
    memory.policy.allowed[0] = [True, False, True, False]
    memory.policy.allowed[1] = [False, False, True, True]
    observe(memory, 0, 0, 1.0, False, False, 1)
    # state 0 leaves actions 0 and 2: target 1 for 0, behaviour 1/2; state 1 leaves 2 and 3, of
    # which the target took neither: the lowest is taken
    observe(memory, 1, 2, 4.0, True, False, 5)
    assert memory.state_values[1, 0] == 2 * 4.0
    assert memory.state_values[0, 0] == 2 * 2 * (1.0 + 0.5 * 4.0)
