"""The calendar by itself: where tests may start, and months of other lengths."""

from datetime import date
from itertools import islice

import pytest

from botscalp.times import DAY_NS
from botscalp.windows.calendar import Unit, anchors, first_day, midnight_ns, parsed_length


@pytest.mark.parametrize(
    ("first", "unit", "expected"),
    [
        (date(2023, 11, 1), "mo", [date(2023, 11, 1), date(2023, 12, 1), date(2024, 1, 1)]),
        (date(2023, 11, 2), "mo", [date(2023, 12, 1), date(2024, 1, 1), date(2024, 2, 1)]),
        (date(2024, 1, 1), "w", [date(2024, 1, 1), date(2024, 1, 8), date(2024, 1, 15)]),  # a Monday
        (date(2024, 1, 2), "w", [date(2024, 1, 8), date(2024, 1, 15), date(2024, 1, 22)]),
        (date(2024, 2, 28), "d", [date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1)]),
    ],
)
def test_anchors(first: date, unit: Unit, expected: list[date]) -> None:
    assert list(islice(anchors(first, unit), 3)) == expected


@pytest.mark.parametrize(
    ("day", "length", "before", "after"),
    [
        (date(2024, 3, 31), "1mo", date(2024, 2, 29), date(2024, 4, 30)),  # the last day of a shorter month
        (date(2023, 1, 15), "13mo", date(2021, 12, 15), date(2024, 2, 15)),
        (date(2024, 3, 1), "2w", date(2024, 2, 16), date(2024, 3, 15)),
        (date(2024, 3, 1), "1d", date(2024, 2, 29), date(2024, 3, 2)),
    ],
)
def test_a_length_before_and_after_a_day(day: date, length: str, before: date, after: date) -> None:
    parsed = parsed_length("wfo.train", length)
    assert (parsed.before(day), parsed.after(day), str(parsed)) == (before, after, length)


def test_days_start_at_midnight() -> None:
    second = midnight_ns(date(1970, 1, 2))
    assert second == DAY_NS
    assert [first_day(time_ns).day for time_ns in (second - 1, second, second + 1)] == [2, 2, 3]
