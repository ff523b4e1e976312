"""n-step SARSA against returns written out by hand and against SARSA."""

from fractions import Fraction

import pytest
from gymagine.agents.tabular.n_step_sarsa import NStepSARSA
from gymagine.agents.tabular.sarsa import SARSA

observe = NStepSARSA.kernels.observe
begin = NStepSARSA.kernels.begin


def make(num_steps):
    agent = NStepSARSA("FrozenLake-v1", seed=0, discount=0.5, step_size=0.5, step_size_decay=0.0,
                       exploration_rate=0.0, num_steps=num_steps)  # fmt: skip
    agent._memory.action_values[:4] = [[4, 0, 0, 0], [8, 0, 0, 0], [2, 0, 0, 0], [16, 0, 0, 0]]
    return agent._memory


def column(memory):
    return [Fraction(value) for value in memory.action_values[:4, 0]]


def test_two_steps_by_hand():
    memory = make(2)
    begin(memory, 0)
    observe(memory, 0, 0, 1.0, False, False, 1)
    assert column(memory) == [4, 8, 2, 16], "nothing is known after one step"
    observe(memory, 1, 0, 2.0, False, False, 2)
    # G_0 = 1 + 2/2 + 2/4 = 5/2, halfway from 4
    assert column(memory) == [Fraction(13, 4), 8, 2, 16]
    # the end: G_1 = 2 + 6/2 = 5 for state 1, then G_2 = 6 for state 2
    assert observe(memory, 2, 0, 6.0, True, False, 3) == -1
    assert column(memory) == [Fraction(13, 4), Fraction(13, 2), 4, 16]
    assert memory.num_updates[:4, 0].tolist() == [1, 1, 1, 0]


def test_truncation_bootstraps_all_that_is_left():
    memory = make(3)
    begin(memory, 0)
    observe(memory, 0, 0, 1.0, False, False, 1)
    assert observe(memory, 1, 0, 2.0, False, True, 3) == -1
    # G_0 = 1 + 2/2 + 16/4 = 6 and G_1 = 2 + 16/2 = 10
    assert column(memory) == [5, 9, 2, 16]


def test_a_new_episode_forgets_an_unfinished_one():
    memory = make(2)
    begin(memory, 0)
    observe(memory, 0, 0, 1.0, False, False, 1)
    begin(memory, 0)
    observe(memory, 1, 0, 2.0, False, False, 2)
    assert column(memory) == [4, 8, 2, 16]


@pytest.mark.parametrize("world", ["FrozenLake-v1", "CliffWalking-v1", "Taxi-v4"])
def test_one_step_is_sarsa_bit_for_bit(world, simulator):
    settings = {"seed": 4, "simulator": simulator, "step_size_decay": 0.7}
    steps = 50_000 if simulator == "compiled" else 3_000
    n_step = NStepSARSA(world, num_steps=1, **settings).learn(steps)
    one_step = SARSA(world, **settings).learn(steps)
    assert n_step.action_values.tobytes() == one_step.action_values.tobytes()


def test_more_steps_learn_a_long_corridor_sooner(make_random_walk):
    """Figure 7.2's point: the news of the end travels n states an episode, not one."""

    def known(num_steps):
        env = make_random_walk(19, left=-1.0)
        agent = NStepSARSA(env, seed=0, num_steps=num_steps, step_size=0.5, step_size_decay=0.0,
                           discount=1.0)  # fmt: skip
        agent.learn(3_000, lambda locals_, _: agent.num_episodes < 1)
        return (agent.action_values != 0).sum()

    assert known(1) == 1
    assert 3 < known(8) <= 8  # eight steps, some of them of the same pair
