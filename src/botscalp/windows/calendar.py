"""Calendar lengths such as `6mo`, and the days at which tests may start."""

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from botscalp.errors import UserError
from botscalp.times import DAY_NS

_EPOCH = date(1970, 1, 1)

Unit = Literal["mo", "w", "d"]


@dataclass(frozen=True)
class Length:
    """A positive number of calendar months, weeks or days."""

    count: int
    unit: Unit

    def after(self, day: date) -> date:
        return _shifted(day, self.count, self.unit)

    def before(self, day: date) -> date:
        """Months keep the day of the month, or take the month's last day where it has none such."""
        return _shifted(day, -self.count, self.unit)

    def __str__(self) -> str:
        return f"{self.count}{self.unit}"


def parsed_length(key: str, text: str) -> Length:
    """The length that a user typed for the key."""
    match = re.fullmatch(r"([1-9]\d{0,2})(mo|w|d)", text)
    if match is None:
        raise UserError(key, text, "is not a length", "type a number with its unit: 6mo, 8w or 30d")
    unit: Unit = match[2]  # type: ignore[assignment]  # the pattern admits nothing else
    return Length(int(match[1]), unit)


def anchors(first: date, unit: Unit) -> Iterator[date]:
    """From `first` on, for ever: month starts, Mondays, or all days."""
    if unit == "mo":
        day = first if first.day == 1 else _shifted(first.replace(day=1), 1, unit)
    elif unit == "w":
        day = first + timedelta(days=-first.weekday() % 7)
    else:
        day = first
    while True:
        yield day
        day = _shifted(day, 1, unit)


def first_day(time_ns: int) -> date:
    """The first day that starts at or after the time."""
    return _EPOCH + timedelta(days=-(-time_ns // DAY_NS))


def midnight_ns(day: date) -> int:
    """The start of the day."""
    return (day - _EPOCH).days * DAY_NS


def _shifted(day: date, count: int, unit: Unit) -> date:
    if unit == "mo":
        year, month = divmod(day.year * 12 + day.month - 1 + count, 12)
        return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
    return day + timedelta(days=count * (7 if unit == "w" else 1))
