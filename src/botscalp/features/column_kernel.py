"""What each column makes of its averages, windows and moments: elementwise, so that the compiler vectorises it."""

import math

from botscalp.compiled import njit
from botscalp.types import Float32, Float64

Values = Float32 | Float64
"""float32, or float64 to see what was rounded"""

_NEAR = 0.05
"""(a - b) / (a + b) up to which the series for log(a / b) is exact to a rounding or two: prices 10 % apart"""


@njit(cache=True, error_model="numpy")
def log_ratio_nb(close: Float64, span: int, start: int, out: Values) -> None:
    """log(close[t] / close[t - span]) for rows start, start + 1, ...; rows before `span` hold anything.

    log(a / b) = 2 artanh s with s = (a - b) / (a + b), which loses no digits where a and b are close.
    """
    skip = min(max(span - start, 0), len(out))
    for i in range(skip):
        out[i] = 0.0
    now, before, log = close[start + skip :], close[start + skip - span :], out[skip:]
    far = 0
    for i in range(len(log)):
        s = (now[i] - before[i]) / (now[i] + before[i])
        z = s * s
        series = 1.0 + z * (1 / 3 + z * (1 / 5 + z * (1 / 7 + z * (1 / 9 + z * (1 / 11 + z * (1 / 13))))))
        log[i] = 2.0 * s * series
        far += 1 if z > _NEAR * _NEAR else 0
    if far > 0:
        for i in range(len(log)):
            s = (now[i] - before[i]) / (now[i] + before[i])
            if s * s > _NEAR * _NEAR:
                log[i] = math.log(now[i] / before[i])


@njit(cache=True, error_model="numpy")
def strength_nb(gain: Float64, loss: Float64, out: Values) -> None:
    """RSI from -1 to 1: gains less losses, of all that has moved."""
    for i in range(len(out)):
        moved = gain[i] + loss[i]
        out[i] = (gain[i] - loss[i]) / (moved if moved > 0.0 else 1.0)


@njit(cache=True, error_model="numpy")
def difference_nb(x: Float64, y: Float64, per_unit: Float64, out: Values) -> None:
    """(x - y) per unit."""
    for i in range(len(out)):
        out[i] = (x[i] - y[i]) * per_unit[i]


@njit(cache=True, error_model="numpy")
def product_nb(x: Float64, y: Float64, out: Values) -> None:
    """x y."""
    for i in range(len(out)):
        out[i] = x[i] * y[i]


@njit(cache=True, error_model="numpy")
def ratio_nb(x: Float64, y: Float64, out: Values) -> None:
    """x / y."""
    for i in range(len(out)):
        out[i] = x[i] / y[i]


@njit(cache=True, error_model="numpy")
def share_nb(part: Float64, whole: Float64, out: Values) -> None:
    """part / whole, and 0 where the whole is 0 (then so is the part)."""
    for i in range(len(out)):
        out[i] = part[i] / (whole[i] if whole[i] > 0.0 else 1.0)


@njit(cache=True, error_model="numpy")
def band_nb(close: Float64, mean: Float64, squares: Float64, span: int, out: Values) -> None:
    """The close's distance above the mean, in standard deviations."""
    for i in range(len(out)):
        sd = math.sqrt(squares[i] / span)
        out[i] = (close[i] - mean[i]) / (sd if sd > 0.0 else 1.0)


@njit(cache=True, error_model="numpy")
def band_width_nb(mean: Float64, squares: Float64, span: int, out: Values) -> None:
    """One standard deviation as a share of the mean."""
    for i in range(len(out)):
        out[i] = math.sqrt(squares[i] / span) / mean[i]


@njit(cache=True, error_model="numpy")
def vwap_nb(close: Float64, value: Float64, traded: Float64, per_unit: Float64, out: Values) -> None:
    """Nothing traded: the VWAP is the close."""
    for i in range(len(out)):
        vwap = value[i] / (traded[i] if traded[i] > 0.0 else 1.0)
        out[i] = (close[i] - vwap) * per_unit[i] if traded[i] > 0.0 else 0.0


@njit(cache=True, error_model="numpy")
def burst_nb(volume: Float64, total: Float64, span: int, out: Values) -> None:
    """Volume v against its mean m over `span` rows, v / (v + m)."""
    for i in range(len(out)):
        whole = volume[i] + total[i] / span
        out[i] = volume[i] / (whole if whole > 0.0 else 1.0)


@njit(cache=True, error_model="numpy")
def volatility_nb(total: Float64, span: int, out: Values) -> None:
    """Root of the mean of `span` squares."""
    for i in range(len(out)):
        out[i] = math.sqrt(total[i] / span)
