"""Compiled schedules and step sizes against their formulas."""

import math

import pytest
from gymagine.agents.tabular.schedules import (
    StepSize,
    compile_schedule,
    scheduled,
    size_of_update,
)
from gymagine.schedules import Schedule

LINEAR = Schedule("linear", 1.0, 0.25, 100)
EXPONENTIAL = Schedule("exponential", 1.0, 0.01, 100)


@pytest.mark.parametrize(
    ("schedule", "step", "value"),
    [
        (Schedule("constant", 0.3), 0, 0.3),
        (Schedule("constant", 0.3), 10**12, 0.3),
        (LINEAR, 0, 1.0),
        (LINEAR, 40, 1.0 - 0.4 * 0.75),
        (LINEAR, 100, 0.25),
        (LINEAR, 10**12, 0.25),
        (EXPONENTIAL, 0, 1.0),
        (EXPONENTIAL, 50, 0.1),  # the geometric mean half-way
        (EXPONENTIAL, 25, 10**-0.5),
        (EXPONENTIAL, 200, 0.01),
    ],
)
def test_values(schedule, step, value):
    assert schedule.value(step) == pytest.approx(value, rel=1e-14)
    assert scheduled(compile_schedule(schedule), step) == schedule.value(step)


def test_a_number_is_a_constant_schedule():
    assert compile_schedule(0.3) == compile_schedule(Schedule("constant", 0.3))


@pytest.mark.parametrize("n", [1, 2, 7, 1_000])
def test_step_sizes_fall_with_the_updates(n):
    def size(decay):
        return size_of_update(StepSize(compile_schedule(0.5), decay), 0, n)

    assert size(0.0) == 0.5
    assert size(1.0) == 0.5 / n
    assert size(0.6) == pytest.approx(0.5 * math.exp(-0.6 * math.log(n)), rel=1e-14)
    assert size(0.0) >= size(0.3) >= size(0.6) >= size(1.0)


def test_step_sizes_follow_their_schedule_too():
    step_size = StepSize(compile_schedule(LINEAR), 1.0)
    assert size_of_update(step_size, 100, 5) == pytest.approx(0.25 / 5)
