"""Exponential averages, a block of rows at a time: y = (1 - w) y + w x, seeded with the mean of its first rows.

Four unrelated ones share a loop: each waits eight cycles a bar for its own last value, and the others fill the wait.
Prices enter as their distance from the first close, so equal prices average to exactly that.
"""

from botscalp.compiled import njit
from botscalp.types import Float64, Int64

PRICE, GAIN, LOSS, TRUE_RANGE = range(4)
"""what averages are taken of"""


@njit(cache=True, error_model="numpy")
def sources_nb(high: Float64, low: Float64, close: Float64, start: int, rows: int, sources: Float64) -> None:
    """What averages are taken of; row 0 has no close before it and counts as one that changed nothing."""
    price, gain, loss, true_range = (
        sources[PRICE, :rows],
        sources[GAIN, :rows],
        sources[LOSS, :rows],
        sources[TRUE_RANGE, :rows],
    )
    first = close[0]
    skip = 1 if start == 0 else 0
    if skip:
        price[0] = gain[0] = loss[0] = true_range[0] = 0.0
    before = close[start + skip - 1 :]
    now, high_now, low_now = close[start + skip :], high[start + skip :], low[start + skip :]
    price, gain, loss, true_range = price[skip:], gain[skip:], loss[skip:], true_range[skip:]
    for i in range(len(price)):
        price[i] = now[i] - first
    for i in range(len(gain)):
        change = now[i] - before[i]
        gain[i] = change if change > 0.0 else 0.0
        loss[i] = -change if change < 0.0 else 0.0
    for i in range(len(true_range)):
        top = high_now[i] if high_now[i] > before[i] else before[i]
        bottom = low_now[i] if low_now[i] < before[i] else before[i]
        true_range[i] = top - bottom


@njit(cache=True, error_model="numpy")
def averages_nb(
    averages: Int64, weights: Float64, start: int, rows: int, sources: Float64, state: Float64, averaged: Float64
) -> None:
    """All averages over the block that starts at row `start`.

    Args:
        averages: (source, first row of the seed, row after it) of each.
        weights: of a new row in each.
        sources: what they are taken of, see `sources_nb`.
        state: their last values (their sums, while they are seeded), carried on.
    """
    seeded = True
    for a in range(len(averages)):
        seeded = seeded and averages[a, 2] <= start
    a = 0
    while seeded and a + 4 <= len(averages):
        four_averages_nb(
            sources[averages[a, 0], :rows],
            sources[averages[a + 1, 0]],
            sources[averages[a + 2, 0]],
            sources[averages[a + 3, 0]],
            weights[a : a + 4],
            state[a : a + 4],
            averaged[a],
            averaged[a + 1],
            averaged[a + 2],
            averaged[a + 3],
        )
        a += 4
    while a < len(averages):
        x, first, after = sources[averages[a, 0], :rows], averages[a, 1] - start, averages[a, 2] - start
        average_nb(x, first, after, weights[a], state, a, averaged[a])
        a += 1


@njit(cache=True, error_model="numpy")
def average_nb(x: Float64, first: int, seeded: int, weight: float, state: Float64, at: int, out: Float64) -> None:
    """One average, from its seed on: the mean of rows first .. seeded - 1, both counted from the block's first row."""
    y = state[at]
    begin = min(max(seeded, 0), len(x))
    for i in range(min(max(first, 0), len(x)), begin):
        y += x[i]
        if i == seeded - 1:
            y /= seeded - first
            out[i] = y
    keep = 1.0 - weight
    for i in range(begin, len(x)):
        y = keep * y + weight * x[i]
        out[i] = y
    state[at] = y


@njit(cache=True, error_model="numpy")
def four_averages_nb(
    x0: Float64,
    x1: Float64,
    x2: Float64,
    x3: Float64,
    weights: Float64,
    state: Float64,
    out0: Float64,
    out1: Float64,
    out2: Float64,
    out3: Float64,
) -> None:
    y0, y1, y2, y3 = state[0], state[1], state[2], state[3]
    w0, w1, w2, w3 = weights[0], weights[1], weights[2], weights[3]
    k0, k1, k2, k3 = 1.0 - w0, 1.0 - w1, 1.0 - w2, 1.0 - w3
    for i in range(len(x0)):
        y0 = k0 * y0 + w0 * x0[i]
        y1 = k1 * y1 + w1 * x1[i]
        y2 = k2 * y2 + w2 * x2[i]
        y3 = k3 * y3 + w3 * x3[i]
        out0[i] = y0
        out1[i] = y1
        out2[i] = y2
        out3[i] = y3
    state[0], state[1], state[2], state[3] = y0, y1, y2, y3


@njit(cache=True, error_model="numpy")
def subtract_nb(x: Float64, y: Float64, out: Float64) -> None:
    """x - y."""
    for i in range(len(x)):
        out[i] = x[i] - y[i]


@njit(cache=True, error_model="numpy")
def per_unit_nb(atr: Float64, close: Float64, least: float, out: Float64) -> None:
    """1 / ATR, which is not taken for less than that share of the close."""
    for i in range(len(atr)):
        floor = least * close[i]
        out[i] = 1.0 / (atr[i] if atr[i] > floor else floor)
