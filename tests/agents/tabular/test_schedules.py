"""Schedules against their formulas, and the step sizes of repeated updates."""

import math

import numpy as np
import pytest
from gymagine.agents.tabular.schedules import (
    Schedule,
    StepSize,
    compile_schedule,
    scheduled,
    size_of_update,
)

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


@pytest.mark.parametrize(
    "text",
    ["0.1", "1", "constant:0.5", "linear:1.0:0.05:10000", "exponential:1e-1:1e-3:7"],
)
def test_texts_come_back(text):
    schedule = Schedule.parse(text)
    assert Schedule.parse(str(schedule)) == schedule


def test_parsed_text():
    assert Schedule.parse("linear:1.0:0.05:10000") == Schedule("linear", 1.0, 0.05, 10_000)
    assert str(Schedule("linear", 1.0, 0.05, 10_000)) == "linear:1.0:0.05:10000"
    assert str(Schedule.parse("0.5")) == "0.5"


@pytest.mark.parametrize(
    "text",
    ["", "fast", "linear", "linear:1", "linear:1:0", "linear:1:0:1.5", "linear:1:0:0",
     "step:1:0:10", "exponential:1:0:10", "exponential:-1:1:10", "linear:nan:1:10",
     "linear:1:inf:10", "linear:1:0:10:5", "constant:1:2:3"],
)  # fmt: skip
def test_bad_texts(text):
    with pytest.raises(ValueError, match="expected a number or kind:initial:final:num_steps"):
        Schedule.parse(text)


def test_a_constant_schedule_does_not_change():
    with pytest.raises(ValueError, match="no change"):
        Schedule("constant", 1.0, 0.5, 10)


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


def test_numbers_of_numpy_become_pythons_so_that_the_text_can_be_read_again():
    schedule = Schedule("linear", np.float64(1.0), np.float32(0.25), np.int64(100))
    assert str(schedule) == "linear:1.0:0.25:100"
    assert Schedule.parse(str(schedule)) == schedule == LINEAR


@pytest.mark.parametrize(
    "fields",
    [
        ("linear", 1.0, 0.1, 2.5),
        ("linear", 1.0, 0.1, True),
        ("linear", "1.0", 0.1, 2),
        ("linear", 1.0, "0.1", 2),
        ("constant", None),
        ("linear", 1.0, 0.1, 2**63),
    ],
)
def test_fields_that_are_no_numbers_are_refused(fields):
    with pytest.raises(ValueError, match="expected"):
        Schedule(*fields)
