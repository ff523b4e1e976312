"""Dyna-Q against Q-learning, against plans by hand, and on the book's mazes."""

from fractions import Fraction

import gymnasium
import numpy as np
import pytest
from gymagine.agents.tabular.dyna_q import DynaQ
from gymagine.agents.tabular.q_learning import QLearning

observe = DynaQ.kernels.observe
MAZE = {"discount": 0.95, "step_size": 0.1, "step_size_decay": 0.0}


@pytest.mark.parametrize("world", ["FrozenLake-v1", "CliffWalking-v1", "Taxi-v4"])
def test_without_planning_it_is_q_learning_bit_for_bit(world, simulator):
    settings = {"seed": 4, "simulator": simulator, "step_size_decay": 0.7}
    steps = 50_000 if simulator == "compiled" else 3_000
    dyna = DynaQ(world, planning_steps=0, model_samples=3, **settings).learn(steps)
    plain = QLearning(world, **settings).learn(steps)
    assert dyna.action_values.tobytes() == plain.action_values.tobytes()


def make(**settings):
    agent = DynaQ("FrozenLake-v1", seed=0, discount=0.5, step_size=0.5, step_size_decay=0.0,
                  exploration_rate=0.0, **settings)  # fmt: skip
    return agent._memory


def test_one_pair_is_planned_again_and_again():
    memory = make(planning_steps=3)
    observe(memory, 0, 0, 8.0, True, False, 5)
    # one real and three planned updates, each halfway to 8
    assert Fraction(memory.action_values[0, 0]) == 8 - Fraction(8, 16)
    assert memory.num_updates[0, 0] == 1
    assert memory.model.pairs[: memory.model.num_pairs[0]].tolist() == [0]


def test_planning_does_not_bootstrap_from_where_an_episode_ended():
    memory = make(planning_steps=50)
    memory.action_values[5] = 100.0
    observe(memory, 0, 0, 8.0, True, False, 5)
    assert memory.action_values[0, 0] == pytest.approx(8.0)
    observe(memory, 0, 1, 8.0, False, True, 5)  # truncated: it does go on
    assert memory.action_values[0, 1] > 20


def test_the_model_keeps_the_last_outcomes():
    memory = make(planning_steps=0, model_samples=2)
    for reward, target in ((1.0, 4), (2.0, 5), (3.0, 6)):
        observe(memory, 1, 2, reward, False, False, target)
    assert sorted(memory.model.rewards[1, 2].tolist()) == [2.0, 3.0]
    assert sorted(memory.model.next_states[1, 2].tolist()) == [5, 6]
    assert memory.model.num_tries[1, 2] == 3


def test_bonus_for_what_was_not_tried_for_long():
    memory = make(planning_steps=1, exploration_bonus=0.5)
    memory = memory._replace(exploration=memory.exploration._replace(is_masked=True))
    memory.exploration.allowed[0, 1:3] = False  # leaves actions 0 and 3 of state 0
    observe(memory, 0, 0, 0.0, True, False, 5)
    assert sorted(memory.model.pairs[:2].tolist()) == [0, 3]
    for _ in range(400):
        observe(memory, 0, 0, 0.0, True, False, 5)
    # never tried: it leads back to state 0 without reward, and its bonus rises with the root of
    # its age, 0.5 * sqrt(400) = 10 by now
    assert memory.action_values[0, 3] > 8
    assert memory.model.num_tries[0, 3] == 0
    assert abs(memory.action_values[0, 0]) < 2


def test_planning_solves_the_maze_in_fewer_episodes_as_in_figure_8_2():
    def steps_of_first_episodes(planning_steps):
        totals = []
        for seed in range(10):
            agent = DynaQ("gymagine/DynaMaze-v0", seed=seed, planning_steps=planning_steps, **MAZE)
            lengths = []
            agent.episode_watcher = lambda episodes, kept=lengths: kept.extend(episodes.lengths)
            agent.learn(15_000)
            totals.append(np.mean(lengths[1:15]))
        return np.mean(totals)

    none, five, fifty = (steps_of_first_episodes(n) for n in (0, 5, 50))
    assert none > 2 * five > 2 * fifty
    assert fifty < 30  # the figure's curve is near the shortest 14 from the third episode on


@pytest.mark.slow
def test_dyna_q_plus_finds_the_shortcut_and_dyna_q_does_not():
    """Example 8.3: a shorter way opens after 3000 steps; 16 steps before, 10 after."""

    def late_lengths(bonus):
        lengths = []
        for seed in range(3):
            env = gymnasium.make("gymagine/DynaMaze-v0", variant="shortcut", change_step=3_000)
            agent = DynaQ(env, seed=seed, planning_steps=50, exploration_bonus=bonus,
                          exploration_rate=0.1, **MAZE)  # fmt: skip
            assert agent.simulator == "stepped"
            agent.learn(12_000)
            lengths.append(np.median(agent.episode_lengths[-20:]))
        return np.mean(lengths)

    assert late_lengths(1e-3) < 13 < 15 < late_lengths(0.0)


@pytest.mark.parametrize("bonus", [0.0, 0.5])
def test_counting_steps_from_zero_again_keeps_the_ages(bonus):
    # ages by the clock would be negative, and the root of them no number
    again = DynaQ("FrozenLake-v1", seed=0, exploration_bonus=bonus).learn(500)
    on = DynaQ("FrozenLake-v1", seed=0, exploration_bonus=bonus).learn(1_000)
    again.learn(500, reset_num_timesteps=True)
    assert again.num_timesteps == 500
    assert again.action_values.tobytes() == on.action_values.tobytes()


def test_a_pair_that_has_just_been_masked_is_kept_all_the_same():
    memory = make(planning_steps=1, exploration_bonus=0.5)
    memory.exploration.allowed[3, :] = False
    observe(memory, 3, 2, 1.0, True, False, 5)
    assert memory.model.pairs[: memory.model.num_pairs[0]].tolist() == [3 * 4 + 2]
    assert (memory.action_values != 0).sum() == 1
