"""What one compiled pass computes: the averages, windows and moments that the columns share, and the columns."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from botscalp.features import fill_kernel
from botscalp.features.average_kernel import TRUE_RANGE
from botscalp.features.column_kernel import Values
from botscalp.types import Bars, Float64, Int64

ATR_SPAN = 14
"""the ATR in whose units distances are measured, which is also the backtest's"""

LEAST_ATR = 1e-6
"""of the close (0.01 bp): the unit shrinks no further on a market that stands still"""


@dataclass
class Table:
    """Filled by the families in turn; what two columns need is computed once."""

    averages: dict[tuple[int, int, int, float], int] = field(default_factory=dict)
    """(source, first row of the seed, row after it, weight of a new row), and their places"""
    lines: list[tuple[int, int, int, int, float]] = field(default_factory=list)
    """(fast average, slow average, first row of the signal's seed, row after it, the signal's weight) of each MACD"""
    windows: dict[tuple[int, int], int] = field(default_factory=dict)
    """(series, span) of what is summed"""
    moments: dict[int, int] = field(default_factory=dict)
    """spans of rolling mean and deviation of the close"""
    columns: list[tuple[int, int, int]] = field(default_factory=list)
    """what it is, and two places of what it is made from"""
    unit: int = -1
    """place of the ATR that distances are measured in, once one is"""

    def average(self, source: int, first: int, after: int, weight: float) -> int:
        """Place of the exponential average of a source, seeded with the mean of rows first .. after - 1."""
        return self.averages.setdefault((source, first, after, weight), len(self.averages))

    def wilder(self, source: int, span: int) -> int:
        """Place of a Wilder average of changes, which row 0 does not have."""
        return self.average(source, 1, span + 1, 1 / span)

    def window(self, series: int, span: int) -> int:
        """Place of the sum over a window."""
        return self.windows.setdefault((series, span), len(self.windows))

    def moment(self, span: int) -> int:
        """Place of rolling mean and deviation."""
        return self.moments.setdefault(span, len(self.moments))

    def line(self, fast: int, slow: int, first: int, signal: int) -> int:
        """Place of a MACD line, difference of two averages; its signal's seed is the mean of `signal` rows from `first`."""
        self.lines.append((fast, slow, first, first + signal, 2 / (signal + 1)))
        return len(self.lines) - 1

    def add(self, what: int, one: int, other: int = 0) -> None:
        """The next column: RETURN, STRENGTH and so on of `fill_kernel`, and the places (or the span) of what it is made from."""
        self.columns.append((what, one, other))

    def add_in_atr(self, what: int, one: int, other: int = 0) -> None:
        """The next column, a distance measured in ATRs."""
        self.unit = self.wilder(TRUE_RANGE, ATR_SPAN)
        self.add(what, one, other)

    def fill(self, bars: Bars, out: Values) -> None:
        """Write all columns into `out`, shape (T, columns), contiguous; rows before a column's lookback hold anything."""
        assert out.shape == (len(bars), len(self.columns)) and out.flags.c_contiguous
        bought = np.empty(0) if bars.taker_buy_volume is None else bars.taker_buy_volume
        fill_kernel.fill_nb(
            _plain(bars.high),
            _plain(bars.low),
            _plain(bars.close),
            _plain(bars.volume),
            _plain(bought),
            _rows([key[:3] for key in self.averages], 3),
            np.array([key[3] for key in self.averages], dtype=np.float64),
            _rows([line[:4] for line in self.lines], 4),
            np.array([line[4] for line in self.lines], dtype=np.float64),
            _rows(list(self.windows), 2),
            np.array(list(self.moments), dtype=np.int64),
            _rows(self.columns, 3),
            self.unit,
            LEAST_ATR,
            out.reshape(-1),
        )


def _rows(rows: Sequence[tuple[int, ...]], width: int) -> Int64:
    return np.array(rows, dtype=np.int64).reshape(-1, width)


def _plain(column: Float64) -> Float64:
    """Contiguous and writeable, the one kind of array that the pass is compiled for."""
    return np.require(column, np.float64, ["C", "W"])
