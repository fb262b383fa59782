"""Sums and moments of the last `span` rows, by doubling, a block of rows at a time.

Sums over 1, 2, 4, ... rows are each two of the size before, and those in the binary form of `span` add up to the sum
over the span: one fixed tree of additions of a window's own rows. It never subtracts, so what has left the window
leaves no trace. Moments double likewise, by the formula that joins the sums of squared deviations of two samples
(Chan, Golub & LeVeque, "Algorithms for computing the sample variance", 1983), where nothing cancels either.
"""

import numpy as np

from botscalp.compiled import njit
from botscalp.features.column_kernel import log_ratio_nb
from botscalp.types import Float64, Int64

VOLUME, VALUE, FLOW, SQUARE = range(4)
"""what is summed: volume, typical price x volume, takers' purchases less sales, squared one-bar log returns"""


@njit(cache=True, error_model="numpy")
def series_nb(
    which: int,
    high: Float64,
    low: Float64,
    close: Float64,
    volume: Float64,
    bought: Float64,
    start: int,
    out: Float64,
) -> None:
    """What is summed, for the rows of a block."""
    stop = start + len(out)
    if which == VOLUME:
        copy_nb(volume[start:stop], out)
    elif which == VALUE:
        top, bottom, last, v = high[start:stop], low[start:stop], close[start:stop], volume[start:stop]
        for i in range(len(out)):
            out[i] = (top[i] + bottom[i] + last[i]) / 3.0 * v[i]
    elif which == FLOW:
        b, v = bought[start:stop], volume[start:stop]
        for i in range(len(out)):
            out[i] = 2.0 * b[i] - v[i]
    elif which == SQUARE:
        log_ratio_nb(close, 1, start, out)
        for i in range(len(out)):
            out[i] *= out[i]
        if start == 0:
            out[0] = 0.0


@njit(cache=True, error_model="numpy")
def sums_nb(x: Float64, windows: Int64, which: int, scratch: Float64, out: Float64, rows: int) -> None:
    """Sums over the windows of series `which`, for the last `rows` rows of it, `x`.

    `windows` has (series, span) of each row of `out`; x reaches back by the longest span.
    """
    past = len(x) - rows
    longest = longest_nb(windows, which)
    level = x  # sums of the last `size` rows
    size = int(np.int64(1))  # of a plain 1 numba makes a case of its own
    turn = 0
    while size <= longest:
        for w in range(len(windows)):
            span = windows[w, 1]
            if windows[w, 0] == which and span & size:
                summed = span & (size - 1)  # youngest rows, which are in the sum already
                older = level[past - summed :]
                if summed:
                    _accumulate_nb(older, out[w, :rows])
                else:
                    copy_nb(older[:rows], out[w])
        if 2 * size <= longest:
            double = scratch[turn, : len(x)]
            _double_nb(level, size, double)
            level = double
            turn = 1 - turn
        size *= 2


@njit(cache=True, error_model="numpy")
def longest_nb(windows: Int64, which: int) -> int:
    """The longest span over which that series is summed, 0 where it is not."""
    longest = 0
    for w in range(len(windows)):
        if windows[w, 0] == which:
            longest = max(longest, int(windows[w, 1]))
    return longest


@njit(cache=True, error_model="numpy")
def _accumulate_nb(x: Float64, out: Float64) -> None:
    for i in range(len(out)):
        out[i] += x[i]


@njit(cache=True, error_model="numpy")
def _double_nb(x: Float64, size: int, out: Float64) -> None:
    """Sums of 2 size rows from those of size."""
    for i in range(min(size, len(x))):
        out[i] = x[i]
    now, before, joined = x[size:], x, out[size:]
    for i in range(len(now)):
        joined[i] = now[i] + before[i]


@njit(cache=True, error_model="numpy")
def moments_nb(x: Float64, spans: Int64, scratch: Float64, mean: Float64, squares: Float64, rows: int) -> None:
    """Mean and sum of squared deviations of the last `span` rows of x, for its last `rows` rows."""
    past = len(x) - rows
    longest = 0
    for s in range(len(spans)):
        longest = max(longest, int(spans[s]))
    level_mean, level_squares = x, scratch[2, : len(x)]
    for i in range(len(x)):
        level_squares[i] = 0.0
    size = int(np.int64(1))  # of a plain 1 numba makes a case of its own
    turn = 0
    while size <= longest:
        for s in range(len(spans)):
            if spans[s] & size:
                behind = spans[s] & (size - 1)
                if behind:
                    _join_nb(
                        behind,
                        mean[s, :rows],
                        squares[s],
                        size,
                        level_mean[past - behind :],
                        level_squares[past - behind :],
                    )
                else:
                    copy_nb(level_mean[past:], mean[s, :rows])
                    copy_nb(level_squares[past:], squares[s, :rows])
        if 2 * size <= longest:
            _double_moments_nb(level_mean, level_squares, size, scratch[turn, : len(x)], scratch[3 - turn, : len(x)])
            level_mean, level_squares = scratch[turn, : len(x)], scratch[3 - turn, : len(x)]
            turn = 1 - turn
        size *= 2


@njit(cache=True, error_model="numpy")
def _join_nb(
    n: int, mean: Float64, squares: Float64, n_older: int, older_mean: Float64, older_squares: Float64
) -> None:
    """Add n_older older rows to n younger ones, of which mean and sum of squared deviations are known."""
    share = n_older / (n + n_older)
    for i in range(len(mean)):
        apart = older_mean[i] - mean[i]
        mean[i] += apart * share
        squares[i] += older_squares[i] + apart * apart * (n * share)


@njit(cache=True, error_model="numpy")
def _double_moments_nb(mean: Float64, squares: Float64, size: int, out_mean: Float64, out_squares: Float64) -> None:
    for i in range(min(size, len(mean))):
        out_mean[i] = mean[i]
        out_squares[i] = squares[i]
    now, now_squares, joined, joined_squares = mean[size:], squares[size:], out_mean[size:], out_squares[size:]
    half = 0.5 * size
    for i in range(len(now)):
        apart = mean[i] - now[i]
        joined[i] = now[i] + 0.5 * apart
        joined_squares[i] = now_squares[i] + squares[i] + apart * apart * half


@njit(cache=True, error_model="numpy")
def copy_nb(x: Float64, out: Float64) -> None:
    """out[:] = x, which numba takes seconds to compile."""
    for i in range(len(x)):
        out[i] = x[i]
