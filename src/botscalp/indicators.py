"""Wilder's average true range, in which labels and the backtest measure distances."""

import numpy as np

from botscalp.compiled import njit
from botscalp.types import Bars, Float64


def atr(bars: Bars, span: int) -> Float64:
    """The average true range of bars, in quote currency, shape (T,): NaN before row `span`, row t from bars up to t alone.

    The true range is max(high, previous close) - min(low, previous close). Row 0 has no previous close, so the seed is the
    mean of rows 1 .. span, as TA-Lib's (https://ta-lib.org).
    """
    return average_true_range_nb(bars.high, bars.low, bars.close, span)


@njit(cache=True)
def average_true_range_nb(high: Float64, low: Float64, close: Float64, span: int) -> Float64:
    out = np.full(len(close), np.nan)
    if len(close) <= span:
        return out
    weight = 1.0 / span
    average = 0.0
    for t in range(1, span + 1):
        average += max(high[t], close[t - 1]) - min(low[t], close[t - 1])
    average /= span
    out[span] = average
    for t in range(span + 1, len(close)):
        true_range = max(high[t], close[t - 1]) - min(low[t], close[t - 1])
        average += weight * (true_range - average)
        out[t] = average
    return out
