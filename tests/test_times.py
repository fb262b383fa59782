"""Intervals and times as text, against values that a person can check."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botscalp.errors import UserError
from botscalp.times import SECOND_NS, interval_name, parse_interval, parse_time_ns, time_text


@pytest.mark.parametrize(
    ("text", "seconds"), [("1s", 1), ("5m", 300), ("90m", 5400), ("4h", 14_400), ("3d", 259_200), ("1w", 604_800)]
)
def test_intervals_are_read_and_named(text: str, seconds: int) -> None:
    assert parse_interval(text) == seconds * SECOND_NS
    assert interval_name(seconds * SECOND_NS) == text


@given(st.integers(1, 10**6))
def test_the_name_of_an_interval_reads_back(seconds: int) -> None:
    name = interval_name(seconds * SECOND_NS)
    assert len(name) > 7 or parse_interval(name) == seconds * SECOND_NS


@pytest.mark.parametrize("text", ["", "5", "m5", "0m", "-5m", "5 m", "5M", "5min", "1.5h"])
def test_what_is_no_interval_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"data.interval=.*is no interval"):
        parse_interval(text)


@pytest.mark.parametrize("text", ["1mo", "1M"])
def test_months_are_refused_with_the_reason(text: str) -> None:
    with pytest.raises(UserError, match="months have no one length, and the bars of an interval have one") as refused:
        parse_interval(text, key="interval")
    assert refused.value.remedy == "take days: interval=1d"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-02", 86_400),
        ("2024-03-14T07:05", 1_710_399_900),
        ("2024-03-14 07:05:00", 1_710_399_900),
        ("2024-03-14T07:05Z", 1_710_399_900),
        ("2024-03-14T08:05+01:00", 1_710_399_900),
    ],
)
def test_times_are_utc_unless_they_state_an_offset(text: str, seconds: int) -> None:
    assert parse_time_ns(text, key="data.start") == seconds * SECOND_NS


@pytest.mark.parametrize("text", ["", "yesterday", "2024", "2024-13-01", "1969-12-31", "2300-01-01"])
def test_what_is_no_time_is_refused_by_key(text: str) -> None:
    with pytest.raises(UserError, match=r"^data.start="):
        parse_time_ns(text, key="data.start")


def test_times_are_written_as_finely_as_needed() -> None:
    assert time_text(1_710_399_900 * SECOND_NS) == "2024-03-14 07:05:00 UTC"
    assert time_text(1_710_399_900 * SECOND_NS + 250_000_000) == "2024-03-14 07:05:00.250 UTC"
