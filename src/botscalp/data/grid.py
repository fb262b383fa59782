"""Where bars of one length open: a grid of times, with a step and a phase."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from botscalp.times import DAY_NS, UNITS_NS
from botscalp.types import Bool, Int64

# 1970 began on a Thursday.
_MONDAY_NS = 4 * DAY_NS

Numbers = TypeVar("Numbers", int, Int64)


@dataclass(frozen=True)
class Grid:
    """The times `phase_ns` plus any whole number of `step_ns`; a bar that opens at one of them lasts until the next."""

    step_ns: int
    phase_ns: int
    """the first of them since 1970 began"""

    def number(self, time_ns: Numbers) -> Numbers:
        """Which bar it is whose time this is, counted from the phase: neighbours differ by one."""
        return (time_ns - self.phase_ns) // self.step_ns

    def time_ns(self, number: Numbers) -> Numbers:
        """When the bar of that number opens."""
        return number * self.step_ns + self.phase_ns

    def next_ns(self, time_ns: int) -> int:
        """When the first bar opens that does so at this time or later."""
        return time_ns + (self.phase_ns - time_ns) % self.step_ns

    def holds(self, time_ns: Int64) -> Bool:
        """Whether a bar opens at each of the times."""
        return np.asarray((time_ns - self.phase_ns) % self.step_ns == 0)

    def joined(self, spans_ns: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """The bars that open within spans [start, end), as spans from open to open, in order and apart from each other.

        So what speaks for January's weeks ends where February's first one opens, and the two months touch.
        """
        apart: list[tuple[int, int]] = []
        for start_ns, end_ns in sorted((self.next_ns(start_ns), self.next_ns(end_ns)) for start_ns, end_ns in spans_ns):
            if apart and start_ns <= apart[-1][1]:
                first_ns, last_ns = apart.pop()
                start_ns, end_ns = first_ns, max(last_ns, end_ns)
            if start_ns < end_ns:
                apart.append((start_ns, end_ns))
        return apart


ANY_TIME = Grid(step_ns=1, phase_ns=0)
"""of what keeps no grid, or one of which nothing is known"""


def grid_of(interval_ns: int, open_time_ns: int = 0) -> Grid:
    """The grid of bars of this length, one of which opens at that time.

    Bars that divide a day open with it and weeks on a Monday, wherever the one does that is given. Of other lengths no
    calendar says where they begin, Binance's 3d among them: so the bars themselves do.
    """
    if DAY_NS % interval_ns == 0:
        return Grid(interval_ns, 0)
    if interval_ns % UNITS_NS["w"] == 0:
        return Grid(interval_ns, _MONDAY_NS)
    return Grid(interval_ns, open_time_ns % interval_ns)
