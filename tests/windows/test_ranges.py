"""Ranges by themselves: joined, and the days that are drawn from one."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from botscalp.errors import UserError
from botscalp.times import DAY_NS
from botscalp.windows import Range, drawn_days, united


def test_what_touches_or_lies_inside_is_joined() -> None:
    ranges = [Range(20, 30), Range(0, 10), Range(2, 5), Range(10, 12), Range(13, 20)]
    assert united(ranges) == [Range(0, 12), Range(13, 30)]


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(1, 20)), min_size=1))
def test_united_ranges_hold_the_same_times_apart_from_each_other(spans: list[tuple[int, int]]) -> None:
    ranges = [Range(start, start + length) for start, length in spans]
    apart = united(ranges)
    assert {time for one in ranges for time in range(one.start_ns, one.end_ns)} == {
        time for one in apart for time in range(one.start_ns, one.end_ns)
    }
    assert all(first.end_ns < second.start_ns for first, second in pairwise(apart))


def test_days_are_whole_and_inside_the_range() -> None:
    part = Range(10 * DAY_NS + 1, 40 * DAY_NS - 1)
    seen = np.concatenate([drawn_days(part, 7, seed) for seed in range(100)])
    assert set(seen) == set(range(11, 39))
    assert all(np.all(np.diff(drawn_days(part, 28, seed)) == 1) for seed in range(3))
    with pytest.raises(UserError, match="28 whole days"):
        drawn_days(part, 29, 0)
