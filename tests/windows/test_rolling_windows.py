"""wfo=monthly, weekly, expanding: golden dates, properties, and what users get told."""

from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from botscalp.errors import UserError
from botscalp.windows import Range, Window
from botscalp.windows.rolling import Rolling

MINUTE_NS = 60 * 10**9
DAY_NS = 1440 * MINUTE_NS


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


def rolling(
    train: str, validation: str, test: str, step: str, *, windows: int | None = None, expanding: bool = False
) -> Rolling:
    return Rolling(train=train, validation=validation, test=test, step=step, windows=windows, expanding=expanding)


MONTHLY = rolling("6mo", "1mo", "1mo", "1mo")
WEEKLY = rolling("8w", "1w", "1w", "1w")
EXPANDING = rolling("6mo", "1mo", "1mo", "1mo", expanding=True)


def table(wfo: Rolling, start: str, end: str) -> list[str]:
    """A line a window: train | stopping | calibration | test, as a person reads them; 5m bars, 3 bars of purge."""
    windows = wfo.between(ns(start), ns(end), interval_ns=5 * MINUTE_NS, purge_ns=15 * MINUTE_NS)
    parts = [(w.train, w.stopping, w.calibration, w.test) for w in windows]
    return [" | ".join(" ".join(time[2:16] for time in part.iso()) for part in line) for line in parts]


def test_monthly_golden_dates() -> None:
    # February's middle is noon of the 15th in a leap year, March's noon of the 16th. Data need not start on the 1st.
    assert table(MONTHLY, "2023-06-20", "2024-04-01") == [
        "23-07-01T00:00 23-12-31T23:45 | 24-01-01T00:00 24-01-16T11:45 | 24-01-16T12:00 24-01-31T23:45"
        " | 24-02-01T00:00 24-03-01T00:00",
        "23-08-01T00:00 24-01-31T23:45 | 24-02-01T00:00 24-02-15T11:45 | 24-02-15T12:00 24-02-29T23:45"
        " | 24-03-01T00:00 24-04-01T00:00",
    ]


def test_weekly_golden_dates() -> None:
    # 2024-01-01 is a Monday.
    assert table(WEEKLY, "2024-01-01", "2024-03-19") == [
        "24-01-01T00:00 24-02-25T23:45 | 24-02-26T00:00 24-02-29T11:45 | 24-02-29T12:00 24-03-03T23:45"
        " | 24-03-04T00:00 24-03-11T00:00",
        "24-01-08T00:00 24-03-03T23:45 | 24-03-04T00:00 24-03-07T11:45 | 24-03-07T12:00 24-03-10T23:45"
        " | 24-03-11T00:00 24-03-18T00:00",
    ]


def test_expanding_golden_dates() -> None:
    assert table(EXPANDING, "2023-06-20", "2024-04-01") == [
        "23-07-01T00:00 23-12-31T23:45 | 24-01-01T00:00 24-01-16T11:45 | 24-01-16T12:00 24-01-31T23:45"
        " | 24-02-01T00:00 24-03-01T00:00",
        "23-07-01T00:00 24-01-31T23:45 | 24-02-01T00:00 24-02-15T11:45 | 24-02-15T12:00 24-02-29T23:45"
        " | 24-03-01T00:00 24-04-01T00:00",
    ]


def test_a_year_has_room_for_twelve_months_of_tests() -> None:
    windows = MONTHLY.between(ns("2022-01-01"), ns("2025-01-01"), interval_ns=5 * MINUTE_NS, purge_ns=15 * MINUTE_NS)
    assert len(windows) == 29  # 36 months less 7 before the first test
    assert windows[0].test.iso()[0] == "2022-08-01T00:00:00Z"
    assert windows[-1].test.iso()[1] == "2025-01-01T00:00:00Z"


# --- properties ---

lengths = st.one_of(
    st.builds("{}mo".format, st.integers(1, 5)),
    st.builds("{}w".format, st.integers(1, 9)),
    st.builds("{}d".format, st.integers(1, 60)),
)


@st.composite
def steps_and_data(draw: st.DrawFn) -> tuple[Rolling, int, int, int, int]:
    """A walk-forward, a data span start .. end, an interval and a purge that leaves something of every range."""
    train, validation, test, step = (draw(lengths) for _ in range(4))
    try:
        wfo = rolling(train, validation, test, step, expanding=draw(st.booleans()))
    except UserError:
        assume(False)
    interval_ns = draw(st.sampled_from([1, 5, 7, 15, 60])) * MINUTE_NS
    start_ns = ns("2022-01-01") + draw(st.integers(0, 400 * 288)) * 5 * MINUTE_NS
    end_ns = start_ns + draw(st.integers(1, 1000)) * DAY_NS
    purge_ns = draw(st.integers(1, 7)) * interval_ns
    return wfo, start_ns, end_ns, interval_ns, purge_ns


def between(case: tuple[Rolling, int, int, int, int]) -> tuple[Window, ...]:
    wfo, start_ns, end_ns, interval_ns, purge_ns = case
    try:
        return wfo.between(start_ns, end_ns, interval_ns=interval_ns, purge_ns=purge_ns)
    except UserError:
        assume(False)
        raise AssertionError from None


def parts_of(window: Window) -> list[Range]:
    return [window.train, window.stopping, window.calibration, window.test]


@settings(deadline=None, max_examples=200)
@given(steps_and_data())
def test_ranges_lie_inside_the_data_in_order_with_the_purge_between(case: tuple[Rolling, int, int, int, int]) -> None:
    _, start_ns, end_ns, interval_ns, purge_ns = case
    for window in between(case):
        parts = parts_of(window)
        assert start_ns <= parts[0].start_ns and parts[-1].end_ns <= end_ns
        assert all(part.start_ns < part.end_ns for part in parts)
        for part, following in pairwise(parts):
            assert following.start_ns - part.end_ns == purge_ns
        assert window.validation == Range(window.stopping.start_ns, window.calibration.end_ns)
        halves = [
            window.calibration.start_ns - window.stopping.start_ns,
            window.test.start_ns - window.calibration.start_ns,
        ]
        assert abs(halves[0] - halves[1]) <= 2 * interval_ns
        assert window.calibration.start_ns % interval_ns == 0


@settings(deadline=None)
@given(case=steps_and_data(), span_bars=st.integers(1, 5))
def test_no_label_reaches_the_next_range(case: tuple[Rolling, int, int, int, int], span_bars: int) -> None:
    wfo, start_ns, _, interval_ns, _ = case
    interval_ns *= 12  # fewer bars
    start_ns = -(-start_ns // interval_ns) * interval_ns
    open_time_ns = np.arange(start_ns, case[2], interval_ns)
    windows = between((wfo, start_ns, case[2], interval_ns, span_bars * interval_ns))
    for window in windows:
        numbers = [
            np.arange(len(open_time_ns))[slice(*np.searchsorted(open_time_ns, [part.start_ns, part.end_ns]))]
            for part in parts_of(window)
        ]
        for bars, following in pairwise(numbers):
            if len(bars) and len(following):
                assert bars[-1] + span_bars < following[0]


@settings(deadline=None)
@given(steps_and_data())
def test_tests_are_numbered_in_order_disjoint_and_start_on_anchors(case: tuple[Rolling, int, int, int, int]) -> None:
    windows = between(case)
    assert [window.index for window in windows] == list(range(len(windows)))
    for earlier, later in pairwise(windows):
        assert earlier.test.end_ns <= later.test.start_ns
        if case[0].step == case[0].test:
            assert earlier.test.end_ns == later.test.start_ns
        if case[0].expanding:
            assert earlier.train.start_ns == later.train.start_ns
    for window in windows:
        day = date.fromisoformat(window.test.iso()[0][:10])
        assert window.test.start_ns % DAY_NS == 0
        assert day.day == 1 or not case[0].step.endswith("mo")
        assert day.weekday() == 0 or not case[0].step.endswith("w")


@settings(deadline=None)
@given(case=steps_and_data(), more_days=st.integers(0, 200))
def test_more_data_leaves_earlier_windows_as_they_were(
    case: tuple[Rolling, int, int, int, int], more_days: int
) -> None:
    wfo, start_ns, end_ns, interval_ns, purge_ns = case
    before = between(case)
    after = between((wfo, start_ns, end_ns + more_days * DAY_NS, interval_ns, purge_ns))
    assert after[: len(before)] == before


@settings(deadline=None)
@given(case=steps_and_data(), data=st.data())
def test_the_last_n_windows_are_the_same_windows(case: tuple[Rolling, int, int, int, int], data: st.DataObject) -> None:
    every = between(case)
    n = data.draw(st.integers(1, len(every)))
    last = between((replace(case[0], windows=n), *case[1:]))
    assert last == tuple(replace(window, index=i) for i, window in enumerate(every[-n:]))


@settings(deadline=None)
@given(steps_and_data())
def test_no_room_is_wasted(case: tuple[Rolling, int, int, int, int]) -> None:
    """The first test could not start an anchor earlier, and no whole test range fits after the last."""
    wfo, start_ns, end_ns, *_ = case
    windows = between(case)
    one_step_back = {"mo": 31, "w": 7, "d": 1}[wfo.step.lstrip("0123456789")]
    # Month ends move train's start by up to three days against the anchor's.
    assert windows[0].train.start_ns - start_ns < (one_step_back + 1 + 3) * DAY_NS
    longest_step = int(wfo.step.rstrip("mowd")) * one_step_back
    longest_test = int(wfo.test.rstrip("mowd")) * {"mo": 31, "w": 7, "d": 1}[wfo.test.lstrip("0123456789")]
    assert end_ns - windows[-1].test.start_ns < (longest_step + longest_test) * DAY_NS


# --- users' mistakes ---


@pytest.mark.parametrize(
    ("key", "changes", "says"),
    [
        ("wfo.train", {"train": "6 months"}, "is not a length"),
        ("wfo.validation", {"validation": "0d"}, "is not a length"),
        ("wfo.test", {"test": "1mo2w"}, "is not a length"),
        ("wfo.step", {"step": "-1w"}, "is not a length"),
        ("wfo.step", {"step": "3w"}, "tests would overlap"),
        ("wfo.step", {"test": "29d"}, "tests would overlap"),  # February has 28 days in most years
    ],
)
def test_impossible_lengths_are_refused_by_key(key: str, changes: dict[str, str], says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        replace(MONTHLY, **changes)  # type: ignore[arg-type]
    assert caught.value.key == key


def test_steps_and_tests_of_other_units_fit_where_the_calendar_says_so() -> None:
    assert replace(MONTHLY, test="28d").test == "28d"
    assert replace(MONTHLY, step="31d").step == "31d"


def test_too_little_data_says_how_much_is_needed_and_there() -> None:
    with pytest.raises(UserError) as caught:
        MONTHLY.between(ns("2024-01-05"), ns("2024-07-01"), interval_ns=MINUTE_NS, purge_ns=0)
    message = str(caught.value)
    assert caught.value.key == "wfo.train"
    assert "2024-02-01T00:00:00Z .. 2024-10-01T00:00:00Z (243 days)" in message
    assert "2024-01-05T00:00:00Z .. 2024-07-01T00:00:00Z (178 days)" in message


def test_more_windows_than_there_are() -> None:
    with pytest.raises(UserError, match="has room for 5") as caught:
        replace(MONTHLY, windows=6).between(ns("2024-01-01"), ns("2025-01-01"), interval_ns=MINUTE_NS, purge_ns=0)
    assert caught.value.key == "wfo.windows"


def test_a_purge_that_empties_a_range_names_span_and_range() -> None:
    daily = rolling("30d", "2d", "1d", "1d")
    day = ns("2024-01-01"), ns("2024-04-01")
    assert daily.between(*day, interval_ns=5 * MINUTE_NS, purge_ns=287 * 5 * MINUTE_NS)
    with pytest.raises(UserError, match=r"a span of 288 bars: .* first half, 2024-01-31T00:00:00Z .. 2024-02-01"):
        daily.between(*day, interval_ns=5 * MINUTE_NS, purge_ns=288 * 5 * MINUTE_NS)
