"""Monte Carlo prediction against averages by hand."""

from fractions import Fraction

import pytest
from gymagine.agents.tabular.monte_carlo_prediction import MonteCarloPrediction

observe, begin = MonteCarloPrediction.kernels.observe, MonteCarloPrediction.kernels.begin
EPISODE = [(0, 2.0), (1, 4.0), (0, 0.0), (2, 8.0)]  # returns 5, 6, 4, 8 at discount 1/2


def make(visits):
    agent = MonteCarloPrediction("FrozenLake-v1", seed=0, discount=0.5, visits=visits)
    begin(agent._memory, 0)
    return agent._memory


def play(memory, steps, *, terminated=True, next_state=15):
    for state, reward in steps[:-1]:
        observe(memory, state, 0, reward, False, False, 0)
    state, reward = steps[-1]
    assert observe(memory, state, 0, reward, terminated, not terminated, next_state) == -1


@pytest.mark.parametrize(("visits", "first"), [("first", 5), ("every", Fraction(9, 2))])
def test_returns_by_hand(visits, first):
    memory = make(visits)
    play(memory, EPISODE)
    assert [Fraction(v) for v in memory.state_values[:3, 0]] == [first, 6, 8]
    begin(memory, 2)
    play(memory, [(2, 4.0)])
    assert memory.state_values[2, 0] == 6.0


def test_a_truncated_return_goes_on_with_the_value_of_the_last_state():
    memory = make("first")
    memory.state_values[3, 0] = 16.0
    play(memory, EPISODE, terminated=False, next_state=3)
    assert [Fraction(v) for v in memory.state_values[:3, 0]] == [6, 8, 16]
