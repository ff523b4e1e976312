"""Schedules against their formulas, and what is no schedule."""

import numpy as np
import pytest
from gymagine.schedules import Schedule

LINEAR = Schedule("linear", 1.0, 0.25, 100)
EXPONENTIAL = Schedule("exponential", 1.0, 0.01, 100)


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


def test_numbers_of_numpy_become_pythons_so_that_the_text_can_be_read_again(
    without_shape_checks,
):
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
def test_fields_that_are_no_numbers_are_refused(fields, without_shape_checks):
    with pytest.raises(ValueError, match="expected"):
        Schedule(*fields)
