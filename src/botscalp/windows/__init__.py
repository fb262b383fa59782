"""Walk-forward windows: which UTC times train, stop, calibrate and test, with a purge between each two."""

from typing import Protocol

from botscalp.windows.ranges import Range, Window, drawn_days, united

__all__ = ["Range", "WalkForward", "Window", "drawn_days", "united"]


class WalkForward(Protocol):
    """An option of the wfo group."""

    def between(self, start_ns: int, end_ns: int, *, interval_ns: int, purge_ns: int) -> tuple[Window, ...]:
        """The windows inside bars that span [start_ns, end_ns), oldest first; UserError if there is none."""
        ...
