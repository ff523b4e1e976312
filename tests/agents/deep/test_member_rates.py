"""Numbers and schedules of several members, by step."""

import pytest
from gymagine.agents.deep.member_rates import MemberRates
from gymagine.schedules import Schedule

FALLING = Schedule("linear", 0.1, 0.0, 100)


def test_rates_follow_their_own_schedules():
    rates = MemberRates([FALLING, 0.5])
    for step, expected in ((0, 0.1), (50, 0.05), (100, 0.0), (1_000, 0.0)):
        assert rates.at(step).tolist() == pytest.approx([expected, 0.5])
        assert rates.of_member(0, step) == pytest.approx(expected)


def test_members_that_agree():
    rates = MemberRates([FALLING] * 3)
    for step, expected in ((0, 0.1), (50, 0.05), (0, 0.1), (1_000, 0.0)):
        assert rates.at(step).tolist() == pytest.approx([expected] * 3)
