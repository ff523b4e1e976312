"""TD prediction against updates by hand and its own special cases."""

from fractions import Fraction

import pytest
from gymagine.agents.tabular.td_prediction import TDPrediction

observe, begin = TDPrediction.kernels.observe, TDPrediction.kernels.begin


def make(**settings):
    agent = TDPrediction("FrozenLake-v1", seed=0, discount=0.5, step_size=0.5,
                         step_size_decay=0.0, **settings)  # fmt: skip
    agent._memory.state_values[:4, 0] = [4, 8, 2, 16]
    begin(agent._memory, 0)
    return agent._memory


def column(memory):
    return [Fraction(value) for value in memory.state_values[:4, 0]]


def test_td_0_by_hand():
    memory = make()
    observe(memory, 0, 0, 1.0, False, False, 1)  # target 1 + 8/2
    assert column(memory) == [Fraction(9, 2), 8, 2, 16]
    observe(memory, 1, 0, 2.0, True, False, 3)  # target 2
    assert column(memory) == [Fraction(9, 2), 5, 2, 16]
    assert observe(memory, 2, 0, 0.0, False, True, 3) == -1  # target 16/2
    assert column(memory) == [Fraction(9, 2), 5, 5, 16]


def test_two_step_returns_by_hand():
    memory = make(num_steps=2)
    observe(memory, 0, 0, 1.0, False, False, 1)
    observe(memory, 1, 0, 2.0, False, False, 2)
    assert column(memory) == [Fraction(13, 4), 8, 2, 16]  # 1 + 2/2 + 2/4
    observe(memory, 2, 0, 6.0, True, False, 3)
    assert column(memory) == [Fraction(13, 4), Fraction(13, 2), 4, 16]  # 2 + 6/2; 6


def test_traces_by_hand():
    memory = make(trace_decay=0.5)
    observe(memory, 0, 0, 1.0, False, False, 1)  # error 1
    observe(memory, 1, 0, 2.0, True, False, 3)  # error -6, of which a quarter for state 0
    assert column(memory) == [Fraction(9, 2) - Fraction(6, 8), 5, 2, 16]


@pytest.mark.parametrize("special", [{"num_steps": 1}, {"traces": "replacing"}])
def test_special_cases_are_td_0_bit_for_bit(special, simulator):
    settings = {"seed": 2, "simulator": simulator}
    plain = TDPrediction("FrozenLake-v1", **settings).learn(3_000)
    other = TDPrediction("FrozenLake-v1", **special, **settings).learn(3_000)
    assert plain.state_values.tobytes() == other.state_values.tobytes()


def test_a_small_lambda_is_nearly_td_0():
    plain = TDPrediction("FrozenLake-v1", seed=0).learn(20_000)
    traced = TDPrediction("FrozenLake-v1", seed=0, trace_decay=1e-6).learn(20_000)
    assert traced.state_values == pytest.approx(plain.state_values, abs=1e-4)


def test_returns_and_traces_exclude_each_other():
    with pytest.raises(ValueError, match="n-step returns or traces"):
        TDPrediction("FrozenLake-v1", num_steps=2, trace_decay=0.5)
