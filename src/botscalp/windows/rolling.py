"""wfo=monthly, weekly, expanding: windows that step through the calendar."""

from dataclasses import dataclass
from datetime import date
from itertools import chain, islice, takewhile

from botscalp.errors import UserError
from botscalp.times import DAY_NS
from botscalp.types import Count
from botscalp.windows.calendar import anchors, first_day, midnight_ns, parsed_length
from botscalp.windows.ranges import Range, Window, purged_window


@dataclass(frozen=True, kw_only=True)
class Rolling:
    """Test ranges start at month starts (a step in months), Mondays (weeks) or midnights (days), UTC.

    The first test starts at the first such day that has room for train and validation before it in the data;
    the others follow a step apart, as long as the whole test range lies inside the data.
    """

    train: str
    """length of the training range: 6mo, 8w or 30d"""
    validation: str
    """length of the validation range, between train and test"""
    test: str
    """length of the test range"""
    step: str
    """from one test's start to the next; not less than test"""
    windows: Count | None
    """keep the last n windows; null keeps all"""
    expanding: bool
    """train from the first window's start, so that wfo.train is the least length"""

    def __post_init__(self) -> None:
        for key in ("train", "validation", "test", "step"):
            parsed_length(f"wfo.{key}", getattr(self, key))
        test, step = parsed_length("wfo.test", self.test), parsed_length("wfo.step", self.step)
        # Four years hold every length of month, at every day of the month.
        starts = takewhile(lambda day: day < date(2024, 1, 1), anchors(date(2020, 1, 1), step.unit))
        if any(step.after(day) < test.after(day) for day in starts):
            raise UserError(
                "wfo.step", step, f"is shorter than wfo.test={test}: tests would overlap", f"take wfo.step={test}"
            )

    def between(self, start_ns: int, end_ns: int, *, interval_ns: int, purge_ns: int) -> tuple[Window, ...]:
        """The windows inside bars that span [start_ns, end_ns), oldest first.

        More data at the end never changes an earlier window, and `windows` never changes a kept one's ranges.
        Raises UserError for too little data, fewer windows than asked for, or a purge that empties a range.
        """
        test_days = self._test_days(start_ns, end_ns)
        n_kept = len(test_days) if self.windows is None else self.windows
        if n_kept > len(test_days):
            raise UserError(
                "wfo.windows",
                n_kept,
                f"the data, {Range(start_ns, end_ns)}, has room for {len(test_days)}",
                f"load more data, or take wfo.windows={len(test_days)}",
            )
        return tuple(
            purged_window(
                index=index,
                train_ns=self._train_ns(test_days[0] if self.expanding else day),
                validation_ns=self._validation_ns(day),
                test=self._test(day),
                interval_ns=interval_ns,
                purge_ns=purge_ns,
            )
            for index, day in enumerate(test_days[-n_kept:])
        )

    def _test_days(self, start_ns: int, end_ns: int) -> list[date]:
        """The first day of each test range that the data has room for; UserError if there is none."""
        step = parsed_length("wfo.step", self.step)
        days = (day for day in anchors(first_day(start_ns), step.unit) if self._train_ns(day) >= start_ns)
        first = next(days)
        followers = islice(days, step.count - 1, None, step.count)
        test_days = list(takewhile(lambda day: self._test(day).end_ns <= end_ns, chain([first], followers)))
        if not test_days:
            needed = Range(self._train_ns(first), self._test(first).end_ns)
            raise UserError(
                "wfo.train",
                self.train,
                f"with wfo.validation={self.validation} and wfo.test={self.test} the first window needs {needed} "
                f"({(needed.end_ns - needed.start_ns) / DAY_NS:.0f} days), "
                f"the data has {Range(start_ns, end_ns)} ({(end_ns - start_ns) / DAY_NS:.0f} days)",
                "load more data, or take shorter lengths, such as wfo.train=3mo",
            )
        return test_days

    def _train_ns(self, test_day: date) -> int:
        validation_day = parsed_length("wfo.validation", self.validation).before(test_day)
        return midnight_ns(parsed_length("wfo.train", self.train).before(validation_day))

    def _validation_ns(self, test_day: date) -> int:
        return midnight_ns(parsed_length("wfo.validation", self.validation).before(test_day))

    def _test(self, test_day: date) -> Range:
        return Range(midnight_ns(test_day), midnight_ns(parsed_length("wfo.test", self.test).after(test_day)))
