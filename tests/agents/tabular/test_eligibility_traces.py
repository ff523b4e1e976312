"""Traces against sums written out by hand."""

from fractions import Fraction

import numpy as np
import pytest
from gymagine.agents.tabular.eligibility_traces import (
    apply_traces,
    clear_traces,
    no_traces,
    raise_trace,
)
from gymagine.agents.tabular.schedules import StepSize, compile_schedule

ALPHA = StepSize(compile_schedule(0.5), 0.0)
COUNTS = np.ones((3, 2), dtype=np.int64)


def walk(kind, visits, decay=0.5, errors=(1.0, 2.0, 4.0, 8.0)):
    table, traces = np.zeros((3, 2)), no_traces((3, 2), kind)
    for (state, action), error in zip(visits, errors, strict=False):
        raise_trace(traces, state, action)
        apply_traces(traces, table, COUNTS, ALPHA, 0, error, decay)
    return table, traces


def test_news_travels_back_along_the_path():
    table, traces = walk("accumulating", [(0, 0), (1, 1), (2, 0)])
    # each pair gets half of the error now, a quarter of the next, an eighth of the one after
    assert Fraction(table[0, 0]) == Fraction(1, 2) * (1 + Fraction(2, 2) + Fraction(4, 4))
    assert Fraction(table[1, 1]) == Fraction(1, 2) * (2 + Fraction(4, 2))
    assert Fraction(table[2, 0]) == 2
    assert traces.values[[0, 1, 2], [0, 1, 0]].tolist() == [0.125, 0.25, 0.5]
    assert traces.num_active[0] == 3


@pytest.mark.parametrize(("kind", "trace"), [("accumulating", 1.75), ("replacing", 1.0)])
def test_a_pair_visited_three_times_in_a_row(kind, trace):
    table, _ = walk(kind, [(0, 0)] * 3)
    second = 1.5 if kind == "accumulating" else 1.0
    assert table[0, 0] == 0.5 * (1.0 + 2.0 * second + 4.0 * trace)


def test_without_decay_only_the_visited_pair_moves():
    table, traces = walk("replacing", [(0, 0), (1, 1)], decay=0.0)
    assert (table[0, 0], table[1, 1]) == (0.5, 1.0)
    assert traces.num_active[0] == 0
    assert not traces.values.any()


def test_negligible_traces_leave_the_list():
    traces, table = no_traces((3, 2), "replacing"), np.zeros((3, 2))
    raise_trace(traces, 0, 0)
    for step in range(60):
        assert traces.num_active[0] == (step < 27)  # 2^-27 is below 1e-8
        apply_traces(traces, table, COUNTS, ALPHA, 0, 0.0, 0.5)


def test_traces_are_cleared():
    _, traces = walk("accumulating", [(0, 0), (1, 1), (0, 0)])
    clear_traces(traces)
    assert traces.num_active[0] == 0
    assert not traces.values.any()


def test_every_pair_has_its_own_step_size():
    counts = COUNTS.copy()
    counts[0, 0] = 4
    table, traces = np.zeros((3, 2)), no_traces((3, 2), "replacing")
    average = StepSize(compile_schedule(1.0), 1.0)
    raise_trace(traces, 0, 0)
    apply_traces(traces, table, counts, average, 0, 8.0, 1.0)
    raise_trace(traces, 1, 0)
    apply_traces(traces, table, counts, average, 0, 8.0, 1.0)
    assert table[:2, 0].tolist() == [4.0, 8.0]
