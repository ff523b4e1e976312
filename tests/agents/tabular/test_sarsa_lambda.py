"""SARSA(lambda) against updates by hand, against SARSA, and against Monte Carlo."""

from fractions import Fraction

import pytest
from gymagine.agents.tabular.monte_carlo import MonteCarlo
from gymagine.agents.tabular.sarsa import SARSA
from gymagine.agents.tabular.sarsa_lambda import SARSALambda

observe, begin = SARSALambda.kernels.observe, SARSALambda.kernels.begin


def make(traces="replacing"):
    agent = SARSALambda("FrozenLake-v1", seed=0, discount=0.5, step_size=0.5, step_size_decay=0.0,
                        exploration_rate=0.0, trace_decay=0.5, traces=traces)  # fmt: skip
    agent._memory.action_values[:3] = [[4, 0, 0, 0], [8, 0, 0, 0], [2, 0, 0, 0]]
    return agent._memory


def test_two_steps_by_hand():
    memory = make()
    begin(memory, 0)
    # error 1 + 8/2 - 4 = 1
    assert observe(memory, 0, 0, 1.0, False, False, 1) == 0
    assert Fraction(memory.action_values[0, 0]) == Fraction(9, 2)
    # error 2 - 8 = -6; the first pair's trace is 1/2 * 1/2
    assert observe(memory, 1, 0, 2.0, True, False, 2) == -1
    assert Fraction(memory.action_values[1, 0]) == 5
    assert Fraction(memory.action_values[0, 0]) == Fraction(9, 2) - Fraction(6, 8)


def test_a_new_episode_clears_the_traces():
    memory = make()
    begin(memory, 0)
    observe(memory, 0, 0, 1.0, False, False, 1)
    begin(memory, 1)
    observe(memory, 1, 0, 2.0, True, False, 2)
    assert Fraction(memory.action_values[0, 0]) == Fraction(9, 2)


@pytest.mark.parametrize("traces", ["accumulating", "replacing"])
@pytest.mark.parametrize("world", ["FrozenLake-v1", "CliffWalking-v1", "Taxi-v4"])
def test_lambda_zero_is_sarsa_bit_for_bit(world, traces, simulator):
    settings = {"seed": 4, "simulator": simulator, "step_size_decay": 0.7}
    steps = 50_000 if simulator == "compiled" else 3_000
    traced = SARSALambda(world, trace_decay=0.0, traces=traces, **settings).learn(steps)
    one_step = SARSA(world, **settings).learn(steps)
    assert traced.action_values.tobytes() == one_step.action_values.tobytes()


@pytest.mark.parametrize(("traces", "visits"), [("accumulating", "every"), ("replacing", "first")])
def test_lambda_one_is_monte_carlo_in_the_limit_of_small_steps(make_random_walk, traces, visits):
    """Sections 12.2 and 12.5: TD(1) with accumulating traces sums every-visit errors, with
    replacing ones first-visit errors; what small steps leave is second order in the step size."""
    alpha, episodes_long = 1e-5, 20_000
    settings = {"seed": 1, "discount": 1.0, "step_size": alpha, "step_size_decay": 0.0,
                "exploration_rate": 1.0}  # fmt: skip
    traced = SARSALambda(make_random_walk(), trace_decay=1.0, traces=traces, **settings)
    monte_carlo = MonteCarlo(make_random_walk(), visits=visits, **settings)
    for agent in (traced, monte_carlo):
        agent.learn(episodes_long)
    assert traced.episode_returns.tolist() == monte_carlo.episode_returns.tolist()
    learnt = monte_carlo.action_values
    assert learnt.max() > 0.01
    assert traced.action_values == pytest.approx(learnt, rel=0.01, abs=1e-4)
