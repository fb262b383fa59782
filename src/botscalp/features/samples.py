"""Which bars can be predicted from, and how far back each of them can look."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from botscalp.types import Bars, Bool, Int64


def predictable(bars: Bars, lags: int, lookback_bars: int) -> Bool:
    """Whether row t has its `lags` bars t - lags + 1 .. t, consecutive in time and each past the features' lookback.

    Shape (T,). Row t is decided by rows up to t alone: what follows, a gap or the end of the data, changes nothing.
    """
    complete = np.zeros(len(bars), dtype=np.bool_)
    first = lookback_bars + lags - 1
    last_of_lags = bars.number[first:]
    first_of_lags = bars.number[lookback_bars : lookback_bars + len(last_of_lags)]
    complete[first:] = last_of_lags - first_of_lags == lags - 1
    return complete


def stretch_starts(bars: Bars, lookback_bars: int) -> Int64:
    """The first row from which on every bar up to row t is there, past the features' lookback; shape (T,).

    Of a row within the lookback it is the first one past it. Row t is decided by rows up to t alone.
    """
    begins = np.diff(bars.number, prepend=bars.number[:1] - 2) > 1
    first = np.where(begins, np.arange(len(bars)), 0)
    return np.maximum(np.maximum.accumulate(first), lookback_bars)


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """Where rows stand in time; both arrays have shape (N,)."""

    number_N: Int64
    """bars since 1970"""
    stretch_N: Int64
    """first row from which on no bar is missing, see `stretch_starts`"""

    @classmethod
    def of(cls, bars: Sequence[Bars], lookback_bars: int) -> "Timeline":
        """Of the symbols' bars, one after another."""
        first_rows = np.cumsum([0, *map(len, bars)])
        starts = [first + stretch_starts(one, lookback_bars) for first, one in zip(first_rows, bars, strict=False)]
        return cls(number_N=np.concatenate([one.number for one in bars]), stretch_N=np.concatenate(starts))
