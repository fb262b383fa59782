"""Technical indicators: pure functions of float64 arrays, compiled, one pass each.

All take arrays of shape (T,) and return arrays of shape (T,): NaN while warming up, finite after it, row t from rows up
to t alone, and to the bit the same however many rows follow. Formulas and seeds are TA-Lib's (https://ta-lib.org);
where we differ the function says so.

Rolling sums never subtract, which keeps them exact: the rows are cut into blocks of `span` counted from row 0, and
a window is the tail of one block plus the head of the next, so nothing drifts and a stretch without volume sums to 0.
Squares are summed about a value inside the window: a price of 60,000 costs no digits, equal prices have no spread.
"""

import math

import numpy as np

from botscalp.compiled import njit
from botscalp.types import Bars, Float64

# --- moving averages -------------------------------------------------------------------------------------------------


def ema(x: Float64, span: int) -> Float64:
    """Exponential moving average with weight 2 / (span + 1), seeded with the mean of the first `span` rows."""
    return ema_nb(x, span)


def macd(close: Float64, fast: int, slow: int, signal: int) -> tuple[Float64, Float64, Float64]:
    """MACD line (fast EMA - slow EMA), its signal line (EMA of the line) and the histogram (line - signal).

    Both EMAs have their seeds end at row slow - 1, so the fast one is seeded on rows slow - fast .. slow - 1, and all
    three outputs begin together at row slow + signal - 2. Expects fast < slow.
    """
    return macd_nb(close, fast, slow, signal)


@njit(cache=True)
def ema_nb(x: Float64, span: int) -> Float64:
    out = np.full(len(x), np.nan)
    if len(x) < span:
        return out
    average = _mean_nb(x, 0, span)
    weight = 2.0 / (span + 1.0)
    out[span - 1] = average
    for t in range(span, len(x)):
        average += weight * (x[t] - average)
        out[t] = average
    return out


@njit(cache=True)
def macd_nb(close: Float64, fast: int, slow: int, signal: int) -> tuple[Float64, Float64, Float64]:
    n = len(close)
    line = np.full(n, np.nan)
    signal_line = np.full(n, np.nan)
    histogram = np.full(n, np.nan)
    first = slow + signal - 2
    if n <= first:
        return line, signal_line, histogram
    fast_weight, slow_weight, signal_weight = 2.0 / (fast + 1.0), 2.0 / (slow + 1.0), 2.0 / (signal + 1.0)
    fast_average = _mean_nb(close, slow - fast, slow)
    slow_average = _mean_nb(close, 0, slow)
    total = fast_average - slow_average
    for t in range(slow, first + 1):
        fast_average += fast_weight * (close[t] - fast_average)
        slow_average += slow_weight * (close[t] - slow_average)
        total += fast_average - slow_average
    signal_average = total / signal
    for t in range(first, n):
        if t > first:
            fast_average += fast_weight * (close[t] - fast_average)
            slow_average += slow_weight * (close[t] - slow_average)
            signal_average += signal_weight * (fast_average - slow_average - signal_average)
        line[t] = fast_average - slow_average
        signal_line[t] = signal_average
        histogram[t] = line[t] - signal_average
    return line, signal_line, histogram


@njit(cache=True)
def _mean_nb(x: Float64, start: int, stop: int) -> float:
    """Mean of x[start:stop], exact where all are equal."""
    total = 0.0
    for t in range(start, stop):
        total += x[t] - x[start]
    mean: float = x[start] + total / (stop - start)
    return mean


# --- Wilder's averages -----------------------------------------------------------------------------------------------


def rsi(close: Float64, span: int) -> Float64:
    """Relative strength index, 0 to 100: Wilder averages of gains and losses, seeded with the mean of the first `span`.

    The first value is at row `span`. A market that has never moved is neutral, 50 (TA-Lib says 0).
    """
    return rsi_nb(close, span)


def atr(bars: Bars, span: int) -> Float64:
    """Wilder's average true range of bars, in quote currency; see `average_true_range`."""
    return average_true_range(bars.high, bars.low, bars.close, span)


def average_true_range(high: Float64, low: Float64, close: Float64, span: int) -> Float64:
    """Average true range: Wilder average of max(high, previous close) - min(low, previous close).

    Row 0 has no previous close, so the seed is the mean of rows 1 .. span and the first value is at row `span`.
    """
    return average_true_range_nb(high, low, close, span)


@njit(cache=True)
def rsi_nb(close: Float64, span: int) -> Float64:
    out = np.full(len(close), np.nan)
    if len(close) <= span:
        return out
    weight = 1.0 / span
    gain = 0.0
    loss = 0.0
    for t in range(1, span + 1):
        change = close[t] - close[t - 1]
        gain += max(change, 0.0)
        loss += max(-change, 0.0)
    gain /= span
    loss /= span
    out[span] = 100.0 * gain / (gain + loss) if gain + loss > 0.0 else 50.0
    for t in range(span + 1, len(close)):
        change = close[t] - close[t - 1]
        gain += weight * (max(change, 0.0) - gain)
        loss += weight * (max(-change, 0.0) - loss)
        out[t] = 100.0 * gain / (gain + loss) if gain + loss > 0.0 else 50.0
    return out


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


# --- rolling windows -------------------------------------------------------------------------------------------------


def rolling_sum(x: Float64, span: int) -> Float64:
    """Sum of the last `span` rows."""
    return rolling_sum_nb(x, span)


def rolling_mean(x: Float64, span: int) -> Float64:
    """Mean of the last `span` rows."""
    return rolling_mean_sd_nb(x, span)[0]


def rolling_sd(x: Float64, span: int) -> Float64:
    """Population standard deviation (divisor `span`) of the last `span` rows."""
    return rolling_mean_sd_nb(x, span)[1]


def rolling_mean_sd(x: Float64, span: int) -> tuple[Float64, Float64]:
    """Mean and population standard deviation of the last `span` rows, in one pass."""
    return rolling_mean_sd_nb(x, span)


def bollinger(close: Float64, span: int, deviations: float = 2.0) -> tuple[Float64, Float64, Float64]:
    """Bollinger bands (upper, middle, lower): `deviations` population standard deviations off the rolling mean."""
    middle, sd = rolling_mean_sd_nb(close, span)
    return middle + deviations * sd, middle, middle - deviations * sd


def vwap(high: Float64, low: Float64, close: Float64, volume: Float64, span: int) -> Float64:
    """Volume-weighted mean of the typical price (high + low + close) / 3 over `span` rows; the close if none traded."""
    return vwap_nb(high, low, close, volume, span)


@njit(cache=True)
def rolling_sum_nb(x: Float64, span: int) -> Float64:
    out = np.full(len(x), np.nan)
    tail = np.zeros(span + 1)  # tail[i]: sum of rows i.. of the block before
    for start in range(0, len(x), span):
        head = 0.0
        for t in range(start, min(start + span, len(x))):
            head += x[t]
            if t >= span - 1:
                out[t] = tail[t - start + 1] + head
        if start + span <= len(x):
            for i in range(span - 1, -1, -1):
                tail[i] = tail[i + 1] + x[start + i]
    return out


@njit(cache=True)
def rolling_mean_sd_nb(x: Float64, span: int) -> tuple[Float64, Float64]:
    mean = np.full(len(x), np.nan)
    sd = np.full(len(x), np.nan)
    tail = np.zeros(span + 1)  # sums of the block before's rows i.., about this block's first row
    tail_squares = np.zeros(span + 1)
    for start in range(0, len(x), span):
        about = x[start]  # lies in every window that ends in this block
        if start > 0:
            for i in range(span - 1, 0, -1):
                deviation = x[start - span + i] - about
                tail[i] = tail[i + 1] + deviation
                tail_squares[i] = tail_squares[i + 1] + deviation * deviation
        head = 0.0
        head_squares = 0.0
        for t in range(start, min(start + span, len(x))):
            deviation = x[t] - about
            head += deviation
            head_squares += deviation * deviation
            if t >= span - 1:
                offset = (tail[t - start + 1] + head) / span
                variance = (tail_squares[t - start + 1] + head_squares) / span - offset * offset
                mean[t] = about + offset
                sd[t] = math.sqrt(max(variance, 0.0))
    return mean, sd


@njit(cache=True)
def vwap_nb(high: Float64, low: Float64, close: Float64, volume: Float64, span: int) -> Float64:
    out = np.full(len(close), np.nan)
    tail_value = np.zeros(span + 1)
    tail_volume = np.zeros(span + 1)
    for start in range(0, len(close), span):
        head_value = 0.0
        head_volume = 0.0
        for t in range(start, min(start + span, len(close))):
            head_value += (high[t] + low[t] + close[t]) / 3.0 * volume[t]
            head_volume += volume[t]
            if t >= span - 1:
                traded = tail_volume[t - start + 1] + head_volume
                out[t] = (tail_value[t - start + 1] + head_value) / traded if traded > 0.0 else close[t]
        if start + span <= len(close):
            for i in range(span - 1, -1, -1):
                t = start + i
                tail_value[i] = tail_value[i + 1] + (high[t] + low[t] + close[t]) / 3.0 * volume[t]
                tail_volume[i] = tail_volume[i + 1] + volume[t]
    return out


# --- returns ---------------------------------------------------------------------------------------------------------


def log_return(close: Float64, span: int) -> Float64:
    """log(close[t] / close[t - span])."""
    return log_return_nb(close, span)


def realised_volatility(close: Float64, span: int) -> Float64:
    """Root mean square of the last `span` one-bar log returns, per bar (not annualised)."""
    out = np.full(len(close), np.nan)
    out[1:] = np.sqrt(rolling_sum_nb(log_return_nb(close, 1)[1:] ** 2, span) / span)
    return out


@njit(cache=True)
def log_return_nb(close: Float64, span: int) -> Float64:
    out = np.full(len(close), np.nan)
    for t in range(span, len(close)):
        out[t] = math.log(close[t] / close[t - span])
    return out
