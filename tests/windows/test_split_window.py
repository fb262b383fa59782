"""wfo=split: golden dates, the quarter, and what users get told."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botscalp.errors import UserError
from botscalp.windows import Range
from botscalp.windows.split import Split

FIVE_MINUTES_NS = 300 * 10**9
DAY_NS = 86_400 * 10**9


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


def test_train_january_february_test_march_april_2024() -> None:
    (window,) = Split(test_start="2024-03-01", test_end="2024-05-01").between(
        ns("2024-01-01"), ns("2024-12-31"), interval_ns=FIVE_MINUTES_NS, purge_ns=3 * FIVE_MINUTES_NS
    )
    # 60 days before the test: 45 train, 7.5 stop, 7.5 calibrate, each less 15 minutes.
    assert window.train.iso() == ("2024-01-01T00:00:00Z", "2024-02-14T23:45:00Z")
    assert window.stopping.iso() == ("2024-02-15T00:00:00Z", "2024-02-22T11:45:00Z")
    assert window.calibration.iso() == ("2024-02-22T12:00:00Z", "2024-02-29T23:45:00Z")
    assert window.validation.iso() == ("2024-02-15T00:00:00Z", "2024-02-29T23:45:00Z")
    assert window.test.iso() == ("2024-03-01T00:00:00Z", "2024-05-01T00:00:00Z")
    assert window.index == 0


@given(
    bars_before=st.integers(30, 5000),
    bars_after=st.integers(1, 5000),
    interval_minutes=st.sampled_from([1, 5, 7, 60]),
    span=st.integers(0, 2),
)
def test_the_last_quarter_validates_and_the_data_s_end_ends_the_test(
    bars_before: int, bars_after: int, interval_minutes: int, span: int
) -> None:
    interval_ns = interval_minutes * 60 * 10**9
    test_start = ns("2024-03-01") // interval_ns * interval_ns
    start_ns, end_ns = test_start - bars_before * interval_ns, test_start + bars_after * interval_ns
    (window,) = Split(test_start=datetime.fromtimestamp(test_start // 10**9, UTC).isoformat(), test_end=None).between(
        start_ns, end_ns, interval_ns=interval_ns, purge_ns=span * interval_ns
    )
    assert window.train.start_ns == start_ns
    assert window.test == Range(test_start, end_ns)
    quarter = (test_start - window.stopping.start_ns) / interval_ns
    assert bars_before / 4 <= quarter < bars_before / 4 + 1
    parts = [window.train, window.stopping, window.calibration, window.test]
    for part, following in pairwise(parts):
        assert part.start_ns < part.end_ns == following.start_ns - span * interval_ns
        assert following.start_ns % interval_ns == 0


@pytest.mark.parametrize(
    ("test_start", "test_end", "key"),
    [
        ("March 2024", None, "wfo.test_start"),
        ("2024-03-01", "2024-02-30", "wfo.test_end"),
        ("2024-03-01", "2024-03-01", "wfo.test_end"),
        ("2023-12-01", None, "wfo.test_start"),
        ("2024-01-01", None, "wfo.test_start"),  # nothing before it to train on
        ("2024-07-01", None, "wfo.test_start"),
        ("2024-03-01", "2024-07-02", "wfo.test_end"),
        ("2024-01-01T00:20", None, "label"),  # one bar to validate on
    ],
)
def test_dates_that_cannot_work_are_refused_by_key(test_start: str, test_end: str | None, key: str) -> None:
    with pytest.raises(UserError) as caught:
        Split(test_start=test_start, test_end=test_end).between(
            ns("2024-01-01"), ns("2024-07-01"), interval_ns=FIVE_MINUTES_NS, purge_ns=3 * FIVE_MINUTES_NS
        )
    assert caught.value.key == key
