"""Longer bars out of shorter ones, equal to those that the exchange prints itself."""

from dataclasses import dataclass

import numpy as np

from botscalp.data.grid import Grid
from botscalp.errors import UserError
from botscalp.times import interval_name
from botscalp.types import Bars, Bool, Float64, Int64

DECIMALS = 8
"""of Binance's volumes, at most"""


@dataclass(frozen=True, kw_only=True)
class Resampled:
    """Bars of the longer interval."""

    bars: Bars
    complete: Bool
    """whether each holds all its shorter bars, shape (T,); the exchange prints one that lacks some all the same"""


def resample(bars: Bars, grid: Grid) -> Resampled:
    """Each bar of the grid that has at least one of the bars, from those that it has.

    Raises:
        UserError: the grid's step is no multiple of the bars' interval, or cuts bars in two.
    """
    own, wanted = interval_name(bars.interval_ns), interval_name(grid.step_ns)
    if grid.step_ns % bars.interval_ns:
        raise UserError("data.interval", wanted, f"is no multiple of {own}, the bars' own interval", "a multiple of it")
    assert len(bars), "there are bars"
    if (int(bars.open_time_ns[0]) - grid.phase_ns) % bars.interval_ns:
        raise UserError(
            "data.interval",
            wanted,
            f"opens in the middle of the {own} bars that there are",
            "make them of shorter ones",
        )
    number = grid.number(bars.open_time_ns)
    first = np.flatnonzero(np.diff(number, prepend=number[:1] - 1))
    last = np.append(first[1:], len(bars)) - 1
    long = Bars(
        symbol=bars.symbol,
        interval_ns=grid.step_ns,
        open_time_ns=grid.time_ns(number[first]),
        open=bars.open[first],
        high=np.maximum.reduceat(bars.high, first),
        low=np.minimum.reduceat(bars.low, first),
        close=bars.close[last],
        volume=sums(bars.volume, first),
        quote_volume=None if bars.quote_volume is None else sums(bars.quote_volume, first),
        trades=None if bars.trades is None else sums(bars.trades, first),
        taker_buy_volume=None if bars.taker_buy_volume is None else sums(bars.taker_buy_volume, first),
    )
    return Resampled(bars=long, complete=last - first + 1 == grid.step_ns // bars.interval_ns)


def sums(column: Float64, first: Int64) -> Float64:
    """The sum of each group of rows, groups beginning at `first`; exact where the column holds short decimals.

    Doubles are off by what each decimal lost when it was read, and their sums by more: 60 minutes of BTCUSDT turn over
    788,219,626.6369106. So a column of at most `DECIMALS` decimals is added up as integers, and the sum divided once.
    """
    largest = float(np.abs(column).max())
    longest = int(np.diff(first, append=len(column)).max())
    for decimals in range(DECIMALS + 1):
        if largest * 10.0**decimals >= 2.0**53:
            break
        units = np.rint(column * 10.0**decimals)
        if (units / 10.0**decimals == column).all():
            if largest * 10.0**decimals * longest >= 2.0**63:
                break  # the sum may not fit
            total = np.add.reduceat(units.astype(np.int64), first)
            exact = total / 10.0**decimals
            # Above 2^53 units a double would round before it is divided; Python's integers round once.
            for row in np.flatnonzero(np.abs(total) > 2**53):
                exact[row] = int(total[row]) / 10**decimals
            return np.asarray(exact)
    return np.asarray(np.add.reduceat(column, first))
