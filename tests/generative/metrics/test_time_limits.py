"""Parts of events under a clock that the test turns."""

import pytest
from gymagine.generative.metrics.time_limits import growing_parts


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def taken(num, seconds_of, **options):
    """Sizes of the parts, of which each takes some seconds."""
    clock, sizes, end = Clock(), [], 0
    for part in growing_parts(num, clock=clock, **options):
        assert part.start == end
        end = part.stop
        sizes.append(part.stop - part.start)
        clock.now += seconds_of(sizes[-1])
    return sizes, clock.now


@pytest.mark.parametrize("num", [1, 9, 10, 11, 500, 1_234])
def test_all_is_taken_where_there_is_time(num):
    for seconds in (None, 1e6):
        sizes, _ = taken(num, lambda size: size / 100, largest=200, max_seconds=seconds)
        assert sum(sizes) == num
        assert max(sizes) <= 200
    assert sizes == sorted(sizes[:-1]) + sizes[-1:]


@pytest.mark.parametrize("each", [0.01, 0.3, 1.0])
def test_the_limit_is_kept(each):
    sizes, seconds = taken(10_000, lambda size: each * size, largest=500, max_seconds=20.0)
    assert 20 - each < seconds <= 20
    assert sizes[:1] == [10]


def test_fixed_costs_do_not_break_the_limit():
    _, seconds = taken(10_000, lambda size: 3 + 0.01 * size, largest=500, max_seconds=20.0)
    assert seconds <= 20 + 3


def test_something_is_always_taken():
    assert taken(100, lambda size: 50.0, largest=40, max_seconds=1.0) == ([10], 50.0)
