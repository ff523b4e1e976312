"""SARSA against updates done by hand."""

from fractions import Fraction

from gymagine.agents.tabular.sarsa import SARSA

observe = SARSA.kernels.observe


def half():
    agent = SARSA("FrozenLake-v1", seed=0, discount=0.5, step_size=0.5, step_size_decay=0.0,
                  exploration_rate=0.0)  # fmt: skip
    agent._memory.action_values[:3] = [[1, 2, 0, 0], [4, 8, 0, 0], [0, -2, -1, -4]]
    return agent._memory


def test_two_updates_by_hand():
    memory = half()
    # the next action is 1, of value 8
    assert observe(memory, 0, 0, 1.0, False, False, 1) == 1
    assert Fraction(memory.action_values[0, 0]) == 3
    assert observe(memory, 0, 1, 4.0, True, False, 1) == -1
    assert Fraction(memory.action_values[0, 1]) == 3


def test_the_next_action_is_drawn_before_the_update_and_is_the_one_bootstrapped():
    memory = half()
    # before: action 1 (8) is best in state 1; after this update it would be 0 (4)
    assert observe(memory, 1, 1, -20.0, False, False, 1) == 1
    assert Fraction(memory.action_values[1, 1]) == 8 + Fraction(1, 2) * (-20 + 4 - 8)


def test_exploring_actions_are_bootstrapped():
    memory = half()
    memory = memory._replace(exploration=memory.exploration._replace(
        rate=memory.exploration.rate._replace(initial=1.0)))  # fmt: skip
    seen = set()
    for _ in range(50):
        memory.action_values[0, 0] = 0.0
        action = observe(memory, 0, 0, 0.0, False, False, 1)
        assert Fraction(memory.action_values[0, 0]) == Fraction([4, 8, 0, 0][action], 4)
        seen.add(action)
    assert seen == {0, 1, 2, 3}


def test_truncation_bootstraps_the_action_it_would_have_taken():
    memory = half()
    assert observe(memory, 2, 0, 1.0, False, True, 1) == -1
    assert Fraction(memory.action_values[2, 0]) == Fraction(5, 2)
