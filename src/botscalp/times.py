"""Times and intervals as text: "2024-01-31T12:00" and "5m" to and from nanoseconds UTC."""

import re
from datetime import UTC, datetime

import numpy as np

from botscalp.errors import UserError

SECOND_NS = 1_000_000_000
UNITS_NS = {
    "w": 604_800 * SECOND_NS,
    "d": 86_400 * SECOND_NS,
    "h": 3_600 * SECOND_NS,
    "m": 60 * SECOND_NS,
    "s": SECOND_NS,
}
DAY_NS = UNITS_NS["d"]
DAYS_PER_YEAR = 365
"""of a market that never closes"""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_interval(text: str, *, key: str = "data.interval") -> int:
    """Length in nanoseconds of an interval such as "30s", "5m", "1h", "1d" or "1w"."""
    match = re.fullmatch(r"([1-9]\d{0,5})([smhdw])", text)
    if re.fullmatch(r"\d+(mo|M)", text):
        problem = "is no interval: months have no one length, and the bars of an interval have one"
        raise UserError(key, text, problem, f"take days: {key}=1d")
    if match is None:
        raise UserError(key, text, "is no interval", "a number and one of s, m, h, d, w, such as 1m, 5m, 15m, 1h")
    return int(match[1]) * UNITS_NS[match[2]]


def interval_name(interval_ns: int) -> str:
    """The shortest text that `parse_interval` maps to this length, a whole number of seconds: "5m", "1h"."""
    assert interval_ns > 0 and interval_ns % SECOND_NS == 0, interval_ns
    unit, unit_ns = next((unit, ns) for unit, ns in UNITS_NS.items() if interval_ns % ns == 0)
    return f"{interval_ns // unit_ns}{unit}"


def parse_time_ns(text: str, *, key: str) -> int:
    """Nanoseconds since 1970 of an ISO 8601 date or time; UTC unless it states another offset."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise UserError(key, text, "is no date or time", "ISO 8601, UTC: 2024-01-31 or 2024-01-31T12:00") from None
    since = (time if time.tzinfo else time.replace(tzinfo=UTC)) - _EPOCH
    time_ns = (since.days * 86_400 + since.seconds) * SECOND_NS + since.microseconds * 1_000
    if not 0 <= time_ns < 2**63:
        raise UserError(key, text, "lies outside the years 1970 to 2261", "a time at which a market was open")
    return time_ns


def time_text(time_ns: int) -> str:
    """A time for people: "2024-03-14 07:05:00 UTC", finer where it falls between seconds."""
    time = np.datetime64(int(time_ns), "ns")
    return str(np.datetime_as_string(time, unit="auto" if time_ns % SECOND_NS else "s")).replace("T", " ") + " UTC"


def utc_text(time_ns: int) -> str:
    """Like 2024-03-14T07:05:00Z, cut to seconds."""
    return f"{np.datetime_as_string(np.datetime64(int(time_ns), 'ns'), unit='s')}Z"
