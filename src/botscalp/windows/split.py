"""wfo=split: one window, its test range given by dates."""

from dataclasses import dataclass

from botscalp.errors import UserError
from botscalp.times import parse_time_ns
from botscalp.windows.ranges import Range, Window, on_grid, purged_window


@dataclass(frozen=True, kw_only=True)
class Split:
    """Everything before the test range trains; the last quarter of it, by time, validates."""

    test_start: str
    """first date of the test range, UTC"""
    test_end: str | None
    """date at which the test range ends, itself not tested; null for the data's end"""

    def __post_init__(self) -> None:
        start_ns = parse_time_ns(self.test_start, key="wfo.test_start")
        if self.test_end is not None and parse_time_ns(self.test_end, key="wfo.test_end") <= start_ns:
            raise UserError(
                "wfo.test_end", self.test_end, f"is not after wfo.test_start={self.test_start}", "take a later date"
            )

    def between(self, start_ns: int, end_ns: int, *, interval_ns: int, purge_ns: int) -> tuple[Window, ...]:
        """The one window inside bars that span [start_ns, end_ns).

        Raises UserError where the dates lie outside the data, or a purge empties a range.
        """
        data = Range(start_ns, end_ns)
        test_start_ns = parse_time_ns(self.test_start, key="wfo.test_start")
        if not start_ns < test_start_ns < end_ns:
            raise UserError(
                "wfo.test_start", self.test_start, f"does not lie inside the data, {data}", "take a date inside it"
            )
        test_end_ns = end_ns if self.test_end is None else parse_time_ns(self.test_end, key="wfo.test_end")
        if test_end_ns > end_ns:
            raise UserError(
                "wfo.test_end",
                self.test_end,
                f"is after the data's end, {data}",
                "take wfo.test_end=null, or load more",
            )
        return (
            purged_window(
                train_ns=start_ns,
                validation_ns=on_grid(start_ns + (test_start_ns - start_ns) * 3 // 4, interval_ns),
                test=Range(test_start_ns, test_end_ns),
                interval_ns=interval_ns,
                purge_ns=purge_ns,
            ),
        )
