"""Ranges as sets of times: joined, and days drawn from them."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from botscalp.errors import UserError
from botscalp.times import DAY_NS
from botscalp.windows.ranges import Range, drawn_days, united

spans = st.tuples(st.integers(0, 40), st.integers(1, 10)).map(lambda pair: Range(pair[0], pair[0] + pair[1]))


@settings(deadline=None)
@given(st.lists(spans, max_size=8))
def test_united_ranges_hold_the_same_times_and_lie_apart(ranges: list[Range]) -> None:
    found = united(ranges)
    assert {t for one in found for t in range(one.start_ns, one.end_ns)} == {
        t for one in ranges for t in range(one.start_ns, one.end_ns)
    }
    assert all(one.end_ns < later.start_ns for one, later in pairwise(found))


@settings(deadline=None)
@given(start=st.integers(0, 3 * 24), hours=st.integers(24, 400), count=st.integers(1, 16), seed=st.integers(0, 99))
def test_drawn_days_are_whole_days_of_the_range(start: int, hours: int, count: int, seed: int) -> None:
    part = Range(start * DAY_NS // 24, (start + hours) * DAY_NS // 24)
    whole = {day for day in range(30) if part.start_ns <= day * DAY_NS and (day + 1) * DAY_NS <= part.end_ns}
    if len(whole) < count:
        with pytest.raises(UserError, match=f"has {len(whole)} whole days") as refused:
            drawn_days(part, count, seed)
        assert refused.value.key == "trainer.days"
    else:
        days = drawn_days(part, count, seed)
        assert len(days) == count and (np.diff(days) > 0).all() and set(days.tolist()) <= whole
        assert (drawn_days(part, count, seed) == days).all()


def test_every_day_is_drawn_by_some_seed_and_none_much_more_often() -> None:
    part = Range(0, 20 * DAY_NS)
    counts = np.bincount(np.concatenate([drawn_days(part, 5, seed) for seed in range(400)]), minlength=20)
    assert counts.min() > 60 and counts.max() < 145  # 100 each, five standard deviations of 8.7


def test_what_touches_or_lies_inside_is_joined() -> None:
    ranges = [Range(20, 30), Range(0, 10), Range(2, 5), Range(10, 12), Range(13, 20)]
    assert united(ranges) == [Range(0, 12), Range(13, 30)]


def test_the_first_and_the_last_whole_day_are_drawn_too() -> None:
    part = Range(10 * DAY_NS + 1, 40 * DAY_NS - 1)
    seen = np.concatenate([drawn_days(part, 7, seed) for seed in range(100)])
    assert set(seen) == set(range(11, 39))
