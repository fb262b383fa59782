"""Time ranges and the purge between them.

A bar belongs to a range if its open time lies in it. A label of bar t looks at bars up to t + span, so a range
whose end is cut by span x interval holds no label that looks at a bar of the next range.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from botscalp.errors import UserError
from botscalp.times import DAY_NS
from botscalp.types import Int64


@dataclass(frozen=True)
class Range:
    """The half-open time range [start_ns, end_ns), UTC."""

    start_ns: int
    end_ns: int

    def iso(self) -> tuple[str, str]:
        """Start and end as a person reads them, to the second."""
        start, end = np.datetime_as_string(np.array([self.start_ns, self.end_ns], "M8[ns]"), unit="s")
        return f"{start}Z", f"{end}Z"

    def __str__(self) -> str:
        return " .. ".join(self.iso())


def united(ranges: Sequence[Range]) -> list[Range]:
    """The same times, as few ranges as can be; by their start."""
    apart: list[Range] = []
    for one in sorted(ranges, key=lambda one: one.start_ns):
        if apart and one.start_ns <= apart[-1].end_ns:
            apart[-1] = Range(apart[-1].start_ns, max(apart[-1].end_ns, one.end_ns))
        else:
            apart.append(one)
    return apart


def drawn_days(part: Range, count: int, seed: int) -> Int64:
    """So many of the range's whole UTC days, drawn at random, as days since 1970; increasing.

    Raises:
        UserError: the range has fewer.
    """
    whole = np.arange(-(-part.start_ns // DAY_NS), part.end_ns // DAY_NS)
    if len(whole) < count:
        problem = f"the training range {part} has {len(whole)} whole days"
        raise UserError("trainer.days", count, problem, "draw fewer days, take a longer wfo.train, or null for all")
    return np.sort(np.random.default_rng(seed).choice(whole, count, replace=False))


@dataclass(frozen=True)
class Window:
    """One walk-forward step. Its ranges follow each other in time, each two at least the purge apart."""

    index: int
    """0 is the oldest window"""
    train: Range
    """fits the scaler and the weights"""
    stopping: Range
    """first half of validation: stops the fit early and picks the best weights"""
    calibration: Range
    """second half of validation: fits the calibrator"""
    test: Range
    """is predicted once, by what the other three fitted"""

    @property
    def validation(self) -> Range:
        """Both halves and the purge between them."""
        return Range(self.stopping.start_ns, self.calibration.end_ns)


def on_grid(time_ns: int, interval_ns: int) -> int:
    """The last multiple of the interval that is not after the time."""
    return time_ns // interval_ns * interval_ns


def purged_window(
    *, train_ns: int, validation_ns: int, test: Range, interval_ns: int, purge_ns: int, index: int = 0
) -> Window:
    """The window whose train and validation start at these times, each part purged at its end.

    Validation is halved at its middle in time, floored to the grid.
    Raises UserError where the purge leaves nothing of a range.
    """
    middle_ns = on_grid((validation_ns + test.start_ns) // 2, interval_ns)

    def purged(name: str, start_ns: int, end_ns: int) -> Range:
        if end_ns - start_ns <= purge_ns:
            raise UserError(
                "label",
                f"a span of {purge_ns // interval_ns} bars",
                f"is purged from the end of {name}, {Range(start_ns, end_ns)}, "
                f"which has only {max(0, end_ns - start_ns) // interval_ns} bars",
                "take a label that looks less far ahead, or longer train and validation ranges",
            )
        return Range(start_ns, end_ns - purge_ns)

    return Window(
        index=index,
        train=purged("train", train_ns, validation_ns),
        stopping=purged("validation's first half", validation_ns, middle_ns),
        calibration=purged("validation's second half", middle_ns, test.start_ns),
        test=test,
    )
