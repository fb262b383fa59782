"""All columns of a `Table` in one compiled pass over the bars, a block of rows at a time, so that it stays in the cache.

No bit of a row depends on how many rows follow it, nor on the blocks: averages carry their state from block to block,
a sum over a window is one fixed tree of additions of its own rows, and all else is elementwise. Compiled without
fastmath, so a loop that the compiler has vectorised rounds as one that it has not.
"""

import numpy as np

from botscalp.compiled import njit
from botscalp.features.average_kernel import PRICE, average_nb, averages_nb, per_unit_nb, sources_nb, subtract_nb
from botscalp.features.column_kernel import (
    Values,
    band_nb,
    band_width_nb,
    burst_nb,
    difference_nb,
    log_ratio_nb,
    product_nb,
    ratio_nb,
    share_nb,
    strength_nb,
    volatility_nb,
    vwap_nb,
)
from botscalp.features.window_kernel import copy_nb, longest_nb, moments_nb, series_nb, sums_nb
from botscalp.types import Float64, Int64

BLOCK = 2048
"""rows; the scratch columns of a block fit the second-level cache"""

RETURN, STRENGTH, DISTANCE, MACD, MACD_HISTOGRAM, RANGE = range(6)
BAND, BAND_WIDTH, VWAP, BURST, VOLATILITY, TAKER_FLOW = range(6, 12)
"""what a column is; see `Table`"""


@njit(cache=True, error_model="numpy")
def fill_nb(
    high: Float64,
    low: Float64,
    close: Float64,
    volume: Float64,
    bought: Float64,
    averages: Int64,
    weights: Float64,
    lines: Int64,
    line_weights: Float64,
    windows: Int64,
    moments: Int64,
    columns: Int64,
    unit: int,
    least_unit: float,
    out: Values,
) -> None:
    """Write the columns side by side into `out`, T rows of them in one piece.

    Row t from bars up to t; rows within a column's lookback hold anything. The tables are those of `Table`.

    Args:
        bought: taker_buy_volume; may be empty where no window sums it.
        unit: position in `averages` of the ATR that distances are measured in, -1 for none.
        least_unit: of the close, below which the unit does not shrink.
        out: float32, or float64 to see what was rounded.
    """
    past = 1  # rows before a block that its windows reach
    for which in range(4):
        past = max(past, longest_nb(windows, which))
    for m in range(len(moments)):
        past = max(past, int(moments[m]))
    sources = np.zeros((4, BLOCK))
    averaged, state = np.zeros((len(averages), BLOCK)), np.zeros(len(averages))
    line, signal, line_state = np.zeros((len(lines), BLOCK)), np.zeros((len(lines), BLOCK)), np.zeros(len(lines))
    per_unit = np.zeros(BLOCK)
    series, sums = np.zeros((4, past + BLOCK)), np.zeros((len(windows), BLOCK))
    price, mean, squares = np.zeros(past + BLOCK), np.zeros((len(moments), BLOCK)), np.zeros((len(moments), BLOCK))
    scratch = np.zeros((4, past + BLOCK))
    values, quads = np.zeros((len(columns), BLOCK), out.dtype), np.zeros(4 * BLOCK, out.dtype)

    for start in range(0, len(close), BLOCK):
        rows = min(BLOCK, len(close) - start)
        if len(averages) > 0:
            sources_nb(high, low, close, start, rows, sources)
            averages_nb(averages, weights, start, rows, sources, state, averaged)
        for k in range(len(lines)):
            subtract_nb(averaged[lines[k, 0], :rows], averaged[lines[k, 1]], line[k])
            average_nb(
                line[k, :rows], lines[k, 2] - start, lines[k, 3] - start, line_weights[k], line_state, k, signal[k]
            )
        if unit >= 0:
            per_unit_nb(averaged[unit, :rows], close[start:], least_unit, per_unit)
        for which in range(4):
            x = series[which, : past + rows]
            if longest_nb(windows, which) > 0:
                copy_nb(series[which, BLOCK:], series[which, :past])
                series_nb(which, high, low, close, volume, bought, start, x[past:])
                sums_nb(x, windows, which, scratch, sums, rows)
        if len(moments) > 0:
            copy_nb(price[BLOCK:], price[:past])
            copy_nb(close[start : start + rows], price[past:])
            moments_nb(price[: past + rows], moments, scratch, mean, squares, rows)

        for c in range(len(columns)):
            what, a, b = columns[c, 0], columns[c, 1], columns[c, 2]
            value = values[c, :rows]
            if what == RETURN:
                log_ratio_nb(close, a, start, value)
            elif what == STRENGTH:
                strength_nb(averaged[a], averaged[b], value)
            elif what == DISTANCE:
                difference_nb(sources[PRICE], averaged[a], per_unit, value)
            elif what == MACD:
                product_nb(line[a], per_unit, value)
            elif what == MACD_HISTOGRAM:
                difference_nb(line[a], signal[a], per_unit, value)
            elif what == RANGE:
                ratio_nb(averaged[a], close[start:], value)
            elif what == BAND:
                band_nb(close[start:], mean[a], squares[a], moments[a], value)
            elif what == BAND_WIDTH:
                band_width_nb(mean[a], squares[a], moments[a], value)
            elif what == VWAP:
                vwap_nb(close[start:], sums[a], sums[b], per_unit, value)
            elif what == BURST:
                burst_nb(volume[start:], sums[a], windows[a, 1], value)
            elif what == VOLATILITY:
                volatility_nb(sums[a], windows[a, 1], value)
            elif what == TAKER_FLOW:
                share_nb(sums[a], sums[b], value)
        place_nb(values, rows, quads, out[start * len(columns) :])


@njit(cache=True, error_model="numpy")
def place_nb(values: Values, rows: int, quads: Values, out: Values) -> None:
    """Columns to rows, four columns at a time: laid side by side, then copied 16 bytes a row."""
    width = np.uint64(len(values))
    c = 0
    while c + 4 <= len(values):
        v0, v1, v2, v3 = values[c, :rows], values[c + 1, :rows], values[c + 2, :rows], values[c + 3, :rows]
        for i in range(len(v0)):
            quads[4 * i] = v0[i]
            quads[4 * i + 1] = v1[i]
            quads[4 * i + 2] = v2[i]
            quads[4 * i + 3] = v3[i]
        at = np.uint64(c)
        for i in range(len(v0)):
            q0, q1, q2, q3 = quads[4 * i], quads[4 * i + 1], quads[4 * i + 2], quads[4 * i + 3]
            out[at] = q0
            out[at + np.uint64(1)] = q1
            out[at + np.uint64(2)] = q2
            out[at + np.uint64(3)] = q3
            at += width
        c += 4
    while c < len(values):
        v = values[c, :rows]
        at = np.uint64(c)
        for i in range(len(v)):
            out[at] = v[i]
            at += width
        c += 1
